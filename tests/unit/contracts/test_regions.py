"""Ghana's regions."""

import pytest

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


def test_a_place_in_ghana_is_in_one_of_her_regions() -> None:
    accra, lagos = (-0.187, 5.6037), (3.38, 6.52)
    assert regions.named("greater-accra region", at=accra) == "Greater Accra"
    assert regions.named("Lagos", at=lagos) == "Lagos"
    for region, at in (("Atlantis", accra), ("Lagos", accra), ("Ashnti", lagos)):
        with pytest.raises(regions.UnknownRegion):
            regions.named(region, at=at)
    assert str(regions.unknown("Ashnti")) == "unknown region: did you mean Ashanti?"
    assert str(regions.unknown("Atlantis")).startswith("unknown region: Ghana has Ahafo, Ashanti, ")
