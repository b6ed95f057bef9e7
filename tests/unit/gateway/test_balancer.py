"""Which instance gets a request, under any sequence of successes, failures and time."""

import random
from collections import Counter
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kelmah.gateway import balancer
from kelmah.gateway.balancer import Balancer, Way
from kelmah.kit.breaker import CircuitOpen, State


@dataclass(frozen=True)
class Named:
    name: str


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def made(count: int, clock: Clock | None = None, weights: list[int] | None = None) -> Balancer[Named]:
    instances = [Named(f"instance-{number}") for number in range(count)]
    return Balancer(instances, weights=weights, monotonic=clock or Clock(), chance=random.Random(7))


def chosen(among: Balancer[Named], way: Way, key: str = "") -> str:
    return among.take(way, key).instance.name


def fail(among: Balancer[Named], number: int, times: int = 1) -> None:
    others = {one.instance.name for one in among.members} - {f"instance-{number}"}
    for _ in range(times):
        among.take(Way.LEAST_REQUEST, without=others).failed()


@given(st.lists(st.integers(1, 20), min_size=1, max_size=6))
def test_in_turn_everyone_gets_exactly_its_weight(weights: list[int]) -> None:
    among = made(len(weights), weights=weights)
    counts = Counter(chosen(among, Way.ROUND_ROBIN) for _ in range(2 * sum(weights)))
    assert counts == {f"instance-{number}": 2 * weight for number, weight in enumerate(weights)}


def test_turns_are_smooth() -> None:
    among = made(2, weights=[3, 1])
    assert [chosen(among, Way.ROUND_ROBIN)[-1] for _ in range(8)] == list("00100010")


@given(st.lists(st.integers(0, 9), min_size=2, max_size=2), st.lists(st.integers(1, 9), min_size=2, max_size=2))
def test_of_two_the_one_with_less_to_do_for_its_weight_is_taken(running: list[int], weights: list[int]) -> None:
    among = made(2, weights=weights)
    for member, count in zip(among.members, running, strict=True):
        member.running = count
    loads = [(count + 1) / weight for count, weight in zip(running, weights, strict=True)]
    for _ in range(5):
        assert loads[int(chosen(among, Way.LEAST_REQUEST)[-1])] == min(loads)


def test_what_runs_is_counted_until_it_is_over() -> None:
    among = made(2)
    first = among.take(Way.LEAST_REQUEST)
    with first:
        assert [chosen(among, Way.LEAST_REQUEST) for _ in range(9)] == [
            f"instance-{1 - int(first.instance.name[-1])}"
        ] * 9
    assert [member.running for member in among.members] == [0, 0]


@given(st.lists(st.floats(0.001, 10), min_size=1, max_size=30))
def test_a_latency_is_between_the_extremes_of_what_was_measured(latencies: list[float]) -> None:
    clock = Clock()
    among = made(1, clock)
    for latency in latencies:
        with among.take(Way.EWMA):
            clock.now += latency
    (member,) = among.members
    assert member.latency_s is not None
    assert min(latencies) - 1e-9 <= member.latency_s <= max(latencies) + 1e-9


def test_the_quicker_of_two_is_taken() -> None:
    clock = Clock()
    among = made(2, clock)
    for member, latency in zip(among.members, (0.1, 0.01), strict=True):
        member.succeeded(latency)
    assert {chosen(among, Way.EWMA) for _ in range(20)} == {"instance-1"}


@given(st.lists(st.text(max_size=12), min_size=1, max_size=60, unique=True), st.integers(0, 4))
def test_when_one_goes_only_its_own_keys_move(keys: list[str], gone: int) -> None:
    among = made(5)
    before = {key: chosen(among, Way.HASH, key) for key in keys}
    for _ in range(balancer.FAILED_PROBES):
        among.members[gone].probed("gone")
    after = {key: chosen(among, Way.HASH, key) for key in keys}
    assert f"instance-{gone}" not in after.values()
    assert all(after[key] == name for key, name in before.items() if name != f"instance-{gone}")
    among.members[gone].probed(None)
    assert {key: chosen(among, Way.HASH, key) for key in keys} == before


