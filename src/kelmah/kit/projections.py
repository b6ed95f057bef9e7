"""What a projection's rebuild tells: how it differs from the events it is made of."""

from typing import NamedTuple


class Difference(NamedTuple):
    """One value of a projection that is not what the events say."""

    projection: str
    subject: str
    expected: object
    found: object
