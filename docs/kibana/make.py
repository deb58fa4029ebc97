"""Writes vigie.ndjson, what Kibana imports: `python docs/kibana/make.py`. Formats as Kibana 8 exports them.

Every panel is a visualisation, the oldest and most stable of Kibana's formats, and a saved object of its own.
"""

import json
from pathlib import Path
from typing import Any

TARGET = Path(__file__).with_name("vigie.ndjson")
VIEW = "vigie-events"
SEARCH = {"query": {"query": "", "language": "kuery"}, "filter": []}
LEGEND = {"addTooltip": True, "addLegend": True, "legendPosition": "right", "truncateLegend": True, "maxLegendLines": 1}


def lines() -> list[dict[str, Any]]:
    """Every saved object: the data view, the panels, the dashboards."""
    return [
        data_view(),
        *(each for panels in DASHBOARDS.values() for each, _ in panels),
        *(dashboard(name) for name in DASHBOARDS),
    ]


def data_view() -> dict[str, Any]:
    attributes = {
        "title": "vigie-events*",
        "name": "Vigie events",
        "timeFieldName": "@timestamp",
        "fields": "[]",
        "fieldAttrs": "{}",
        "fieldFormatMap": "{}",
        "runtimeFieldMap": "{}",
        "sourceFilters": "[]",
    }
    return saved("index-pattern", VIEW, attributes, [], "8.0.0")


def saved(
    kind: str, identity: str, attributes: dict[str, Any], references: list[dict[str, str]], version: str
) -> dict[str, Any]:
    return {
        "id": identity,
        "type": kind,
        "attributes": attributes,
        "references": references,
        "managed": False,
        "coreMigrationVersion": "8.8.0",
        "typeMigrationVersion": version,
    }


# ---- aggregations ---------------------------------------------------------------------------------------------------


def metric(number: int, kind: str, field: str = "", label: str = "", **params: Any) -> dict[str, Any]:
    """Return a figure: count, cardinality, median, percentiles, max, sum of `field`."""
    given = ({"field": field} if field else {}) | ({"customLabel": label} if label else {}) | params
    return {"id": str(number), "enabled": True, "type": kind, "schema": "metric", "params": given}


def terms(number: int, schema: str, field: str, label: str, size: int = 20, order: str = "1") -> dict[str, Any]:
    """One bucket per value of `field`, those with the highest metric `order` first."""
    params = {
        "field": field,
        "customLabel": label,
        "orderBy": order,
        "order": "desc",
        "size": size,
        "otherBucket": False,
        "otherBucketLabel": "Other",
        "missingBucket": False,
        "missingBucketLabel": "Missing",
    }
    return {"id": str(number), "enabled": True, "type": "terms", "schema": schema, "params": params}


def over_time(number: int) -> dict[str, Any]:
    params = {
        "field": "@timestamp",
        "useNormalizedEsInterval": True,
        "scaleMetricValues": False,
        "interval": "auto",
        "drop_partials": False,
        "min_doc_count": 1,
        "extended_bounds": {},
    }
    return {"id": str(number), "enabled": True, "type": "date_histogram", "schema": "segment", "params": params}


# ---- panels ---------------------------------------------------------------------------------------------------------


def panel(
    identity: str, title: str, kind: str, aggs: list[dict[str, Any]], params: dict[str, Any], query: str = ""
) -> dict[str, Any]:
    search = SEARCH | {
        "query": {"query": query, "language": "kuery"},
        "indexRefName": "kibanaSavedObjectMeta.searchSourceJSON.index",
    }
    attributes = {
        "title": f"Vigie · {title}",
        "description": "",
        "version": 1,
        "uiStateJSON": "{}",
        "visState": json.dumps({"title": f"Vigie · {title}", "type": kind, "aggs": aggs, "params": params}),
        "kibanaSavedObjectMeta": {"searchSourceJSON": json.dumps(search)},
    }
    reference = {"id": VIEW, "name": "kibanaSavedObjectMeta.searchSourceJSON.index", "type": "index-pattern"}
    return saved("visualization", f"vigie-{identity}", attributes, [reference], "8.5.0")


def table(identity: str, title: str, aggs: list[dict[str, Any]], query: str = "") -> dict[str, Any]:
    params = {
        "perPage": 10,
        "showPartialRows": False,
        "showMetricsAtAllLevels": False,
        "showTotal": False,
        "totalFunc": "sum",
        "percentageCol": "",
        "showToolbar": True,
        "autoFitRowToContent": True,
    }
    return panel(identity, title, "table", aggs, params, query)


