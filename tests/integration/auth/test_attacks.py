"""Attackers: one who tries ten thousand passwords on many accounts, one who wants the owner locked out, and thieves of
refresh tokens."""

import asyncio
import random
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kelmah.kit.ids import new_id
from tests.fixtures.service import Service
from tests.integration.auth.conftest import Visitor, new_member

SEED = 20_261_123
GUESSES, TOGETHER, VICTIMS = 10_000, 50, 20


async def guess(auth: Service, email: str, password: str, address: str) -> str:
    reply = await auth.call(
        "POST", "/api/v1/auth/login", {"email": email, "password": password}, headers={"x-forwarded-for": address}
    )
    return "in" if reply.status == 200 else str(reply.data["code"])


async def test_a_spray_gets_nowhere_and_owners_still_get_in(auth: Service) -> None:
    dice = random.Random(SEED)  # an attack, not a secret
    owners = [await new_member(auth, device=True) for _ in range(VICTIMS)]
    networks = [f"198.18.{part}.7" for part in range(64)]
    words = [f"Summer{number}!" for number in range(GUESSES)]
    tries = [(dice.choice(owners).email, word, dice.choice(networks)) for word in words]
    answers: list[str] = []
    for at in range(0, GUESSES, TOGETHER):
        answers += await asyncio.gather(*(guess(auth, *one) for one in tries[at : at + TOGETHER]))
    assert len(answers) == GUESSES
    assert set(answers) <= {"auth.invalid_credentials", "auth.too_many_attempts", "auth.busy"}
    # Ten tries in five minutes an account, and far fewer once the delays grow.
    assert answers.count("auth.invalid_credentials") <= VICTIMS * auth.context.settings.login_account_quota * 2
    for owner in owners:
        assert (await owner.login()).status == 200


async def test_an_owner_on_a_known_device_cannot_be_locked_out(auth: Service) -> None:
    owner = await new_member(auth, device=True)
    answers = [await guess(auth, owner.email, f"wrong {number}", f"203.0.113.{number}") for number in range(40)]
    assert answers[-1] == "auth.too_many_attempts"
    stranger = Visitor(auth, owner.email, {"x-forwarded-for": "192.0.2.77", "kelmah-device": new_id()})
    assert (await stranger.login()).status == 429  # even with the right password, from a device nobody knows
    assert (await owner.login()).status == 200


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.tuples(st.sampled_from(["newest", "old", "twins", "forged"]), st.integers(0, 5)), max_size=8))
async def test_a_family_of_tokens_has_one_good_token_and_dies_of_a_used_one(
    auth: Service, steps: list[tuple[str, int]]
) -> None:
    """Against a model: the newest token is good until one that was used before the last comes back."""
    owner = await new_member(auth, device=True)
    assert owner.tokens is not None
    tokens, is_alive = [owner.tokens["refreshToken"]], True

    async def use(token: str) -> Any:
        return await owner.refresh(token)

    for step, pick in steps:
        if step == "forged":
            assert (await use("k1." + "A" * 80)).status == 401
            continue
        if step == "twins":
            one, two = await asyncio.gather(use(tokens[-1]), use(tokens[-1]))
            assert (one.status, two.status) == ((200, 200) if is_alive else (401, 401))
            if is_alive:
                assert one.data["refreshToken"] == two.data["refreshToken"]
                tokens.append(one.data["refreshToken"])
            continue
        token = tokens[-1] if step == "newest" else tokens[max(0, len(tokens) - 1 - pick)]
        age = len(tokens) - 1 - tokens.index(token)
        reply = await use(token)
        if is_alive and age == 0:
            assert reply.status == 200
            tokens.append(reply.data["refreshToken"])
        elif is_alive and age == 1:  # a late twin, on the same device and within ten seconds
            assert (reply.status, reply.data.get("refreshToken")) == (200, tokens[-1])
        else:
            assert (reply.status, reply.data["code"]) == (401, "auth.refresh_refused")
            is_alive = False
    row = await auth.context.mongo.collection("sessions").find_one({"_id": owner.principal.session_id})
    assert (row["revoked_reason"] is None) == is_alive
    assert is_alive or row["revoked_reason"] == "refresh_reused"
