"""Every notification has its words in every language."""

import pytest

from kelmah.contracts.common import Money
from kelmah.contracts.messaging import NotificationKind
from kelmah.kit.text import language_of
from kelmah.services.messaging.service.texts import TEXTS, amount_param, mail_for, text_for


@pytest.mark.parametrize("locale", ["en", "fr"])
@pytest.mark.parametrize("kind", list(NotificationKind))
@pytest.mark.parametrize("count", [1, 7])
def test_every_kind_has_its_words(kind: NotificationKind, locale: str, count: int) -> None:
    text = text_for(kind, params={"amount": "100 GHS"}, count=count, locale=locale)
    assert text.title
    assert text.body
    assert "{" not in text.title + text.body


def test_no_text_is_left_over() -> None:
    assert {name.removesuffix(".many") for name in TEXTS} == {kind.value for kind in NotificationKind}


@pytest.mark.parametrize(
    ("money", "english", "french"),
    [
        (Money(amount=5, currency="GHS"), "GHS 0.05", "0,05\u00a0GHS"),
        (Money(amount=123_456_789, currency="GHS"), "GHS 1,234,567.89", "1\u202f234\u202f567,89\u00a0GHS"),
        (Money(amount=15_000, currency="XOF"), "XOF 15,000", "15\u202f000\u00a0XOF"),
        (Money(amount=1_001, currency="TND"), "TND 1.001", "1,001\u00a0TND"),
    ],
)
def test_amounts_are_spelled_as_the_reader_spells_them(money: Money, english: str, french: str) -> None:
    for locale, spelled in (("en", english), ("fr", french)):
        text = text_for(
            NotificationKind.DEPOSIT_PROCESSED, params={"amount": amount_param(money)}, count=1, locale=locale
        )
        assert text.body.startswith(spelled + " ")


@pytest.mark.parametrize(
    ("wanted", "locale"),
    [
        (None, "en"), ("", "en"), ("fr", "fr"), ("fr-CI", "fr"), ("fr_FR", "fr"), ("FR", "fr"), ("tw", "en"),
        ("tw, fr;q=0.8", "fr"), ("en-GB,fr", "en"), (";;;,,", "en"), ("*", "en"),
    ],
)  # fmt: skip
def test_a_language_is_found(wanted: str | None, locale: str) -> None:
    assert language_of(wanted) == locale


def test_the_html_of_a_mail_is_escaped() -> None:
    text = text_for(NotificationKind.APPLICATION_REJECTED, params={}, count=1, locale="fr")
    plain, html = mail_for(text, why="de", out=None, url="https://kelmah.example/?a=1&b=<x>", locale="fr")
    assert "<x>" in plain
    assert "<x>" not in html
    assert "&lt;x&gt;" in html
