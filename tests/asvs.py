"""Makes docs/asvs.md of tests/data/asvs.toml: `python -m tests.asvs`."""

import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
TABLE = Path(__file__).with_name("data") / "asvs.toml"
PAGE = ROOT / "docs" / "asvs.md"
CHAPTERS = {
    "V6": "Authentication",
    "V7": "Session management",
    "V8": "Authorization",
    "V9": "Self-contained tokens",
    "V10": "OAuth and OIDC",
}


def rows() -> dict[str, dict[str, dict[str, Any]]]:
    """Chapter → requirement → what stands in the table, with whole node ids."""
    table = tomllib.loads(TABLE.read_text(encoding="utf-8"))
    short = {name: path for name, path in table.items() if isinstance(path, str)}
    chapters = {name: entries for name, entries in table.items() if isinstance(entries, dict)}
    for entries in chapters.values():
        for row in entries.values():
            row["tests"] = [whole(node, short) for node in row.get("tests", ())]
    return chapters


def whole(node: str, short: dict[str, str]) -> str:
    name, _, rest = node.partition(":")
    return short[name] + rest if name in short else node


def page() -> str:
    """The page."""
    lines = [
        "# ASVS 5.0",
        "",
        "What of OWASP ASVS 5.0.0, levels 1 and 2, holds here, and the tests that prove it: the chapters on identity, "
        "V6 to V10. Made by `python -m tests.asvs` from tests/data/asvs.toml; `tests/contract/test_asvs.py` checks "
        "that no requirement is left out and that every test exists. The other chapters are not in the table.",
    ]
    for chapter, entries in rows().items():
        lines += ["", f"## {chapter} {CHAPTERS[chapter]}", "", "| id | level | what | proof |", "|---|---|---|---|"]
        lines += [f"| {one} | {row['level']} | {row['what']} | {proof(row)} |" for one, row in entries.items()]
    return "\n".join(lines) + "\n"


def proof(row: dict[str, Any]) -> str:
    """The tests, the page that documents it, why it is not ours, and what is missing."""
    parts = [f"`{node.removeprefix('tests/')}`" for node in row["tests"]]
    if "page" in row:
        parts.append(f"[{row['page']}]({row['page']})")
    if "not_ours" in row:
        parts.append(f"does not apply: {row['not_ours']}")
    if "open" in row:
        parts.append(("but: " if row["tests"] else "**open**: ") + row["open"])
    return "; ".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
