"""Scores in the format of the SGmVRNN programs: one line per window, one file per entity, the threshold in force."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.data.dataset import DataSummary
from core.data.seq_writer import WINDOW_ROWS
from core.detectors.sequences.sgmvrnn_detector import SGmVRNN
from core.exports import read_likelihoods
from core.tasks.sequences.result import SequenceDetection
from core.tasks.sequences.scores_files import name_scores_files, pack_scores_files, write_scores_files
from core.tasks.sequences.spec import SequenceSpec

DAY = pd.Timestamp("2019-03-16")
MANY_ENTITIES = st.dictionaries(
    st.text(min_size=1, max_size=20), st.integers(1, 40), min_size=1, max_size=4
)  # entity → rows


def make_detection(
    lengths: dict[str, int], *, window: int = 5, train_share: float = 0.5, seed: int = 0, limit: float | None = None
) -> SequenceDetection:
    """Make a detection with random scores and the threshold 1, or a threshold of each row up to `limit`."""
    random = np.random.default_rng(seed)
    parts = []
    for entity, length in lengths.items():
        score = random.gamma(1.0, 1.0, length).astype(np.float32)
        fitted = np.arange(length) < length * train_share
        part = pd.DataFrame({"entity": entity, "time": pd.date_range(DAY, periods=length), "score": score})
        threshold = np.full(length, 1.0) if limit is None else random.uniform(0, limit, length)
        part = part.assign(fitted=fitted, anomaly=(score > threshold) & ~fitted, label=False)
        parts.append(part if limit is None else part.assign(threshold=threshold))
    rows, empty = pd.concat(parts, ignore_index=True), pd.DataFrame()
    spec = SequenceSpec(detector=SGmVRNN(window=window))
    rows["entity"] = pd.Categorical(rows["entity"], list(lengths))
    tables = dict.fromkeys(("events", "shares", "categories", "cells", "curves", "card"), empty)
    summary = DataSummary(("tiles.csv",), "", True, ("00:00",))
    return SequenceDetection(
        spec, spec, summary, 1.0, "alarms", 0.01, "week", "", 86_400.0, rows, **tables, measurements={}
    )


@given(
    MANY_ENTITIES,
    st.integers(2, 25),
    st.sampled_from([0.0, 0.5]),
    st.integers(0, 2**32 - 1),
    st.sampled_from([None, 3.0]),
)
def test_scores_files_have_a_line_per_window(
    tmp_path_factory: pytest.TempPathFactory,
    lengths: dict[str, int],
    window: int,
    train_share: float,
    seed: int,
    limit: float | None,
) -> None:
    detection = make_detection(lengths, window=window, train_share=train_share, seed=seed, limit=limit)
    folder = tmp_path_factory.mktemp("scores")
    paths = write_scores_files(detection, folder / "new" / "scores.txt")
    assert len(paths) == len(lengths) == len(list((folder / "new").iterdir()))
    for (entity, length), path in zip(lengths.items(), paths, strict=True):
        stamps, scores, words = read_likelihoods(path)
        ends = detection.select_rows(entity).iloc[window - 1 :]
        assert len(stamps) == max(length - window + 1, 0)
        assert stamps == list(ends["time"].dt.strftime("%Y%m%d%H%M%S"))
        np.testing.assert_array_equal(scores, ends["score"])
        np.testing.assert_array_equal(words, ends["score"] > ends.get("threshold", 1.0))


def test_scores_file_of_two_tiles_of_77_days_has_116_lines(tmp_path: Path) -> None:
    """All labels are normal, as in windows of NetMob23: the words follow the threshold and not these labels."""
    detection = make_detection({"Netflix · DL · 100": 77, "Netflix · DL · 101": 77}, window=WINDOW_ROWS, train_share=0)
    paths = write_scores_files(detection, tmp_path / "scores.txt")
    assert [path.name for path in paths] == ["scores_Netflix_DL_100.txt", "scores_Netflix_DL_101.txt"]
    lines = [line for path in paths for line in path.read_text().splitlines()]
    assert len(lines) == 116
    flagged = detection.rows.groupby("entity", observed=True)["anomaly"].apply(lambda flags: flags[19:].sum()).sum()
    assert sum(line.endswith(",Anomaly") for line in lines) == flagged > 0
    assert all(line.endswith((",Anomaly", ",Normaly")) for line in lines)


def test_scores_file_of_an_earlier_run_is_replaced(tmp_path: Path) -> None:
    for _ in range(2):
        write_scores_files(make_detection({"a": 30}), tmp_path / "scores.txt")
    assert len((tmp_path / "scores.txt").read_text().splitlines()) == 26


def test_packed_scores_are_lines_or_a_zip() -> None:
    assert pack_scores_files(make_detection({"a": 6})).count(b"\n") == 2
    with zipfile.ZipFile(io.BytesIO(pack_scores_files(make_detection({"a": 6, "b/c": 7})))) as archive:
        assert archive.namelist() == ["scores_a.txt", "scores_b_c.txt"]
        assert archive.read("scores_b_c.txt").count(b"\n") == 3


@given(st.lists(st.text(min_size=1, max_size=200), min_size=2, unique=True))
def test_names_of_scores_files_are_distinct_and_stay_in_the_folder(entities: list[str]) -> None:
    names = list(name_scores_files(entities, "scores.txt").values())
    assert len({name.casefold() for name in names}) == len(entities)
    assert all("/" not in name and "\\" not in name and len(name) < 130 for name in names)
