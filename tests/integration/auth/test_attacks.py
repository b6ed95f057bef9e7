"""Attackers: one who tries ten thousand passwords on many accounts, and one who wants the owner locked out."""

import asyncio
import random

import pytest

from kelmah.kit.ids import new_id
from tests.fixtures.service import Service
from tests.integration.auth.conftest import Visitor, new_member

SEED = 20_261_123
TOGETHER, VICTIMS = 50, 20


async def guess(auth: Service, email: str, password: str, address: str) -> str:
    reply = await auth.call(
        "POST", "/api/v1/auth/login", {"email": email, "password": password}, headers={"x-forwarded-for": address}
    )
    return "in" if reply.status == 200 else str(reply.data["code"])


@pytest.mark.parametrize("guesses", [1_000, pytest.param(10_000, marks=pytest.mark.slow)])
async def test_a_spray_gets_nowhere_and_owners_still_get_in(auth: Service, guesses: int) -> None:
    dice = random.Random(SEED)  # an attack, not a secret
    owners = [await new_member(auth, device=True) for _ in range(VICTIMS)]
    networks = [f"198.18.{part}.7" for part in range(64)]
    words = [f"Summer{number}!" for number in range(guesses)]
    tries = [(dice.choice(owners).email, word, dice.choice(networks)) for word in words]
    answers: list[str] = []
    for at in range(0, guesses, TOGETHER):
        answers += await asyncio.gather(*(guess(auth, *one) for one in tries[at : at + TOGETHER]))
    assert len(answers) == guesses
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
