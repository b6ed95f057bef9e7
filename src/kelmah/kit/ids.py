"""Identifiers: opaque strings that sort by the time of their making."""

import uuid_utils


def new_id() -> str:
    """A UUID version 7 (RFC 9562) as 32 hexadecimal digits. Later ids of one process sort after earlier ones."""
    return uuid_utils.uuid7().hex