def test_keys_are_spread_by_weight() -> None:
    among = made(2, weights=[3, 1])
    counts = Counter(chosen(among, Way.HASH, str(number)) for number in range(4000))
    assert counts["instance-0"] == pytest.approx(3000, abs=150)


STEP = st.one_of(
    st.tuples(st.just("fail"), st.integers(0, 4)),
    st.tuples(st.just("succeed"), st.integers(0, 4)),
    st.tuples(st.just("unfit"), st.integers(0, 4)),
    st.tuples(st.just("fit"), st.integers(0, 4)),
    st.tuples(st.just("wait"), st.integers(1, 30)),
)


@settings(max_examples=150)
@given(st.integers(1, 5), st.lists(STEP, max_size=80), st.sampled_from(Way))
def test_whatever_happens_somebody_is_asked_and_nobody_who_is_out_without_need(
    count: int, steps: list[tuple[str, int]], way: Way
) -> None:
    clock = Clock()
    among = made(count, clock)
    for what, number in steps:
        member = among.members[number % count]
        if what == "wait":
            clock.now += number
        elif what in ("unfit", "fit"):
            member.probed("not ready" if what == "unfit" else None)
        else:
            try:
                ticket = among.take(way, without={one.instance.name for one in among.members if one is not member})
            except CircuitOpen:
                continue
            ticket.failed() if what == "fail" else ticket.succeeded()

        out = [one for one in among.members if one.is_ejected]
        assert len(out) <= count * balancer.MAX_EJECTED
        assert all(one.ejected_until <= clock.now + balancer.EJECT_MAX_S for one in out)
        fit = [one for one in among.members if among.why_out(one) is None]
        if any(among.circuit(one) is State.CLOSED for one in among.members):
            taken = among.take(way, "key").instance.name
            if len(fit) == count or 2 * len(fit) >= count + 1:
                assert taken in {one.instance.name for one in fit} | {
                    one.instance.name for one in among.members if among.circuit(one) is State.HALF_OPEN
                }


def test_who_fails_in_a_row_is_out_for_a_time_that_grows_and_comes_back_slowly() -> None:
    clock = Clock()
    among = made(3, clock)
    member = among.members[0]
    for turn in (1, 2, 3):
        fail(among, 0, balancer.FAILURES_IN_A_ROW)
        assert member.is_ejected
        assert member.ejected_until - clock.now == turn * balancer.EJECT_S
        assert "in a row" in (among.why_out(member) or "")
        clock.now = member.ejected_until
        assert not member.is_ejected
        assert member.share == balancer.SLOW_START_FROM
        clock.now += balancer.SLOW_START_S / 2
        assert member.share == 0.5
        clock.now += balancer.SLOW_START_S
        assert member.share == 1
    clock.now += balancer.FORGIVE_S
    fail(among, 0, balancer.FAILURES_IN_A_ROW)
    assert among.circuit(member) in (State.OPEN, State.CLOSED)
    assert member.ejected_until - clock.now == balancer.EJECT_S


def test_a_success_between_keeps_it_in() -> None:
    among = made(2)
    fail(among, 0, balancer.FAILURES_IN_A_ROW - 1)
    among.take(Way.LEAST_REQUEST, without={"instance-1"}).succeeded()
    fail(among, 0, balancer.FAILURES_IN_A_ROW - 1)
    assert not among.members[0].is_ejected


def test_the_only_one_is_never_put_out() -> None:
    among = made(1)
    fail(among, 0, balancer.FAILURES_IN_A_ROW + 1)
    assert not among.members[0].is_ejected


def test_one_failed_probe_is_chance_and_two_are_not() -> None:
    among = made(4)
    member = among.members[2]
    member.probed("not ready: mongo")
    assert among.why_out(member) is None
    member.probed("not ready: mongo")
    assert among.why_out(member) == "not ready: mongo"
    assert "instance-2" not in {chosen(among, Way.ROUND_ROBIN) for _ in range(20)}
    member.probed(None)
    assert among.why_out(member) is None


