"""An example for every body and answer of an OpenAPI document, made of those that the contracts give their fields.

What a field says of itself goes first: an example, a default, a constant, the first of its values. The rest is made to
fit its type, format and bounds.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

Schema = Mapping[str, Any]

_VERBS = ("get", "put", "post", "delete", "patch")
_ID = "0199f4c2a8d07c3e9b1f5a6d7e8c9b0a"
_FORMATS = {"date-time": "2026-11-25T09:30:00Z", "date": "2026-11-25"}
#: For fields that say nothing of themselves but their name.
_NAMES: dict[str, Any] = {
    "address": "12 Ring Road Central, Accra",
    "bio": "I have mended pipes in Accra for twelve years.",
    "city": "Accra",
    "company": "Mensah Homes",
    "coordinates": [-0.187, 5.6037],
    "coverLetter": "I can begin on Monday and bring my own tools.",
    "currentPassword": "blue kente on a Friday",
    "description": "The tap in the kitchen drips and the cupboard below it is wet.",
    "holder": "AMA MENSAH",
    "issuer": "National Vocational Training Institute",
    "languages": ["en"],
    "name": "Small repairs",
    "note": "The second coat is dry.",
    "password": "blue kente on a Friday",
    "reason": "We agreed on another day.",
    "region": "Greater Accra",
    "skills": ["plumbing"],
    "text": "Thank you, it was a pleasure to work for you.",
    "title": "Mend a dripping tap",
}
#: What a body needs by a rule that no schema tells, and what does not go with the rest of it.
_NEEDED = {
    "CreateDeposit": {"paymentMethod"},
    "NewConversation": {"participantIds"},
    "NewMessage": {"text"},
    "ProposeAmendment": {"autoApproveAfterDays"},
}
_UNFIT = {"ReadNotifications": {"upTo"}, "SaveMethod": {"account"}}
#: The ends of times whose begin and end have one type, and so one example.
_ENDS = {"end": "17:00", "endsAt": "2026-12-24T16:00:00Z"}
#: Texts for fields that say nothing but a pattern or a length; the first that fits is taken.
_TEXTS = (
    "Ama", _ID, "GHS", "09:30", "en", "123456", "1234567", "pm_card_visa", "MTN", "0240000000000",
    "https://kelmah.example/here", "0" * 64, "A" * 22, "A" * 87, "A fence round the yard, 40 metres.",
)  # fmt: skip
#: Levels of objects within objects; what lies deeper is left out where it may be.
_MAX_DEPTH = 8


def add_examples(document: dict[str, Any]) -> None:
    """Give each body and each good answer in JSON its example."""
    schemas = document.get("components", {}).get("schemas", {})
    for content, is_request in _contents(document):
        content["example"] = _Maker(schemas, only_required=is_request).make(content["schema"])


def _contents(document: Mapping[str, Any]) -> Iterator[tuple[dict[str, Any], bool]]:
    for item in document["paths"].values():
        for operation in (item[verb] for verb in _VERBS if verb in item):
            answers = [answer for status, answer in operation["responses"].items() if status.startswith("2")]
            for part, is_request in ((operation.get("requestBody", {}), True), *((one, False) for one in answers)):
                if content := part.get("content", {}).get("application/json"):
                    yield content, is_request


class _Maker:
    def __init__(self, schemas: Mapping[str, Schema], *, only_required: bool) -> None:
        self._schemas = schemas
        self._only_required = only_required

    def make(self, schema: Schema, name: str = "", depth: int = 0) -> Any:
        """An example of a schema; `name` is that of its field."""
        if "$ref" in schema:
            return self.make(self._schemas[schema["$ref"].rpartition("/")[2]], name, depth)
        if name in _ENDS and schema.get("examples"):
            return _ENDS[name]
        for said in ("examples", "enum"):
            if schema.get(said):
                return schema[said][0]
        for said in ("const", "default"):
            if schema.get(said) not in (None, "", []):
                return schema[said]
        for kind in ("oneOf", "anyOf"):
            if kind in schema:
                outer = {key: value for key, value in schema.items() if key != kind}
                return self.make(outer | self._first(schema[kind], depth), name, depth)
        return self._of_type(schema, name, depth)

    def _first(self, choices: list[Schema], depth: int) -> dict[str, Any]:
        """The first choice that is not null; null at a depth that ends nowhere."""
        rest = [one for one in choices if one.get("type") != "null"]
        return dict(rest[0] if rest and (depth < _MAX_DEPTH or len(rest) == len(choices)) else {"type": "null"})

    def _of_type(self, schema: Schema, name: str, depth: int) -> Any:
        kind = schema.get("type", "object" if "properties" in schema else "null")
        if isinstance(kind, list):
            kind = next((one for one in kind if one != "null"), "null")
        known = _NAMES.get(name)
        plain = schema.get("prefixItems", [schema.get("items") or {}])[0]
        if isinstance(known, list) and plain.get("type") in ("string", "number"):
            return known
        match kind:
            case "object":
                return self._object(schema, depth)
            case "array":
                return self._array(schema, name, depth)
            case "string":
                return _text(schema, name)
            case "integer" | "number":
                return _number(schema)
            case "boolean":
                return True
        return None

    def _object(self, schema: Schema, depth: int) -> dict[str, Any]:
        properties, required = schema.get("properties", {}), schema.get("required", [])
        is_small = (self._only_required and required) or depth >= _MAX_DEPTH
        if self._only_required:
            title = schema.get("title", "")
            required = [*required, *_NEEDED.get(title, ())]
            properties = {name: one for name, one in properties.items() if name not in _UNFIT.get(title, ())}
        names = [name for name in properties if not is_small or name in required]
        return {name: self.make(properties[name], name, depth + 1) for name in names}

    def _array(self, schema: Schema, name: str, depth: int) -> list[Any]:
        if "prefixItems" in schema:
            return [self.make(one, name, depth + 1) for one in schema["prefixItems"]]
        if depth >= _MAX_DEPTH or "items" not in schema:
            return []
        return [self.make(schema["items"], name, depth + 1)] * max(1, schema.get("minItems", 1))


def _text(schema: Schema, name: str) -> str:
    if "format" in schema:
        return _FORMATS[schema["format"]]
    low, high, pattern = schema.get("minLength", 0), schema.get("maxLength", 10_000), schema.get("pattern", "")
    wanted = _ID if name.lower().endswith(("id", "ids")) else str(_NAMES.get(name, name))
    for text in (wanted, *_TEXTS):
        if low <= len(text) <= high and re.search(pattern, text):
            return text
    return wanted.ljust(low, "x")[:high]


def _number(schema: Schema) -> int:
    low = schema.get("minimum", schema.get("exclusiveMinimum", 0) + 1 if "exclusiveMinimum" in schema else 1)
    return int(min(max(1, low), schema.get("maximum", 1)))
