"""One document out of several."""

import json
from importlib import resources
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker
from openapi_spec_validator import validate

from kelmah.gateway import openapi, routes

TABLE = routes.parse(
    """
[limits]
default = { quota = 10, window_s = 60 }
[services.auth]
"GET /.well-known/jwks.json" = { auth = "public" }
"GET /api/v1/auth/me" = { auth = "signed_in" }
[services.job]
"GET /api/v1/jobs" = { auth = "public" }
"GET /api/v1/jobs/{id}" = { auth = "signed_in" }
"""
)


def document(paths: dict[str, Any], **schemas: Any) -> dict[str, Any]:
    return {
        "openapi": "3.1.0",
        "info": {"title": "x", "version": "1"},
        "paths": paths,
        "components": {"schemas": schemas, "securitySchemes": {"accessToken": {"type": "http", "scheme": "bearer"}}},
    }


def operation(schema: str, name: str) -> dict[str, Any]:
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
    return {"operationId": name, "responses": {"200": {"description": "ok", "content": content}}}


PROBLEM = {"type": "object", "properties": {"code": {"type": "string"}}}
AUTH = document(
    {
        "/.well-known/jwks.json": {"get": operation("Keys", "GetKeys")},
        "/api/v1/auth/me": {"get": operation("View", "GetMe")},
        "/internal/contacts": {"get": operation("View", "GetContacts")},
        "/api/v1/auth/secret": {"post": operation("View", "Secret")},
    },
    Keys={"type": "object"},
    View={"type": "object", "properties": {"email": {"type": "string"}}},
    Problem=PROBLEM,
)
JOB = document(
    {
        "/api/v1/jobs": {"get": operation("Page", "ListJobs"), "post": operation("View", "CreateJob")},
        "/api/v1/jobs/{job_id}": {
            "parameters": [{"name": "job_id", "in": "path", "required": True, "schema": {"type": "string"}}],
            "get": operation("View", "GetJob"),
        },
    },
    Page={"type": "array", "items": {"$ref": "#/components/schemas/View"}},
    View={"type": "object", "discriminator": {"propertyName": "k", "mapping": {"a": "#/components/schemas/Page"}}},
    Problem=PROBLEM,
)


def reference(merged: dict[str, Any], path: str) -> str:
    content = merged["paths"][path]["get"]["responses"]["200"]["content"]
    return str(content["application/json"]["schema"]["$ref"])


def test_what_clients_can_reach_is_in_and_nothing_else() -> None:
    merged = openapi.merge({"job": JOB, "auth": AUTH}, TABLE)
    validate(merged)
    assert {(path, verb) for path, item in merged["paths"].items() for verb in item} == {
        ("/.well-known/jwks.json", "get"),
        ("/api/v1/auth/me", "get"),
        ("/api/v1/jobs", "get"),
        ("/api/v1/jobs/{job_id}", "get"),
    }
    assert openapi.unrouted({"job": JOB, "auth": AUTH}, TABLE) == [
        "POST /api/v1/auth/secret (auth)",
        "POST /api/v1/jobs (job)",
    ]


def test_routes_that_lead_nowhere_are_named() -> None:
    assert openapi.unserved({"job": JOB, "auth": AUTH}, TABLE) == []
    assert "GET /api/v1/auth/me (auth)" in openapi.unserved({"job": JOB}, TABLE)
    assert openapi.unserved({"job": JOB, "user": AUTH}, TABLE) == openapi.unserved({"job": JOB}, TABLE)


def test_names_that_mean_two_things_are_told_apart() -> None:
    merged = openapi.merge({"job": JOB, "auth": AUTH}, TABLE)
    schemas = merged["components"]["schemas"]
    assert set(schemas) == {"AuthView", "JobView", "JobPage", "Keys", "Problem"}
    assert reference(merged, "/api/v1/auth/me") == "#/components/schemas/AuthView"
    assert reference(merged, "/api/v1/jobs/{job_id}") == "#/components/schemas/JobView"
    assert schemas["JobPage"]["items"]["$ref"] == "#/components/schemas/JobView"
    assert schemas["JobView"]["discriminator"]["mapping"] == {"a": "#/components/schemas/JobPage"}


def test_who_must_be_signed_in_is_what_the_table_says() -> None:
    merged = openapi.merge({"job": JOB, "auth": AUTH}, TABLE)
    assert merged["paths"]["/api/v1/jobs"]["get"]["security"] == []
    assert merged["paths"]["/api/v1/jobs/{job_id}"]["get"]["security"] == [{"accessToken": []}]
    assert merged["components"]["securitySchemes"]["accessToken"]["scheme"] == "bearer"


def test_merging_changes_nothing_that_it_was_given_and_is_stable() -> None:
    before = repr(JOB)
    first = openapi.merge({"job": JOB, "auth": AUTH}, TABLE)
    assert repr(JOB) == before
    assert repr(openapi.merge({"auth": AUTH, "job": JOB}, TABLE)) == repr(first)


def test_nothing_merged_is_a_document() -> None:
    validate(openapi.merge({}, TABLE))


SERVED = json.loads(resources.files("kelmah.gateway").joinpath("openapi.json").read_text(encoding="utf-8"))


def test_every_body_and_answer_has_an_example_that_fits() -> None:
    components, count, faults = SERVED["components"], 0, []
    for path, item in SERVED["paths"].items():
        for verb, one in item.items():
            good = [answer for status, answer in one["responses"].items() if status.startswith("2")]
            for part in (one.get("requestBody", {}), *good):
                if content := part.get("content", {}).get("application/json"):
                    count += 1
                    validator = Draft202012Validator(
                        {**content["schema"], "components": components}, format_checker=FormatChecker()
                    )
                    faults += [f"{verb} {path}: {found.message}" for found in validator.iter_errors(content["example"])]
    assert count > 250
    assert not faults


def test_examples_are_made_of_what_the_fields_say() -> None:
    login = SERVED["paths"]["/api/v1/auth/login"]["post"]["requestBody"]["content"]["application/json"]["example"]
    assert login == {"email": "ama@example.com", "password": "blue kente on a Friday"}


def test_patterns_end_as_those_of_browsers_do() -> None:
    assert "\\Z" not in json.dumps(SERVED).replace("\\\\", "\\")
