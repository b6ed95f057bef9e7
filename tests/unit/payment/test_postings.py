"""Each movement of money is exactly one entry: its name, its postings and its facts, to the last character."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from types import SimpleNamespace as Row
from typing import Any

import pytest

from kelmah.contracts.payment import EscrowStatus, Provider
from kelmah.services.payment.documents import EscrowDocument
from kelmah.services.payment.documents.entries import (
    Entry,
    EntryDocument,
    Posting,
    PostingRow,
    account_key,
    digest,
    wallet,
)
from kelmah.services.payment.errors import LedgerError
from kelmah.services.payment.providers.base import Movement
from kelmah.services.payment.service import ledger
from kelmah.services.payment.service.ledger import Terms

NOW = datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC)
DEPOSIT: Any = Row(id="d1", user_id="ama", provider="stripe", amount=500, currency="GHS")
WITHDRAWAL: Any = Row(id="w1", user_id="ama", provider="bank", amount=600, currency="GHS", deposit_id=None)
REFUND: Any = Row(id="w2", user_id="ama", provider="stripe", amount=70, currency="USD", deposit_id="d1")
CHARGEBACK: Any = Row(
    id="stripe:dp_1", deposit_id="d1", user_id="ama", provider="stripe", amount=500, currency="GHS", from_wallet=120
)
EXCEPTION: Any = Row(id="x1", provider="bank", amount=321, currency="GHS")
MOVEMENT = Movement("txn_1", "po_1", -955, "GHS", NOW, fee=45)


def escrow(**more: Any) -> EscrowDocument:
    values: dict[str, Any] = {
        "id": "e1", "contract_id": "c1", "milestone_id": "m1", "hirer_id": "hana", "worker_id": "wale",
        "amount": 10_005, "currency": "GHS", "status": EscrowStatus.FUNDED, "fee_basis_points": 1_000,
        "tax_basis_points": 0, "referral_basis_points": 0, "referrer_id": None, "released": 0, "releases": 0,
        "created_at": NOW, "updated_at": NOW,
    }  # fmt: skip
    made: EscrowDocument = EscrowDocument.model_construct(**values | more)
    return made


TAXED = escrow(tax_basis_points=750, referral_basis_points=2_000, referrer_id="rita")
STARTED = escrow(released=4_005, releases=2)

#: What makes the entry, its kind, its reference, its postings and its facts.
ENTRIES: list[tuple[Callable[[], Entry], str, str, dict[str, int], dict[str, str]]] = [
    (
        lambda: ledger.deposit_entry(DEPOSIT), "deposit", "deposit:d1",
        {"clearing:stripe:GHS": -500, "wallet:ama:GHS": 500}, {"deposit_id": "d1"},
    ),
    (
        lambda: ledger.opening_wallet_entry(wallet_id="o1", user_id="ama", amount=7, currency="GHS"), "opening",
        "opening:wallet:o1", {"clearing:legacy:GHS": -7, "wallet:ama:GHS": 7}, {"legacy_id": "o1"},
    ),
    (
        lambda: ledger.opening_escrow_entry(escrow()), "opening", "escrow:e1:fund",
        {"clearing:legacy:GHS": -10_005, "escrow:e1:GHS": 10_005}, {"escrow_id": "e1", "legacy_id": "e1"},
    ),
    (
        lambda: ledger.suspense_entry(provider="bank", ref="B1", amount=-30, currency="GHS"),
        "suspense", "suspense:bank:B1",
        {"clearing:bank:GHS": 30, "suspense:bank:GHS": -30}, {},
    ),
    (
        lambda: ledger.suspense_entry(provider="stripe", ref="pi_1", amount=9, currency="USD", deposit_id="d1"),
        "suspense",
        "suspense:stripe:pi_1", {"clearing:stripe:USD": -9, "suspense:stripe:USD": 9}, {"deposit_id": "d1"},
    ),
    (
        lambda: ledger.cleared_entry(EXCEPTION, "ama"), "suspense_cleared", "exception:x1:cleared",
        {"suspense:bank:GHS": -321, "wallet:ama:GHS": 321}, {"exception_id": "x1"},
    ),
    (
        lambda: ledger.fee_entry(provider=Provider.STRIPE, movement=MOVEMENT),
        "provider_fee", "provider_fee:stripe:txn_1",
        {"clearing:stripe:GHS": 45, "costs:GHS": -45}, {"movement_id": "txn_1"},
    ),
    (
        lambda: ledger.settlement_entry(provider=Provider.STRIPE, movement=MOVEMENT),
        "settlement", "settlement:stripe:txn_1",
        {"clearing:stripe:GHS": 955, "suspense:bank:GHS": -955}, {"movement_id": "txn_1"},
    ),
    (
        lambda: ledger.funding_entry(escrow()), "escrow_funding", "escrow:e1:fund",
        {"wallet:hana:GHS": -10_005, "escrow:e1:GHS": 10_005}, {"escrow_id": "e1"},
    ),
    (
        lambda: ledger.release_entry(escrow(), 10_005), "escrow_release", "escrow:e1:leave",
        {"escrow:e1:GHS": -10_005, "wallet:wale:GHS": 9_005, "fees:GHS": 1_000}, {"escrow_id": "e1"},
    ),
    (
        lambda: ledger.release_entry(escrow(), 10_004), "escrow_release", "escrow:e1:part:1",
        {"escrow:e1:GHS": -10_004, "wallet:wale:GHS": 9_004, "fees:GHS": 1_000}, {"escrow_id": "e1"},
    ),
    (
        lambda: ledger.release_entry(STARTED, 1_000), "escrow_release", "escrow:e1:part:3",
        {"escrow:e1:GHS": -1_000, "wallet:wale:GHS": 900, "fees:GHS": 100}, {"escrow_id": "e1"},
    ),
    (
        lambda: ledger.release_entry(STARTED, 6_000), "escrow_release", "escrow:e1:leave",
        {"escrow:e1:GHS": -6_000, "wallet:wale:GHS": 5_400, "fees:GHS": 600}, {"escrow_id": "e1"},
    ),
    (
        lambda: ledger.release_entry(TAXED, 10_005), "escrow_release", "escrow:e1:leave",
        {
            "escrow:e1:GHS": -10_005, "wallet:wale:GHS": 8_330, "fees:GHS": 800, "tax:GHS": 675,
            "wallet:rita:GHS": 200,
        },
        {"escrow_id": "e1"},
    ),
    (
        lambda: ledger.release_entry(escrow(referral_basis_points=2_000), 10_005), "escrow_release", "escrow:e1:leave",
        {"escrow:e1:GHS": -10_005, "wallet:wale:GHS": 9_005, "fees:GHS": 1_000}, {"escrow_id": "e1"},
    ),
    (  # who brought the worker is the hirer: one posting for both
        lambda: ledger.ruling_entry(
            escrow(referral_basis_points=2_000, referrer_id="hana"), dispute_id="q1", worker_gross=10_000, hirer=5
        ),
        "dispute_ruling", "escrow:e1:leave",
        {"escrow:e1:GHS": -10_005, "wallet:wale:GHS": 9_000, "fees:GHS": 800, "wallet:hana:GHS": 205},
        {"escrow_id": "e1", "dispute_id": "q1"},
    ),
    (
        lambda: ledger.refund_entry(STARTED), "escrow_refund", "escrow:e1:leave",
        {"escrow:e1:GHS": -6_000, "wallet:hana:GHS": 6_000}, {"escrow_id": "e1"},
    ),
    (
        lambda: ledger.hold_entry(WITHDRAWAL), "withdrawal_hold", "withdrawal:w1:hold",
        {"wallet:ama:GHS": -600, "transit:bank:GHS": 600}, {"withdrawal_id": "w1"},
    ),
    (
        lambda: ledger.paid_entry(REFUND), "withdrawal_paid", "withdrawal:w2:end",
        {"transit:stripe:USD": -70, "clearing:stripe:USD": 70}, {"withdrawal_id": "w2", "deposit_id": "d1"},
    ),
    (
        lambda: ledger.void_entry(WITHDRAWAL), "withdrawal_void", "withdrawal:w1:end",
        {"transit:bank:GHS": -600, "wallet:ama:GHS": 600}, {"withdrawal_id": "w1"},
    ),
    (
        lambda: ledger.return_entry(WITHDRAWAL), "withdrawal_return", "withdrawal:w1:return",
        {"clearing:bank:GHS": -600, "wallet:ama:GHS": 600}, {"withdrawal_id": "w1"},
    ),
    (
        lambda: ledger.chargeback_entry(CHARGEBACK), "chargeback_open", "chargeback:stripe:dp_1:open",
        {"wallet:ama:GHS": -120, "losses:GHS": -380, "chargebacks:stripe:GHS": 500},
        {"chargeback_id": "stripe:dp_1", "deposit_id": "d1"},
    ),
    (
        lambda: ledger.chargeback_end_entry(CHARGEBACK, won=True), "chargeback_won", "chargeback:stripe:dp_1:end",
        {"chargebacks:stripe:GHS": -500, "wallet:ama:GHS": 120, "losses:GHS": 380},
        {"chargeback_id": "stripe:dp_1", "deposit_id": "d1"},
    ),
    (
        lambda: ledger.chargeback_end_entry(CHARGEBACK, won=False), "chargeback_lost", "chargeback:stripe:dp_1:end",
        {"chargebacks:stripe:GHS": -500, "clearing:stripe:GHS": 500},
        {"chargeback_id": "stripe:dp_1", "deposit_id": "d1"},
    ),
    (
        lambda: ledger.recovery_entry(CHARGEBACK, "e1", 55),
        "chargeback_recovery", "chargeback:stripe:dp_1:recovery:e1",
        {"wallet:ama:GHS": -55, "losses:GHS": 55},
        {"chargeback_id": "stripe:dp_1", "deposit_id": "d1", "escrow_id": "e1"},
    ),
]  # fmt: skip


@pytest.mark.parametrize(("make", "kind", "reference", "postings", "facts"), ENTRIES)
def test_an_entry_is_what_it_says(
    make: Callable[[], Entry], kind: str, reference: str, postings: dict[str, int], facts: dict[str, str]
) -> None:
    entry = make()
    assert (entry.kind, entry.reference, dict(entry.postings), entry.facts) == (kind, reference, postings, facts)
    assert len(entry.postings) == len(postings)


def test_a_part_of_a_chargeback_that_is_nothing_has_no_posting() -> None:
    whole: Any = Row(**{**vars(CHARGEBACK), "from_wallet": 500})
    assert dict(ledger.chargeback_entry(whole).postings) == {"wallet:ama:GHS": -500, "chargebacks:stripe:GHS": 500}
    none: Any = Row(**{**vars(CHARGEBACK), "from_wallet": 0})
    assert dict(ledger.chargeback_entry(none).postings) == {"losses:GHS": -500, "chargebacks:stripe:GHS": 500}


def stored(**more: Any) -> EntryDocument:
    rows = [
        PostingRow(account="suspense:bank:GHS", key="suspense:bank:GHS#03", amount=-9, currency="GHS", sequence=4,
                   balance=-11, previous="before"),
        PostingRow(account="wallet:ama:GHS", key="wallet:ama:GHS", amount=9, currency="GHS", sequence=1, balance=9),
    ]  # fmt: skip
    values: dict[str, Any] = {
        "id": "1", "reference": "exception:x1:cleared", "kind": "suspense_cleared", "postings": rows,
        "facts": {"b": "2", "a": "1"}, "at": NOW,
    }  # fmt: skip
    made: EntryDocument = EntryDocument.model_construct(**values | more)
    return made


def test_a_reversal_is_the_opposite_and_says_why() -> None:
    entry = ledger.reversal_entry(stored(), "not theirs")
    assert (entry.kind, entry.reference) == ("reversal", "reversal:exception:x1:cleared")
    assert entry.postings == (Posting("suspense:bank:GHS", 9), Posting("wallet:ama:GHS", -9))
    assert entry.facts == {"a": "1", "b": "2", "reverses": "exception:x1:cleared", "reason": "not theirs"}


def test_the_hash_of_an_entry_is_fixed_for_ever() -> None:
    """Written down: with another way of hashing, every chain that was ever stored would look broken."""
    content = (
        '["1","exception:x1:cleared","suspense_cleared",'
        '[["suspense:bank:GHS","suspense:bank:GHS#03",-9,"GHS",4,-11,"before"],'
        '["wallet:ama:GHS","wallet:ama:GHS",9,"GHS",1,9,""]],'
        '[["a","1"],["b","2"]],"2026-01-02T03:04:05.678+00:00"]'
    )
    assert digest(stored()) == sha256(content.encode()).hexdigest()
    assert digest(stored(facts={"a": "1", "b": "2"})) == digest(stored()), "the order of facts is not kept"
    assert digest(stored(at=NOW.replace(microsecond=678_999))) == digest(stored()), "nor is less than a millisecond"


@pytest.mark.parametrize("change", [
    {"id": "2"}, {"reference": "r"}, {"kind": "reversal"}, {"postings": []}, {"facts": {"b": "2"}},
    {"at": NOW.replace(microsecond=679_000)},
])  # fmt: skip
def test_whatever_of_an_entry_changes_changes_its_hash(change: dict[str, Any]) -> None:
    assert digest(stored(**change)) != digest(stored())


@pytest.mark.parametrize("field", list(PostingRow.model_fields))
@pytest.mark.parametrize("place", [0, 1])
def test_whatever_of_a_posting_changes_changes_the_hash(place: int, field: str) -> None:
    changed = stored()
    value = getattr(changed.postings[place], field)
    setattr(changed.postings[place], field, value + 1 if isinstance(value, int) else f"{value}x")
    assert digest(changed) != digest(stored())


def test_the_platforms_accounts_are_kept_in_sixteen_parts() -> None:
    assert wallet("ama", "GHS") == "wallet:ama:GHS"
    for kind in ("wallet:ama:GHS", "escrow:e1:GHS"):
        assert account_key(Posting(kind, 1), "deposit:d1") == kind
    keys = {account_key(Posting("fees:GHS", 1), f"deposit:{number}") for number in range(400)}
    assert keys == {f"fees:GHS#{slot:02d}" for slot in range(16)}
    kinds = ("fees", "clearing", "suspense", "transit", "chargebacks", "losses", "tax", "costs")
    assert [account_key(Posting(f"{one}:GHS", 1), "deposit:d1") for one in kinds] == [f"{one}:GHS#12" for one in kinds]


NO_AMOUNT = "a posting moves a whole number of minor units, not none"


@pytest.mark.parametrize(("postings", "why"), [
    ((), "the postings of an entry sum to zero per currency"),
    ((Posting("wallet:u:GHS", 0), Posting("fees:GHS", 0)), NO_AMOUNT),
    ((Posting("wallet:u:GHS", True), Posting("fees:GHS", -1)), NO_AMOUNT),
    ((Posting("pocket:u:GHS", 5), Posting("fees:GHS", -5)), "a posting names a known kind of account"),
    ((Posting("wallet:u:GHS", 5), Posting("wallet:u:GHS", -5)), "an entry touches an account once"),
    ((Posting("wallet:u:GHS", 5), Posting("fees:GHS", -4)), "the postings of an entry sum to zero per currency"),
    (
        (Posting("wallet:u:GHS", 5), Posting("fees:USD", -5)),
        "the postings of an entry sum to zero per currency",
    ),
])  # fmt: skip
def test_what_is_refused_says_why(postings: tuple[Posting, ...], why: str) -> None:
    good = ledger.deposit_entry(DEPOSIT)
    with pytest.raises(LedgerError) as refusal:
        replace(good, postings=postings)
    assert refusal.value.message == why


def test_two_currencies_may_balance_side_by_side() -> None:
    four = (Posting("wallet:a:GHS", 5), Posting("fees:GHS", -5), Posting("wallet:a:USD", -7), Posting("fees:USD", 7))
    assert replace(ledger.deposit_entry(DEPOSIT), postings=four).postings == four


def test_terms_are_those_of_the_funding() -> None:
    assert ledger.terms_of(TAXED) == Terms(1_000, 750, 2_000)
    assert ledger.terms_of(escrow(tax_basis_points=750, referral_basis_points=2_000)) == Terms(1_000, 750, 0)
    assert Terms(1) == Terms(1, 0, 0)
