"""Events in Elasticsearch: the index template of the data stream, and conversion to and from documents."""

import json
from collections.abc import Mapping
from typing import Any

from core.storage.events.log import Details, Event

STREAM = "vigie-events"
SERVICE = "vigie"
ID = "line_id"  # copy of the document id, for paging: Elasticsearch does not sort by _id

KEYWORD = {"type": "keyword", "ignore_above": 1024}
NUMBER, COUNT = {"type": "float"}, {"type": "integer"}
MAPPING: dict[str, Any] = {
    "dynamic": False,  # other fields are stored but not indexed, so that no document adds fields to the index
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
    "composed_of": [f"{STREAM}@custom"],  # settings of the operator: shards, life cycle, retention
    "ignore_missing_component_templates": [f"{STREAM}@custom"],
    "template": {"mappings": MAPPING},
}


def document(line: bytes, identity: str) -> dict[str, Any]:
    """Return the document of one log line. Raises ValueError for a line that is not an event."""
    written = json.loads(line)
    if not isinstance(written, dict) or not isinstance(written.get("timestamp"), str):
        raise ValueError("no timestamp")
    return {"@timestamp": written.pop("timestamp"), ID: identity, "service": {"name": SERVICE}, **written}


def event_of(document: Mapping[str, Any]) -> tuple[Event, int]:
    """Return the event in a document and the number of its unknown fields.

    Raises ValueError for a document that is not an event.
    """
    given = {**document, "timestamp": document.get("@timestamp")}
    details = given.get("details") or {}
    if not isinstance(details, Mapping):
        raise ValueError("details is no object")
    known = {name: given[name] for name in Event.model_fields if name in given}
    known["details"] = {name: details[name] for name in Details.model_fields if name in details}
    strange = set(document) - set(Event.model_fields) - {"@timestamp", ID, "service"}
    return Event.model_validate(known), len(strange) + len(details) - len(known["details"])
