"""Forecast of a scenario as a question of the page, and its stored answer."""

from dataclasses import dataclass, field, replace

import pandas as pd
from typing_extensions import override

from core.actor import Actor
from core.messages import N_
from core.progress import Progress
from core.runs.result import Result
from core.spec.spec import DataSpec
from core.tasks.forecast.scenarios import Scenario, what_if
from core.workspace import Workspace


@dataclass(frozen=True)
class ScenarioSpec(DataSpec):
    """Question about a scenario of a forecast.

    run         run of the forecast
    scenario    the changes, without tables
    covariates  digest of the stored tables of the scenario; "" for none
    """

    run: str = ""
    scenario: Scenario = field(default_factory=Scenario)
    covariates: str = ""

    @override
    def check(self) -> None:
        self.scenario.check()


@dataclass(frozen=True)
class ScenarioForecast(Result):
    """The forecast, unchanged and under a scenario; `table` has the columns of `scenarios.what_if`."""

    spec: ScenarioSpec
    table: pd.DataFrame

    def to_frame(self) -> pd.DataFrame:
        """Return the table."""
        return self.table


def forecast_scenario(
    spec: ScenarioSpec, *, workspace: Workspace, actor: Actor, progress: Progress
) -> ScenarioForecast:
    """Answer the question `spec`. Raises the errors of `what_if`, and NotFoundError for data that are not stored."""
    progress.report(0.0, N_("Forecasting the scenario"))
    tables = tuple(workspace.covariates.load(spec.covariates)) if spec.covariates else ()
    dataset = workspace.datasets.load(spec.dataset)
    scenario = replace(spec.scenario, tables=tables)
    return ScenarioForecast(spec, what_if(dataset, spec.run, scenario, workspace=workspace, actor=actor))
