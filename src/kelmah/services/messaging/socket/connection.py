"""One open socket: what the client may send, and a bounded line of frames that keeps every conversation in order.

A frame for the client is written at once, and comes into line only while the client does not read, or while something
that came before it is fetched: where a message is not the next of its conversation, what is missing is read from the
database, or what was sent already is dropped, since Redis may repeat and reorder. An idle socket has no task.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Coroutine
from typing import Any, NamedTuple, Protocol

import msgspec
import structlog

from kelmah.contracts.messaging import (
    GapFrame,
    HelloFrame,
    MessageFrame,
    PongFrame,
    ResumedFrame,
    ResumeFrame,
    ServerFrame,
)
from kelmah.kit import clock
from kelmah.kit.context import Principal
from kelmah.kit.frames import NO_CODE, Wire
from kelmah.kit.ids import new_id
from kelmah.services.messaging import service
from kelmah.services.messaging.errors import TooManyFrames
from kelmah.services.messaging.service import Context
from kelmah.services.messaging.service.live import Live

log = structlog.get_logger(__name__)

#: WebSocket close codes (RFC 6455 §7.4.1 and its registry): what a client does next depends on them.
UNSUPPORTED_DATA, POLICY_VIOLATION, INTERNAL_ERROR, TRY_AGAIN = 1003, 1008, 1011, 1013
#: Ours: the session ended, so sign in again; and nothing came from the client for two heartbeats.
SESSION_ENDED, SILENT = 4401, 4408
#: Conversations whose place is remembered; in others the client finds gaps by itself.
MAX_PLACES = 1000
#: Seconds' worth of frames that may come at once.
BURST_S = 3
_PING = '{"type":"ping"}'


class Outgoing(NamedTuple):
    """A frame in line. A message says its place."""

    frame: bytes
    conversation_id: str | None = None
    sequence: int = 0


class Owner(Protocol):
    """Who holds the sockets of an instance."""

    @property
    def context(self) -> Context: ...

    def spawn(self, work: Coroutine[Any, Any, object]) -> None:
        """Run something that outlives the call."""

    async def answer(self, connection: "Connection", text: str) -> None:
        """Serve a frame of the client. Never raises."""

    def lost(self, connection: "Connection") -> None:
        """The socket is gone."""


class Connection:
    """A person's socket on this instance; a `kit.frames.Listener`."""

    __slots__ = (
        "_at", "_epoch", "_heard_at", "_inbox", "_is_busy", "_left", "_line", "_owner", "_places", "_silence", "_wire",
        "_writable", "ended", "id", "noted_at", "principal",
    )  # fmt: skip

    def __init__(self, owner: Owner, principal: Principal, epoch: str) -> None:
        self.id = new_id()
        self.principal = principal
        #: Why the server closes the socket: code and reason.
        self.ended: tuple[int, str] | None = None
        #: When the person was last noted as active over this socket.
        self.noted_at = self._heard_at = self._at = clock.monotonic()
        self._owner = owner
        self._epoch = epoch
        self._wire: Wire | None = None
        #: Frames that the client may send at once, now.
        self._left = float(owner.context.settings.socket_frames_per_s * BURST_S)
        # What most sockets never need is made when it is.
        self._line: deque[Outgoing | ResumeFrame] | None = None
        self._places: OrderedDict[str, int] | None = None
        #: Frames of the client that wait for the one that is served; None while none is.
        self._inbox: deque[str] | None = None
        #: Whether something is fetched for the client, which what is in line waits for.
        self._is_busy = False
        self._writable: asyncio.Future[None] | None = None
        self._silence: asyncio.TimerHandle | None = None

    def open(self, wire: Wire) -> None:
        """Greet, and send what came into line meanwhile."""
        self._wire = wire
        settings = self._owner.context.settings
        hello = HelloFrame(
            epoch=self._epoch,
            user_id=self.principal.user_id,
            heartbeat_s=settings.socket_heartbeat_s,
            max_frame_bytes=settings.socket_max_frame_bytes,
            frames_per_s=settings.socket_frames_per_s,
            server_time=clock.now(),
        )
        wire.write(msgspec.json.encode(hello))
        self._watch(2 * settings.socket_heartbeat_s)
        if self.ended is not None:
            wire.close(*self.ended)
        self._drain()

    def end(self, code: int, reason: str) -> None:
        """Have the socket closed; the first reason counts."""
        if self.ended is not None:
            return
        self.ended = code, reason
        log.info("messaging.socket.closed", code=code)
        if self._wire is not None:
            self._wire.close(code, reason)

    # What goes to the client.

    def put(self, item: Outgoing | ResumeFrame) -> None:
        """Send something, in turn. A client that reads too slowly loses its socket, and nobody waits for it."""
        if self._wire is not None and not (self._is_busy or self._line or self._wire.is_full):
            self._send(item, self._wire)
            return
        if self._line is None:
            self._line = deque()
        if len(self._line) >= self._owner.context.settings.socket_queue_frames:
            self.end(TRY_AGAIN, "too slow: connect again and resume")
        else:
            self._line.append(item)

    def answer(self, frame: ServerFrame) -> None:
        """Send a frame, in turn."""
        self.put(Outgoing(msgspec.json.encode(frame)))

    def deliver(self, live: Live, outgoing: Outgoing) -> None:
        """Send what was published for the person."""
        if live.ended_session_id is None:
            self.put(outgoing)
        elif live.ended_session_id == self.principal.session_id:
            self.end(SESSION_ENDED, "the session has ended")

    def on_drained(self) -> None:
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
        self._drain()

    def _drain(self) -> None:
        wire = self._wire
        while self._line and wire is not None and not (self._is_busy or wire.is_full):
            self._send(self._line.popleft(), wire)
        if not self._line:
            self._line = None

    def _send(self, item: Outgoing | ResumeFrame, wire: Wire) -> None:
        if isinstance(item, ResumeFrame):
            self._fetch(self._resume(item, wire))
        elif item.conversation_id is None:
            wire.write(item.frame)
        else:
            self._send_message(item, item.conversation_id, wire)

    def _send_message(self, item: Outgoing, conversation_id: str, wire: Wire) -> None:
        place = None if self._places is None else self._places.get(conversation_id)
        if place is None or item.sequence == place + 1:
            self._remember(conversation_id, item.sequence)
            wire.write(item.frame)
        elif item.sequence > place:
            self._fetch(self._catch_up({conversation_id: place}, wire))

    def _fetch(self, work: Coroutine[Any, Any, object]) -> None:
        self._is_busy = True
        self._owner.spawn(self._fetched(work))

    async def _fetched(self, work: Coroutine[Any, Any, object]) -> None:
        try:
            await work
        except Exception:
            log.exception("messaging.socket.failed")
            self.end(INTERNAL_ERROR, "something went wrong")
        finally:
            self._is_busy = False
        self._drain()

    async def _resume(self, resume: ResumeFrame, wire: Wire) -> None:
        whole: dict[str, int] = {}
        if resume.epoch == self._epoch:
            whole = await self._catch_up(resume.conversations, wire)
        else:
            for conversation_id in resume.conversations:
                await self._write(GapFrame(conversation_id=conversation_id), wire)
        await self._write(ResumedFrame(conversations=whole), wire)

    async def _catch_up(self, known: dict[str, int], wire: Wire) -> dict[str, int]:
        """Send what came after these sequences; up to where, for the conversations that it was all of."""
        whole: dict[str, int] = {}
        async for conversation_id, missing in service.missing_since(self._owner.context, known, by=self.principal):
            self._remember(conversation_id, missing.last_sequence)
            if missing.messages is None:
                await self._write(GapFrame(conversation_id=conversation_id, last_sequence=missing.last_sequence), wire)
                continue
            for message in missing.messages:
                await self._write(MessageFrame(message=message), wire)
            whole[conversation_id] = missing.last_sequence
        return whole

    async def _write(self, frame: ServerFrame, wire: Wire) -> None:
        """A frame of many: it waits for a client that does not read. Its line fills meanwhile, and ends it."""
        if wire.is_full and self.ended is None:
            self._writable = asyncio.get_running_loop().create_future()
            await self._writable
            self._writable = None
        wire.write(msgspec.json.encode(frame))

    def _remember(self, conversation_id: str, sequence: int) -> None:
        if self._places is None:
            self._places = OrderedDict()
        self._places[conversation_id] = sequence
        self._places.move_to_end(conversation_id)
        if len(self._places) > MAX_PLACES:
            self._places.popitem(last=False)

    # What comes from the client.

    def on_binary(self) -> None:
        self.end(UNSUPPORTED_DATA, "frames are text")

    def on_text(self, text: str) -> None:
        if self.ended is not None:
            return
        self._heard_at = clock.monotonic()
        if not self._may_come():
            self.end(POLICY_VIOLATION, TooManyFrames.code)
        elif text == _PING:  # as it is usually spelled; most of what comes while nothing happens
            self.answer(PongFrame(server_time=clock.now()))
        elif self._inbox is None:
            self._inbox = deque()
            self._owner.spawn(self._serve(text))
        else:  # one frame of a client at a time; the burst bounds how many wait
            self._inbox.append(text)
            assert self._wire is not None  # noqa: S101  # what comes, comes over it
            self._wire.pause()

    def _may_come(self) -> bool:
        """Take from a bucket of frames that fills evenly."""
        rate = self._owner.context.settings.socket_frames_per_s
        now = clock.monotonic()
        self._left = min(self._left + (now - self._at) * rate, float(rate * BURST_S))
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True

    async def _serve(self, text: str) -> None:
        inbox = self._inbox
        assert inbox is not None  # noqa: S101  # as `on_text` made it
        await self._owner.answer(self, text)
        while inbox and self.ended is None:
            await self._owner.answer(self, inbox.popleft())
        self._inbox = None
        if self._wire is not None:
            self._wire.resume()

    def _watch(self, left_s: float) -> None:
        self._silence = asyncio.get_running_loop().call_later(left_s, self._look)

    def _look(self) -> None:
        """End a socket that is silent for two heartbeats."""
        left_s = self._heard_at + 2 * self._owner.context.settings.socket_heartbeat_s - clock.monotonic()
        if left_s > 0:
            self._watch(left_s)
        else:
            self.end(SILENT, "no ping came")

    def on_lost(self) -> None:
        if self.ended is None:
            self.ended = NO_CODE, ""
        if self._silence is not None:
            self._silence.cancel()
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
        self._line = None
        self._owner.lost(self)
