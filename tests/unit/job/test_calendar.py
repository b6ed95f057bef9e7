"""iCalendar (RFC 5545): values are escaped, lines are folded, and what was written can be read again."""

import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kelmah.contracts.job import CalendarEntry, CalendarKind
from kelmah.services.job.service.calendar import icalendar

AT = datetime(2026, 12, 24, 8, 30, tzinfo=UTC)


def feed(title: str) -> bytes:
    return icalendar([CalendarEntry(id="c1", kind=CalendarKind.WORK, title=title, starts_at=AT, updated_at=AT)])


def summary(title: str) -> str:
    """The summary as a reader unfolds it, still escaped."""
    unfolded = feed(title).decode().replace("\r\n ", "")
    (found,) = re.findall(r"^SUMMARY:(.*)\r$", unfolded, re.MULTILINE)
    return str(found)


@pytest.mark.parametrize(
    ("title", "written"),
    [
        ("Fix a sink", "Work: Fix a sink"),
        ("a;b,c\\d", "Work: a\\;b\\,c\\\\d"),
        ("a\nb\r\nc", "Work: a\\nb\\nc"),
        ("a\x00\x07b", "Work: ab"),
        ("x\r\nEND:VEVENT", "Work: x\\nEND:VEVENT"),
    ],
)
def test_what_has_a_meaning_is_escaped(title: str, written: str) -> None:
    assert summary(title) == written


@given(st.text(max_size=300))
def test_lines_are_short_and_characters_whole(title: str) -> None:
    title = title.encode(errors="ignore").decode()
    written = feed(title)
    lines = written.split(b"\r\n")
    assert lines[-1] == b""
    for line in lines:
        assert len(line) <= 75
        line.decode()
        assert b"\n" not in line
        assert b"\r" not in line
    assert sum(line.startswith(b"BEGIN:") for line in lines) == 2


def test_an_empty_calendar_is_one() -> None:
    assert icalendar([]).startswith(b"BEGIN:VCALENDAR\r\n")


def test_what_is_not_booked_is_tentative_and_an_instant_has_no_end() -> None:
    entry = CalendarEntry(id="c1", kind=CalendarKind.ANSWER_DUE, title="x", starts_at=AT, updated_at=AT, is_firm=False)
    written = icalendar([entry]).decode()
    assert "STATUS:TENTATIVE\r\n" in written
    assert "DTSTART:20261224T083000Z\r\n" in written
    assert "DTEND" not in written
