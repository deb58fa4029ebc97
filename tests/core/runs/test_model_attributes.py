"""Models of earlier versions: what they lack is filled where that is equivalent, and named otherwise."""

import copy
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from core.actor import Actor
from core.errors import UnreadableFileError
from core.forecasters.forecast_model import ForecastModel
from core.forecasters.intraday.day_shape import DayShape
from core.forecasters.ridge import Ridge
from core.forecasters.seasonal_naive import SeasonalNaive
from core.runs import model_attributes, model_files
from core.runs.model_attributes import complete_model
from core.runs.model_files import list_trusted_types, load_model
from core.tasks.forecast.run import forecast
from core.tasks.forecast.spec import ForecastSpec
from core.workspace import Workspace
from tests.support.sample_series import make_consumption, make_daily_dataset


def list_fitting_classes() -> list[type]:
    """Return the own classes of models whose `fit` sets attributes in every case."""
    names = [name.rpartition(".") for name in list_trusted_types() if name.startswith("core.")]
    modules = {module for module, _, _ in names}
    classes = {
        value
        for module in modules
        for value in vars(__import__(module, fromlist=["_"])).values()
        if isinstance(value, type) and f"{value.__module__}.{value.__qualname__}" in list_trusted_types()
    }
    return sorted((cls for cls in classes if any(model_attributes._list_fitted(cls))), key=lambda cls: cls.__name__)


@pytest.mark.parametrize("cls", list_fitting_classes(), ids=lambda cls: cls.__name__)
def test_every_model_that_lacks_an_attribute_is_told_from_a_whole_one(cls: type) -> None:
    for attributes in filter(lambda names: len(names) > 1, model_attributes._list_fitted(cls)):
        model = object.__new__(cls)
        for name in attributes:
            object.__setattr__(model, name, None)
        assert model_attributes._list_unset(model) == []
        for name in attributes:
            if hasattr(cls, name):
                continue
            older = copy.copy(model)
            object.__delattr__(older, name)
            assert model_attributes._list_unset(older) == [name]


def test_missing_field_with_a_default_is_filled() -> None:
    shape = DayShape()
    del shape.lines_
    assert complete_model([shape]) == ()
    assert shape.lines_ == {}


def test_unfitted_part_of_a_model_is_no_older_one() -> None:
    assert complete_model({"members": (Ridge(), SeasonalNaive())}) == ()


def test_model_of_an_earlier_version_is_refused_with_its_run_and_version(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The saved Ridge has no share, as before there was one: run, version and attribute are named."""
    dataset = make_daily_dataset(make_consumption(120, 1))
    save = model_files.save_model

    def save_older(folder: Path, model: Any, example: pd.DataFrame) -> None:
        save(folder, model, example)
        del model.forecaster.share_
        path = folder / "data" / "model.skops"
        path.unlink()
        model_files.model_io._dump_model(model, path, list_trusted_types())

    monkeypatch.setattr("core.tasks.forecast.run.save_model", save_older)
    _, run = forecast(ForecastSpec(Ridge(), horizon=2), dataset, workspace=workspace, actor=Actor("alice", "tests"))
    message = rf"run {re.escape(run.id[:12])} was fitted by version 0\.[\w. ]+ of Vigie.* lacks Ridge.share_\. Fit"
    with pytest.raises(UnreadableFileError, match=message):
        load_model(run.id, ForecastModel, workspace)
