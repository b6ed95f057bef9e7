"""The words by which a profile is found."""

from kelmah.services.user.service import terms


def test_words_are_folded_and_singular() -> None:
    assert list(terms.words("Tiles, GLASS & Électriciens' work; bus")) == [
        "tile", "glass", "electricien", "work", "bus",
    ]  # fmt: skip


def test_a_query_drops_words_that_mean_nothing() -> None:
    assert terms.query_terms("I need a plumber in Accra, plumbers!") == ["plumber", "accra"]
    assert terms.query_terms("for the") == ["for", "the"]
    assert terms.query_terms("?! x") == []


def test_an_index_holds_texts_trades_and_families() -> None:
    found = terms.index_terms(first=["Ama K.", None], skill_ids=["plumber"], last="Own tools")
    assert found[:2] == ["ama", "plumber"]
    assert {"plumbing", "bomba", "sanitation", "own", "tool"} <= set(found)
    assert "k" not in found


def test_a_long_text_is_cut_and_the_trades_stay() -> None:
    found = terms.index_terms(first=[], skill_ids=["tiler"], last=" ".join(f"word{n}" for n in range(2000)))
    assert len(found) == terms.MAX_TERMS
    assert "tiler" in found