def donut(identity: str, title: str, aggs: list[dict[str, Any]]) -> dict[str, Any]:
    labels = {
        "show": True,
        "values": True,
        "valuesFormat": "percent",
        "percentDecimals": 1,
        "last_level": True,
        "truncate": 100,
        "position": "default",
    }
    params = {
        "type": "pie",
        "isDonut": True,
        "emptySizeRatio": 0.3,
        "nestedLegend": False,
        "legendDisplay": "show",
        "distinctColors": False,
        "palette": {"type": "palette", "name": "default"},
        "labels": labels,
    } | LEGEND
    return panel(identity, title, "pie", aggs, params)


def chart(
    identity: str, title: str, kind: str, aggs: list[dict[str, Any]], axis: str, query: str = "", mode: str = "normal"
) -> dict[str, Any]:
    """Bars ("histogram") or lines ("line"); `mode` "stacked" puts them upon each other."""
    series = [
        {
            "show": True,
            "type": kind,
            "mode": mode,
            "data": {"label": axis, "id": agg["id"]},
            "valueAxis": "ValueAxis-1",
            "drawLinesBetweenPoints": True,
            "lineWidth": 2,
            "showCircles": True,
            "interpolate": "linear",
            "circlesRadius": 3,
        }
        for agg in aggs
        if agg["schema"] == "metric"
    ]
    labels = {"show": True, "truncate": 100, "filter": True}
    params = {
        "type": kind,
        "grid": {"categoryLines": False},
        "seriesParams": series,
        "times": [],
        "addTimeMarker": False,
        "radiusRatio": 9,
        "categoryAxes": [
            {
                "id": "CategoryAxis-1",
                "type": "category",
                "position": "bottom",
                "show": True,
                "scale": {"type": "linear"},
                "labels": labels,
                "title": {},
                "style": {},
            }
        ],
        "valueAxes": [
            {
                "id": "ValueAxis-1",
                "name": "LeftAxis-1",
                "type": "value",
                "position": "left",
                "show": True,
                "style": {},
                "scale": {"type": "linear", "mode": "normal"},
                "labels": labels | {"rotate": 0},
                "title": {"text": axis},
            }
        ],
        "labels": {"show": False},
        "thresholdLine": {"show": False, "value": 10, "width": 1, "style": "full", "color": "#E7664C"},
        "palette": {"type": "palette", "name": "default"},
        "detailedTooltip": True,
        "isVislibVis": False,
        "fittingFunction": "linear",
    } | LEGEND
    return panel(identity, title, kind, aggs, params, query)


def sums_per_entity(identity: str, title: str) -> dict[str, Any]:
    """Bars with the sum of the anomalies of each entity.

    A classic panel counts the events of an entity, and cannot sum the number beside its name in a list of both. A Vega
    panel can ask for it.
    """
    path, name = "details.anomalies_by_entity", "anomalies"
    by_entity = {
        "terms": {"field": f"{path}.entity", "size": 50, "order": {name: "desc"}},
        "aggs": {name: {"sum": {"field": f"{path}.count"}}},
    }
    body = {"size": 0, "aggs": {"lists": {"nested": {"path": path}, "aggs": {"entities": by_entity}}}}
    bars = {
        "y": {"field": "key", "type": "nominal", "sort": "-x", "title": "Entity"},
        "x": {"field": f"{name}.value", "type": "quantitative", "title": "Anomalies"},
    }
    spec = {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "data": {
            "url": {"%context%": True, "%timefield%": "@timestamp", "index": "vigie-events*", "body": body},
            "format": {"property": "aggregations.lists.entities.buckets"},
        },
        "mark": {"type": "bar", "tooltip": True},
        "encoding": bars,
    }
    state = {"title": f"Vigie · {title}", "type": "vega", "aggs": [], "params": {"spec": json.dumps(spec)}}
    attributes = {
        "title": f"Vigie · {title}",
        "description": "",
        "version": 1,
        "uiStateJSON": "{}",
        "visState": json.dumps(state),
        "kibanaSavedObjectMeta": {"searchSourceJSON": json.dumps(SEARCH)},
    }
    return saved("visualization", f"vigie-{identity}", attributes, [], "8.5.0")


