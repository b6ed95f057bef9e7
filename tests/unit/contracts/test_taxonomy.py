"""The table of trades."""

import pytest

from kelmah.contracts import taxonomy


def test_twelve_families_and_their_trades() -> None:
    rows = taxonomy.skills()
    families = [row for row in rows.values() if row.parent is None]
    assert len(families) == 12
    assert len(rows) - len(families) == 75
    assert {row.parent for row in rows.values() if row.parent} == {family.id for family in families}
    for row in rows.values():
        assert row.id == row.id.lower().replace(" ", "-")
        assert row.synonyms


def test_each_word_means_one_trade() -> None:
    owner: dict[str, str] = {}
    for row in taxonomy.skills().values():
        for word in (row.id, row.name, *row.synonyms):
            assert owner.setdefault(taxonomy.fold(word), row.id) == row.id, word


@pytest.mark.parametrize(
    ("word", "skill_id"),
    [
        ("plumbing", "plumber"),
        ("Plumbers", "plumber"),
        (" SPARKY ", "electrician"),
        ("électricien", "electrician"),
        ("fundi-umeme", "electrician"),
        ("vulcaniser", "vulcanizer"),
        ("Dansifo", None),
        ("Odansifo", "mason"),
        ("maƙeri", "blacksmith"),
        ("makeri", "blacksmith"),
        ("electrical", "electrical"),
        ("", None),
        ("rocket science", None),
    ],
)
def test_words_of_people(word: str, skill_id: str | None) -> None:
    found = taxonomy.resolve(word)
    assert (found.id if found else None) == skill_id


def test_families_and_lineage() -> None:
    assert "solar-installer" in taxonomy.expand("electrical")
    assert taxonomy.expand("plumber") == {"plumber"}
    assert taxonomy.expand("nothing") == frozenset()
    assert [row.id for row in taxonomy.lineage("plumber")] == ["plumber", "water-sanitation"]
    assert [row.id for row in taxonomy.lineage("electrical")] == ["electrical"]
    assert taxonomy.lineage("nothing") == []


def test_suggestions_for_typing_errors() -> None:
    assert taxonomy.suggest("plummer") == ["Plumber"]
    assert taxonomy.suggest("electrican")[0] == "Electrician"
    assert taxonomy.suggest("qqqq") == []
