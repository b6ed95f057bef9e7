"""Makes docs/asvs.md of tests/data/asvs.toml: `python -m tests.asvs`."""

import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
TABLE = Path(__file__).with_name("data") / "asvs.toml"
PAGE = ROOT / "docs" / "asvs.md"
CHAPTERS = {
    "V1": "Encoding and sanitization",
    "V2": "Validation and business logic",
    "V3": "Web frontend security",
    "V4": "API and web service",
    "V5": "File handling",
    "V6": "Authentication",
    "V7": "Session management",
    "V8": "Authorization",
    "V9": "Self-contained tokens",
    "V10": "OAuth and OIDC",
    "V11": "Cryptography",
    "V12": "Secure communication",
    "V13": "Configuration",
    "V14": "Data protection",
    "V15": "Secure coding and architecture",
    "V16": "Security logging and error handling",
    "V17": "WebRTC",
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
        "What of OWASP ASVS 5.0.0, levels 1 and 2, holds here, and the tests that prove it. Made by "
        "`python -m tests.asvs` from tests/data/asvs.toml; `tests/contract/test_asvs.py` checks that no requirement is "
        "left out and that every test exists.",
        "",
        counts(),
    ]
    for chapter, entries in rows().items():
        lines += ["", f"## {chapter} {CHAPTERS[chapter]}", "", "| id | level | what | proof |", "|---|---|---|---|"]
        lines += [f"| {one} | {row['level']} | {row['what']} | {proof(row)} |" for one, row in entries.items()]
    return "\n".join(lines) + "\n"


def counts() -> str:
    """How many of each kind."""
    every = [row for entries in rows().values() for row in entries.values()]
    proven = [row for row in every if row["tests"]]
    remarks = sum("open" in row for row in proven)
    others = sum("not_ours" in row for row in every)
    return (
        f'Of {len(every)} requirements {len(proven)} have a test ({remarks} of them with a remark after "but"), '
        f"{others} do not apply, and {len(every) - len(proven) - others} are **open**."
    )


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
