"""Ghana's regions."""

from kelmah.contracts import regions


def test_there_are_sixteen_by_whatever_spelling() -> None:
    assert len(regions.ghana()) == 16
    assert regions.key("Brong-Ahafo region") == "brong ahafo"
    for typed in ("Greater Accra", "greater-accra", " GREATER ACCRA Region "):
        assert regions.ghana()[regions.key(typed)] == "Greater Accra"


def test_what_looks_like_one_is_suggested() -> None:
    assert regions.suggest("Ashantii") == ["Ashanti"]
    assert regions.suggest("Grater Acra") == ["Greater Accra"]
    assert regions.suggest("Bavaria") == []
