"""Failures that the user service tells of."""

from kelmah.kit.errors import Conflict, NotFound, PayloadTooLarge, UnsupportedMediaType


class TooManyEntries(Conflict):
    code, title = "user.too_many_entries", "The list is full; remove an entry first"


class TooManyImages(Conflict):
    code, title = "user.too_many_images", "There is no room for another picture; remove one first"


class ImageTypeRefused(UnsupportedMediaType):
    code, title = "user.image_type_refused", "Only JPEG, PNG, WebP and GIF pictures are taken"


class ImageTooHeavy(PayloadTooLarge):
    code, title = "user.image_too_heavy", "The picture has too many bytes"


class WorkerBookedAlready(Conflict):
    code, title = "user.worker_booked", "The worker has another booking in this time"


class WorkerNotAvailable(Conflict):
    code, title = "user.worker_not_available", "The worker takes no work for now"


class BookingIdTaken(Conflict):
    code, title = "user.booking_id_taken", "This id stands for another booking"


class VersionNotFound(NotFound):
    code, title = "user.version_not_found", "There is no such version of the profile"


class IllegalCertificateStep(Conflict):
    code, title = "user.illegal_certificate_step", "The certificate is not in a state that allows this"
