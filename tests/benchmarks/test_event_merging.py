"""Counting of right events and found anomalies, and the gain on a labelled server."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.event_merging import compute_f1, measure_events, merge_by_gap, score_arrays
from core.detectors.sequences.mean_distance import MeanDistance
from core.evaluation.events import EventSpan, find_events
from core.tasks.sequences.evaluation import read_arrays


def test_event_that_spans_the_file_finds_nothing() -> None:
    labels = np.zeros(1000, dtype=bool)
    labels[500:505] = True
    whole, right, wrong = EventSpan(0, 999), EventSpan(498, 510), EventSpan(100, 101)
    assert measure_events([whole], labels) == {
        "precision": 0.0,
        "recall": 0.0,
        "touch_precision": 1.0,
        "touch_recall": 1.0,
    }
    assert measure_events([right, wrong], labels)["precision"] == 0.5
    assert measure_events([right, wrong], labels)["recall"] == 1.0
    assert measure_events([], labels)["recall"] == 0.0


def test_returns_split_event_of_changed_level_on_real_server(shared_data: Path) -> None:
    """The level of machine-3-4 changes: one event held nearly all test rows, and no labelled anomaly was found."""
    arrays = read_arrays(shared_data / "smd" / "machine-3-4.npz")
    scored = score_arrays("machine-3-4", arrays, MeanDistance(), ())
    scores, anomaly, levels = scored.flag(0.002)
    before, after = merge_by_gap(scores, anomaly, levels), find_events(scores, anomaly, levels)
    assert max(span.last - span.first + 1 for span in before) == pytest.approx(20_945, abs=20)
    assert max(span.last - span.first + 1 for span in after if span.kind == "anomaly") <= levels.max_rows
    metrics = [measure_events(spans, scored.labels) for spans in (before, after)]
    f1_before, f1_after = (compute_f1(values["precision"], values["recall"]) for values in metrics)
    assert f1_after > f1_before + 0.2
