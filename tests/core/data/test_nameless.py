"""Series that no column names: one name for every file, so that a model of one file applies to another."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.data.dataset import Dataset, make_index
from core.data.ingest.loading import load
from core.data.nameless import SERIES, code_fitted_entities, is_nameless, list_name_notes, name_by_file
from core.data.panel import Panel
from core.data.quality.baseline import GroupMedian
from core.errors import DataError

MAY = "time,load\n" + "".join(f"2024-05-{day:02d},{day}\n" for day in range(1, 29))
JUNE = MAY.replace("2024-05", "2024-06")
LYON = "time,site,load\n" + "".join(f"2024-05-{day:02d},Lyon,{day}\n" for day in range(1, 29))


def write(folder: Path, name: str, text: str) -> Path:
    (folder / name).write_text(text)
    return folder / name


def make_series(entity: str, files: tuple[str, ...] = (), rows: int = 3) -> Dataset:
    frame = pd.DataFrame({"load": np.arange(float(rows))}, make_index([entity] * rows, list(range(rows))))
    return Dataset(frame, "demo", files=files)


def test_file_of_one_series_has_constant_entity(tmp_path: Path) -> None:
    assert [load([write(tmp_path, name, MAY)]).entities for name in ("may.csv", "june.csv.txt")] == [[SERIES], [SERIES]]


def test_files_of_following_periods_are_one_nameless_series(tmp_path: Path) -> None:
    dataset = load([write(tmp_path, "may.csv", MAY), write(tmp_path, "june.csv", JUNE)])
    assert dataset.entities == [SERIES]
    assert len(dataset) == 56


def test_files_of_same_period_are_named_by_their_files(tmp_path: Path) -> None:
    dataset = load([write(tmp_path, "north.csv", MAY), write(tmp_path, "south.csv", MAY.replace(",1\n", ",7\n"))])
    assert dataset.entities == ["north", "south"]
    assert dataset.filter_rows(["south"]).values[0, 0] == 7.0


def test_nameless_file_beside_named_one_is_named_by_its_file(tmp_path: Path) -> None:
    dataset = load([write(tmp_path, "lyon.csv", LYON), write(tmp_path, "other.csv", MAY)])
    assert dataset.entities == ["Lyon", "other"]


def test_stored_stem_counts_as_nameless() -> None:
    assert is_nameless(["may"], ["may.csv.gz"])
    assert not is_nameless(["may"], ["june.csv", "may.csv"])
    assert not is_nameless([SERIES, "may"], ["may.csv"])


@given(entity=st.sampled_from([SERIES, "june", "Lyon"]), fitted=st.sampled_from([SERIES, "may", "Paris"]))
def test_only_nameless_series_takes_place_of_fitted_entity(entity: str, fitted: str) -> None:
    dataset, model = make_series(entity, ("june.csv",)), GroupMedian("entity").fit(make_series(fitted, ("may.csv",)))
    if entity == "Lyon":
        assert code_fitted_entities(dataset, [fitted]).tolist() == [-1]
        with pytest.raises(DataError, match="without the entity 'Lyon'"):
            model.predict(dataset)
    else:
        assert model.predict(dataset)[0].ravel().tolist() == [1.0, 1.0, 1.0]
        assert len(list_name_notes(dataset, [fitted])) == int(entity != fitted)


def test_nameless_series_takes_no_place_among_several_entities() -> None:
    assert code_fitted_entities(make_series(SERIES), ["Lyon", "Paris"]).tolist() == [-1]
    assert list_name_notes(make_series(SERIES), ["Lyon", "Paris"]) == ()


def test_name_by_file_keeps_rows_and_labels() -> None:
    dataset = make_series(SERIES, ("may.csv",))
    labelled = dataset.replace(labels=pd.Series([True, False, True], dataset.frame.index, name="label"))
    named = name_by_file(labelled)
    assert named.entities == ["may"]
    assert named.labels is not None
    assert named.labels.tolist() == [True, False, True]
    assert named.frame.index.equals(named.labels.index)


def test_panel_tells_that_nothing_names_its_series(tmp_path: Path) -> None:
    assert Panel.from_dataset(load([write(tmp_path, "may.csv", MAY)])).is_nameless
    assert not Panel.from_dataset(load([write(tmp_path, "lyon.csv", LYON)])).is_nameless