def test_when_too_few_are_fit_all_are_used() -> None:
    among = made(3)
    for member in among.members[:2]:
        member.probed("away")
        member.probed("away")
    assert {chosen(among, Way.ROUND_ROBIN) for _ in range(20)} == {"instance-0", "instance-1", "instance-2"}


def test_an_open_circuit_is_passed_over_and_nobody_left_is_said() -> None:
    among = made(2)
    fail(among, 0, 20)
    assert among.circuit(among.members[0]) is State.OPEN
    assert {chosen(among, Way.HASH, str(number)) for number in range(20)} == {"instance-1"}
    with pytest.raises(CircuitOpen):
        among.take(Way.HASH, without={"instance-1"})
    with pytest.raises(CircuitOpen):
        among.take(Way.HASH, without={"instance-0", "instance-1"})


def test_what_is_known_of_an_instance_outlives_a_change_of_the_list() -> None:
    clock = Clock()
    among = made(3, clock)
    fail(among, 1, times=balancer.FAILURES_IN_A_ROW)
    assert among.members[1].is_ejected
    kept, new = among.members[1].instance, Named("new")
    assert among.replace([(new, 4, "north"), (kept, 2, "south")]) == [Named("instance-0"), Named("instance-2")]
    assert [(one.instance.name, one.weight, one.zone, one.is_ejected) for one in among.members] == [
        ("new", 4, "north", False), ("instance-1", 2, "south", True),
    ]  # fmt: skip
    assert among.members[0].share == pytest.approx(4 * balancer.SLOW_START_FROM)
    clock.now += balancer.SLOW_START_S
    assert among.members[0].share == 4


def test_the_first_instances_start_at_once() -> None:
    among: Balancer[Named] = Balancer([], monotonic=Clock())
    with pytest.raises(CircuitOpen):
        among.take(Way.LEAST_REQUEST)
    assert among.replace([(Named("a"), 1, "")]) == []
    assert among.members[0].share == 1


@pytest.mark.parametrize("way", list(Way))
def test_neighbours_are_preferred_while_enough_of_them_are_fit(way: Way) -> None:
    among: Balancer[Named] = Balancer([], zone="north", monotonic=Clock(), chance=random.Random(7))
    among.replace([(Named(f"{zone}-{number}"), 1, zone) for zone in ("north", "south") for number in (1, 2)])
    assert {chosen(among, way, str(key))[:5] for key in range(20)} == {"north"}
    among.members[0].unfit = "away"
    assert {chosen(among, way, str(key)) for key in range(20)} == {"north-2"}
    among.members[1].unfit = "away"
    assert {chosen(among, way, str(key))[:5] for key in range(20)} == {"south"}


def test_one_that_drains_is_believed_at_once() -> None:
    among = made(2)
    among.members[0].probed(balancer.DRAINING)
    assert {chosen(among, Way.LEAST_REQUEST) for _ in range(20)} == {"instance-1"}
    among.members[0].probed(None)
    assert {chosen(among, Way.HASH, str(key)) for key in range(20)} == {"instance-0", "instance-1"}


def test_a_circuit_opens_when_nearly_all_answers_are_slow() -> None:
    clock = Clock()
    among = made(1, clock)
    assert balancer.BREAKER.slow_s is not None

    def answer(seconds: float, *, timed: bool = True) -> None:
        ticket = among.take(Way.LEAST_REQUEST, timed=timed)
        clock.now += seconds
        ticket.succeeded()
        clock.now -= seconds

    for _ in range(2 * balancer.BREAKER.minimum_volume):
        answer(balancer.BREAKER.slow_s, timed=False)  # it was the client who took so long
    clock.now += 100
    for _ in range(balancer.BREAKER.minimum_volume - 1):
        answer(balancer.BREAKER.slow_s)
    assert among.circuit(among.members[0]) is State.CLOSED
    answer(balancer.BREAKER.slow_s)
    assert among.circuit(among.members[0]) is State.OPEN
