"""The operations that only other services call."""

from typing import Annotated

from litestar import delete, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter

from kelmah.contracts.user import Booking, BookWorker, NotificationKind, NotificationPreferences, Person, WorkerFacts
from kelmah.kit.errors import BadInput
from kelmah.services.user.service import Context, bookings, choices, people


@get("/internal/people", operation_id="GetPeople", include_in_schema=False)
async def get_people(
    context: NamedDependency[Context], ids: Annotated[list[str], QueryParameter(max_items=100)]
) -> list[Person]:
    return await people.get_people(context, ids)


@get("/internal/workers/{user_id:str}", operation_id="GetWorkerFacts", include_in_schema=False)
async def get_worker_facts(user_id: FromPath[str], context: NamedDependency[Context]) -> WorkerFacts:
    return await people.get_worker(context, user_id)


@get("/internal/workers", operation_id="FindWorkerFacts", include_in_schema=False)
async def find_worker_facts(
    context: NamedDependency[Context],
    limit: Annotated[int, QueryParameter(ge=1, le=200)],
    skills: Annotated[list[str] | None, QueryParameter(max_items=100)] = None,
    lng: Annotated[float | None, QueryParameter(ge=-180, le=180)] = None,
    lat: Annotated[float | None, QueryParameter(ge=-90, le=90)] = None,
) -> list[WorkerFacts]:
    if (lng is None) != (lat is None):
        raise BadInput.of("lat" if lat is None else "lng", "half a coordinate is no place")
    near = (lng, lat) if lng is not None and lat is not None else None
    return await people.find_workers(context, skills=skills or [], near=near, limit=limit)


@get(
    "/internal/notification-preferences/{user_id:str}",
    operation_id="GetNotificationPreferences",
    include_in_schema=False,
)
async def get_notification_preferences(
    user_id: FromPath[str], context: NamedDependency[Context]
) -> NotificationPreferences:
    preferences, _ = await choices.get_notification_preferences(context, user_id)
    return preferences


@put("/internal/workers/{user_id:str}/bookings/{booking_id:str}", operation_id="BookWorker", include_in_schema=False)
async def book_worker(
    user_id: FromPath[str], booking_id: FromPath[str], data: JSONBody[BookWorker], context: NamedDependency[Context]
) -> Booking:
    return await bookings.book(context, user_id, booking_id, data)


@delete(
    "/internal/workers/{user_id:str}/bookings/{booking_id:str}", operation_id="ReleaseBooking", include_in_schema=False
)
async def release_booking(user_id: FromPath[str], booking_id: FromPath[str], context: NamedDependency[Context]) -> None:
    await bookings.release(context, user_id, booking_id)


@post(
    "/internal/notification-preferences/{user_id:str}/unsubscribe/{kind:str}",
    operation_id="UnsubscribeFromMail",
    include_in_schema=False,
    status_code=204,
)
async def unsubscribe_from_mail(
    user_id: FromPath[str], kind: FromPath[NotificationKind], context: NamedDependency[Context]
) -> None:
    await choices.unsubscribe(context, user_id, kind)


HANDLERS = [
    unsubscribe_from_mail,
    book_worker,
    release_booking,
    get_people,
    get_worker_facts,
    find_worker_facts,
    get_notification_preferences,
]
