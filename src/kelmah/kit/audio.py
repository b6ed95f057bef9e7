"""How long a recording is, by what its container says; nothing is decoded."""

import struct

_OPUS_HZ = 48_000
#: MPEG audio layer 3: kbit/s by index for version 1 and for 2 and 2.5; Hz and samples a frame by version.
_KBITS = (
    (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
)
_HZ = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}
_ID3_BYTES = 10


class InvalidAudio(ValueError):
    """Its container does not say how long it is."""


def seconds(data: bytes, media_type: str) -> float:
    """How long it plays.

    Args:
        data: the whole file, in memory: the caller bounds its size.
        media_type: audio/ogg (Opus or Vorbis), audio/mp4 or audio/mpeg.

    Raises:
        InvalidAudio: damaged, or another format.
    """
    try:
        found = {"audio/ogg": _ogg, "audio/mp4": _mp4, "audio/mpeg": _mp3}[media_type](data)
    except InvalidAudio:
        raise
    except (struct.error, IndexError, KeyError, ValueError, ZeroDivisionError) as error:
        raise InvalidAudio("the recording is damaged") from error
    if found <= 0:
        raise InvalidAudio("the recording is empty")
    return found


def _ogg(data: bytes) -> float:
    """The place of the last page, in samples."""
    opus = data.find(b"OpusHead", 0, 4_096)
    vorbis = data.find(b"\x01vorbis", 0, 4_096)
    if opus >= 0:
        hz, skipped = _OPUS_HZ, struct.unpack_from("<H", data, opus + 10)[0]
    elif vorbis >= 0:
        hz, skipped = struct.unpack_from("<I", data, vorbis + 12)[0], 0
    else:
        raise InvalidAudio("neither Opus nor Vorbis")
    last, at = 0, data.find(b"OggS")
    while at >= 0:
        place = struct.unpack_from("<q", data, at + 6)[0]
        last = max(last, place)  # -1 where no packet ends in a page
        segments = data[at + 26]
        at = data.find(b"OggS", at + 27 + segments + sum(data[at + 27 : at + 27 + segments]))
    return float(last - skipped) / float(hz)


def _mp4(data: bytes) -> float:
    """What the movie header says."""
    start, end = _box(data, b"moov", 0, len(data))
    start, _ = _box(data, b"mvhd", start, end)
    if data[start] == 1:
        scale, length = struct.unpack_from("!IQ", data, start + 20)
    else:
        scale, length = struct.unpack_from("!II", data, start + 12)
    return float(length) / float(scale)


def _box(data: bytes, kind: bytes, at: int, end: int) -> tuple[int, int]:
    while at + 8 <= end:
        size, name = struct.unpack_from("!I4s", data, at)
        body = at + 8
        if size == 1:
            size, body = struct.unpack_from("!Q", data, at + 8)[0], at + 16
        stop = at + size if size else end
        if stop < body or stop > end:
            break
        if name == kind:
            return body, stop
        at = stop
    raise InvalidAudio("the recording is damaged")


def _mp3(data: bytes) -> float:
    """All frames, one after the other: what a head says of the whole need not be true."""
    at, total = 0, 0.0
    if data.startswith(b"ID3"):
        high, middle, low, lowest = data[6:_ID3_BYTES]
        at = _ID3_BYTES + (high << 21 | middle << 14 | low << 7 | lowest)
    while at + 4 <= len(data):
        head = struct.unpack_from("!I", data, at)[0]
        version, layer = head >> 19 & 3, head >> 17 & 3
        if head >> 21 != 0x7FF or layer != 1 or version == 1:
            break  # tags at the end
        hz, is_first = _HZ[version][head >> 10 & 3], version == 3
        kbits = _KBITS[0 if is_first else 1][head >> 12 & 15]
        samples = 1152 if is_first else 576
        size = samples // 8 * kbits * 1000 // hz + (head >> 9 & 1)
        if size < 4:
            break
        total += samples / hz
        at += size
    return total
