"""After a new field key no service has anything left that needs the old one, whatever is sealed where."""

import base64

from kelmah import services
from kelmah.cli.keys import FIELDS
from kelmah.kit.ids import new_id
from kelmah.kit.settings import load
from tests.fixtures.resealing import turned
from tests.integration.events.conftest import Town


async def test_nothing_needs_the_old_key_any_more(town: Town) -> None:
    assert FIELDS.keys() == set(services.NAMES)
    found = {}
    for service in services.NAMES:
        settings = load(services.load(service).settings, town.env)
        olds = [base64.b64decode(key.get_secret_value()) for key in settings.field_keys]
        assert await town.contexts[service].events.people.seal(new_id(), "192.0.2.7")
        found[service] = await turned(town.mongo(service), olds, FIELDS[service])
    assert found["auth"] >= {"accounts", "signing_keys", "person_keys"}
    assert found["messaging"] >= {"messages"}
    assert found["job"] == {"person_keys"}
