"""What people typed, folded and checked."""

import pytest

from kelmah.kit.errors import BadInput
from kelmah.services.job.service import words


@pytest.mark.parametrize("typed", ["Sparky", "electricians", "fundi UMEME", "house-wiring", "mai lantarki"])
def test_words_for_one_trade_are_its_id(typed: str) -> None:
    assert words.trade("x", typed) == "electrician"


def test_an_unknown_trade_is_refused_with_what_was_perhaps_meant() -> None:
    with pytest.raises(BadInput) as caught:
        words.trades("skills", ["plumber", "elektrician"])
    (error,) = caught.value.errors or []
    assert (error.field, error.message) == ("skills[1]", "unknown trade: did you mean Electrician, Car electrician?")


def test_trades_lose_their_twins() -> None:
    assert words.trades("skills", ["tiler", "Tiling", "roofer"]) == ["tiler", "roofer"]


@pytest.mark.parametrize(
    "forms", ["plumber plumbers plumbing", "tile tiles tiling tiler", "wire wiring", "paint painter painted painting"]
)
def test_the_forms_of_a_word_have_one_stem(forms: str) -> None:
    assert len(words.stems(forms)) == 1


def test_short_words_and_those_on_double_s_keep_their_end() -> None:
    assert [words.stem(one) for one in ("bus", "glass", "bed", "ring")] == ["bus", "glass", "bed", "ring"]


def test_words_that_say_nothing_are_left_out_unless_alone() -> None:
    assert words.asked_words("I need a plumber near me") == ["plumber"]
    assert words.asked_words("the") == ["the"]


def test_accents_and_letters_of_ghana_fold_to_plain_latin() -> None:
    assert words.words("Dɔkono Épée ŋ ƒ") == ["dokono", "epee", "n", "f"]


def test_terms_are_bounded() -> None:
    assert len(words.stems(" ".join(f"w{number}" for number in range(1000)))) == words.MAX_TERMS


@pytest.mark.parametrize("typed", ["", "  ", "two\nlines", "bell\a", "mirror\u202etxt", "<script>x</script>", "x" * 61])
def test_a_line_that_is_not_one_is_refused_by_name(typed: str) -> None:
    with pytest.raises(BadInput) as caught:
        words.line("title", typed, 60)
    assert [one.field for one in caught.value.errors or []] == ["title"]


def test_smaller_and_larger_signs_are_no_markup() -> None:
    assert words.line("title", "Pipes < 5 cm & more", 60) == "Pipes < 5 cm & more"


def test_a_region_of_signs_only_has_no_key() -> None:
    assert words.region_key("Greater Accra Region", field="x") == words.region_key("greater-accra", field="x")
    with pytest.raises(BadInput):
        words.region_key("+++", field="region")
