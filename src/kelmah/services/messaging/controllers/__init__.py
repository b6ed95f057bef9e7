"""The messaging service's HTTP operations, and who may call which."""

from kelmah.contracts.common import Role
from kelmah.kit import exports
from kelmah.kit.policy import PUBLIC, SIGNED_IN, Policy, roles
from kelmah.services.messaging.controllers import changes, conversations, notifications, safety, uploads
from kelmah.services.messaging.service.exports import PARTS

_STAFF = roles(Role.MODERATOR, Role.ADMIN)

#: Who helps people, in conversations that they join.
_HELPERS = roles(Role.SUPPORT, Role.MODERATOR)

POLICY: Policy = {
    "CreateConversation": SIGNED_IN,
    "ListConversations": SIGNED_IN,
    "EditConversation": SIGNED_IN,
    "ListBlocks": SIGNED_IN,
    "BlockPerson": SIGNED_IN,
    "UnblockPerson": SIGNED_IN,
    "ReportMessage": SIGNED_IN,
    "ListReports": _STAFF,
    "GetReport": _STAFF,
    "DecideReport": _STAFF,
    "EditMessage": SIGNED_IN,
    "DeleteMessage": SIGNED_IN,
    "ReactToMessage": SIGNED_IN,
    "ListChanges": SIGNED_IN,
    "SearchMessages": SIGNED_IN,
    "SendMessage": SIGNED_IN,
    "ListMessages": SIGNED_IN,
    "ReadConversation": SIGNED_IN,
    "UploadAttachment": SIGNED_IN,
    "CreateUpload": SIGNED_IN,
    "GetUpload": SIGNED_IN,
    "PeekUpload": SIGNED_IN,
    "AppendUpload": SIGNED_IN,
    "CancelUpload": SIGNED_IN,
    "DownloadAttachment": SIGNED_IN,
    "DownloadThumbnail": SIGNED_IN,
    "GetPresence": SIGNED_IN,
    "GetOwnPresence": SIGNED_IN,
    "ChoosePresence": SIGNED_IN,
    "ListSupportConversations": _HELPERS,
    "JoinSupportConversation": _HELPERS,
    "LeaveSupportConversation": _HELPERS,
    "CloseSupportConversation": _HELPERS,
    "IssueSocketTicket": SIGNED_IN,
    "ListNotifications": SIGNED_IN,
    "ReadNotifications": SIGNED_IN,
    "GetNotification": SIGNED_IN,
    "GetDeliverySettings": SIGNED_IN,
    "SetDeliverySettings": SIGNED_IN,
    "SendPhoneCode": SIGNED_IN,
    "ProvePhone": SIGNED_IN,
    "ForgetPhone": SIGNED_IN,
    "LinkAttachment": SIGNED_IN,
    "DownloadLinkedAttachment": PUBLIC,  # the link says whose it is
    "ShowUnsubscribe": PUBLIC,  # the link says whose mails
    "Unsubscribe": PUBLIC,
    "GetPushKey": SIGNED_IN,
    "AddPushSubscription": SIGNED_IN,
    "RemovePushSubscription": SIGNED_IN,
    "OpenSocket": PUBLIC,  # the ticket in the query says who it is
    exports.OPERATION: exports.RULE,
}

CONTROLLERS = [
    *changes.HANDLERS,
    *conversations.HANDLERS,
    *notifications.HANDLERS,
    *safety.HANDLERS,
    *uploads.HANDLERS,
    exports.export_handler(PARTS),
]
