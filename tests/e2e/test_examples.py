"""The examples of the API's description, sent as they stand: nobody is told that such a request is malformed."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from kelmah.cli.demo.client import Api
from tests.e2e.test_bad_input import people

__all__ = ["people"]
pytestmark = pytest.mark.slow

#: A thing that nobody has: who names it is told so, after what was sent was read.
NOBODYS = "0199f4c2a8d07c3e9b1f5a6d7e8c9b0a"
#: Refusals of what is well-formed: a made-up credential, code or person is not a real one. Of these statuses some are
#: given only after the body was read.
HONEST = frozenset({401, 402, 403, 404, 409, 410, 412, 428, 429})
UNDERSTOOD = frozenset({404, 409, 412})
HONEST_CODES = frozenset({"auth.token_refused", "messaging.code_refused"})
HONEST_FAULT = "there is no such worker"


def every_example(document: dict[str, Any]) -> Iterator[tuple[str, str, Any]]:
    """Method, path and body of every operation that takes one, what ends the session last."""
    for path, item in sorted(document["paths"].items(), key=lambda pair: "/auth/" in pair[0]):
        for verb, operation in item.items():
            if content := operation.get("requestBody", {}).get("content", {}).get("application/json"):
                yield verb, "/".join(NOBODYS if part.startswith("{") else part for part in path.split("/")), content


@pytest.mark.timeout(300)
async def test_the_examples_are_understood(people: list[Api]) -> None:
    async with people[0].session.get(f"{people[0].url}/openapi.json") as answer:
        document = await answer.json()
    faults, count = [], 0
    for verb, path, content in every_example(document):
        refusals, answered_well = [], False
        for number, api in enumerate(people):
            headers = api.headers | {"Idempotency-Key": f"an-example-{number}-{NOBODYS}", "If-Match": '"1"'}
            url, body = f"{api.url}{path}", content["example"]
            async with api.session.request(verb, url, json=body, headers=headers) as answer:
                text, count = await answer.text(), count + 1
            answered_well = answered_well or answer.status < 400 or answer.status in UNDERSTOOD
            assert answer.status <= 400 or answer.status in HONEST, f"{verb} {path}: {text}"
            if answer.status == 400 and json.loads(text)["code"] not in HONEST_CODES and HONEST_FAULT not in text:
                refusals.append(text)
        # Some fields are for one role only: whoever may send them is understood.
        if refusals and not answered_well:
            faults.append(f"{verb} {path} {json.dumps(content['example'])}: {refusals[-1]}")
    assert count > 500
    assert not faults, "\n".join(faults)
