"""What other terminals learn of a running platform."""

import json
from pathlib import Path

import pytest

from kelmah.cli.development import ENVIRONMENT_FILE, HOME, found_environment, write_private


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("KELMAH_REDIS_URL", raising=False)
    monkeypatch.setenv("KELMAH_MONGO_URL", "mongodb://set")
    (tmp_path / HOME).mkdir()
    return tmp_path / HOME


def test_what_is_set_wins_over_what_the_platform_was_told(here: Path) -> None:
    told = {"KELMAH_MONGO_URL": "mongodb://kept", "KELMAH_REDIS_URL": "redis://kept"}
    write_private(here / ENVIRONMENT_FILE, json.dumps(told))
    found = found_environment()
    assert (found["KELMAH_MONGO_URL"], found["KELMAH_REDIS_URL"]) == ("mongodb://set", "redis://kept")


def test_without_a_platform_only_what_is_set_counts(here: Path) -> None:
    assert "KELMAH_REDIS_URL" not in found_environment()


def test_a_private_file_is_its_owners_alone_even_when_it_was_there(here: Path) -> None:
    path = here / "note"
    path.write_text("old")
    path.chmod(0o644)
    write_private(path, "new")
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("new", 0o600)
