"""The words of mails about accounts."""

import re

import pytest

from kelmah.kit.text import LANGUAGES
from kelmah.services.auth.service.texts import HELLO, LIVES, TEXTS, Text


def fields(text: Text) -> set[str]:
    return set(re.findall(r"\{(\w+)\}", " ".join(text.paragraphs)))


def test_every_language_has_the_words_around_a_mail() -> None:
    assert set(HELLO) == set(LIVES) == set(LANGUAGES)


@pytest.mark.parametrize("name", TEXTS)
def test_every_mail_is_written_in_every_language_and_says_as_much(name: str) -> None:
    texts = TEXTS[name]
    assert set(texts) == set(LANGUAGES)
    assert {frozenset(fields(text)) for text in texts.values()} == {frozenset(fields(texts["en"]))}
    assert len({text.subject for text in texts.values()}) == len(LANGUAGES)
    for text in texts.values():
        assert "{" not in text.subject
        assert text.paragraphs.count("{link}") == 1
