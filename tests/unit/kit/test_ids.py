"""Ids sort by time, and those of made-up data can be made again."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from kelmah.kit import clock, ids

AT = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)


def test_a_sequence_is_the_same_for_its_name_and_instant() -> None:
    make, again, other = ids.sequence("a", AT), ids.sequence("a", AT), ids.sequence("b", AT)
    made = [make() for _ in range(5)]
    assert made == [again() for _ in range(5)] == sorted(set(made))
    assert not {*made} & {other() for _ in range(5)}
    assert make() < ids.sequence("a", AT + timedelta(milliseconds=1))()


def test_a_sequence_makes_uuids_of_version_7() -> None:
    one = UUID(ids.sequence("a", AT)())
    assert (one.version, one.variant, one.int >> 80) == (7, "specified in RFC 4122", int(AT.timestamp() * 1000))


def test_a_maker_is_used_until_it_is_taken_back() -> None:
    ids.use(lambda: "made")
    try:
        assert ids.new_id() == "made"
    finally:
        ids.use(None)
    assert UUID(ids.new_id()).version == 7


def test_a_stopped_clock_stands_until_it_is_reset() -> None:
    try:
        clock.stop(AT)
        assert clock.now() == clock.now() == AT
    finally:
        clock.reset()
    assert clock.now() > AT
