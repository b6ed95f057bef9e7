"""`kelmah routes`: the table and one request, explained from a file."""

from pathlib import Path

import pytest

from kelmah.cli import routes as cli

FILE = """
[limits]
default = { quota = 10, window_s = 60 }
[services.job]
"GET /api/v1/jobs/{id}" = { auth = ["hirer"], timeout_s = 2.5 }
"GET /api/v1/old/*" = { auth = "public", host = "old.example.com", priority = 3, rewrite = { match = "/api/v1/old/(.*)", to = '/api/v1/\\1' }, request_headers = { set = { X-Old = "yes" }, remove = ["cookie"] } }
"""  # noqa: E501


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "routes.toml"
    path.write_text(FILE)
    return str(path)


def test_the_table(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    cli.show(file)
    assert capsys.readouterr().out.splitlines()[1].split() == [
        "GET", "/api/v1/jobs/{id}", "job", "hirer", "default", "2.5", "s", "least_request",
    ]  # fmt: skip


def test_one_request(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    cli.explain("GET", "/api/jobs/9?a=b", file=file)
    told = " ".join(capsys.readouterr().out.split())
    assert "/api/v1/jobs/9 to job" in told
    assert "default: 10 in 60 s, 10 at once, by person; without Redis counted in each process" in told


def test_one_request_to_one_host_that_is_rewritten(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    cli.explain("GET", "/api/v1/old/jobs/7", file=file, host="old.example.com")
    told = " ".join(capsys.readouterr().out.split())
    assert "route GET old.example.com/api/v1/old/*, priority 3" in told
    assert "sent as /api/v1/jobs/7 to job" in told
    assert "rewrite /api/v1/old/(.*) → /api/v1/\\1" in told
    assert "of the request: x-old: yes, without cookie; of the answer: as given" in told
    with pytest.raises(SystemExit, match="no route leads to"):
        cli.explain("GET", "/api/v1/old/jobs/7", file=file)


@pytest.mark.parametrize(
    ("method", "path", "reason"),
    [
        ("POST", "/api/v1/jobs/9", "/api/v1/jobs/9 takes GET only"),
        ("GET", "/api/v1/nowhere", "no route leads to /api/v1/nowhere"),
        ("GET", "/api/v1/../jobs", "The address in the request is malformed"),
    ],
)
def test_what_is_refused_is_told_why(file: str, method: str, path: str, reason: str) -> None:
    with pytest.raises(SystemExit, match=reason.replace("/", "/")):
        cli.explain(method, path, file=file)


def test_a_file_that_does_not_fit_is_told(tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text("[limits]\n")
    with pytest.raises(SystemExit, match="does not fit"):
        cli.show(str(tmp_path / "bad.toml"))
    with pytest.raises(SystemExit, match="No such file"):
        cli.explain("GET", "/", file=str(tmp_path / "none.toml"))
