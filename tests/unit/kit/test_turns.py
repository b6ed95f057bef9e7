"""Turns are handed on in order, and none is lost to whoever gives up waiting."""

import asyncio

from kelmah.kit.tasks import end
from kelmah.kit.turns import Turns


async def in_line(turns: Turns, count: int, order: list[int]) -> list[asyncio.Task[None]]:
    """So many who wait, one after the other."""

    async def wait(number: int) -> None:
        await turns.take()
        order.append(number)

    waiting = [asyncio.create_task(wait(number)) for number in range(count)]
    await asyncio.sleep(0)
    return waiting


async def settled() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


async def test_turns_are_as_many_as_there_are_and_go_to_whoever_waits_the_longest() -> None:
    turns, order = Turns(2), list[int]()
    assert [turns.try_take() for _ in range(3)] == [True, True, False]
    waiting = await in_line(turns, 3, order)
    for expected in ([0], [0, 1], [0, 1, 2]):
        turns.give_back()
        assert not turns.try_take()  # nobody overtakes
        await settled()
        assert order == expected
    turns.give_back()
    turns.give_back()
    assert [turns.try_take() for _ in range(3)] == [True, True, False]
    await asyncio.gather(*waiting)


async def test_whoever_gives_up_keeps_no_turn() -> None:
    turns, order = Turns(1), list[int]()
    assert turns.try_take()
    waiting = await in_line(turns, 3, order)
    await end(waiting[0])  # while it waits
    turns.give_back()
    waiting[1].cancel()  # just when its turn is handed over
    await settled()
    assert order == [2]
    turns.give_back()
    assert turns.try_take()
