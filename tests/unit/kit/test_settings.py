"""Settings: where they are read from, and what is said when they do not fit."""

from pathlib import Path
from typing import ClassVar

import pytest

from kelmah.kit.settings import ServiceSettings, SettingsError, load


class ThingSettings(ServiceSettings):
    SERVICE: ClassVar[str] = "thing"
    mongo_database: str = "kelmah_thing"


NEEDED = {
    "KELMAH_MONGO_URL": "mongodb://m",
    "KELMAH_REDIS_URL": "redis://r",
    "KELMAH_THING_INCOMING_KEYS": '{"gateway": ["k1", "k2"]}',
    "KELMAH_THING_OUTGOING_KEYS": "{}",
    "KELMAH_THING_FIELD_KEYS": '["f"]',
}


def test_the_services_own_variable_wins_over_the_shared_one() -> None:
    settings = load(ThingSettings, NEEDED | {"KELMAH_PORT": "1", "KELMAH_THING_PORT": "2"})
    assert (settings.port, settings.mongo_url) == (2, "mongodb://m")
    assert [key.get_secret_value() for key in settings.incoming_keys["gateway"]] == ["k1", "k2"]


def test_a_secret_is_read_from_a_file_and_never_shown(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text('["from a file"]\n')
    environ = {name: value for name, value in NEEDED.items() if name != "KELMAH_THING_FIELD_KEYS"}
    settings = load(ThingSettings, environ | {"KELMAH_THING_FIELD_KEYS_FILE": str(file)})
    assert settings.field_keys[0].get_secret_value() == "from a file"
    assert "from a file" not in repr(settings)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"KELMAH_THING_PROT": "1"}, "KELMAH_THING_PROT is not a setting: did you mean KELMAH_THING_PORT?"),
        ({"KELMAH_PORT": "65536"}, "KELMAH_THING_PORT (or KELMAH_PORT): Input should be less than or equal to 65535"),
        ({"KELMAH_THING_FIELD_KEYS": "[]"}, "KELMAH_THING_FIELD_KEYS (or KELMAH_FIELD_KEYS): List should have at"),
        ({"KELMAH_THING_FIELD_KEYS_FILE": "/no/such"}, "KELMAH_THING_FIELD_KEYS_FILE: cannot read /no/such"),
        ({"KELMAH_ENVIRONMENT": "production", "KELMAH_CLOCK_SHIFT_S": "5"}, "KELMAH_CLOCK_SHIFT_S is for tests"),
    ],
)
def test_what_does_not_fit_is_named_with_its_fix(change: dict[str, str], said: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(ThingSettings, NEEDED | change)
    assert said in str(caught.value)


def test_every_missing_variable_is_listed() -> None:
    with pytest.raises(SettingsError) as caught:
        load(ThingSettings, {})
    said = str(caught.value)
    assert "set KELMAH_THING_MONGO_URL or KELMAH_MONGO_URL: mongodb:// URL of a replica set." in said
    assert said.count("\n  - set ") == 5


def test_a_secret_that_does_not_fit_is_not_shown() -> None:
    with pytest.raises(SettingsError) as caught:
        load(ThingSettings, NEEDED | {"KELMAH_THING_FIELD_KEYS": "hunter2"})
    assert "hunter2" not in str(caught.value)


def test_other_services_variables_are_their_business() -> None:
    assert load(ThingSettings, NEEDED | {"KELMAH_OTHER_PORT": "nonsense"}).port == 0
