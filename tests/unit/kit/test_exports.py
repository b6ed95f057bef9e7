"""A list of what belongs to many things has each of them once, however the pages fall."""

from hypothesis import given
from hypothesis import strategies as st

from kelmah.contracts.common import Page
from kelmah.kit.exports import nested


@given(st.dictionaries(st.text("abc", min_size=1, max_size=3), st.integers(0, 5), max_size=5))
async def test_every_child_of_every_parent_comes_once(family: dict[str, int]) -> None:
    async def next_parent(after: str) -> str | None:
        return min((one for one in family if one > after), default=None)

    async def children(parent: str, cursor: str | None) -> Page[str]:
        start = int(cursor or 0)
        end = min(start + 2, family[parent])
        items = [f"{parent}{n}" for n in range(start, end)]
        return Page(items=items, next_cursor=str(end) if end < family[parent] else None)

    page = await nested(None, next_parent=next_parent, children=children)
    found = list(page.items)
    while page.next_cursor is not None:
        page = await nested(page.next_cursor, next_parent=next_parent, children=children)
        found += page.items
    assert found == [f"{parent}{n}" for parent in sorted(family) for n in range(family[parent])]
