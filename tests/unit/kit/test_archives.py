"""Archives: bombs, files in disguise, and what no scanner can read."""

import pytest

from kelmah.kit.archives import MAX_ENTRIES, MAX_UNPACKED_BYTES, InvalidArchive, check_archive
from tests.fixtures.archives import docx, lying, zipped

ZEROS = bytes(MAX_UNPACKED_BYTES // 10)


async def check(data: bytes) -> None:
    await check_archive(data, needs="word/document.xml", forbids=("vbaproject.bin",))


async def test_a_letter_is_taken() -> None:
    await check(docx({"word/media/image1.png": bytes(1000)}))
    await check(docx({f"word/media/{number}": b"" for number in range(MAX_ENTRIES - 3)}))


BOMB = docx({f"word/media/{number}.png": ZEROS for number in range(11)})
ENCRYPTED = bytearray(docx())
for header in (b"PK\x03\x04", b"PK\x01\x02"):
    ENCRYPTED[ENCRYPTED.find(header) + (6 if header[2] == 3 else 8)] |= 1


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(BOMB, id="a bomb"),
        pytest.param(lying(docx({"b.png": ZEROS}), "b.png", 10), id="a bomb that says it is small"),
        pytest.param(lying(docx(), "word/document.xml", 2**32 - 2), id="a small file that says it is a bomb"),
        pytest.param(docx({f"word/{number}": b"" for number in range(MAX_ENTRIES)}), id="too many entries"),
        pytest.param(b"MZ" + bytes(100) + docx(), id="a program before it"),
        pytest.param(docx() + b"<script>alert(1)</script>", id="a page after it"),
        pytest.param(docx()[:-30], id="cut off"),
        pytest.param(b"PK\x03\x04" + bytes(200), id="a head alone"),
        pytest.param(zipped({"run.exe": b"MZ"}), id="another archive"),
        pytest.param(docx({"word/vbaProject.bin": b"x"}), id="macros"),
        pytest.param(bytes(ENCRYPTED), id="encrypted"),
        pytest.param(b"", id="nothing"),
    ],
)
async def test_what_is_not_taken(data: bytes) -> None:
    with pytest.raises(InvalidArchive):
        await check(data)
