"""Every sealed field of the messaging service takes a new key, and messages are found by their words after it."""

import dataclasses
import os

import pytest

from kelmah.kit.context import Principal
from kelmah.kit.crypto import KeyRing
from kelmah.kit.resealing import reseal
from kelmah.services.messaging.service.resealing import SEALED
from tests.fixtures.outside import Browser, Outside
from tests.fixtures.resealing import turned
from tests.fixtures.service import Service
from tests.integration.messaging.conftest import say
from tests.integration.messaging.test_attachments import png, upload
from tests.integration.messaging.test_safety import reported

pytestmark = pytest.mark.slow
OLD = bytes(32)


async def test_every_sealed_field_takes_a_new_key(
    service: Service, hirer: Principal, worker: Principal, conversation_id: str, outside: Outside
) -> None:
    sent = await say(service, conversation_id, "Bring the long ladder", hirer)
    path = f"/api/v1/conversations/{conversation_id}/messages/{sent['id']}"
    assert (await service.call("PATCH", path, {"text": "Bring the short ladder"}, by=hirer)).status == 200
    assert (await upload(service, conversation_id, hirer, "wall.png", png())).status == 201
    assert (await reported(service, conversation_id, sent["id"], worker)).status == 201
    phone = {"phone": "+233241234567"}
    assert (await service.call("POST", "/api/v1/notifications/phone", phone, by=worker)).status < 300
    browser = Browser(outside).subscription
    assert (await service.call("POST", "/api/v1/push-subscriptions", browser, by=worker)).status == 201
    mongo = service.context.mongo
    assert {one.collection for one in SEALED} <= await turned(mongo, [OLD], SEALED)

    new, before = os.urandom(32), service.context
    async for _ in reseal(mongo, KeyRing([new, OLD]), SEALED):
        pass
    try:
        service.app.state.context = dataclasses.replace(before, ring=KeyRing([new]))
        search = f"/api/v1/messages/search?q=short&conversationId={conversation_id}"
        found = (await service.call("GET", search, by=worker)).data["items"]
        assert [one["text"] for one in found] == ["Bring the short ladder"]
    finally:
        service.app.state.context = before
        async for _ in reseal(mongo, KeyRing([OLD, new]), SEALED):
            pass
