"""The documents of the job service and every query on them."""

from kelmah.services.job.documents.applications import ApplicationDocument
from kelmah.services.job.documents.contracts import ContractDocument
from kelmah.services.job.documents.feeds import CalendarFeedDocument
from kelmah.services.job.documents.interest import (
    AlertDocument,
    InvitationDocument,
    SavedJobDocument,
    SavedSearchDocument,
)
from kelmah.services.job.documents.jobs import JobDocument, JobVersionDocument
from kelmah.services.job.documents.lexicon import WordDocument
from kelmah.services.job.documents.templates import TemplateDocument

DOCUMENTS = (
    JobDocument,
    JobVersionDocument,
    ApplicationDocument,
    ContractDocument,
    TemplateDocument,
    CalendarFeedDocument,
    WordDocument,
    SavedJobDocument,
    SavedSearchDocument,
    AlertDocument,
    InvitationDocument,
)
