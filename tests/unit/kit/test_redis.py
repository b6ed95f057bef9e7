import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.asyncio import BlockingConnectionPool

from kelmah.kit.redis import connect, key

PARTS = st.lists(st.text(min_size=1, max_size=8) | st.integers(), min_size=1, max_size=4)


def test_keys_are_joined_by_colons() -> None:
    assert key("kelmah:auth", "session", 7) == "kelmah:auth:session:7"
    assert key("kelmah", "ip", "2001:db8::1", "50%") == "kelmah:ip:2001%3Adb8%3A%3A1:50%25"


@given(PARTS, PARTS)
def test_different_parts_have_different_keys(left: list[str | int], right: list[str | int]) -> None:
    same = [str(part) for part in left] == [str(part) for part in right]
    assert (key("p", *left) == key("p", *right)) is same


@pytest.mark.parametrize("parts", [(), ("",), ("a", "")])
def test_keys_without_parts_are_refused(parts: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="parts"):
        key("p", *parts)


def test_connections_are_bounded_in_number_and_time() -> None:
    client = connect("redis://localhost:1/3", prefix="kelmah-auth")
    pool = client.connection_pool
    assert isinstance(pool, BlockingConnectionPool)
    assert (pool.max_connections, pool.timeout) == (50, 2.0)
    options = pool.connection_kwargs
    assert (options["socket_timeout"], options["socket_connect_timeout"]) == (2.0, 2.0)
    assert (options["health_check_interval"], options["client_name"], options["db"]) == (15, "kelmah-auth", 3)


def test_another_scheme_is_refused() -> None:
    with pytest.raises(ValueError, match="scheme"):
        _ = connect("http://localhost", prefix="p")
