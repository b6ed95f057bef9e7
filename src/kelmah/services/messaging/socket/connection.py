"""One open socket: a bounded line of frames, sent by one task that keeps every conversation in order.

The line is filled by the hub and by the socket's own answers. Where a message is not the next of its conversation,
the task reads what is missing from the database, or drops what was sent already: Redis may repeat and reorder.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import NamedTuple

import msgspec

from kelmah.contracts.messaging import GapFrame, HelloFrame, MessageFrame, ResumedFrame, ResumeFrame, ServerFrame
from kelmah.kit import clock
from kelmah.kit.context import Principal
from kelmah.kit.ids import new_id
from kelmah.services.messaging import service
from kelmah.services.messaging.service import Context
from kelmah.services.messaging.service.live import Live

#: WebSocket close codes (RFC 6455 §7.4.1 and its registry): what a client does next depends on them.
UNSUPPORTED_DATA, POLICY_VIOLATION, TOO_BIG, INTERNAL_ERROR, TRY_AGAIN = 1003, 1008, 1009, 1011, 1013
#: Ours: the session ended, so sign in again; and nothing came from the client for two heartbeats.
SESSION_ENDED, SILENT = 4401, 4408
#: Conversations whose place is remembered; in others the client finds gaps by itself.
MAX_PLACES = 1000

Send = Callable[[bytes], Awaitable[None]]


class Outgoing(NamedTuple):
    """A frame in line. A message says its place."""

    frame: bytes
    conversation_id: str | None = None
    sequence: int = 0


class Ending(NamedTuple):
    """Why the server closes a socket."""

    code: int
    reason: str


class Connection:
    """A person's socket on this instance. Only `send_all` waits."""

    def __init__(self, context: Context, principal: Principal, epoch: str, turns: asyncio.Semaphore) -> None:
        self.id = new_id()
        self.turns = turns
        self.principal = principal
        #: Done when the server wants the socket closed.
        self.ending: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()
        self._context = context
        self._epoch = epoch
        self._line: asyncio.Queue[Outgoing | ResumeFrame] = asyncio.Queue(context.settings.socket_queue_frames)
        self._places: OrderedDict[str, int] = OrderedDict()
        settings = context.settings
        self.answer(
            HelloFrame(
                epoch=epoch,
                user_id=principal.user_id,
                heartbeat_s=settings.socket_heartbeat_s,
                max_frame_bytes=settings.socket_max_frame_bytes,
                frames_per_s=settings.socket_frames_per_s,
                server_time=clock.now(),
            )
        )

    def end(self, code: int, reason: str) -> None:
        """Have the socket closed; the first reason counts."""
        if not self.ending.done():
            self.ending.set_result(Ending(code, reason))

    def put(self, item: Outgoing | ResumeFrame) -> None:
        """Put something in line. A client that does not read fast enough loses its socket, and nobody waits for it."""
        try:
            self._line.put_nowait(item)
        except asyncio.QueueFull:
            self.end(TRY_AGAIN, "too slow: connect again and resume")

    def answer(self, frame: ServerFrame) -> None:
        """Put a frame in line."""
        self.put(Outgoing(msgspec.json.encode(frame)))

    def deliver(self, live: Live) -> None:
        """Put in line what was published for the person."""
        if live.ended_session_id is not None:
            if live.ended_session_id == self.principal.session_id:
                self.end(SESSION_ENDED, "the session has ended")
        else:
            self.put(Outgoing(bytes(live.frame), live.conversation_id, live.sequence or 0))

    async def send_all(self, send: Send) -> None:
        """Send what comes into the line, for as long as the socket is open."""
        while True:
            item = await self._line.get()
            if isinstance(item, ResumeFrame):
                await self._resume(item, send)
            elif item.conversation_id is None:
                await send(item.frame)
            else:
                await self._send_message(item, item.conversation_id, send)

    async def _send_message(self, item: Outgoing, conversation_id: str, send: Send) -> None:
        place = self._places.get(conversation_id)
        if place is not None and item.sequence <= place:
            return
        if place is None or item.sequence == place + 1:
            self._remember(conversation_id, item.sequence)
            await send(item.frame)
        else:
            await self._catch_up({conversation_id: place}, send)

    async def _resume(self, resume: ResumeFrame, send: Send) -> None:
        if resume.epoch == self._epoch:
            whole = await self._catch_up(resume.conversations, send)
        else:
            whole = {}
            for conversation_id in resume.conversations:
                await send(msgspec.json.encode(GapFrame(conversation_id=conversation_id)))
        await send(msgspec.json.encode(ResumedFrame(conversations=whole)))

    async def _catch_up(self, known: dict[str, int], send: Send) -> dict[str, int]:
        """Send what came after these sequences; up to where, for the conversations that it was all of."""
        whole: dict[str, int] = {}
        async for conversation_id, missing in service.missing_since(self._context, known, by=self.principal):
            self._remember(conversation_id, missing.last_sequence)
            if missing.messages is None:
                gap = GapFrame(conversation_id=conversation_id, last_sequence=missing.last_sequence)
                await send(msgspec.json.encode(gap))
                continue
            for message in missing.messages:
                await send(msgspec.json.encode(MessageFrame(message=message)))
            whole[conversation_id] = missing.last_sequence
        return whole

    def _remember(self, conversation_id: str, sequence: int) -> None:
        self._places[conversation_id] = sequence
        self._places.move_to_end(conversation_id)
        if len(self._places) > MAX_PLACES:
            self._places.popitem(last=False)
