"""Facts for figures outlive an account, so they hold nothing that says whose they were but the bare id."""

from kelmah.services.user.documents.analytics import ContactDocument, FactDocument


def test_facts_and_contacts_hold_ids_kinds_instants_and_amounts_alone() -> None:
    """Whoever adds a field decides anew whether it may stay when a person goes (docs/identity.md)."""
    assert set(FactDocument.model_fields) - {"revision_id"} == {
        "id", "user_id", "kind", "at", "is_first", "other_id", "amount", "currency", "escrow_id",
    }  # fmt: skip
    assert set(ContactDocument.model_fields) - {"revision_id"} == {"id", "user_id", "contacted_at", "answered_at"}
