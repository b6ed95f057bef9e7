"""How long recordings say that they are, by hand-made files."""

import struct

import pytest

from kelmah.kit.audio import InvalidAudio, seconds
from tests.fixtures.audio import m4a, mp3, ogg


@pytest.mark.parametrize("length", [1, 61, 3600])
def test_lengths(length: int) -> None:
    assert seconds(ogg(length), "audio/ogg") == length
    assert seconds(m4a(length), "audio/mp4") == length
    assert seconds(mp3(length), "audio/mpeg") == pytest.approx(length, abs=0.03)


def test_a_long_header_and_tags_count_for_nothing() -> None:
    tag = b"ID3\x04\x00\x00\x00\x00\x02\x00" + bytes(256)
    assert seconds(tag + mp3(10) + b"TAG" + bytes(125), "audio/mpeg") == pytest.approx(10, abs=0.03)
    long_size = struct.pack("!I4sQ", 1, b"free", 16)
    assert seconds(long_size + m4a(10), "audio/mp4") == 10


@pytest.mark.parametrize("media_type", ["audio/ogg", "audio/mp4", "audio/mpeg", "audio/wav"])
@pytest.mark.parametrize(
    "data", [b"", b"OggS", b"OggS" + bytes(60), ogg(5)[:40], m4a(5)[:30], b"ID3", b"\xff\xfb\xf0", bytes(1000), m4a(0)]
)
def test_what_is_none(data: bytes, media_type: str) -> None:
    with pytest.raises(InvalidAudio):
        seconds(data, media_type)


def test_no_input_takes_long_or_breaks() -> None:
    for data in (b"OggS" * 100_000, b"OggSOpusHead" + b"\xff" * 500_000, struct.pack("!I4s", 8, b"moov") * 50_000):
        for media_type in ("audio/ogg", "audio/mp4", "audio/mpeg"):
            with pytest.raises(InvalidAudio):
                seconds(data, media_type)
