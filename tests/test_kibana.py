"""The import file of Kibana: one object a line, references that resolve, and indexed fields only."""

import json
import re
import runpy
from typing import Any

import pytest

from core.settings import ROOT
from core.storage.events.es_mapping import MAPPING, STREAM

FOLDER = ROOT / "docs" / "kibana"
OBJECTS: list[dict[str, Any]] = [
    json.loads(line) for line in (FOLDER / "vigie.ndjson").read_text(encoding="utf-8").splitlines()
]
PANELS = [each for each in OBJECTS if each["type"] == "visualization"]
NUMERIC = {"float", "double", "integer", "date"}


def indexed(mapping: dict[str, Any], above: str = "") -> dict[str, str]:
    """Return the type of each field by its name in Kibana."""
    found: dict[str, str] = {}
    for name, each in mapping["properties"].items():
        found |= indexed(each, f"{above}{name}.") if "properties" in each else {f"{above}{name}": each["type"]}
    return found


FIELDS = indexed(MAPPING)


def test_the_file_is_what_the_generator_writes() -> None:
    made = runpy.run_path(str(FOLDER / "make.py"))
    assert made["lines"]() == OBJECTS


def test_there_is_one_data_view_and_two_dashboards() -> None:
    kinds = [each["type"] for each in OBJECTS]
    assert (kinds.count("index-pattern"), kinds.count("dashboard")) == (1, 2)
    [view] = [each for each in OBJECTS if each["type"] == "index-pattern"]
    assert re.fullmatch(view["attributes"]["title"].replace("*", ".*"), STREAM)
    assert FIELDS[view["attributes"]["timeFieldName"]] == "date"
    assert len({(each["type"], each["id"]) for each in OBJECTS}) == len(OBJECTS)


def test_references_lead_somewhere() -> None:
    there = {(each["type"], each["id"]) for each in OBJECTS}
    for each in OBJECTS:
        assert {(reference["type"], reference["id"]) for reference in each["references"]} <= there, each["id"]


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["id"])
def test_a_panel_asks_for_indexed_fields(panel: dict[str, Any]) -> None:
    state = json.loads(panel["attributes"]["visState"])
    search = json.loads(panel["attributes"]["kibanaSavedObjectMeta"]["searchSourceJSON"])
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
def test_a_dashboard_shows_its_panels_without_overlap(board: dict[str, Any]) -> None:
    panels = json.loads(board["attributes"]["panelsJSON"])
    named = {reference["name"] for reference in board["references"]}
    assert named == {f"{panel['panelIndex']}:{panel['panelRefName']}" for panel in panels}
    taken: set[tuple[int, int]] = set()
    for grid in (panel["gridData"] for panel in panels):
        cells = {
            (x, y) for x in range(grid["x"], grid["x"] + grid["w"]) for y in range(grid["y"], grid["y"] + grid["h"])
        }
        assert not cells & taken
        assert grid["x"] + grid["w"] <= 48
        taken |= cells


def test_every_panel_is_on_a_dashboard() -> None:
    shown = {reference["id"] for each in OBJECTS if each["type"] == "dashboard" for reference in each["references"]}
    assert shown == {panel["id"] for panel in PANELS}
