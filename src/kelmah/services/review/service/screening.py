"""Screens texts, offline: rules for what has a form, and a naive Bayes classifier for what is a matter of words.

A screen holds a text back until a moderator has looked at it; it never decides. `kelmah moderate evaluate FILE`
measures it. The examples it learns from are in `screening.json` and must not be those it is measured on.
"""

import itertools
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import msgspec

from kelmah.contracts.messaging import Flag
from kelmah.contracts.review import Label
from kelmah.kit import leaks

EXAMPLES = Path(__file__).with_name("screening.json")
_CLEAN = "clean"
#: Log odds against a clean text from which on a text is held. Chosen on the examples by leaving each out in turn.
THRESHOLD = 0.0
#: What is added to each count, so that an unknown word proves nothing.
SMOOTHING = 1.0
#: Parts of a text longer than this many words are judged one by one, or a bad sentence would drown in good ones.
_PART_WORDS = 25
_LEET = str.maketrans("013457@$", "oieastas")
_LEET_WORD = re.compile(r"\S*[a-z]\S*")
_REPEATS = re.compile(r"([a-z])\1{2,}")
_SPELLED = re.compile(r"\b(?:[a-z][\s.*_-]){2,}[a-z]\b")
#: English, pidgin and Twi as they are written in reviews.
_RULES: Mapping[Label, re.Pattern[str]] = {
    Label.INSULT: re.compile(
        r"\b(?:idiots?|imbeciles?|morons?|bastards?|kwas(?:ia|ea)|gyimii?|asshole|bitch|fuck(?:ing|er)?"
        r"|olodo|mumu|buffoons?|bloody fool|son of a)\b"
    ),
    Label.HATE: re.compile(r"\b(?:nigg(?:a|er)s?|faggots?|pepeni|ntafo animals)\b"),
    Label.THREAT: re.compile(
        r"\b(?:i|we|they|boys|brothers)(?:'ll| will| go| am going to| are going to) (?:\w+ ){0,2}?"
        r"(?:kill|shoot|burn|beat|slap|stab|wound|hurt|destroy|poison|break your) ?(?:you|your)?\b"
        r"|\bknow where you (?:live|stay|sleep)\b|\bwatch your back\b"
    ),
    Label.PERSONAL_DATA: re.compile(
        # A digital address of Ghana Post, the number of a Ghana Card, and what is said of a home or of health.
        r"\b[a-z]{2}-?\d{3,4}-\d{4}\b|\bgha-?\d{9}-?\d\b"
        r"|\b(?:lives|stays|sleeps) (?:alone )?(?:at|behind|opposite|near)\b"
        r"|\bhouse (?:number|no\.?) ?\d|\bhiv\b|\baccount number\b|\bdate of birth\b"
    ),
    Label.SPAM: re.compile(
        r"\bclick (?:here|the link|on)\b|\bpromo ?code\b|\b(?:visit|follow|like) (?:our|my|us|me)\b|\bforex\b"
        r"|\bfixed matches\b|\bguaranteed returns\b"
    ),
    Label.PAID_REVIEW: re.compile(
        r"\b(?:paid|pays|gave|given|offered|promised|sent)\b[^.!?]{0,40}\b(?:review|rat(?:e|ing)|stars?|write this)\b"
        r"|\bin exchange for\b[^.!?]{0,20}\b(?:review|rating|stars?)\b|\brate (?:me|you|him|her) (?:five|5)\b"
    ),
}
_LEAKS = frozenset({Flag.PHONE, Flag.EMAIL, Flag.LINK})


class Model(NamedTuple):
    """How often each feature stands in the examples of each label, and how many there are."""

    counts: Mapping[str, Counter[str]]
    totals: Mapping[str, int]
    vocabulary: int


def labels_of(text: str) -> list[Label]:
    """What a text looks like, in the order of `Label`. About a millisecond for 1,000 characters."""
    plain = normalize(text)
    found = {label for label, pattern in _RULES.items() if pattern.search(plain)}
    found.update(_learned(plain, _model()))
    if not _LEAKS.isdisjoint(leaks.flags_of(text)):
        found.add(Label.PERSONAL_DATA)
    return [label for label in Label if label in found]


def normalize(text: str) -> str:
    """Undo the usual disguises: case, accents, digits for letters, stretched and spelled-out words."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    plain = "".join(char for char in decomposed if unicodedata.category(char) not in ("Mn", "Cf"))
    plain = _LEET_WORD.sub(lambda word: word[0].translate(_LEET) if _is_disguised(word[0]) else word[0], plain)
    plain = _SPELLED.sub(lambda spelled: re.sub(r"[\s.*_-]", "", spelled[0]), plain)
    return _REPEATS.sub(r"\1", plain)


def _is_disguised(word: str) -> bool:
    """Digits or signs between letters; "12m2", "ga-183-8164" and addresses are none."""
    return re.fullmatch(r"[a-z]+[013457@$]+[a-z]+[.,!?]*", word) is not None


def train(texts: Mapping[str, Sequence[str]]) -> Model:
    """Count the features of examples by label."""
    counts = {name: Counter(part for one in some for part in _features(one)) for name, some in texts.items()}
    return Model(
        counts=counts,
        totals={name: counter.total() for name, counter in counts.items()},
        vocabulary=len(set().union(*counts.values())),
    )


def examples() -> Mapping[str, Sequence[str]]:
    """What the screen learns from, by label; "clean" among them."""
    return msgspec.json.decode(EXAMPLES.read_bytes(), type=dict[str, list[str]])


@cache
def _model() -> Model:
    return train(examples())


def _learned(plain: str, model: Model) -> Iterator[Label]:
    for part in _parts(plain):
        yield from (label for label, odds in _odds(_features(part), model).items() if odds > THRESHOLD)


def _parts(plain: str) -> Iterator[str]:
    for sentence in re.split(r"[.!?;\n]+", plain):
        words = sentence.split()
        for start in range(0, len(words), _PART_WORDS):
            yield " ".join(words[start : start + _PART_WORDS])


def _odds(features: Sequence[str], model: Model) -> dict[Label, float]:
    """Each label's log odds against all else: multinomial naive Bayes, smoothed, clean as probable as all labels."""
    scores = {
        name: sum(
            math.log((counts[one] + SMOOTHING) / (model.totals[name] + SMOOTHING * model.vocabulary))
            for one in features
        )
        - (0 if name == _CLEAN else math.log(len(Label)))
        for name, counts in model.counts.items()
    }
    return {
        label: scores[label] - _log_sum(score for name, score in scores.items() if name != label) for label in Label
    }


def _log_sum(logs: Iterable[float]) -> float:
    known = list(logs)
    most = max(known)
    return most + math.log(sum(math.exp(one - most) for one in known))


def _features(text: str) -> list[str]:
    words = re.findall(r"[a-z']+", text)
    return words + [f"{one} {two}" for one, two in itertools.pairwise(words)]
