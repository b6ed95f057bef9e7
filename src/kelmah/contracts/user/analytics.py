"""What a person learns of how it goes, and an admin of the platform."""

from datetime import datetime

from kelmah.contracts.common import Balance, Response


class DayOfViews(Response, frozen=True, kw_only=True):
    """How many people looked at a profile on one day (UTC); each counts once a day. Days without views are left out."""

    day: str
    views: int


class Responsiveness(Response, frozen=True, kw_only=True):
    """How a person answers those who write first.

    `ratePercent` is null while nobody wrote, `medianS` (seconds to the first answer) while nothing was answered.
    """

    contacts: int
    answered: int
    rate_percent: int | None
    median_s: int | None


class UserAnalytics(Response, frozen=True, kw_only=True):
    """The figures of the caller in the last `days` days.

    A worker's `invitations` are those received, a hirer's those sent. A worker's `applications` are those sent and
    `wins` those accepted of them; a hirer's are those received and accepted. `winRatePercent` is null without
    applications. Money is before the platform's fee, one entry a currency: `earned` was paid out to the caller,
    `spent` was paid out of the caller's escrow.
    """

    user_id: str
    since: datetime
    until: datetime
    views: int
    viewers: int
    views_by_day: list[DayOfViews]
    responsiveness: Responsiveness
    jobs_published: int
    invitations: int
    applications: int
    wins: int
    win_rate_percent: int | None
    contracts_completed: int
    contracts_cancelled: int
    earned: list[Balance]
    spent: list[Balance]


class PlatformAnalytics(Response, frozen=True, kw_only=True):
    """The figures of everybody in the last `days` days; `people` and `listed` are by role, and of now."""

    since: datetime
    until: datetime
    people: dict[str, int]
    listed: dict[str, int]
    registered: int
    views: int
    jobs_published: int
    invitations: int
    applications: int
    hires: int
    contracts_completed: int
    contracts_cancelled: int
    paid_out: list[Balance]
