"""Recipes: choices about reading and repairs, from one dataset to the next file."""

import json
from pathlib import Path

import pandas as pd

from core.data.ingest.loading import load
from core.data.quality.findings import Repair
from core.data.quality.repairs import apply_repairs
from core.data.read_options import ReadOptions
from core.data.recipes import list_recipe_steps, parse_recipe


def test_recipe_repeats_reading_and_repairs(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("date;meter;kWh\n01/02/2024;101;1,5\n01/02/2024;101;1,7\n01/03/2024;101;2,5\n")
    options = ReadOptions(roles=("meter=entity",), date_order="month first", unit="MWh")
    dataset = apply_repairs([Repair("drop_duplicates", {"keep": "last"})], load([path], options))
    steps = json.loads(json.dumps(list_recipe_steps(dataset)))
    assert [step["kind"] for step in steps] == ["read", "drop_duplicates"]
    read_options, repairs = parse_recipe(steps)
    repeated = apply_repairs(repairs, load([path], read_options))
    assert repeated.digest == dataset.digest
    assert list(repeated.time) == [pd.Timestamp("2024-01-02"), pd.Timestamp("2024-01-03")]
    assert (repeated.entities, repeated.unit, repeated.values[:, 0].tolist()) == (["101"], "MWh", [1.7, 2.5])


def test_dataset_read_differently_is_another_dataset(tmp_path: Path) -> None:
    """Also where only labels differ: results must not be mixed."""
    path = tmp_path / "a.csv"
    path.write_text("date,MW,label\n2024-01-01,5,0\n2024-01-02,6,1\n2024-01-03,7,0\n")
    with_labels, without = load([path]), load([path], ReadOptions(roles=("label=ignore",)))
    assert with_labels.labels is not None
    assert without.labels is None
    assert with_labels.digest != without.digest
