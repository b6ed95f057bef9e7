"""The operations of the user service, and who may call them."""

from litestar.types import ControllerRouterHandler

from kelmah.contracts.common import Role
from kelmah.kit import exports
from kelmah.kit.policy import PUBLIC, SIGNED_IN, Policy, roles, services
from kelmah.services.user.controllers import certificates, discovery, entries, figures, images, internal, me, own
from kelmah.services.user.service.exports import PARTS

CONTROLLERS: list[ControllerRouterHandler] = [
    *me.HANDLERS, *entries.HANDLERS, *discovery.HANDLERS, *figures.HANDLERS, *images.HANDLERS,
    *own.HANDLERS, *certificates.HANDLERS, *internal.HANDLERS, exports.export_handler(PARTS),
]  # fmt: skip

_WORKERS = roles(Role.WORKER)
_MODERATORS = roles(Role.MODERATOR, Role.ADMIN)

POLICY: Policy = {
    "GetMyProfile": SIGNED_IN,
    "UpdateMyProfile": SIGNED_IN,
    "GetMySettings": SIGNED_IN,
    "SetMySettings": SIGNED_IN,
    "GetMyNotificationPreferences": SIGNED_IN,
    "SetMyNotificationPreferences": SIGNED_IN,
    "GetMyVisibility": SIGNED_IN,
    "SetMyVisibility": SIGNED_IN,
    "GetMyCompleteness": SIGNED_IN,
    "ListMyChanges": SIGNED_IN,
    "ListMyVersions": SIGNED_IN,
    "RestoreMyProfile": SIGNED_IN,
    "ExportMyData": SIGNED_IN,
    "GetMyAnalytics": SIGNED_IN,
    "GetPlatformAnalytics": roles(Role.ADMIN),
    "ListMyBookmarks": SIGNED_IN,
    "AddMyBookmark": SIGNED_IN,
    "RemoveMyBookmark": SIGNED_IN,
    "ListMySkills": _WORKERS,
    "SetMySkills": _WORKERS,
    "GetMyAvailability": _WORKERS,
    "SetMyAvailability": _WORKERS,
    "ListMyBookings": _WORKERS,
    "ListMyExperience": _WORKERS,
    "AddMyExperience": _WORKERS,
    "ReplaceMyExperience": _WORKERS,
    "RemoveMyExperience": _WORKERS,
    "ListMyPortfolio": _WORKERS,
    "AddMyPortfolioItem": _WORKERS,
    "ReplaceMyPortfolioItem": _WORKERS,
    "RemoveMyPortfolioItem": _WORKERS,
    "AddMyPortfolioImage": _WORKERS,
    "RemoveMyPortfolioImage": _WORKERS,
    "GetWorkerImage": PUBLIC,
    "ListMyCertificates": _WORKERS,
    "AddMyCertificate": _WORKERS,
    "ReplaceMyCertificate": _WORKERS,
    "RemoveMyCertificate": _WORKERS,
    "RequestCertificateCheck": _WORKERS,
    "ListCertificatesToCheck": _MODERATORS,
    "DecideCertificate": _MODERATORS,
    # Workers want to be found by people who have no account yet; hirers and single people are for members.
    "FindWorkers": PUBLIC,
    "GetWorker": PUBLIC,
    "CountWorkers": PUBLIC,
    "SuggestSearches": PUBLIC,
    "ListPopularSearches": PUBLIC,
    "ListSkills": PUBLIC,
    "FindHirers": SIGNED_IN,
    "GetUser": SIGNED_IN,
    "GetPeople": services("job", "messaging", "review", "payment"),
    "BookWorker": services("job"),
    "ReleaseBooking": services("job"),
    "GetWorkerFacts": services("job"),
    "FindWorkerFacts": services("job"),
    "GetNotificationPreferences": services("messaging", "auth"),
    "UnsubscribeFromMail": services("messaging"),
    exports.OPERATION: exports.RULE,
}
