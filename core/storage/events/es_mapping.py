"""How Elasticsearch keeps an event: the index template of the data stream, and an event as a document and back."""

import json
from collections.abc import Mapping
from typing import Any

from core.storage.events.log import Details, Event

STREAM = "vigie-events"
SERVICE = "vigie"
ID = "line_id"  # the document's own id once more, to page by: Elasticsearch does not sort by _id

KEYWORD = {"type": "keyword", "ignore_above": 1024}
NUMBER, COUNT = {"type": "float"}, {"type": "integer"}
MAPPING: dict[str, Any] = {
    "dynamic": False,  # a field that is not listed is kept and not indexed: no document widens the index
    "properties": {
        "@timestamp": {"type": "date"},
        ID: KEYWORD,
        "service": {"properties": {"name": KEYWORD}},
        **dict.fromkeys(
            (
                "event",
                "application_name",
                "user",
                "model_name",
                "model_version",
                "run_id",
                "status",
                "log_level",
                "error_type",
                "error_message",
            ),
            KEYWORD,
        ),
        **dict.fromkeys(("response_time", "cpu_usage", "memory_usage"), NUMBER),
        "emissions_kg": {"type": "double"},
        "details": {
            "properties": {
                **dict.fromkeys(
                    ("anomalies_count", "noise_points_count", "successful_predictions", "failed_predictions"), COUNT
                ),
                "anomalies_by_entity": {"properties": {"entity": KEYWORD, "count": COUNT}},
                "inputs": {"type": "flattened", "ignore_above": 1024},
            }
        },
    },
}
TEMPLATE: dict[str, Any] = {
    "index_patterns": [f"{STREAM}*"],
    "data_stream": {},
    "priority": 300,
    "version": 1,
    "composed_of": [f"{STREAM}@custom"],  # an operator's own settings: shards, life cycle, retention
    "ignore_missing_component_templates": [f"{STREAM}@custom"],
    "template": {"mappings": MAPPING},
}


def document(line: bytes, identity: str) -> dict[str, Any]:
    """The document of one line of the log. Raises ValueError where the line is no event."""
    written = json.loads(line)
    if not isinstance(written, dict) or not isinstance(written.get("timestamp"), str):
        raise ValueError("no timestamp")
    return {"@timestamp": written.pop("timestamp"), ID: identity, "service": {"name": SERVICE}, **written}


def event_of(document: Mapping[str, Any]) -> tuple[Event, int]:
    """The event of a document, and how many fields it has that no event has. Raises ValueError where it is no event."""
    given = {**document, "timestamp": document.get("@timestamp")}
    details = given.get("details") or {}
    if not isinstance(details, Mapping):
        raise ValueError("details is no object")
    known = {name: given[name] for name in Event.model_fields if name in given}
    known["details"] = {name: details[name] for name in Details.model_fields if name in details}
    strange = set(document) - set(Event.model_fields) - {"@timestamp", ID, "service"}
    return Event.model_validate(known), len(strange) + len(details) - len(known["details"])
