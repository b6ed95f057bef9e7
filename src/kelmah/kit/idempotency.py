"""`Idempotency-Key`: the same request sent again gives the same answer and no second effect.

A key is reserved before the operation runs, so that a twin in flight gets 409. Key and effect commit together, so that
a crash before the answer is sent loses neither:

- where the transaction's result is the operation's answer, it is kept in that transaction;
- an operation that answers something else, or takes several steps, calls `remember` inside its last transaction; where
  the key is required (money) nothing but `remember` counts, and a retry goes on where the first request died;
- all others only note in their first transaction that they have had an effect: a retry is told so, and does nothing.

Answers are kept encrypted for `KEPT`.
"""

import hashlib
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, NamedTuple

import msgspec
from litestar import Response
from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Message, Receive, Scope, Send
from pymongo import ASCENDING, IndexModel
from pymongo.errors import DuplicateKeyError

from kelmah.kit import clock, errors
from kelmah.kit.context import current_principal
from kelmah.kit.crypto import KeyRing
from kelmah.kit.ids import new_id
from kelmah.kit.mongo import Mongo, before_commit, session

IDEMPOTENCY_KEYS = "idempotency_keys"
INDEXES = {IDEMPOTENCY_KEYS: [IndexModel([("expires_at", ASCENDING)], name="expiry", expireAfterSeconds=0)]}
#: How long an answer is kept and replayed.
KEPT = timedelta(hours=24)
#: A request that died without an answer keeps its key for this long.
LEASE = timedelta(seconds=60)
#: Characters that a client's key may have (Stripe and the IETF draft allow 255).
MAX_KEY_CHARS = 255
#: Answers larger than this are not kept.
MAX_ANSWER_BYTES = 262_144
HEADER = b"idempotency-key"


class Answer(NamedTuple):
    """A kept answer."""

    status: int
    body: bytes


@dataclass
class Reservation:
    """The key that the current request holds. `id` is stable over retries: a name for provider calls."""

    id: str
    lease: str
    #: The answer that was kept in a transaction.
    remembered: Answer | None = None


_current: ContextVar[Reservation | None] = ContextVar("idempotency", default=None)


def current_id() -> str | None:
    """A stable name for this request and its retries, or None when the client sent no key."""
    reservation = _current.get()
    return reservation.id if reservation else None


class IdempotencyKeys:
    """The keys of one service."""

    def __init__(self, mongo: Mongo, ring: KeyRing) -> None:
        self._keys = mongo.collection(IDEMPOTENCY_KEYS)
        self._ring = ring

    async def reserve(self, key_id: str, fingerprint: str, lease: str) -> Answer | None:
        """Take the key, or give the answer that is kept under it.

        Raises:
            IdempotencyKeyReused: the key was used for another request.
            IdempotencyKeyInFlight: the first request with it is still running.
        """
        now = clock.now()
        # Keyed, since a body may hold a password, which a bare hash would let one guess at leisure.
        fingerprints = self._ring.blind_indexes(fingerprint, context=b"kit.idempotency.fingerprint")
        row = {"fingerprint": fingerprints[0], "lease": lease, "leased_until": now + LEASE, "expires_at": now + KEPT}
        try:
            await self._keys.insert_one({"_id": key_id, **row})
        except DuplicateKeyError:
            return await self._meet(key_id, fingerprints, row)
        return None

    async def _meet(self, key_id: str, fingerprints: list[str], row: dict[str, Any]) -> Answer | None:
        found = await self._keys.find_one({"_id": key_id})
        if found is None:  # released this very moment: the client may simply come again
            raise errors.IdempotencyKeyInFlight(retry_after_s=1)
        if found["fingerprint"] not in fingerprints:
            raise errors.IdempotencyKeyReused
        if "answer" in found:
            return Answer(found["status"], self._ring.decrypt(found["answer"], context=key_id.encode()))
        free = {"_id": key_id, "lease": found["lease"], "leased_until": {"$lt": clock.now()}}
        taken = await self._keys.update_one(free | {"has_effect": None}, {"$set": row})
        if taken.modified_count:
            return None
        if found.get("has_effect") and found["leased_until"] < clock.now():
            raise errors.IdempotencyAnswerLost
        raise errors.IdempotencyKeyInFlight(retry_after_s=1)

    async def remember(self, result: msgspec.Struct, *, status: int = 201) -> None:
        """Keep the answer in the open transaction, so that it commits with the effect. No key: nothing to keep.

        Raises:
            IdempotencyKeyInFlight: another retry took the key over; this transaction must not commit.
        """
        reservation = _current.get()
        if reservation is not None:
            reservation.remembered = Answer(status, msgspec.json.encode(result))
            await self._note(reservation, self._sealed(reservation, reservation.remembered))

    async def note_effect(self, reservation: Reservation, answers: object, status: int, result: object) -> None:
        """Note in the open transaction that the request has had its effect; and its answer, if `result` is one.

        Raises:
            IdempotencyKeyInFlight: as for `remember`.
        """
        if isinstance(result, msgspec.Struct) and type(result) is answers:
            await self.remember(result, status=status)
        else:
            await self._note(reservation, {"has_effect": True})

    async def _note(self, reservation: Reservation, fields: dict[str, Any]) -> None:
        held = {"_id": reservation.id, "lease": reservation.lease}
        if not (await self._keys.update_one(held, {"$set": fields}, session=session())).matched_count:
            raise errors.IdempotencyKeyInFlight(retry_after_s=1)

    async def keep(self, reservation: Reservation, answer: Answer) -> None:
        """Keep the answer that is about to be sent, unless it was remembered."""
        held: dict[str, Any] = {"_id": reservation.id, "lease": reservation.lease}
        if answer == reservation.remembered:
            held["answer"] = {"$exists": False}
        await self._keys.update_one(held, {"$set": self._sealed(reservation, answer)})

    def _sealed(self, reservation: Reservation, answer: Answer) -> dict[str, Any]:
        body = self._ring.encrypt(answer.body, context=reservation.id.encode())
        return {"answer": body, "status": answer.status}

    async def release(self, reservation: Reservation, status: int) -> None:
        """Give the key back after a refusal: nothing happened, and the client may send a mended request.

        After a fault of ours something may have happened, and then the key stays.
        """
        held = {"_id": reservation.id, "lease": reservation.lease, "answer": {"$exists": False}}
        await self._keys.delete_one(held if status < 500 else held | {"has_effect": None})


