"""The route table: what matches, and what is refused as a table."""

import pytest

from kelmah.contracts.common import Role
from kelmah.gateway import routes
from kelmah.gateway.routes import RouteError, RouteTable
from kelmah.kit.errors import NotFound

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


def test_a_table_of_one_host_is_for_no_other() -> None:
    found = table('"GET /api/v1/jobs" = { auth = "public", host = "jobs.example.com" }')
    assert found.match("/api/v1/jobs", b"jobs.example.com:443") is not None
    assert found.match("/api/v1/jobs", b"example.com") is None


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
        ('"GET /api/v1/a" = { auth = "public", host = "Example.com" }', "no host name"),
        ('"GET /api/v1/a" = { auth = "public", host = "example.com:80" }', "no host name"),
        ('"GET /api/v1/a" = { auth = "public", priority = 101 }', "priority"),
        ('"GET /api/v1/a" = { auth = "public", rewrite = { strip = "/api/v2" } }', "does not begin with '/api/v2'"),
        ('"GET /api/v1/{a}" = { auth = "public", rewrite = { strip = "/api/v1/x" } }', "does not begin with"),
        ('"GET /api/v1/a" = { auth = "public", rewrite = { add = "/a b" } }', "cannot be put before"),
        ('"GET /api/v1/a" = { auth = "public", rewrite = { strip = "/api/v1", add = "/internal" } }', "to /internal"),
        ('"GET /api/v1/a" = { auth = "public", rewrite = { match = "(" } }', "is no rewrite"),
        ('"GET /api/v1/a" = { auth = "public", rewrite = { match = "a", to = "\\\\1" } }', "is no rewrite"),
        ('"GET /api/v1/a" = { auth = "public", request_headers = { set = { host = "x" } } }', "'host' is not"),
        ('"GET /api/v1/a" = { auth = "public", request_headers = { remove = ["Kelmah-Identity"] } }', "is not"),
        ('"GET /api/v1/a" = { auth = "public", request_headers = { set = { x = "a\\r\\nb: c" } } }', "this value"),
        ('"GET /api/v1/a" = { auth = "public", request_headers = { set = { "x y" = "a" } } }', "no name"),
        ('"GET /api/v1/a" = { auth = "public", answer_headers = { remove = ["X-Frame-Options"] } }', "is not"),
        ('"GET /api/v1/a" = { auth = "public", answer_headers = { set = { content-length = "1" } } }', "is not"),
        ('"GET /api/v1/a" = [{ auth = "public" }, { auth = "signed_in" }]', "already claimed"),
        ('"GET /api/v1/a" = [{ auth = "public", host = "a.b" }, { auth = "signed_in", host = "a.b" }]', "claimed"),
    ],
)
def test_a_table_that_does_not_fit_says_why(line: str, complaint: str) -> None:
    with pytest.raises(RouteError, match="does not fit") as caught:
        table(line)
    assert complaint.lower() in str(caught.value).lower()


@pytest.mark.parametrize(
    ("first", "shadowed"),
    [
        ("/api/v1/jobs/*", "/api/v1/jobs/{id}"),
        ("/api/v1/jobs/*", "/api/v1/jobs/7/matches"),
        ("/api/v1/jobs/*", "/api/v1/jobs/{id}/*"),
        ("/api/v1/{a}/mine", "/api/v1/jobs/mine"),
        ("/api/v1/jobs", "/api/v1/jobs"),
    ],
)
def test_a_route_that_no_request_gets_to_is_refused(first: str, shadowed: str) -> None:
    late = f'"GET POST {shadowed}" = [{{ auth = "public" }}]'
    if first == shadowed:
        late = f'"GET POST {shadowed}" = [{{ auth = "public" }}, {{ auth = "public", priority = -1 }}]'
        early = ""
    else:
        early = f'"GET {first}" = {{ auth = "public", priority = 1 }}'
    with pytest.raises(RouteError, match="never reached"):
        table(late, early)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ('"GET /api/v1/jobs/{id}" = { auth = "public", priority = 1 }', '"GET /api/v1/jobs/*" = { auth = "public" }'),
        ('"POST /api/v1/jobs/*" = { auth = "public", priority = 1 }', '"GET /api/v1/jobs/{id}" = { auth = "public" }'),
        ('"GET /api/v1/*" = { auth = "public", host = "a.b" }', '"GET /api/v1/jobs" = { auth = "public" }'),
        (
            '"GET /api/v1/*" = { auth = "public", host = "a.b", priority = 1 }',
            '"GET /api/v1/jobs" = { auth = "public", host = "c.d" }',
        ),
        ('"GET /api/v1/jobs/{a}/*" = { auth = "public", priority = 1 }', '"GET /api/v1/jobs/*" = { auth = "public" }'),
    ],
)
def test_routes_that_share_some_requests_stand_side_by_side(first: str, second: str) -> None:
    assert len(table(first, second).routes) == 2


