"""What can go wrong with conversations, files, sockets and notifications."""

from kelmah.kit import errors


class ConversationNotFound(errors.NotFound):
    code, title = "messaging.conversation_not_found", "There is no such conversation"


class AttachmentNotFound(errors.NotFound):
    code, title = "messaging.attachment_not_found", "There is no such file"


class PersonNotFound(errors.NotFound):
    code, title = "messaging.person_not_found", "There is no such person"


class ContractNotFound(errors.NotFound):
    code, title = "messaging.contract_not_found", "There is no such contract of yours"


class JobNotFound(errors.NotFound):
    code, title = "messaging.job_not_found", "There is no such job with an application of yours, or to yours"


class ClientIdReused(errors.Conflict):
    code, title = "messaging.client_id_reused", "This clientId was used for another message"


class AttachmentsNotUsable(errors.BadInput):
    code, title = "messaging.attachments_not_usable", "An attachment is not there, not yours, or was sent before"


class FileTypeRefused(errors.UnsupportedMediaType):
    code, title = (
        "messaging.file_type_refused",
        "The file is of a kind that is not taken, or not what its name says",
    )


class FileTooLarge(errors.PayloadTooLarge):
    code, title = "messaging.file_too_large", "The file is too large"


class UploadNotFound(errors.NotFound):
    code, title = "messaging.upload_not_found", "There is no such upload of yours"


class UploadOffsetWrong(errors.Conflict):
    code, title = "messaging.upload_offset_wrong", "The part begins elsewhere: ask how far the upload is"


class TooManyUploads(errors.TooManyRequests):
    code, title = "messaging.too_many_uploads", "Finish or cancel an upload before you begin another"


class QuotaReached(errors.PayloadTooLarge):
    code, title = "messaging.quota_reached", "You have as many files here as you may have"


class FileScanning(errors.Conflict):
    code, title = "messaging.file_scanning", "The file is being looked through for malware"


class FileInfected(errors.Forbidden):
    code, title = "messaging.file_infected", "Malware was found in this file"


class TicketRefused(errors.Unauthenticated):
    code, title = "messaging.ticket_refused", "The ticket was used, has run out, or never was"


class OriginRefused(errors.Forbidden):
    code, title = "messaging.origin_refused", "Pages of this origin may not open a socket"


class TooManySockets(errors.TooManyRequests):
    code, title = "messaging.too_many_sockets", "Too many open sockets"


class TooManyFrames(errors.TooManyRequests):
    code, title = "messaging.too_many_frames", "Frames come too fast"


class BadFrame(errors.BadInput):
    code, title = "messaging.bad_frame", "The frame does not fit the protocol"


class SlowDown(errors.TooManyRequests):
    code, title = "messaging.slow_down", "You do this too often"


class NotificationNotFound(errors.NotFound):
    code, title = "messaging.notification_not_found", "There is no such notification of yours"


class LinkNotGood(errors.BadInput):
    code, title = "messaging.link_not_good", "This link is not good, or no more"


class PushNotSetUp(errors.NotFound):
    code, title = "messaging.push_not_set_up", "Nothing is pushed here"


class SmsNotSetUp(errors.NotFound):
    code, title = "messaging.sms_not_set_up", "No text messages are sent here"


class SubscriptionNotFound(errors.NotFound):
    code, title = "messaging.subscription_not_found", "There is no such push subscription of yours"


class CodeRefused(errors.BadInput):
    code, title = "messaging.code_refused", "The code is wrong or too old"


class DeliveryFailed(errors.Unavailable):
    code, title = "messaging.delivery_failed", "It could not be sent yet"


class DeliveryRefused(errors.BadGateway):
    code, title = "messaging.delivery_refused", "It will never be sent as it is"


class DeliveryUnknown(errors.BadGateway):
    code, title = "messaging.delivery_unknown", "It may have been sent"


class PushGone(errors.BadGateway):
    code, title = "messaging.push_gone", "The browser is no more"


class MessageNotFound(errors.NotFound):
    code, title = "messaging.message_not_found", "There is no such message"


class NotBlocked(errors.NotFound):
    code, title = "messaging.not_blocked", "You have not blocked this person"


class WritingRefused(errors.Forbidden):
    code, title = "messaging.writing_refused", "You and this person cannot write to each other"


class WritingRestricted(errors.Forbidden):
    code, title = "messaging.writing_restricted", "After a report you may not write for some days"


class StrangerLimit(errors.TooManyRequests):
    code, title = "messaging.stranger_limit", "Wait for an answer before you write more"


class ReportNotFound(errors.NotFound):
    code, title = "messaging.report_not_found", "There is no such report"


class AlreadyDecided(errors.Conflict):
    code, title = "messaging.already_decided", "Somebody ruled on this report already"


class NotYourMessage(errors.Forbidden):
    code, title = "messaging.not_your_message", "Only its sender changes a message"


class TooLateToEdit(errors.Conflict):
    code, title = "messaging.too_late_to_edit", "This message can be edited no more"