class IdempotencyMiddleware(ASGIMiddleware):
    """Serves the header on every POST.

    A handler says `idempotency="required"`; `"off"` where answers hold secrets; `"repeatable"` where its own rules make
    it harmless to run again, so that nothing is noted in its transactions; otherwise it is optional.
    """

    scopes = (ScopeType.HTTP,)

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        handler: Any = scope["route_handler"]
        mode = handler.opt.get("idempotency", "optional")
        if scope["method"] != "POST" or mode == "off" or scope["path"].startswith("/internal/"):  # type: ignore[typeddict-item]  # http only
            await next_app(scope, receive, send)
            return
        key = dict(scope["headers"]).get(HEADER, b"").decode("latin-1")
        if not key:
            if mode == "required":
                raise errors.IdempotencyKeyMissing
            await next_app(scope, receive, send)
            return
        if len(key) > MAX_KEY_CHARS or not key.isascii() or not key.isprintable():
            raise errors.BadInput.of("Idempotency-Key", f"1 to {MAX_KEY_CHARS} printable ASCII characters")
        keys: IdempotencyKeys = scope["app"].state.idempotency
        reservation, fingerprint = _name(scope, key)
        answer = await keys.reserve(reservation.id, fingerprint, reservation.lease)
        if answer is not None:
            await _replay(send, answer)
            return
        await self._run(keys, reservation, scope, receive, send, next_app)

    async def _run(
        self,
        keys: IdempotencyKeys,
        reservation: Reservation,
        scope: Scope,
        receive: Receive,
        send: Send,
        next_app: ASGIApp,
    ) -> None:
        status, body = 500, bytearray()

        async def capture(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            elif message["type"] == "http.response.body" and status < 300:
                body.extend(message["body"])
                if not message.get("more_body") and len(body) <= MAX_ANSWER_BYTES:
                    await keys.keep(reservation, Answer(status, bytes(body)))  # before the client sees it
            await send(message)

        handler: Any = scope["route_handler"]
        returns = handler.parsed_fn_signature.return_type
        answers = returns.inner_types[0].annotation if returns.is_subclass_of(Response) else returns.annotation
        note = partial(keys.note_effect, reservation, answers, handler.status_code)
        token = _current.set(reservation)
        noting = before_commit.set(note if handler.opt.get("idempotency", "optional") == "optional" else None)
        try:
            await next_app(scope, receive, capture)
        except BaseException as error:
            await keys.release(reservation, getattr(error, "status_code", 500))
            raise
        finally:
            before_commit.reset(noting)
            _current.reset(token)
        if status >= 300:
            await keys.release(reservation, status)


def _name(scope: Scope, key: str) -> tuple[Reservation, str]:
    """The key's id within its person and operation, and the fingerprint of the whole request."""
    principal = current_principal.get()
    person = principal.user_id if principal else "anonymous"
    operation = f"{scope['method']} {scope['path']}"  # type: ignore[typeddict-item]  # http only
    body = scope["state"].get("body") or b""
    key_id = hashlib.sha256(f"{person}\n{operation}\n{key}".encode()).hexdigest()
    fingerprint = hashlib.sha256(operation.encode() + b"\n" + scope["query_string"] + b"\n" + body).hexdigest()
    return Reservation(key_id, new_id()), fingerprint


async def _replay(send: Send, answer: Answer) -> None:
    await send(
        {
            "type": "http.response.start",
            "status": answer.status,
            "headers": [(b"content-type", b"application/json"), (b"idempotent-replayed", b"true")],
        }
    )
    await send({"type": "http.response.body", "body": answer.body, "more_body": False})
