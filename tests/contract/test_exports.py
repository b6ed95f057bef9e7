"""Whatever a service keeps of people has a part of their archive; a new collection fails here until it has one."""

import importlib
import tomllib
from pathlib import Path

import pytest

from kelmah import services
from kelmah.contracts.exports import PARTS
from kelmah.kit import exports

STATED: dict[str, dict[str, str]] = tomllib.loads(
    (Path(__file__).parents[1] / "data" / "exports.toml").read_text(encoding="utf-8")
)
#: Of every service, from the kit: none of them is a place where something of a person is kept for long.
NAMES = sorted(set(services.NAMES) - {"auth"})


@pytest.mark.parametrize("name", NAMES)
def test_a_service_serves_its_parts_to_the_auth_service_alone(name: str) -> None:
    served = importlib.import_module(f"kelmah.services.{name}.service.exports").PARTS
    assert tuple(served) == PARTS[name]
    rule = importlib.import_module(f"kelmah.services.{name}.controllers").POLICY[exports.OPERATION]
    assert rule.callers == {"auth"}


@pytest.mark.parametrize("name", services.NAMES)
def test_every_collection_is_in_a_part_or_says_why_not(name: str) -> None:
    documents = importlib.import_module(f"kelmah.services.{name}.documents").DOCUMENTS
    stated = STATED[name]
    assert set(stated) == {one.__name__.removesuffix("Document") for one in documents}
    assert {one for one in stated.values() if " " not in one} <= set(PARTS[name])
    assert all(one.startswith(("not a person's: ", "left out: ")) for one in stated.values() if " " in one)
