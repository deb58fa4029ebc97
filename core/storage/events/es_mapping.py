"""Events in Elasticsearch: the index template of the data stream, and conversion to and from documents."""

import json
from collections.abc import Mapping
from typing import Any

from core.storage.events.log import Details, Event

STREAM_NAME = "vigie-events"
SERVICE_NAME = "vigie"
LINE_ID_FIELD = "line_id"  # copy of the document id, for paging: Elasticsearch does not sort by _id

KEYWORD_TYPE = {"type": "keyword", "ignore_above": 1024}
NUMBER_TYPE, COUNT_TYPE = {"type": "float"}, {"type": "integer"}
INDEX_MAPPING: dict[str, Any] = {
    "dynamic": False,  # other fields are stored but not indexed, so that no document adds fields to the index
    "properties": {
        "@timestamp": {"type": "date"},
        LINE_ID_FIELD: KEYWORD_TYPE,
        "service": {"properties": {"name": KEYWORD_TYPE}},
        **dict.fromkeys(
            (
                "event",
                "application_name",
                "application_version",
                "user",
                "model_name",
                "model_version",
                "run_id",
                "status",
                "log_level",
                "error_type",
                "error_message",
            ),
            KEYWORD_TYPE,
        ),
        **dict.fromkeys(("response_time", "cpu_usage", "memory_usage"), NUMBER_TYPE),
        "emissions_kg": {"type": "double"},
        "details": {
            "properties": {
                **dict.fromkeys(
                    (
                        "anomalies_count",
                        "clusters_count",
                        "noise_points_count",
                        "successful_predictions",
                        "failed_predictions",
                    ),
                    COUNT_TYPE,
                ),
                "predicted_consumption": {"type": "double"},
                "anomalies_by_entity": {  # nested, so that the counts of an entity can be summed
                    "type": "nested",
                    "properties": {"entity": KEYWORD_TYPE, "count": COUNT_TYPE},
                },
                "inputs": {"type": "flattened", "ignore_above": 1024},
            }
        },
    },
}
INDEX_TEMPLATE: dict[str, Any] = {
    "index_patterns": [f"{STREAM_NAME}*"],
    "data_stream": {},
    "priority": 300,
    "version": 2,
    "composed_of": [f"{STREAM_NAME}@custom"],  # settings of the operator: shards, life cycle, retention
    "ignore_missing_component_templates": [f"{STREAM_NAME}@custom"],
    "template": {"mappings": INDEX_MAPPING},
}


def line_to_document(line: bytes, line_id: str) -> dict[str, Any]:
    """Return the document of one log line. Raises ValueError for a line that is not an event."""
    fields = json.loads(line)
    if not isinstance(fields, dict) or not isinstance(fields.get("timestamp"), str):
        raise ValueError("no timestamp")
    return {"@timestamp": fields.pop("timestamp"), LINE_ID_FIELD: line_id, "service": {"name": SERVICE_NAME}, **fields}


def document_to_event(document: Mapping[str, Any]) -> tuple[Event, int]:
    """Return the event in a document and the number of its unknown fields.

    Raises ValueError for a document that is not an event.
    """
    fields = {**document, "timestamp": document.get("@timestamp")}
    details = fields.get("details") or {}
    if not isinstance(details, Mapping):
        raise ValueError("details is no object")
    event_fields = {name: fields[name] for name in Event.model_fields if name in fields}
    event_fields["details"] = {name: details[name] for name in Details.model_fields if name in details}
    unknown_fields = set(document) - set(Event.model_fields) - {"@timestamp", LINE_ID_FIELD, "service"}
    return Event.model_validate(event_fields), len(unknown_fields) + len(details) - len(event_fields["details"])
