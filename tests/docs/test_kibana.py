"""The import file of Kibana: one object a line, references that resolve, and indexed fields only."""

import json
import re
import runpy
from typing import Any

import pytest

from core.settings import ROOT
from core.storage.events.es_mapping import INDEX_MAPPING, STREAM_NAME

FOLDER = ROOT / "docs" / "kibana"
OBJECTS: list[dict[str, Any]] = [
    json.loads(line) for line in (FOLDER / "vigie.ndjson").read_text(encoding="utf-8").splitlines()
]
PANELS = [entry for entry in OBJECTS if entry["type"] == "visualization"]
NUMERIC = {"float", "double", "integer", "date"}


def list_indexed_fields(mapping: dict[str, Any], prefix: str = "") -> dict[str, str]:
    """Return the type of each field by its name in Kibana."""
    fields: dict[str, str] = {}
    for name, definition in mapping["properties"].items():
        fields |= (
            list_indexed_fields(definition, f"{prefix}{name}.")
            if "properties" in definition
            else {f"{prefix}{name}": definition["type"]}
        )
    return fields


FIELDS = list_indexed_fields(INDEX_MAPPING)


def test_kibana_file_matches_generator() -> None:
    generator = runpy.run_path(str(FOLDER / "make.py"))
    assert generator["lines"]() == OBJECTS


def test_kibana_file_has_one_view_and_two_dashboards() -> None:
    kinds = [entry["type"] for entry in OBJECTS]
    assert (kinds.count("index-pattern"), kinds.count("dashboard")) == (1, 2)
    [view] = [entry for entry in OBJECTS if entry["type"] == "index-pattern"]
    assert re.fullmatch(view["attributes"]["title"].replace("*", ".*"), STREAM_NAME)
    assert FIELDS[view["attributes"]["timeFieldName"]] == "date"
    assert len({(entry["type"], entry["id"]) for entry in OBJECTS}) == len(OBJECTS)


def test_kibana_references_resolve() -> None:
    identifiers = {(entry["type"], entry["id"]) for entry in OBJECTS}
    for entry in OBJECTS:
        assert {(reference["type"], reference["id"]) for reference in entry["references"]} <= identifiers, entry["id"]


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["id"])
def test_kibana_panel_uses_indexed_fields(panel: dict[str, Any]) -> None:
    state = json.loads(panel["attributes"]["visState"])
    search = json.loads(panel["attributes"]["kibanaSavedObjectMeta"]["searchSourceJSON"])
    if state["type"] == "vega":
        fields = re.findall(r'"(?:path|field)": "(details[^"]*)"', state["params"]["spec"])
        assert {field.removeprefix("details.") for field in fields} == {
            "anomalies_by_entity",
            "anomalies_by_entity.entity",
            "anomalies_by_entity.count",
        }
        assert set(fields) - {"details.anomalies_by_entity"} <= FIELDS.keys()
        return
    assert search["indexRefName"] == panel["references"][0]["name"]
    numbers = [agg["id"] for agg in state["aggs"]]
    assert len(set(numbers)) == len(numbers)
    for agg in state["aggs"]:
        field = agg["params"].get("field")
        if agg["type"] == "terms":
            assert FIELDS[field] == "keyword"
            assert agg["params"]["orderBy"] in numbers
        elif agg["type"] in ("median", "percentiles", "sum", "max"):
            assert FIELDS[field] in NUMERIC
        else:
            assert agg["type"] == "count" or field in FIELDS
    for field in re.findall(r"(\w+):", search["query"]["query"]):
        assert field in FIELDS


@pytest.mark.parametrize(
    "board", [each for each in OBJECTS if each["type"] == "dashboard"], ids=lambda board: board["id"]
)
def test_kibana_dashboard_panels_do_not_overlap(board: dict[str, Any]) -> None:
    panels = json.loads(board["attributes"]["panelsJSON"])
    named = {reference["name"] for reference in board["references"]}
    assert named == {f"{panel['panelIndex']}:{panel['panelRefName']}" for panel in panels}
    occupied_cells: set[tuple[int, int]] = set()
    for grid in (panel["gridData"] for panel in panels):
        cells = {
            (x, y) for x in range(grid["x"], grid["x"] + grid["w"]) for y in range(grid["y"], grid["y"] + grid["h"])
        }
        assert not cells & occupied_cells
        assert grid["x"] + grid["w"] <= 48
        occupied_cells |= cells


def test_kibana_panels_are_on_dashboards() -> None:
    panel_ids = {
        reference["id"] for entry in OBJECTS if entry["type"] == "dashboard" for reference in entry["references"]
    }
    assert panel_ids == {panel["id"] for panel in PANELS}
