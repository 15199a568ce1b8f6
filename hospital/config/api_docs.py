"""The API's description as a page to read: made from the OpenAPI schema, without scripts.

Swagger UI and Redoc style themselves inline, which our Content-Security-Policy forbids; rather
than loosen it, the schema is written out as HTML. The machine-readable form is at /api/schema/.
"""

from dataclasses import dataclass, field
from functools import cache
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from drf_spectacular.generators import SchemaGenerator

from hospital.accounts.selectors import is_staff_member
from hospital.base.problems import phrase_of

METHODS = ("get", "put", "post", "patch", "delete")
DEEPEST = 3


@dataclass(frozen=True)
class Line:
    """A field or parameter."""

    name: str
    kind: str
    required: bool
    note: str


@dataclass(frozen=True)
class Answer:
    """What may come back: a status, and either fields or the code of a refusal."""

    status: str
    phrase: str
    lines: list[Line]
    code: str = ""
    detail: str = ""


@dataclass(frozen=True)
class Operation:
    """One method of one address."""

    anchor: str
    method: str
    path: str
    summary: str
    description: str
    security: str
    parameters: list[Line]
    body: list[Line]
    body_kinds: list[str]
    answers: list[Answer]


@dataclass(frozen=True)
class Group:
    """The addresses about one noun."""

    name: str
    operations: list[Operation] = field(default_factory=list)


def docs(request: HttpRequest) -> HttpResponse:
    """The page, for staff."""
    if not is_staff_member(request.user):
        raise PermissionDenied
    return render(request, "api/docs.html", {"groups": groups()})


@cache
def groups() -> list[Group]:
    """Every address of the API, the microscope's own first."""
    schema = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    found: dict[str, Group] = {}
    for path, methods in schema["paths"].items():
        for method in METHODS:
            if method in methods:
                tag = methods[method]["tags"][0]
                group = found.setdefault(tag, Group(tag))
                group.operations.append(_operation(schema, path, method, methods[method]))
    return sorted(found.values(), key=lambda group: (group.name != "device", group.name))


def _operation(schema: Any, path: str, method: str, told: Any) -> Operation:
    content: dict[str, Any] = told.get("requestBody", {}).get("content", {})
    first: Any = next((kind["schema"] for kind in content.values()), {})
    return Operation(
        anchor=told["operationId"],
        method=method.upper(),
        path=path,
        summary=told.get("summary", ""),
        description=told.get("description", ""),
        security=", ".join(name for way in told.get("security", []) for name in way),
        parameters=[_parameter(each) for each in told.get("parameters", [])],
        body=_lines(schema, first),
        body_kinds=[kind for kind in content if kind != "application/json"],
        answers=[
            _answer(schema, status, response) for status, response in told["responses"].items()
        ],
    )


def _parameter(told: Any) -> Line:
    kind = f"{_kind(told['schema'])}, in {told['in']}"
    return Line(told["name"], kind, told.get("required", False), told.get("description", ""))


def _answer(schema: Any, status: str, told: Any) -> Answer:
    phrase = phrase_of(int(status))
    for kind, content in told.get("content", {}).items():
        if kind == "application/problem+json":
            example = next(iter(content["examples"].values()))["value"]
            return Answer(status, phrase, [], example["code"], example["detail"])
        return Answer(status, phrase, _lines(schema, content["schema"]))
    return Answer(status, phrase, [])


def _lines(schema: Any, part: Any, prefix: str = "", depth: int = 0) -> list[Line]:
    """The fields of `part`, those of nested objects as 'outer.inner'."""
    part = _resolved(schema, part)
    if part.get("type") == "array":
        return _lines(schema, part["items"], f"{prefix}[].", depth)
    lines = []
    for name, inner in part.get("properties", {}).items():
        whole = _resolved(schema, inner)
        note = inner.get("description") or whole.get("description", "")
        required = name in part.get("required", [])
        lines.append(Line(f"{prefix}{name}", _kind(whole), required, note.split("\n")[0]))
        element = _resolved(schema, whole.get("items", whole))
        if "properties" in element and depth < DEEPEST:
            dot = "[]." if "items" in whole else "."
            lines += _lines(schema, element, f"{prefix}{name}{dot}", depth + 1)
    return lines


def _resolved(schema: Any, part: Any) -> Any:
    """`part` with its reference followed; of alternatives the first that says something."""
    for word in ("allOf", "oneOf", "anyOf"):
        if word in part:
            return _resolved(schema, part[word][0])
    if "$ref" in part:
        name = part["$ref"].rsplit("/", 1)[-1]
        return _resolved(schema, schema["components"]["schemas"][name])
    return part


def _kind(part: Any) -> str:
    """A type in words, with its choices."""
    if "enum" in part:
        return " | ".join(str(choice) or '""' for choice in part["enum"])
    if part.get("type") == "array":
        return "list"
    said = part.get("type", "object")
    if isinstance(said, list):
        said = " or ".join(said)
    return str(part.get("format") or said)
