"""What comes while something is under way is done together in the next run."""

import asyncio
from collections.abc import Sequence

import pytest

from kelmah.kit.batches import MOST, Batches


class Runs:
    """Runs that last until they are let go; a word is answered in capitals, `bad` by an error, `worst` fails a run."""

    def __init__(self) -> None:
        self.seen: list[list[str]] = []
        self.gate = asyncio.Event()

    async def __call__(self, words: Sequence[str]) -> list[str | Exception]:
        self.seen.append(list(words))
        await self.gate.wait()
        if "worst" in words:
            raise OSError("the whole run failed")
        return [ValueError(word) if word == "bad" else word.upper() for word in words]


async def started(batches: Batches[str, str], runs: Runs, *words: str) -> list[asyncio.Task[str]]:
    """Each word in a task of its own, the first of them under way."""
    tasks = []
    for word in words:
        tasks.append(asyncio.create_task(batches.do(word, runs)))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    return tasks


async def test_what_comes_meanwhile_is_done_together_in_the_order_of_arrival() -> None:
    batches, runs = Batches[str, str](), Runs()
    tasks = await started(batches, runs, "a", "b", "c", "d")
    assert runs.seen == [["a"]]
    runs.gate.set()
    assert await asyncio.gather(*tasks) == ["A", "B", "C", "D"]
    assert runs.seen == [["a"], ["b", "c", "d"]]
    assert await batches.do("e", runs) == "E"  # it begins again after it had nothing to do


async def test_an_error_is_its_own_callers() -> None:
    batches, runs = Batches[str, str](), Runs()
    tasks = await started(batches, runs, "a", "b", "bad", "c")
    runs.gate.set()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert [str(one) for one in outcomes] == ["A", "B", "bad", "C"]
    assert isinstance(outcomes[2], ValueError)
    assert runs.seen == [["a"], ["b", "bad", "c"]]


async def test_a_run_that_fails_is_done_one_by_one() -> None:
    batches, runs = Batches[str, str](), Runs()
    tasks = await started(batches, runs, "a", "b", "worst", "c")
    runs.gate.set()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert [str(one) for one in outcomes] == ["A", "B", "the whole run failed", "C"]
    assert runs.seen == [["a"], ["b", "worst", "c"], ["b"], ["worst"], ["c"]]


async def test_who_does_not_wait_any_more_is_left_out() -> None:
    batches, runs = Batches[str, str](), Runs()
    tasks = await started(batches, runs, "a", "b", "c")
    tasks[1].cancel()
    await asyncio.sleep(0)
    runs.gate.set()
    assert await tasks[0] == "A"
    assert await tasks[2] == "C"
    assert runs.seen == [["a"], ["c"]]


async def test_a_run_is_bounded() -> None:
    batches, runs = Batches[str, str](), Runs()
    runs.gate.set()
    words = [str(number) for number in range(MOST + 1)]
    assert await asyncio.gather(*(batches.do(word, runs) for word in words)) == words
    assert [len(one) for one in runs.seen] == [MOST, 1]


async def test_closing_cancels_whoever_waits() -> None:
    batches, runs = Batches[str, str](), Runs()
    tasks = await started(batches, runs, "a", "b")
    await batches.aclose()
    for task in tasks:
        with pytest.raises(asyncio.CancelledError):
            await task
    assert runs.seen == [["a"]]