def test_priority_goes_before_host_and_host_before_none() -> None:
    found = table(
        '"GET POST /api/v1/jobs" = [{ auth = "public", timeout_s = 1 }, { auth="public", host="a.b", timeout_s=2 }]',
        '"GET /api/v1/{other}" = { auth = "public", priority = 1, host = "c.d", timeout_s = 3 }',
        '"DELETE /api/v1/jobs" = { auth = "public", timeout_s = 4 }',
    )

    def timeouts(host: bytes) -> dict[str, float]:
        return {method: route.timeout_s for method, route in (found.match("/api/v1/jobs", host) or {}).items()}

    assert timeouts(b"") == timeouts(b"elsewhere") == {"GET": 1, "POST": 1, "DELETE": 4}
    assert timeouts(b"a.b") == timeouts(b"A.B:8080") == {"GET": 2, "POST": 2, "DELETE": 4}
    assert timeouts(b"c.d") == {"GET": 3, "POST": 1, "DELETE": 4}
    assert found.match("/api/v1/other", b"a.b") is None


@pytest.mark.parametrize(
    ("rule", "path", "sent"),
    [
        ('{ strip = "/api/v1" }', "/api/v1/jobs/7", "/jobs/7"),
        ('{ add = "/v2" }', "/api/v1/jobs/7", "/v2/api/v1/jobs/7"),
        ('{ strip = "/api/v1", add = "/v2" }', "/api/v1/jobs/a%20b", "/v2/jobs/a%20b"),
        (r"{ match = '/api/v1/jobs/(\d+)', to = '/api/v1/old/\1' }", "/api/v1/jobs/7", "/api/v1/old/7"),
        (r"{ match = '/api/v1/jobs/(\d+)', to = '/api/v1/old/\1' }", "/api/v1/jobs/x", "/api/v1/jobs/x"),
        (r"{ match = '.*/(?P<id>[^/]+)', to = '/x/\g<id>/y', strip = '/api' }", "/api/v1/jobs/7", "/x/7/y"),
    ],
)
def test_a_path_is_rewritten(rule: str, path: str, sent: str) -> None:
    (route,) = table(f'"GET /api/v1/jobs/*" = {{ auth = "public", rewrite = {rule} }}').routes
    assert route.rewrite is not None
    assert route.rewrite.apply(path) == sent


@pytest.mark.parametrize(
    "to", [r"/internal/\\1", "/internal", "no-slash", "/a//b", "/a/../b", "/a/%2e%2e/b", "/a?b", ""]
)
def test_a_rewrite_leads_nowhere_else(to: str) -> None:
    (route,) = table(
        f'"GET /api/v1/jobs/*" = {{ auth = "public", rewrite = {{ match = "/api/v1/jobs/(.*)", to = "{to}" }} }}'
    ).routes
    assert route.rewrite is not None
    with pytest.raises(NotFound):
        route.rewrite.apply("/api/v1/jobs/7")


def test_headers_are_set_and_left_out() -> None:
    (route,) = table(
        '"GET /api/v1/a" = { auth = "public", request_headers = { set = { X-One = "1" }, remove = ["X-Two"] } }'
    ).routes
    assert route.request_headers is not None
    sent = [(b"x-one", b"of the client"), (b"x-two", b"2"), (b"x-three", b"3")]
    assert route.request_headers.apply(sent) == [(b"x-three", b"3"), (b"x-one", b"1")]


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
    assert len(spends) == 16
    assert {route.limit for route in spends} == {"money"}
    assert {route.roles is None for route in spends} == {False}
