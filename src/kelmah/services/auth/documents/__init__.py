"""The auth database: documents and every query."""

from beanie import Document

from kelmah.services.auth.documents.accounts import AccountDocument, DecoyDocument
from kelmah.services.auth.documents.api_keys import ApiKeyDocument
from kelmah.services.auth.documents.devices import DeviceDocument
from kelmah.services.auth.documents.email_changes import EmailChangeDocument
from kelmah.services.auth.documents.exports import ExportDocument
from kelmah.services.auth.documents.factors import FactorDocument
from kelmah.services.auth.documents.identities import IdentityDocument
from kelmah.services.auth.documents.keys import SigningKeysDocument
from kelmah.services.auth.documents.passkeys import PasskeyDocument
from kelmah.services.auth.documents.proofs import ProofDocument
from kelmah.services.auth.documents.role_changes import RoleChangeDocument
from kelmah.services.auth.documents.sessions import SessionDocument

DOCUMENTS: tuple[type[Document], ...] = (
    AccountDocument,
    ApiKeyDocument,
    DecoyDocument,
    DeviceDocument,
    EmailChangeDocument,
    ExportDocument,
    FactorDocument,
    IdentityDocument,
    PasskeyDocument,
    ProofDocument,
    RoleChangeDocument,
    SessionDocument,
    SigningKeysDocument,
)
