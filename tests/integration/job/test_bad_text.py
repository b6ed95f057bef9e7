"""What people may not write anywhere: control characters, reversed and invisible text, and HTML in names."""

import json
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from kelmah.contracts.user import WorkerFacts
from kelmah.kit.context import Principal
from tests.fakes.user import FakeUserClient
from tests.integration.job.steps import JOB, OFFER, Desk, hirer, milestone, worker
from tests.integration.job.test_planning import TEMPLATE, TEMPLATES

#: Refused everywhere.
HOSTILE = ["bell\u0007", "nul\u0000", "evil\u202egnp.exe", "isolate\u2066d", "\u200b\u2060\ufeff", "half\ud83d"]
#: Refused in what is one line; as a text of several lines it is shown as it was written.
IN_LINES = ["<b>bold</b>", "<script>alert(1)</script>", "two\nlines", "line\u2028separator"]
Body = Callable[[str], dict[str, Any]]


class Scene(NamedTuple):
    """Two people, and one of each thing that text can be written into."""

    anna: Principal
    kofi: Principal
    paths: dict[str, str]


@pytest.fixture
async def scene(desk: Desk, users: FakeUserClient) -> Scene:
    anna, kofi = hirer(), worker()
    users.workers[kofi.user_id] = WorkerFacts(user_id=kofi.user_id, display_name="Kofi", skills=["plumber"])
    job = await desk.open_job(anna)
    application = await desk.application((await desk.open_job(anna))["id"], kofi)
    unsigned = await desk.contract(anna, kofi)
    active, part = await desk.submitted(anna, kofi)
    paths = {
        "job": f"/jobs/{job['id']}",
        "application": f"/applications/{application['id']}",
        "unsigned": f"/contracts/{unsigned['id']}",
        "active": f"/contracts/{active['id']}",
        "part": milestone(active["id"], part, ""),
    }
    return Scene(anna, kofi, paths)


def _milestones(text: str) -> list[dict[str, Any]]:
    return [{"title": text, "amount": 45_000}]


RATE = {"proposedRate": OFFER["proposedRate"]}
#: (path, field, whether it is one line, whose it is, the body with the text in it).
PLACES: list[tuple[str, str, bool, str, Body]] = [
    ("/jobs", "title", True, "anna", lambda text: JOB | {"title": text}),
    ("/jobs", "description", False, "anna", lambda text: JOB | {"description": text}),
    ("/jobs", "location.city", True, "anna", lambda text: JOB | {"location": JOB["location"] | {"city": text}}),
    ("{job}/close", "reason", False, "anna", lambda text: {"reason": text}),
    ("{job}/applications", "coverLetter", False, "kofi", lambda text: OFFER | {"coverLetter": text}),
    ("{job}/applications", "milestones[0].title", True, "kofi", lambda text: OFFER | {"milestones": _milestones(text)}),
    ("{application}/counter-offer", "note", False, "anna", lambda text: RATE | {"note": text}),
    (
        *("{application}/counter-offer", "milestones[0].title", True, "anna"),
        lambda text: RATE | {"milestones": _milestones(text)},
    ),
    ("{application}/reject", "reason", False, "anna", lambda text: {"reason": text}),
    ("{unsigned}/milestones", "title", True, "anna", lambda text: {"title": text, "amount": 1}),
    ("{unsigned}/cancel", "reason", False, "kofi", lambda text: {"reason": text}),
    (
        *("{active}/amendment", "reason", False, "kofi"),
        lambda text: {"reason": text, "milestones": _milestones("More")},
    ),
    (
        *("{active}/amendment", "milestones[0].title", True, "kofi"),
        lambda text: {"reason": "More.", "milestones": _milestones(text)},
    ),
    ("{part}request-changes", "reason", False, "anna", lambda text: {"reason": text}),
    (TEMPLATES, "name", True, "anna", lambda text: TEMPLATE | {"name": text}),
    (TEMPLATES, "description", False, "anna", lambda text: TEMPLATE | {"description": text}),
    ("/jobs/searches", "name", True, "kofi", lambda text: {"name": text}),
]


async def test_hostile_text_is_refused_by_field_wherever_it_is_written(desk: Desk, scene: Scene) -> None:
    before = await everything(desk, scene)
    for path, field, is_line, who, body in PLACES:
        by = scene.anna if who == "anna" else scene.kofi
        for text in [*HOSTILE, *(IN_LINES if is_line else [])]:
            reply = await desk.call("POST", path.format(**scene.paths), raw=_json(body(text)), by=by)
            assert reply.status == 400, (path, field, text, reply.data)
            if "\ud83d" not in text:  # that is no JSON at all
                assert [one["field"] for one in reply.data["errors"]] == [field], (path, text)
    note = f"{scene.paths['job']}/invitations"
    for text in HOSTILE[:-1]:
        reply = await desk.call("POST", note, {"workerId": scene.kofi.user_id, "note": text}, by=scene.anna)
        assert [one["field"] for one in reply.data["errors"]] == ["note"], text
    assert await everything(desk, scene) == before


def _json(body: dict[str, Any]) -> bytes:
    return json.dumps(body).encode()  # as clients escape it: half a surrogate pair, too


async def everything(desk: Desk, scene: Scene) -> list[Any]:
    lists = [
        *(("/jobs?mine=true", scene.anna), ("/contracts", scene.anna), (TEMPLATES, scene.anna)),
        *(("/applications/me", scene.kofi), ("/jobs/searches", scene.kofi), ("/invitations/me", scene.kofi)),
    ]
    return [await desk.ok("GET", path, by=by) for path, by in lists]
