"""What every upload of a file is asked."""

from urllib.parse import unquote

from kelmah.kit.errors import BadInput
from kelmah.kit.text import clean_line

MAX_NAME_CHARS = 255


def file_name(raw_name: str) -> str:
    """The name that a file may have.

    Args:
        raw_name: percent-encoded as UTF-8.

    Raises:
        BadInput: no name, too long, with a folder or characters that no name may have.
    """
    try:
        name = clean_line(unquote(raw_name, errors="strict"), MAX_NAME_CHARS)
    except ValueError as error:
        raise BadInput.of("X-Filename", str(error)) from None
    if not name.rpartition(".")[0] or "/" in name or "\\" in name:
        raise BadInput.of("X-Filename", "a file's name with its ending is needed, without folders")
    return name
