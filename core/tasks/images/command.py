"""Output of `python -m core images …`: lines of text, and the fields of `--json`."""

import math
from collections.abc import Iterator
from typing import Any

import pandas as pd

from core.runs.tracked_run import Run
from core.tasks.anomalies.result import SEVERITIES
from core.tasks.images.comparison_result import ImageComparison
from core.tasks.images.model_result import ImageModelResult, ImageScores

MAX_IMAGES = 10
MAX_JSON_IMAGES = 1_000
PER_CLASS = {"auc": "auc_roc", "sd": "sd", "aupr": "auc_pr", "seconds": "seconds", "emissions_kg": "emissions_kg"}
"""Field of `--json` → column of the table per detector and class."""

AnyResult = ImageModelResult | ImageScores | ImageComparison


def to_answer(result: AnyResult, run: Run) -> dict[str, Any]:
    """Return what `--json` holds in addition: the most abnormal images, or the figures of a comparison.

    Areas are shares, 0–1. Those of a comparison are per detector and normal class, as means over the seeds; null for a
    cell without a figure. The cost of the whole run is in run_seconds and run_emissions_kg there.
    """
    if isinstance(result, ImageComparison):
        return _answer_comparison(result, run)
    rows = result.rows.head(MAX_JSON_IMAGES)
    names = [name for name in ("image", "class", "part", "score", "p_value", "anomaly", "severity") if name in rows]
    answer: dict[str, Any] = {
        "threshold": result.threshold,
        "promised_rate": result.promised_rate,
        "images": [{name: _to_json(value) for name, value in line.items()} for line in rows[names].to_dict("records")],
    }
    if isinstance(result, ImageModelResult):
        low, high = result.alarm_band
        answer |= {
            "normal_class": result.spec.normal_class,
            "alarms": {
                "promised": result.promised_rate,
                "measured": _to_json(result.alarm_rate),
                "low": low,
                "high": high,
            },
            "collapse": result.collapse,
        }
    return answer


def _answer_comparison(result: ImageComparison, run: Run) -> dict[str, Any]:
    table, ranking = result.table, result.ranking
    means = dict(zip(ranking["detector"], map(_to_json, ranking["auc_roc"]), strict=True))
    published: dict[str, dict[str, float]] = {}
    for line in result.published.to_dict("records"):
        published.setdefault(line["model"], {})[line["normal_class"]] = line["auc_roc"]
    cells = result.cells.to_dict("records")
    return {
        **{name: _nest(table, column) for name, column in PER_CLASS.items()},
        "mean": means,
        "mean_sd": dict(zip(ranking["detector"], map(_to_json, ranking["sd"]), strict=True)),
        "winner": result.winner,
        "below_line": result.list_below_line(),
        "published": published,
        "cells": [{name: _to_json(value) for name, value in cell.items()} for cell in cells],
        "run_seconds": run.seconds,
        "run_emissions_kg": run.emissions_kg,
    }


def _nest(table: pd.DataFrame, column: str) -> dict[str, dict[str, Any]]:
    """Return detector → class → value of a column."""
    nested: dict[str, dict[str, Any]] = {}
    for line in table.to_dict("records"):
        nested.setdefault(line["detector"], {})[line["normal_class"]] = _to_json(line[column])
    return nested


def _to_json(value: Any) -> Any:
    """Return a value as plain JSON; null for NaN."""
    plain = value.item() if hasattr(value, "item") else value
    return None if isinstance(plain, float) and not math.isfinite(plain) else plain


def to_lines(result: AnyResult, run: Run) -> Iterator[str]:
    """Yield the figures, the most abnormal images or the table of a comparison, and the notes."""
    if isinstance(result, ImageComparison):
        yield from _list_comparison(result, run)
    else:
        yield from _list_images(result, run)
    yield from (f"  {note}" for note in result.notes)


def _list_images(result: ImageModelResult | ImageScores, run: Run) -> Iterator[str]:
    metrics = result.metrics()
    yield f"{int(metrics.get('anomalies', 0)):,} of {len(result.rows):,} images above the threshold, {run.summary}"
    areas = [f"{name} {metrics[key]:.4f}" for name, key in (("AUC", "auc_roc"), ("AUPR", "auc_pr")) if key in metrics]
    if areas:
        yield "  ".join(areas)
    if isinstance(result, ImageModelResult) and result.promised_rate is not None:
        low, high = result.alarm_band
        yield (
            f"false alarms: promised {result.promised_rate:.2%}, measured {result.alarm_rate:.2%} (by chance {low:.2%} "
            f"to {high:.2%}), sensitivity {metrics.get('sensitivity', float('nan')):.2%}"
        )
    for row in result.rows.head(MAX_IMAGES).to_dict("records"):
        yield (
            f"  {row['score']:>12,.5g}  {row['p_value']:>8.4f}  {SEVERITIES[row['severity']]:8}  {row['class']:12.12}  "
            f"{row['image']:.60}"
        )


def _list_comparison(result: ImageComparison, run: Run) -> Iterator[str]:
    failed = int((result.cells["reason"] != "").sum())
    yield f"{len(result.cells):,} cells, {failed:,} failed, {run.summary}"
    yield f"  {'detector':28}  {'AUC':>7}  {'sd':>7}  {'least':>7}  {'class':10}  {'AUPR':>7}  {'s/fit':>7}"
    for line in result.ranking.to_dict("records"):
        yield (
            f"  {line['detector']:28.28}  {line['auc_roc']:>7.4f}  {line['sd']:>7.4f}  {line['worst']:>7.4f}  "
            f"{line['worst_class']:10.10}  {line['auc_pr']:>7.4f}  {line['seconds']:>7.1f}"
        )
    if not result.published.empty:
        means = result.published.groupby(["model", "source"], sort=False)["auc_roc"].mean()
        for (model, source), mean in means.items():
            yield f"  {model:28.28}  {mean:>7.4f}  published: {source}"
