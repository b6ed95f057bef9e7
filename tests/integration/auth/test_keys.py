"""Signing keys: made once, turned with an overlap, published without their secrets."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from kelmah.services.auth import service as rules
from kelmah.services.auth.errors import KeyNotYetPublished
from kelmah.services.auth.service import Context, Signer
from tests.fixtures.service import Service
from tests.integration.auth.conftest import Visitor, claims


@pytest.fixture
async def fresh(auth: Service) -> AsyncIterator[Context]:
    """The context of an auth service that has no keys yet; those of the others are put back afterwards."""
    collection = auth.context.mongo.collection("signing_keys")
    kept = await collection.find_one_and_delete({})
    yield dataclasses.replace(auth.context, signer=Signer(auth.context.ring))
    await collection.replace_one({"_id": kept["_id"]}, kept, upsert=True)


async def test_keys_are_published_for_five_minutes_without_secrets(auth: Service) -> None:
    reply = await auth.call("GET", "/.well-known/jwks.json")
    assert reply.headers["cache-control"] == "public, max-age=300"
    keys = reply.data["keys"]
    assert len(keys) == 2
    for key in keys:
        assert set(key) == {"kid", "x", "kty", "crv", "use", "alg"}
        assert (key["kty"], key["crv"], key["use"], key["alg"]) == ("OKP", "Ed25519", "sig", "EdDSA")
    stored = await auth.context.mongo.collection("signing_keys").find_one()
    assert stored["active"]["private_sealed"].startswith("k1.")


async def test_first_starts_at_once_agree_on_the_keys(fresh: Context) -> None:
    signers = [Signer(fresh.ring) for _ in range(6)]
    found = await asyncio.gather(*(signer.keys() for signer in signers))
    assert len({keys.active.kid for keys in found}) == 1
    assert await fresh.mongo.collection("signing_keys").count_documents({}) == 1
    again = await rules.public_keys(fresh)
    assert [key.kid for key in again.keys] == [found[0].active.kid, found[0].next.kid]


async def test_rotation_overlaps_and_loses_no_token(fresh: Context, moved_clock: Any) -> None:
    before = await rules.public_keys(fresh)
    old_token = await fresh.signer.sign({"sub": "somebody"})
    with pytest.raises(KeyNotYetPublished):
        await rules.rotate_signing_keys(fresh)
    assert await rules.public_keys(fresh) == before

    moved_clock(timedelta(minutes=10))
    after = await rules.rotate_signing_keys(fresh)
    assert after.keys[0] == before.keys[1]
    assert before.keys[0] in after.keys
    new_token = await fresh.signer.sign({"sub": "somebody"})
    published = {"keys": [{"kty": key.kty, "crv": key.crv, "x": key.x, "kid": key.kid} for key in after.keys]}
    for token in (old_token, new_token):
        assert claims(token, published) == {"sub": "somebody"}
    stored = await fresh.mongo.collection("signing_keys").find_one() or {}
    assert [key["private_sealed"] for key in stored["retired"]] == [None]

    moved_clock(timedelta(hours=2))
    later = await rules.rotate_signing_keys(fresh)
    assert before.keys[0] not in later.keys
    assert len(later.keys) == 3


async def test_of_two_rotations_at_once_one_happens(fresh: Context, moved_clock: Any) -> None:
    await fresh.signer.keys()
    moved_clock(timedelta(minutes=10))
    results = await asyncio.gather(*(rules.rotate_signing_keys(fresh) for _ in range(4)), return_exceptions=True)
    assert sum(isinstance(result, KeyNotYetPublished) for result in results) == 3
    stored = await fresh.mongo.collection("signing_keys").find_one() or {}
    assert stored["version"] == 2


async def test_another_process_takes_the_new_key_up(fresh: Context, moved_clock: Any) -> None:
    other = rules.Signer(fresh.ring)
    await other.keys()
    moved_clock(timedelta(minutes=10))
    await fresh.signer.rotate()
    assert (await other.keys()).version == 2


async def test_tokens_of_a_member_carry_the_active_key(auth: Service, member: Visitor) -> None:
    assert member.tokens is not None
    assert claims(member.tokens["accessToken"], member.keys)["sub"] == member.principal.user_id
