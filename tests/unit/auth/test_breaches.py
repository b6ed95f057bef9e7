"""Every password of a list is found in it, and no other, wherever its line is."""

import hashlib
from pathlib import Path

import pytest

from kelmah.services.auth.service.breaches import open_breaches


def hashes(count: int) -> list[str]:
    return sorted(hashlib.sha1(f"leaked {n}".encode()).hexdigest().upper() for n in range(count))  # noqa: S324


@pytest.mark.parametrize("count", [1, 2, 3, 500])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("counted", [True, False])
def test_all_of_a_list_are_found_and_no_other(tmp_path: Path, count: int, end: str, counted: bool) -> None:
    path = tmp_path / "leaked.txt"
    lines = [one + (f":{10 ** (n % 8)}" if counted else "") for n, one in enumerate(hashes(count))]
    path.write_bytes((end.join(lines) + (end if count % 2 else "")).encode())
    with open_breaches(path) as breaches:
        assert breaches is not None
        assert all(breaches.has(f"leaked {n}") for n in range(count))
        assert not any(breaches.has(f"fresh {n}") for n in range(count))


def test_another_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_text("password\n123456\n")
    with pytest.raises(ValueError, match="no list of SHA-1"), open_breaches(path):
        pass
    with open_breaches(None) as breaches:
        assert breaches is None
