"""The main journey against a platform of many processes."""

from kelmah.cli.platform import Platform
from tests.e2e.conftest import Finished, run, start


def against(platform: Platform) -> list[str]:
    return ["demo", "--url", platform.gateway_url, "--mailbox", str(platform.mailbox)]


def check_journey(finished: Finished) -> None:
    """Every step was right, and standard output holds one object and nothing else."""
    assert finished.stderr == ""
    answer = finished.data
    assert [step for step in answer["steps"] if not step["ok"]] == []
    assert answer["ok"] is True
    assert finished.status == 0
    assert len(answer["steps"]) >= 20
    assert {frozenset(step) for step in answer["steps"]} == {frozenset({"name", "ok", "ms", "detail"})}


async def test_the_journey_is_right(running_platform: Platform) -> None:
    check_journey(await run("kelmah", *against(running_platform), "--json"))


async def test_a_journey_that_was_killed_halfway_can_be_made_again(running_platform: Platform) -> None:
    first = await start("kelmah", *against(running_platform))
    await first.until("the hirer funds the milestone's escrow")
    first.child.kill()
    assert (await first.finish()).status == -9
    check_journey(await run("kelmah", *against(running_platform), "--json"))


async def test_a_platform_that_is_not_there_fails_the_demo() -> None:
    finished = await run("kelmah", "demo", "--json", "--url", "http://127.0.0.1:9", "--mailbox", "/nowhere")
    assert finished.status == 1
    assert finished.data["ok"] is False
    assert [step["ok"] for step in finished.data["steps"]] == [False]
