"""What the screen holds back, and how it sees through disguises."""

from pathlib import Path

import pytest

from kelmah.contracts.review import Label
from kelmah.services.review.service import evaluation, screening

LABELLED = Path(__file__).parents[2] / "data" / "moderation.jsonl"


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("He is an idiot.", [Label.INSULT]),
        ("He is an id10t.", [Label.INSULT]),
        ("He is an I-D-I-O-T.", [Label.INSULT]),
        ("He is an idioooot.", [Label.INSULT]),
        ("He is an i\u200bdiot.", [Label.INSULT]),
        ("Kw\u00e1sia!", [Label.INSULT]),
        ("I will kill you.", [Label.THREAT]),
        ("He killed it. Beautiful.", []),
        ("Call 024 412 3456.", [Label.PERSONAL_DATA]),
        ("He lives at 14 Ring Road.", [Label.PERSONAL_DATA]),
        ("The bill was GHS 1,450 for 12m2, on 2026-11-03.", []),
        ("He gave me airtime for this rating.", [Label.PAID_REVIEW]),
        ("Tidy work, on time, fair price.", []),
        ("", []),
    ],
)
def test_what_is_held(text: str, labels: list[Label]) -> None:
    assert screening.labels_of(text) == labels


def test_a_bad_sentence_does_not_drown_in_good_ones() -> None:
    good = "He came on time and the tiles are straight. " * 40
    assert screening.labels_of(good) == []
    assert screening.labels_of(f"{good} Women should not be plumbers, they belong in the kitchen. {good}") == [
        Label.HATE
    ]


@pytest.mark.parametrize(
    "text",
    [
        "Good morning, can you come on Monday?",
        "Good work, on time and at the agreed price. I can recommend this person.",
        "I know where to buy the cement, I will take you there.",
        "Kindly let me know when you reach the junction.",
        "Make sure you switch off the mains before you cut the wire.",
        "Let us meet at the house at nine and measure together.",
        "I will be home from eight, so come any time.",
        "I go come see the place before I give you the price.",
        "Boss, the work be fine, you do well paa.",
        "Chale, the man sabi the work, e no dey waste time.",
        "I beg, come early small, the landlord is travelling.",
        "You people are doing a great job, keep it up.",
        "Take care of the dog when you enter, it does not bite.",
        "Send me a picture of the broken pipe through the chat.",
    ],
)
def test_plain_talk_of_the_trade_passes(text: str) -> None:
    assert screening.labels_of(text) == []


def test_the_labelled_set_is_not_what_the_screen_learned_from() -> None:
    learned = {screening.normalize(text) for texts in screening.examples().values() for text in texts}
    assert learned.isdisjoint(screening.normalize(one.text) for one in evaluation.load(LABELLED))


def test_the_screen_is_no_worse_than_it_was() -> None:
    """`kelmah moderate evaluate` prints the figures by label."""
    found = evaluation.evaluate(evaluation.load(LABELLED))
    assert found["held"].recall >= 0.95
    assert found["held"].precision >= 0.95
    assert found["all labels"].f1 >= 0.9
    assert all(found[label].f1 >= 0.75 for label in Label)


def test_the_measure_by_hand() -> None:
    texts = [
        evaluation.LabelledText(text="He is an idiot.", labels=[Label.INSULT]),
        evaluation.LabelledText(text="He is an idiot.", labels=[]),
        evaluation.LabelledText(text="Tidy work, on time, fair price.", labels=[Label.INSULT]),
    ]
    quality = evaluation.evaluate(texts)["insult"]
    assert quality == (1, 1, 1)
    assert (quality.precision, quality.recall, quality.f1) == (0.5, 0.5, 0.5)
