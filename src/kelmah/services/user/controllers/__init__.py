"""The operations of the user service, and who may call them."""

from litestar.types import ControllerRouterHandler

from kelmah.contracts.common import Role
from kelmah.kit.policy import PUBLIC, SIGNED_IN, Policy, roles, services
from kelmah.services.user.controllers import discovery, entries, internal, me

CONTROLLERS: list[ControllerRouterHandler] = [
    *me.HANDLERS, *entries.HANDLERS, *discovery.HANDLERS, *internal.HANDLERS,
]  # fmt: skip

_WORKERS = roles(Role.WORKER)

POLICY: Policy = {
    "GetMyProfile": SIGNED_IN,
    "UpdateMyProfile": SIGNED_IN,
    "GetMySettings": SIGNED_IN,
    "SetMySettings": SIGNED_IN,
    "GetMyNotificationPreferences": SIGNED_IN,
    "SetMyNotificationPreferences": SIGNED_IN,
    "ListMyBookmarks": SIGNED_IN,
    "AddMyBookmark": SIGNED_IN,
    "RemoveMyBookmark": SIGNED_IN,
    "ListMySkills": _WORKERS,
    "SetMySkills": _WORKERS,
    "GetMyAvailability": _WORKERS,
    "SetMyAvailability": _WORKERS,
    "ListMyExperience": _WORKERS,
    "AddMyExperience": _WORKERS,
    "ReplaceMyExperience": _WORKERS,
    "RemoveMyExperience": _WORKERS,
    "ListMyPortfolio": _WORKERS,
    "AddMyPortfolioItem": _WORKERS,
    "ReplaceMyPortfolioItem": _WORKERS,
    "RemoveMyPortfolioItem": _WORKERS,
    "ListMyCertificates": _WORKERS,
    "AddMyCertificate": _WORKERS,
    "ReplaceMyCertificate": _WORKERS,
    "RemoveMyCertificate": _WORKERS,
    # Workers want to be found by people who have no account yet; hirers and single people are for members.
    "FindWorkers": PUBLIC,
    "GetWorker": PUBLIC,
    "ListSkills": PUBLIC,
    "FindHirers": SIGNED_IN,
    "GetUser": SIGNED_IN,
    "GetPeople": services("job", "messaging", "review", "payment"),
    "GetWorkerFacts": services("job"),
    "FindWorkerFacts": services("job"),
    "GetNotificationPreferences": services("messaging"),
    "UnsubscribeFromMail": services("messaging"),
}
