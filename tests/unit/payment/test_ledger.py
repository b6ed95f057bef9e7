"""The rules of posting keep every minor unit."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kelmah.contracts.payment import EscrowStatus
from kelmah.services.payment.documents import EscrowDocument
from kelmah.services.payment.documents.entries import Entry, Posting
from kelmah.services.payment.errors import LedgerError
from kelmah.services.payment.service import ledger
from kelmah.services.payment.service.ledger import Split, Terms

GOOD = Entry(
    reference="r", kind="deposit", facts={}, postings=(Posting("clearing:stripe:GHS", -5), Posting("wallet:u:GHS", 5))
)


RATE = st.integers(0, 10_000)
TERMS = st.builds(Terms, RATE, RATE, RATE)


@given(st.integers(0, 2**53 - 1), TERMS)
def test_split_loses_nothing_and_rounds_for_the_worker(gross: int, terms: Terms) -> None:
    net, fee, tax, referral = ledger.split(gross, terms)
    assert net + fee + tax == gross
    assert fee * 10_000 <= gross * terms.fee < (fee + 1) * 10_000
    assert tax * 10_000 <= (gross - fee) * terms.tax < (tax + 1) * 10_000
    assert 0 <= referral <= fee


@pytest.mark.parametrize(
    ("gross", "net", "fee"), [(0, 0, 0), (1, 1, 0), (9, 9, 0), (10, 9, 1), (19, 18, 1), (15_005, 13_505, 1_500)]
)
def test_split_takes_ten_percent_rounded_down(gross: int, net: int, fee: int) -> None:
    assert ledger.split(gross, Terms(1000)) == Split(net, fee)


@given(st.lists(st.integers(1, 2**40), max_size=20), TERMS)
def test_parts_cost_together_what_the_whole_costs(parts: list[int], terms: Terms) -> None:
    before, sums = 0, [0, 0, 0, 0]
    for part in parts:
        share = ledger.split_part(before, part, terms)
        assert min(share) >= 0
        assert share.net + share.fee + share.tax == part
        assert share.referral <= share.fee
        before, sums = before + part, [one + other for one, other in zip(sums, share, strict=True)]
    assert Split(*sums) == ledger.split(before, terms)


@given(st.lists(st.integers(1, 2**40), min_size=1, max_size=8), TERMS, st.booleans(), st.sampled_from(["w", "h", "r"]))
def test_every_payout_is_an_entry_that_sums_to_zero(
    parts: list[int], terms: Terms, is_whole: bool, referrer: str
) -> None:
    """Entries refuse to be made otherwise, so this walks all the ways out of an escrow."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    escrow = EscrowDocument.model_construct(
        id="e", contract_id="c", milestone_id="m", hirer_id="h", worker_id="w", amount=sum(parts), currency="GHS",
        status=EscrowStatus.FUNDED, fee_basis_points=terms.fee, tax_basis_points=terms.tax,
        referral_basis_points=terms.referral, referrer_id=referrer, released=0, releases=0, created_at=now,
    )  # fmt: skip
    references = set()
    for part in parts[:-1]:
        entry = ledger.release_entry(escrow, part)
        references.add(entry.reference)
        escrow.released, escrow.releases = escrow.released + part, escrow.releases + 1
    last = ledger.release_entry(escrow, parts[-1]) if is_whole else ledger.refund_entry(escrow)
    ledger.ruling_entry(escrow, dispute_id="d", worker_gross=parts[-1] // 2, hirer=parts[-1] - parts[-1] // 2)
    assert last.reference == "escrow:e:leave"
    assert len(references) == len(parts) - 1


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
