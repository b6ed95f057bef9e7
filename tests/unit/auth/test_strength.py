"""Which passwords are refused, and why."""

import re

import pytest

from kelmah.services.auth.service.strength import weakness

NAMES = ("Kwame", "Mensah-Boateng")
EMAIL = "kwame.mensah@example.com"


@pytest.mark.parametrize(
    ("password", "reason"),
    [
        ("password", "top-10"),
        ("Passw0rd!", "commonly used"),
        ("iloveyou", "common"),
        ("aaaaaaaaaaaa", "Repeats"),
        ("abcdefgh1234", "Sequences|common"),
        ("Kwame-Mensah-1", "your name"),
        ("KELMAH-kelmah-kelmah", "your name"),
        ("kwame.mensah@example.com", "common|name"),
        ("Boateng!!Kwame", "your name"),
    ],
)
def test_guessable_passwords_are_refused_with_a_reason(password: str, reason: str) -> None:
    found = weakness(password, email=EMAIL, names=NAMES)
    assert found is not None
    assert re.search(reason, found)


@pytest.mark.parametrize(
    "password",
    [
        "blue kente on a Friday",
        "Kelmah-demo-2026!",
        "kɔfi 🥁 at the drum",
        "x9$Lq2!vRt",
        "Mensah rides a green tro-tro",
    ],
)
def test_others_are_taken_whatever_they_are_made_of(password: str) -> None:
    assert weakness(password, email=EMAIL, names=NAMES) is None
