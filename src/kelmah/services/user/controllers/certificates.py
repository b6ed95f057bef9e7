"""The verification of certificates."""

from typing import Annotated

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from kelmah.contracts.common import Page
from kelmah.contracts.user import Certificate, CertificateToCheck, DecideCertificate
from kelmah.kit.context import Principal
from kelmah.kit.pagination import DEFAULT_LIMIT, MAX_LIMIT
from kelmah.services.user.service import Context, certificates


@post(
    "/api/v1/users/me/certificates/{certificate_id:str}/request-verification",
    operation_id="RequestCertificateCheck",
    summary="Ask for a certificate to be verified",
    tags=["My profile"],
    status_code=200,
)
async def request_certificate_check(
    certificate_id: FromPath[str], context: NamedDependency[Context], principal: NamedDependency[Principal]
) -> Certificate:
    return await certificates.request_check(context, certificate_id, by=principal)


@get(
    "/api/v1/moderation/certificates",
    operation_id="ListCertificatesToCheck",
    summary="Certificates that wait for a moderator",
    tags=["Moderation"],
)
async def list_certificates_to_check(
    context: NamedDependency[Context],
    limit: Annotated[int, QueryParameter(ge=1, le=MAX_LIMIT)] = DEFAULT_LIMIT,
    cursor: FromQuery[str | None] = None,
) -> Page[CertificateToCheck]:
    return await certificates.list_pending(context, limit=limit, cursor=cursor)


@post(
    "/api/v1/moderation/certificates/{user_id:str}/{certificate_id:str}/decision",
    operation_id="DecideCertificate",
    summary="Verify or reject a certificate",
    tags=["Moderation"],
    status_code=200,
)
async def decide_certificate(
    user_id: FromPath[str],
    certificate_id: FromPath[str],
    data: JSONBody[DecideCertificate],
    context: NamedDependency[Context],
    principal: NamedDependency[Principal],
) -> Certificate:
    return await certificates.decide(context, user_id, certificate_id, data, by=principal)


HANDLERS = [request_certificate_check, list_certificates_to_check, decide_certificate]
