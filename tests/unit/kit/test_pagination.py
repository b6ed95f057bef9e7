import base64
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import bson
import pytest
from bson.codec_options import CodecOptions
from hypothesis import given
from hypothesis import strategies as st

from kelmah.kit.pagination import decode_cursor, encode_cursor

AWARE = st.datetimes(
    min_value=datetime(1970, 1, 2),  # noqa: DTZ001 - hypothesis adds the zone
    max_value=datetime(9999, 12, 30),  # noqa: DTZ001
    timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30))]),
)


def _raw(json: bytes) -> str:
    return base64.urlsafe_b64encode(json).rstrip(b"=").decode()


@given(AWARE, st.text(max_size=20), st.integers(-(2**63), 2**63 - 1), st.booleans() | st.none())
def test_values_come_back(at: datetime, text: str, number: int, flag: bool | None) -> None:
    cursor = encode_cursor((at, text, number, flag))
    stored: datetime = bson.decode(bson.encode({"at": at}), CodecOptions(tz_aware=True, tzinfo=UTC))["at"]
    assert decode_cursor(cursor, (datetime, str, int, bool | None)) == (stored, text, number, flag)


@given(AWARE)
def test_a_time_as_mongo_keeps_it_comes_back_exactly(at: datetime) -> None:
    kept = at.astimezone(UTC).replace(microsecond=at.microsecond // 1000 * 1000)
    (back,) = decode_cursor(encode_cursor((kept,)), (datetime,))
    assert back == kept
    assert back.utcoffset() == timedelta(0)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_floats_come_back(value: float) -> None:
    assert decode_cursor(encode_cursor((value, "id")), (float, str)) == (value, "id")


@given(st.text(max_size=100))
def test_nonsense_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match="not a cursor"):
        decode_cursor(text, (datetime, str))


@pytest.mark.parametrize(
    ("text", "types"),
    [
        ("", (str,)),
        (encode_cursor(("a",)) + "=", (str,)),
        ("A" * 1025, (str,)),
        ("A", (str,)),
        (encode_cursor(("a",)), (int,)),
        (encode_cursor(("a", "b")), (str,)),
        (encode_cursor(("a",)), (str, str)),
        (encode_cursor((None,)), (str,)),
        (_raw(b'{"$gt":""}'), (str,)),
        (_raw(b'[{"$gt":""}]'), (str,)),
        (_raw(b'["2026-01-01T00:00:00"]'), (datetime,)),
        (_raw(b"[9223372036854775808]"), (int,)),
        (_raw(b'["\\ud800"]'), (str,)),
        (_raw(b"[1e999]"), (float,)),
    ],
)
def test_a_cursor_of_another_shape_is_a_value_error(text: str, types: tuple[Any, ...]) -> None:
    with pytest.raises(ValueError, match="not a cursor"):
        decode_cursor(text, types)


@pytest.mark.parametrize("value", [datetime(2026, 1, 1), float("nan"), float("inf"), 2**63])  # noqa: DTZ001
def test_values_that_cannot_come_back_are_not_encoded(value: Any) -> None:
    with pytest.raises(ValueError, match="in a cursor"):
        encode_cursor((value,))
