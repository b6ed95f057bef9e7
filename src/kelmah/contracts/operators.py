"""What people at the command line of the machine room did: one event type for each service that it was done to."""

from typing import ClassVar

from kelmah.contracts.common import Event


class OperatorActed(Event, frozen=True, kw_only=True):
    """Somebody gave a command that changes something, or takes everything out. It is noted before it is done.

    `command` is such as "ledger resume"; `target` what it was given to do it to, without personal data. The actor is
    `operator:<login name>`.
    """

    command: str
    target: str | None = None


class OperatorActedOnAuth(OperatorActed, frozen=True, kw_only=True):
    """An operator gave a command that concerns accounts and sessions."""

    TYPE: ClassVar[str] = "auth.operator_acted.v1"


class OperatorActedOnUser(OperatorActed, frozen=True, kw_only=True):
    """An operator gave a command that concerns profiles."""

    TYPE: ClassVar[str] = "user.operator_acted.v1"


class OperatorActedOnMessaging(OperatorActed, frozen=True, kw_only=True):
    """An operator gave a command that concerns conversations and notifications."""

    TYPE: ClassVar[str] = "messaging.operator_acted.v1"


class OperatorActedOnJob(OperatorActed, frozen=True, kw_only=True):
    """An operator gave a command that concerns jobs and contracts."""

    TYPE: ClassVar[str] = "job.operator_acted.v1"


class OperatorActedOnPayment(OperatorActed, frozen=True, kw_only=True):
    """An operator gave a command that concerns money."""

    TYPE: ClassVar[str] = "payment.operator_acted.v1"


class OperatorActedOnReview(OperatorActed, frozen=True, kw_only=True):
    """An operator gave a command that concerns reviews."""

    TYPE: ClassVar[str] = "review.operator_acted.v1"


#: By service.
OPERATOR_ACTED = {
    one.TYPE.partition(".")[0]: one
    for one in (
        OperatorActedOnAuth,
        OperatorActedOnUser,
        OperatorActedOnMessaging,
        OperatorActedOnJob,
        OperatorActedOnPayment,
        OperatorActedOnReview,
    )
}
