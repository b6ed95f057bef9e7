"""The generated pages are those of the code."""

import pytest

from kelmah.cli import job_docs
from kelmah.services.job.service import ranking


@pytest.mark.parametrize(("path", "text"), list(job_docs.pages()), ids=lambda one: getattr(one, "name", ""))
def test_a_page_is_fresh(path: object, text: str) -> None:
    assert path.read_text(encoding="utf-8") == text  # type: ignore[attr-defined]  # a Path


def test_the_states_page_has_each_step_once() -> None:
    page = job_docs.STATES.read_text(encoding="utf-8")
    assert page.count("    open --> paused\n") == 1
    assert "    completed --> open" not in page


def test_the_matching_page_names_every_weight() -> None:
    page = job_docs.MATCHING.read_text(encoding="utf-8")
    for weights in ranking.WEIGHTS.values():
        for name, weight in weights.items():
            assert any(line.startswith(f"| {name} |") and f" {weight} |" in line for line in page.splitlines())
