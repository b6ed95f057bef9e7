"""The route table: what matches, and what is refused as a table."""

import pytest

from kelmah.contracts.common import Role
from kelmah.gateway import routes
from kelmah.gateway.routes import RouteError, RouteTable

LIMITS = "[limits]\ndefault = { quota = 10, window_s = 60 }\n"


def table(*lines: str) -> RouteTable:
    return routes.parse(LIMITS + "[services.job]\n" + "\n".join(lines))


def test_an_exact_segment_goes_before_a_parameter_and_that_before_the_rest() -> None:
    found = table(
        '"GET /api/v1/jobs/{id}" = { auth = "public" }',
        '"GET /api/v1/jobs/mine" = { auth = "signed_in" }',
        '"GET /api/v1/jobs/{id}/matches" = { auth = "signed_in" }',
        '"GET /api/v1/jobs/*" = { auth = "public" }',
    )

    def path(target: str) -> str | None:
        match = found.match(target)
        return match["GET"].path if match else None

    assert path("/api/v1/jobs/mine") == "/api/v1/jobs/mine"
    assert path("/api/v1/jobs/7") == "/api/v1/jobs/{id}"
    assert path("/api/v1/jobs/mine/matches") == "/api/v1/jobs/{id}/matches"
    assert path("/api/v1/jobs/7/files/a") == "/api/v1/jobs/*"
    assert path("/api/v1/jobs") is None
    assert path("/api/v1/jobs/") is None
    assert path("/api/v1/jobsX") is None
    assert path("/api/v1") is None
    assert path("/") is None
    assert path("") is None


def test_methods_of_one_path_may_have_rules_of_their_own() -> None:
    found = table(
        '"GET /api/v1/jobs" = { auth = "public" }',
        '"POST PUT /api/v1/jobs" = { auth = ["hirer", "admin"], timeout_s = 3.5, streams = true, retry = "never" }',
    ).match("/api/v1/jobs")
    assert found is not None
    assert set(found) == {"GET", "POST", "PUT"}
    assert found["GET"].roles is None
    assert found["GET"].retries
    assert found["PUT"].roles == frozenset({Role.HIRER, Role.ADMIN})
    assert (found["PUT"].timeout_s, found["PUT"].streams, found["PUT"].retries) == (3.5, True, False)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ('"GET /api/v1/jobs" = {}', "missing required field `auth`"),
        ('"GET /api/v1/jobs" = { auth = "anybody" }', "auth"),
        ('"GET /api/v1/jobs" = { auth = ["boss"] }', "Invalid enum value 'boss'"),
        ('"GET /api/v1/jobs" = { auth = "public", limits = "default" }', "unknown field `limits`"),
        ('"GET /api/v1/jobs" = { auth = "public", limit = "gone" }', "no limit class is named 'gone'"),
        ('"GET /api/v1/jobs" = { auth = "public", timeout_s = 0 }', "timeout_s"),
        ('"FETCH /api/v1/jobs" = { auth = "public" }', "methods are of"),
        ('"/api/v1/jobs" = { auth = "public" }', "methods are of"),
        ('"GET WS /api/v1/jobs" = { auth = "public" }', "WS stands alone"),
        ('"GET /internal/jobs" = { auth = "public" }', "paths start with"),
        ('"GET /api/v1/jobs/../x" = { auth = "public" }', "paths start with"),
        ('"GET /api/v1//jobs" = { auth = "public" }', "paths start with"),
        ('"GET /api/v1/jo*" = { auth = "public" }', "paths start with"),
        ('"GET /api/v1/*/x" = { auth = "public" }', "paths start with"),
        ('"GET /api/v1/jobs/" = { auth = "public" }', "paths start with"),
        ('"GET /api/v1/jobs" = { auth = "public" }\n"POST GET /api/v1/jobs" = { auth = "public" }', "already claimed"),
        ('"GET /api/v1/{a}" = { auth = "public" }\n"GET /api/v1/{b}" = { auth = "public" }', "claimed by /api/v1/{a}"),
        ('"GET /api/v1/jobs" = { auth = "public" }\n"GET /api/v1/jobs" = { auth = "public" }', "overwrite"),
        ("nonsense", "does not fit"),
    ],
)
def test_a_table_that_does_not_fit_says_why(line: str, complaint: str) -> None:
    with pytest.raises(RouteError, match="does not fit") as caught:
        table(line)
    assert complaint.lower() in str(caught.value).lower()


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(RouteError) as caught:
        table('"GET /internal/a" = { auth = "public" }', '"GET /api/v1/b" = { auth = "public", limit = "gone" }')
    assert str(caught.value).count("\n  - ") == 2


@pytest.mark.parametrize(
    "limit", ["{ quota = 0, window_s = 60 }", "{ quota = 5 }", "{ quota = 5, window_s = 1, x = 1 }"]
)
def test_a_limit_class_that_makes_no_sense_is_refused(limit: str) -> None:
    with pytest.raises(RouteError):
        routes.parse(f"[limits]\ndefault = {limit}\n[services.job]\n")


def test_the_packaged_table_fits_and_keeps_the_machine_room_shut() -> None:
    packaged = routes.load()
    assert packaged.services == {"auth", "user", "job", "payment", "messaging", "review"}
    assert packaged.match("/internal/contacts") is None
    assert packaged.match("/readyz") is None
    assert {route.path for route in packaged.routes if "WS" in route.methods} == {"/api/v1/ws"}
    assert not [route for route in packaged.routes if "/internal" in route.path]


def test_money_login_and_reset_fail_closed_in_the_packaged_table() -> None:
    packaged = routes.load()
    closed = {name for name, one in packaged.limits.items() if one.fails_closed}
    assert closed == {"login", "refresh", "account", "register", "reset", "money"}
    spends = [
        route
        for route in packaged.routes
        if route.service == "payment"
        and "POST" in route.methods
        and not route.path.endswith(("{provider}", "methods", "evidence"))
    ]
    assert len(spends) == 14
    assert {route.limit for route in spends} == {"money"}
    assert {route.roles is None for route in spends} == {False}
