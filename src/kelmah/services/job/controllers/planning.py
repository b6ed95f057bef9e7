"""Operations on contract templates, direct offers and the calendar."""

from litestar import Response, delete, get, post, put
from litestar.di import NamedDependency
from litestar.handlers import BaseRouteHandler
from litestar.params import FromPath, JSONBody

from kelmah.contracts.job import (
    Calendar,
    CalendarFeed,
    ContractView,
    GiveReason,
    OfferContract,
    TemplateList,
    TemplateView,
    WriteTemplate,
)
from kelmah.kit.context import Principal
from kelmah.services.job.controllers.parameters import IfMatch, Token, expected_version, tagged
from kelmah.services.job.service import Context, calendar, contracts, templates


@get("/api/v1/contract-templates", operation_id="ListTemplates", summary="My templates", tags=["Templates"])
async def list_templates(principal: NamedDependency[Principal]) -> TemplateList:
    return await templates.list_templates(by=principal)


@post("/api/v1/contract-templates", operation_id="CreateTemplate", summary="Keep a template", tags=["Templates"])
async def create_template(
    data: JSONBody[WriteTemplate], context: NamedDependency[Context], principal: NamedDependency[Principal]
) -> Response[TemplateView]:
    return tagged(await templates.create_template(context, data, by=principal), status_code=201)


@get(
    "/api/v1/contract-templates/{template_id:str}",
    operation_id="GetTemplate",
    summary="One of my templates",
    tags=["Templates"],
)
async def get_template(template_id: FromPath[str], principal: NamedDependency[Principal]) -> Response[TemplateView]:
    return tagged(await templates.get_template(template_id, by=principal))


@put(
    "/api/v1/contract-templates/{template_id:str}",
    operation_id="ReplaceTemplate",
    summary="Write a template anew",
    tags=["Templates"],
)
async def replace_template(
    template_id: FromPath[str],
    data: JSONBody[WriteTemplate],
    context: NamedDependency[Context],
    principal: NamedDependency[Principal],
    if_match: IfMatch = None,
) -> Response[TemplateView]:
    version = expected_version(if_match)
    return tagged(await templates.replace_template(context, template_id, data, version=version, by=principal))


@delete(
    "/api/v1/contract-templates/{template_id:str}",
    operation_id="DeleteTemplate",
    summary="Keep a template no longer",
    tags=["Templates"],
)
async def delete_template(template_id: FromPath[str], principal: NamedDependency[Principal]) -> None:
    await templates.delete_template(template_id, by=principal)


@post(
    "/api/v1/contract-templates/{template_id:str}/offers",
    operation_id="OfferContract",
    summary="Offer a template's work to a worker",
    tags=["Templates"],
)
async def offer_contract(
    template_id: FromPath[str],
    data: JSONBody[OfferContract],
    context: NamedDependency[Context],
    principal: NamedDependency[Principal],
) -> ContractView:
    return await templates.offer_contract(context, template_id, data, by=principal)


@post(
    "/api/v1/contracts/{contract_id:str}/offer/accept",
    operation_id="TakeOffer",
    status_code=200,
    summary="Take a direct offer",
    tags=["Contracts"],
)
async def take_offer(
    contract_id: FromPath[str], context: NamedDependency[Context], principal: NamedDependency[Principal]
) -> ContractView:
    return await contracts.take_offer(context, contract_id, by=principal)


@post(
    "/api/v1/contracts/{contract_id:str}/offer/decline",
    operation_id="DeclineOffer",
    status_code=200,
    summary="Decline a direct offer",
    tags=["Contracts"],
)
async def decline_offer(
    contract_id: FromPath[str],
    context: NamedDependency[Context],
    principal: NamedDependency[Principal],
    data: JSONBody[GiveReason | None] = None,
) -> ContractView:
    return await contracts.decline_offer(context, contract_id, reason=data.reason if data else None, by=principal)


@get("/api/v1/calendar", operation_id="GetCalendar", summary="What is agreed and what falls due", tags=["Calendar"])
async def get_calendar(principal: NamedDependency[Principal]) -> Calendar:
    return await calendar.calendar(principal.user_id)


@get(
    "/api/v1/calendar.ics",
    operation_id="GetCalendarFeed",
    summary="The calendar as iCalendar (RFC 5545)",
    media_type="text/calendar",
    tags=["Calendar"],
)
async def get_calendar_feed(principal: NamedDependency[Principal]) -> bytes:
    return calendar.icalendar((await calendar.calendar(principal.user_id)).items)


@post(
    "/api/v1/calendar/feed",
    operation_id="OpenCalendarFeed",
    summary="A private address of the calendar, in place of the one before",
    opt={"idempotency": "off"},
    tags=["Calendar"],
)
async def open_calendar_feed(principal: NamedDependency[Principal]) -> CalendarFeed:
    return await calendar.open_feed(by=principal)


@delete("/api/v1/calendar/feed", operation_id="CloseCalendarFeed", summary="End the private address", tags=["Calendar"])
async def close_calendar_feed(principal: NamedDependency[Principal]) -> None:
    await calendar.close_feed(by=principal)


@get(
    calendar.FEED_PATH,
    operation_id="ReadCalendarFeed",
    summary="The calendar as iCalendar, for whoever knows its private address",
    media_type="text/calendar",
    tags=["Calendar"],
)
async def read_calendar_feed(token: Token) -> bytes:
    return await calendar.read_feed(token)


HANDLERS: list[BaseRouteHandler] = [
    list_templates, create_template, get_template, replace_template, delete_template, offer_contract, take_offer,
    decline_offer, get_calendar, get_calendar_feed, open_calendar_feed, close_calendar_feed, read_calendar_feed,
]  # fmt: skip
