"""The rules of posting keep every minor unit."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kelmah.services.payment.documents.ledger import Entry, Posting
from kelmah.services.payment.errors import LedgerError
from kelmah.services.payment.service import ledger

GOOD = Entry(
    reference="r", kind="deposit", facts={}, postings=(Posting("clearing:stripe:GHS", -5), Posting("wallet:u:GHS", 5))
)


@given(st.integers(0, 2**53 - 1), st.integers(0, 10_000))
def test_split_loses_nothing_and_rounds_for_the_worker(gross: int, basis_points: int) -> None:
    net, fee = ledger.split(gross, basis_points)
    assert net + fee == gross
    assert fee * 10_000 <= gross * basis_points < (fee + 1) * 10_000


@pytest.mark.parametrize(
    ("gross", "net", "fee"), [(0, 0, 0), (1, 1, 0), (9, 9, 0), (10, 9, 1), (19, 18, 1), (15_005, 13_505, 1_500)]
)
def test_split_takes_ten_percent_rounded_down(gross: int, net: int, fee: int) -> None:
    assert ledger.split(gross, 1000) == (net, fee)


@pytest.mark.parametrize(
    "postings",
    [
        (),
        (Posting("wallet:u:GHS", 5),),
        (Posting("wallet:u:GHS", 5), Posting("fees:GHS", -4)),
        (Posting("wallet:u:GHS", 5), Posting("fees:USD", -5)),
        (Posting("wallet:u:GHS", 0), Posting("fees:GHS", 0)),
        (Posting("wallet:u:GHS", 5), Posting("wallet:u:GHS", -5)),
        (Posting("wallet:u:GHS", 1.5), Posting("fees:GHS", -1.5)),  # type: ignore[arg-type]  # what must be refused
        (Posting("wallet:u:GHS", True), Posting("fees:GHS", -1)),
        (Posting("pocket:u:GHS", 5), Posting("fees:GHS", -5)),
    ],
)
def test_entries_that_are_not_sound_cannot_be_made(postings: tuple[Posting, ...]) -> None:
    with pytest.raises(LedgerError):
        replace(GOOD, postings=postings)
