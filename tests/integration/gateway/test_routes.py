"""The route table of a running gateway: changed without a restart, and explained."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from kelmah.gateway import reload
from tests.integration.gateway.platform import ROUTES, Platform, platform

MORE = ROUTES.replace(
    '"GET /api/v1/mine" =', '"GET /api/v1/local2" = { auth = "public" }\n"GET /api/v1/mine" ='
).replace("[services.auth]", "new = { quota = 2, window_s = 3600 }\n[services.auth]")
LIMITED = MORE.replace('"GET /api/v1/mine" = {', '"GET /api/v1/mine" = { limit = "new",')


@pytest.fixture(autouse=True)
def looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reload, "LOOK_S", 0.02)


async def asked(gateway: Platform, method: str, path: str) -> tuple[int, Any]:
    async with gateway.client.get("/routes", params={"method": method, "path": path}) as answer:
        return answer.status, await answer.json()


async def until_known(gateway: Platform, path: str) -> None:
    async with asyncio.timeout(10):
        while (await asked(gateway, "GET", path))[0] != 200:  # noqa: ASYNC110  # the file is looked at, not waited for
            await asyncio.sleep(0.01)


async def test_a_changed_file_is_taken_into_use_and_nothing_is_dropped(gateway: Platform, tmp_path: Path) -> None:
    file = tmp_path / "routes.toml"
    statuses: list[int] = []
    is_over = False

    async def load() -> None:
        while not is_over:
            async with gateway.client.get("/api/v1/echo/under-load") as answer:
                statuses.append(answer.status)
                await answer.read()

    async with gateway.client.ws_connect("/api/v1/ws") as socket:
        await socket.receive_json()
        loads = [asyncio.create_task(load()) for _ in range(4)]
        for turn in range(5):
            file.write_text(MORE.replace("local2", f"turn-{turn}"))
            await until_known(gateway, f"/api/v1/turn-{turn}")
        is_over = True
        await asyncio.gather(*loads)
        await socket.send_str("still here")
        assert await socket.receive_str() == "still here"
    assert set(statuses) == {200}
    async with gateway.client.get("/api/v1/turn-0") as answer:
        assert answer.status == 404  # of an earlier file


async def test_new_limits_count_at_once(gateway: Platform, tmp_path: Path) -> None:
    (tmp_path / "routes.toml").write_text(LIMITED)
    await until_known(gateway, "/api/v1/local2")
    found = []
    for _ in range(3):
        async with gateway.client.get("/api/v1/mine", headers=gateway.bearer()) as answer:
            found.append(answer.status)
    assert found == [200, 200, 429]


@pytest.mark.parametrize(
    "bad",
    [
        "no toml at all",
        MORE.replace('"GET /api/v1/local2"', '"GET /api/v1/echo"'),
        MORE.replace('"GET /api/v1/local2" = { auth', '"GET /api/v1/local2" = { limit = "gone", auth'),
        MORE.replace("[services.echo]", "[services.nobody]"),
    ],
)
async def test_a_bad_file_changes_nothing(gateway: Platform, tmp_path: Path, bad: str) -> None:
    file = tmp_path / "routes.toml"
    file.write_text(bad)
    await asyncio.sleep(0.2)
    assert (await asked(gateway, "GET", "/api/v1/local2"))[0] == 404
    async with gateway.client.get("/api/v1/echo") as answer:
        assert answer.status == 200
    file.unlink()
    await asyncio.sleep(0.1)
    file.write_text(MORE)
    await until_known(gateway, "/api/v1/local2")


async def test_the_gateway_explains_itself(gateway: Platform) -> None:
    status, found = await asked(gateway, "GET", "/api/echo/7")
    assert status == 200
    assert found["route"]["path"] == "/api/v1/echo/{name}"
    assert found["sent"] == "/api/v1/echo/7"
    assert found["limit"] == "100000 in 60 s, 100000 at once, by address; without Redis counted in each process"
    (instance,) = found["instances"]
    assert (instance["circuit"], instance["out"]) == ("closed", None)
    assert found["goesTo"] == instance["name"]
    assert (await asked(gateway, "DELETE", "/api/v1/mine"))[0] == 404
    assert (await asked(gateway, "GET", "/nowhere"))[0] == 404
    assert (await asked(gateway, "GET", "/api/v1/../x"))[0] == 400
    async with gateway.client.get("/routes") as answer:
        assert len((await answer.json())["items"]) == ROUTES.count("{ auth =")


async def test_strangers_are_told_nothing(tmp_path: Path, redis_url: str, redis_prefix: str) -> None:
    async with (
        platform("memory", tmp_path, redis_url, f"{redis_prefix}routes", metrics_networks=["10.0.0.0/8"]) as gateway,
        gateway.client.get("/routes") as answer,
    ):
        assert answer.status == 404


async def test_a_route_rewrites_the_path_and_the_headers(gateway: Platform) -> None:
    sent = {"x-set": "by the client", "x-removed": "x", "x-kept": "x"}
    async with gateway.client.get("/api/old/a%20b?c=d", headers=sent) as answer:
        seen = json.loads(await answer.read())
        assert (answer.status, answer.headers["x-answer"], "content-type" in answer.headers) == (200, "yes", False)
    assert seen["target"] == "/api/v1/echo/a%20b?c=d"
    assert seen["signed"]  # as it was sent to the service
    headers = dict(seen["headers"])
    assert (headers["x-set"], headers["x-kept"], "x-removed" in headers) == ("by the route", "x", False)
    async with gateway.client.get("/api/v1/old/a/b") as answer:  # no such path at the service
        assert (answer.status, answer.headers["x-answer"]) == (404, "yes")


async def test_a_route_of_one_host_is_for_that_host(gateway: Platform) -> None:
    found = []
    for host in ("only.example.com", "ONLY.example.com:8080", "other.example.com"):
        async with gateway.client.get("/api/v1/only", headers={"host": host}) as answer:
            found.append(answer.status)
    assert found == [200, 200, 404]
    async with gateway.client.get(
        "/routes", params={"method": "GET", "path": "/api/v1/only", "host": "only.example.com"}
    ) as answer:
        assert (await answer.json())["sent"] == "/api/v1/echo"
