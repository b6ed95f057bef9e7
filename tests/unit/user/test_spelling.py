"""Typing errors: how far words are apart, and which share a variant."""

from hypothesis import given
from hypothesis import strategies as st

from kelmah.services.user.service.spelling import LONG_CHARS, distance, errors, is_correctable, variants

WORDS = st.text("abcdeé", min_size=4, max_size=12)


def test_distances_are_those_of_optimal_string_alignment() -> None:
    table = {
        ("plumber", "plumber"): 0,
        ("plumer", "plumber"): 1,
        ("plumbber", "plumber"): 1,
        ("pulmber", "plumber"): 1,
        ("plomber", "plumber"): 1,
        ("plmuebr", "plumber"): 2,
        ("electrcian", "electrician"): 1,
        ("", "abc"): 3,
        ("ca", "abc"): 3,
    }
    assert {pair: distance(*pair) for pair in table} == table


@given(WORDS, WORDS)
def test_a_distance_is_symmetric_and_zero_only_for_the_same(one: str, other: str) -> None:
    assert distance(one, other) == distance(other, one)
    assert (distance(one, other) == 0) == (one == other)


@given(WORDS, st.data())
def test_every_single_error_shares_a_variant(word: str, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(word) - 1))
    letter = data.draw(st.sampled_from("abcx"))
    wrong = data.draw(
        st.sampled_from(
            [
                word[:place] + word[place + 1 :],
                word[:place] + letter + word[place:],
                word[:place] + letter + word[place + 1 :],
                word[:place] + word[place : place + 2][::-1] + word[place + 2 :],
            ]
        )
    )
    assert set(variants(word)) & set(variants(wrong))
    assert distance(word, wrong) <= 1


def test_only_words_worth_it_are_corrected() -> None:
    assert [is_correctable(word) for word in ("ada", "adam", "a1b2", "x" * 24, "x" * 25)] == [
        False, True, False, True, False,
    ]  # fmt: skip
    assert (errors("x" * (LONG_CHARS - 1)), errors("x" * LONG_CHARS)) == (1, 2)
