"""The OpenAPI description of the JSON door, built from the models of its answers. `docs/openapi.json` is a copy."""

from functools import cache
from typing import Any

from pydantic.json_schema import models_json_schema

from core import __version__
from core.watches.incident import ID_PATTERN, Incident
from pages.watch.answers import IncidentQuery, IncidentsAnswer, RefusalAnswer, WatchesAnswer

REFERENCE = "#/components/schemas/{model}"
REFUSALS = {
    "400": "A parameter is unknown or has a value that is not accepted.",
    "401": "The token is missing or wrong.",
    "404": "There is no such watch or incident, or the settings name no token.",
    "405": "Only GET and HEAD are accepted.",
    "429": "Too many wrong tokens came from this address. Retry-After tells the seconds to wait.",
    "503": "The database does not answer.",
}
"""Status → its meaning, of every address."""


@cache
def build_openapi() -> dict[str, Any]:
    """Return the description of all addresses, as OpenAPI 3.1."""
    _, schemas = models_json_schema(
        [(model, "serialization") for model in (Incident, IncidentsAnswer, WatchesAnswer, RefusalAnswer)],
        ref_template=REFERENCE,
    )
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Vigie: watches and incidents",
            "version": __version__,
            "summary": "Read what is abnormal now, and when each watch was asked last.",
        },
        "servers": [{"url": "/api/v1"}],
        "security": [{"token": []}],
        "paths": {
            "/incidents": _describe_address("List incidents, the worst first.", "IncidentsAnswer", _list_parameters()),
            "/incidents/{id}": _describe_address("Return one incident.", "Incident", [_describe_id()]),
            "/watches": _describe_address("List watches with their last ticks.", "WatchesAnswer", []),
            "/openapi.json": _describe_address("Return this description.", "", []),
        },
        "components": {
            "schemas": schemas["$defs"],
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "One of the tokens of VIGIE_API_TOKENS."}
            },
        },
    }


def _describe_address(summary: str, model: str, parameters: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the description of GET at an address; `model` is the name of its answer, "" for any object."""
    answer = {"$ref": REFERENCE.format(model=model)} if model else {"type": "object"}
    refusal = {"$ref": REFERENCE.format(model=RefusalAnswer.__name__)}
    responses = {"200": _describe_response("The answer.", answer)}
    responses |= {status: _describe_response(meaning, refusal) for status, meaning in REFUSALS.items()}
    return {"get": {"summary": summary, "parameters": parameters, "responses": responses}}


def _describe_response(meaning: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": meaning, "content": {"application/json": {"schema": schema}}}


def _list_parameters() -> list[dict[str, Any]]:
    properties = IncidentQuery.model_json_schema()["properties"]
    return [
        {
            "name": name,
            "in": "query",
            "required": False,
            "description": schema["description"],
            "schema": _drop_null({key: value for key, value in schema.items() if key not in ("title", "description")}),
        }
        for name, schema in properties.items()
    ]


def _drop_null(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a parameter without null, which stands for one that is not given."""
    present = [choice for choice in schema.get("anyOf", ()) if choice.get("type") != "null"]
    return present[0] if present else schema


def _describe_id() -> dict[str, Any]:
    schema = {"type": "string", "pattern": ID_PATTERN}
    return {"name": "id", "in": "path", "required": True, "description": "Id of the incident.", "schema": schema}
