"""Operations on files that come in parts."""

from typing import Annotated, Any

from litestar import MediaType, Request, Response, delete, get, head, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, HeaderParameter

from kelmah.contracts.messaging import AttachmentView, UploadView
from kelmah.kit.app import API_PREFIX
from kelmah.kit.context import Principal
from kelmah.services.messaging import service
from kelmah.services.messaging.controllers.common import MAX_JSON_BYTES
from kelmah.services.messaging.service import Context

_UPLOAD = f"{API_PREFIX}/uploads/{{upload_id:str}}"


def _headers(view: UploadView) -> dict[str, str]:
    return {
        "tus-resumable": "1.0.0",
        "upload-offset": str(view.offset),
        "upload-length": str(view.length),
        "cache-control": "no-store",
    }


@post(
    f"{API_PREFIX}/conversations/{{conversation_id:str}}/uploads",
    operation_id="CreateUpload",
    summary="Begin a file that comes in parts",
    description="Upload-Length: its bytes. X-Filename as for a file that comes at once. It may take 24 hours.",
    tags=["Conversations"],
    request_max_body_size=MAX_JSON_BYTES,
)
async def create_upload(
    conversation_id: FromPath[str],
    context: NamedDependency[Context],
    principal: NamedDependency[Principal],
    length: Annotated[int, HeaderParameter(name="Upload-Length", ge=1)],
    file_name: Annotated[str, HeaderParameter(name="X-Filename")] = "",
) -> Response[UploadView]:
    view = await service.create_upload(context, conversation_id, raw_name=file_name, length=length, by=principal)
    return Response(view, headers=_headers(view) | {"location": f"{API_PREFIX}/uploads/{view.id}"})


@get(_UPLOAD, operation_id="GetUpload", summary="How far an upload is", tags=["Conversations"])
async def get_upload(
    upload_id: FromPath[str], context: NamedDependency[Context], principal: NamedDependency[Principal]
) -> Response[UploadView]:
    view = await service.get_upload(context, upload_id, by=principal)
    return Response(view, headers=_headers(view))


@head(_UPLOAD, operation_id="PeekUpload", summary="How far an upload is, in headers", tags=["Conversations"])
async def peek_upload(
    upload_id: FromPath[str], context: NamedDependency[Context], principal: NamedDependency[Principal]
) -> Response[None]:
    view = await service.get_upload(context, upload_id, by=principal)
    return Response(None, headers=_headers(view), media_type=MediaType.TEXT)  # of JSON it would be `null`


@patch(
    _UPLOAD,
    operation_id="AppendUpload",
    summary="Add a part of a file",
    description=(
        "The body is the part, as application/offset+octet-stream; Upload-Offset where it begins; Upload-Checksum "
        "`sha256` and its digest in base64. A part is kept whole or not at all. Answers 204, and 200 with the file "
        "when it is whole."
    ),
    tags=["Conversations"],
    opt={"streams_body": True, "idempotency": "off"},
)
async def append_upload(
    upload_id: FromPath[str],
    request: Request[Any, Any, Any],
    context: NamedDependency[Context],
    principal: NamedDependency[Principal],
    offset: Annotated[int, HeaderParameter(name="Upload-Offset", ge=0)],
    checksum: Annotated[str | None, HeaderParameter(name="Upload-Checksum", max_length=100)] = None,
) -> Response[AttachmentView | None]:
    view, file = await service.append_upload(
        context, upload_id, offset=offset, checksum=checksum, body=request.stream(), by=principal
    )
    return Response(file, status_code=204 if file is None else 200, headers=_headers(view))


@delete(_UPLOAD, operation_id="CancelUpload", summary="Throw away what came of a file", tags=["Conversations"])
async def cancel_upload(
    upload_id: FromPath[str], context: NamedDependency[Context], principal: NamedDependency[Principal]
) -> None:
    await service.cancel_upload(context, upload_id, by=principal)


HANDLERS = [create_upload, get_upload, peek_upload, append_upload, cancel_upload]