FULL, HALF = (48, 14), (24, 14)
RUNS = "model_name: *"
DASHBOARDS = {
    "Vigie · Monitoring": [
        (
            table(
                "models",
                "Applications and models",
                [
                    metric(1, "count", label="Runs"),
                    metric(2, "median", "response_time", "Median response time (s)"),
                    metric(3, "median", "cpu_usage", "Median CPU (%)"),
                    metric(4, "median", "memory_usage", "Median memory (%)"),
                    metric(5, "cardinality", "model_version", "Versions"),
                    terms(6, "bucket", "application_name", "Application"),
                    terms(7, "bucket", "model_name", "Model"),
                    terms(8, "bucket", "status", "Status", 3),
                ],
                RUNS,
            ),
            FULL,
        ),
        (
            donut(
                "executions", "Executions per model", [metric(1, "count"), terms(2, "segment", "model_name", "Model")]
            ),
            HALF,
        ),
        (
            chart(
                "statuses",
                "Completed and failed per model",
                "histogram",
                [
                    metric(1, "count", label="Runs"),
                    terms(2, "segment", "model_name", "Model"),
                    terms(3, "group", "status", "Status", 3),
                ],
                "Runs",
                RUNS,
                "stacked",
            ),
            HALF,
        ),
        (
            chart(
                "response",
                "Response time p50 and p95",
                "line",
                [metric(1, "percentiles", "response_time", "Response time (s)", percents=[50, 95]), over_time(2)],
                "seconds",
            ),
            HALF,
        ),
        (
            chart(
                "load",
                "Processor and memory",
                "line",
                [
                    metric(1, "median", "cpu_usage", "CPU (%)"),
                    metric(3, "median", "memory_usage", "Memory (%)"),
                    over_time(2),
                ],
                "% of the machine",
            ),
            HALF,
        ),
        (sums_per_entity("entities", "Anomalies per entity"), HALF),
        (
            chart(
                "emissions",
                "Emissions per model",
                "histogram",
                [metric(1, "sum", "emissions_kg", "kg CO₂ (estimated)"), terms(2, "segment", "model_name", "Model")],
                "kg CO₂",
                RUNS,
            ),
            HALF,
        ),
    ],
    "Vigie · Errors": [
        (
            chart(
                "failures",
                "Failures over time",
                "histogram",
                [
                    metric(1, "count", label="Failures"),
                    over_time(2),
                    terms(3, "group", "error_type", "Kind of error", 10),
                ],
                "Failures",
                "status: failed",
                "stacked",
            ),
            FULL,
        ),
        (
            table(
                "errors",
                "History of errors",
                [
                    metric(1, "max", "@timestamp", "Last"),
                    metric(6, "count", label="Times"),
                    terms(2, "bucket", "status", "Status", 3),
                    terms(3, "bucket", "error_message", "Message", 100),
                    terms(4, "bucket", "error_type", "Kind", 20),
                    terms(5, "bucket", "model_name", "Model", 20),
                ],
                "status: failed and model_name: *",
            ),
            FULL,
        ),
        (
            table(
                "errors-pages",
                "Errors by page",
                [
                    metric(1, "max", "@timestamp", "Last"),
                    metric(5, "count", label="Times"),
                    terms(2, "bucket", "application_name", "Application", 50),
                    terms(3, "bucket", "event", "Action", 20),
                    terms(4, "bucket", "error_message", "Message", 100),
                ],
                "status: failed",
            ),
            FULL,
        ),
    ],
}


# ---- dashboards -----------------------------------------------------------------------------------------------------


def dashboard(title: str) -> dict[str, Any]:
    """Return the panels of `title`: two of half width in a row, one of full width alone."""
    panels, references, x, y = [], [], 0, 0
    for place, (shown, (width, height)) in enumerate(DASHBOARDS[title]):
        if x + width > 48:
            x, y = 0, y + height
        grid = {"x": x, "y": y, "w": width, "h": height, "i": str(place)}
        panels.append(
            {
                "type": "visualization",
                "gridData": grid,
                "panelIndex": str(place),
                "embeddableConfig": {"enhancements": {}},
                "panelRefName": f"panel_{place}",
            }
        )
        references.append({"id": shown["id"], "name": f"{place}:panel_{place}", "type": "visualization"})
        x += width
    options = {
        "useMargins": True,
        "syncColors": False,
        "syncCursor": True,
        "syncTooltips": False,
        "hidePanelTitles": False,
    }
    attributes = {
        "title": title,
        "description": "",
        "version": 1,
        "timeRestore": True,
        "timeFrom": "now-7d",
        "timeTo": "now",
        "panelsJSON": json.dumps(panels),
        "optionsJSON": json.dumps(options),
        "kibanaSavedObjectMeta": {"searchSourceJSON": json.dumps(SEARCH)},
    }
    return saved("dashboard", title.lower().replace(" · ", "-"), attributes, references, "8.9.0")


if __name__ == "__main__":
    TARGET.write_text(
        "".join(json.dumps(line, ensure_ascii=False, sort_keys=True) + "\n" for line in lines()), encoding="utf-8"
    )
