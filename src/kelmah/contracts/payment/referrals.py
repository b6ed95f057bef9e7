"""Referrals: who brought a worker."""

from typing import Annotated

from msgspec import Meta

from kelmah.contracts.common import Request, Response


class ReferralCode(Response, frozen=True, kw_only=True):
    """What a worker names who one is with."""

    code: str


class NameReferrer(Request, frozen=True, kw_only=True):
    """The code of who brought one."""

    code: Annotated[str, Meta(min_length=1, max_length=256)]


class ReferralView(Response, frozen=True, kw_only=True):
    """Who brought one."""

    referrer_id: str
