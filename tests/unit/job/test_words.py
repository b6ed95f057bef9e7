"""What people typed, folded and checked."""

import pytest

from kelmah.kit.errors import BadInput
from kelmah.services.job.service import words


@pytest.mark.parametrize("typed", ["Pipe Fitting", "pipe-fitting", "PIPE  FITTING", " pipe_fitting "])
def test_spellings_of_one_label_have_one_key(typed: str) -> None:
    assert words.key(typed, field="x") == "pipe-fitting"


def test_accents_and_letters_of_ghana_fold_to_plain_latin() -> None:
    assert words.words("Dɔkono Épée ŋ ƒ") == ["dokono", "epee", "n", "f"]


def test_labels_lose_their_twins_and_keep_the_first_spelling() -> None:
    assert words.labels("skills", ["Tiling", "tiling ", "Roofing"], 60) == ["Tiling", "Roofing"]


def test_terms_are_bounded() -> None:
    assert len(words.terms(" ".join(f"w{number}" for number in range(1000)))) == words.MAX_TERMS


@pytest.mark.parametrize("typed", ["", "  ", "two\nlines", "bell\a", "mirror\u202etxt", "<script>x</script>", "x" * 61])
def test_a_line_that_is_not_one_is_refused_by_name(typed: str) -> None:
    with pytest.raises(BadInput) as caught:
        words.line("title", typed, 60)
    assert [one.field for one in caught.value.errors or []] == ["title"]


def test_smaller_and_larger_signs_are_no_markup() -> None:
    assert words.line("title", "Pipes < 5 cm & more", 60) == "Pipes < 5 cm & more"


def test_a_label_of_signs_only_has_no_key() -> None:
    with pytest.raises(BadInput):
        words.key("+++", field="skills[0]")
