"""Roughly where an address is."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from kelmah.kit.places import Place, Places, open_places
from tests.fixtures.places import places_file

GHANA = {"iso_code": "GH", "names": {"en": "Ghana", "fr": "Le Ghana"}}
NETWORKS = {
    "41.57.192.0/18": {"country": GHANA, "city": {"names": {"en": "Accra"}}, "location": {"accuracy_radius": 20}},
    "2c0f:2a80::/32": {"country": GHANA},
    "192.0.2.0/24": {"city": {"names": {"en": "Nowhere"}}},
    "198.51.100.0/24": {"country": "Ghana"},
    "203.0.113.0/24": {"country": {"iso_code": "<b>", "names": {"en": "Ghana"}}},
}


@pytest.fixture
def places(tmp_path: Path) -> Iterator[Places]:
    path = tmp_path / "city.mmdb"
    path.write_bytes(places_file(NETWORKS))
    with open_places(path) as found:
        assert found is not None
        yield found


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("41.57.200.1", Place("GH", "Ghana", "Accra")),
        ("2c0f:2a80::1", Place("GH", "Ghana", None)),
        ("41.58.0.1", None),
        ("2001:db8::1", None),
        ("127.0.0.1", None),
        ("192.0.2.1", None),  # a city of no country
        ("198.51.100.1", None),  # a record of another form
        ("203.0.113.1", None),  # no country's code
        (None, None),
    ],
)
def test_what_is_known_is_said_and_the_rest_is_not(places: Places, address: str | None, place: Place | None) -> None:
    assert places.find(address) == place


def test_names_come_in_the_language_that_the_file_has(places: Places) -> None:
    assert places.find("41.57.200.1", language="fr") == Place("GH", "Le Ghana", "Accra")


def test_a_damaged_file_knows_nothing(tmp_path: Path) -> None:
    path = tmp_path / "city.mmdb"
    whole = places_file({"41.57.192.0/18": {"country": GHANA}})
    at = whole.index(b"iso_code") - 1
    path.write_bytes(whole[:at] + b"\xff" * 4 + whole[at + 4 :])
    with open_places(path) as found:
        assert found is not None
        assert found.find("41.57.200.1") is None


def test_another_file_is_refused_and_none_is_fine(tmp_path: Path) -> None:
    path = tmp_path / "city.mmdb"
    path.write_bytes(b"not a database")
    with pytest.raises(ValueError, match=r"city\.mmdb is no file of places"), open_places(path):
        pass
    with pytest.raises(FileNotFoundError), open_places(tmp_path / "none.mmdb"):
        pass
    with open_places(None) as none:
        assert none is None
