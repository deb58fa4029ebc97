"""What comes next: the question, the forecast rows with their intervals, and everything that says how far to trust
them.
"""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from core.errors import NotFoundError
from core.messages import N_, Text

KEPT_STEPS = (1, 7, 28)  # numbers of days ahead whose figures a run logs, beside those of the whole horizon and its end


@dataclass(frozen=True)
class ForecastQuestion:
    """What was asked: the part of a result that does not depend on rows.

    backtest_from    first day of the back-test, ISO; the model that is tested was fitted on the days before
    weather          "as given" (the tables hold observations: as good as a perfect weather forecast), "degraded",
                     "none"
    drivers          the driver columns that the model uses; `joins` the report of how each file came in
    driver_tables    digest under which the tables are stored; "" without any
    notes            (template, values) of what a reader has to know
    """

    forecaster: str
    settings: dict[str, Any]
    horizon: int
    resolution: str
    measure: str
    quantiles: tuple[float, ...]
    weather: str
    backtest_from: str
    backtest_until: str
    dataset: str
    files: tuple[str, ...]
    unit: str
    slots: tuple[str, ...]
    drivers: tuple[str, ...]
    driver_tables: str
    joins: tuple[dict[str, Any], ...]
    calibration: dict[str, Any]
    entities: tuple[str, ...] = ()
    start: str = ""
    end: str = ""
    fitted_by: str = ""
    notes: tuple[tuple[str, dict[str, Any]], ...] = ()

    @property
    def texts(self) -> list[Text]:
        """The notes, ready to be translated."""
        return [Text(template, values) for template, values in self.notes]


@dataclass(frozen=True)
class Forecast:
    """The days to come and the back-test.

    rows         entity, time, step, forecast, one column per quantile ("q0.05"), naive1, naive7, assumed (True where a
                 driver's usual value for the date stood in)
    scores       errors per number of days ahead (0: all) and entity ("": all), the naive forecasts beside: see
                 `scoring.scores`
    checked      every forecast of the back-test beside what came: see `scoring.checked`
    reliability  nominal against measured coverage, by month, entity …: see `scoring.reliability`
    importance   group, step, spared (share of the mean absolute error that grows when the group is shuffled)
    response     what if: strike (0, 1, or NaN as given), shift (°C warmer), amount (over all entities and days)
    effects      strike effects: method ("raw", "matched", "matched, weather taken out"), change, low, high, days,
                 episodes
    """

    question: ForecastQuestion
    rows: pd.DataFrame
    scores: pd.DataFrame
    checked: pd.DataFrame
    reliability: pd.DataFrame
    importance: pd.DataFrame = field(default_factory=pd.DataFrame)
    response: pd.DataFrame = field(default_factory=pd.DataFrame)
    effects: pd.DataFrame = field(default_factory=pd.DataFrame)

    def metrics(self) -> dict[str, float]:
        """What a run logs: figures over all days ahead, and with the number of days ahead behind the name
        (`wape_1`).
        """
        names = (
            "mae",
            "wape",
            "rmse",
            "r2",
            "mase",
            "skill_naive1",
            "skill_naive7",
            "quantile_loss",
            "coverage",
            "width",
        )
        found: dict[str, float] = {}
        together = self.scores[self.scores["entity"] == ""]
        for line in together.to_dict("records"):
            step = int(line["step"])
            if step in (0, *KEPT_STEPS, self.question.horizon):
                found |= {name if step == 0 else f"{name}_{step}": float(line[name]) for name in names}
        return {name: value for name, value in found.items() if np.isfinite(value)}

    def per_step(self) -> pd.DataFrame:
        """The figures over all entities, one row per number of days ahead."""
        own = self.scores[(self.scores["entity"] == "") & (self.scores["step"] > 0)]
        return own.drop(columns="entity").reset_index(drop=True)

    def to_frame(self) -> pd.DataFrame:
        """The forecast rows as a table to export."""
        return self.rows.assign(entity=self.rows["entity"].astype(str), unit=self.question.unit)

    def save(self, folder: Path) -> None:
        """Write the result below `folder`; `load` reads it back."""
        folder.mkdir(parents=True, exist_ok=True)
        for name in TABLES:
            getattr(self, name).to_parquet(folder / f"{name}.parquet", compression="zstd", index=False)
        (folder / "forecast.json").write_text(json.dumps(asdict(self.question), ensure_ascii=False), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "Forecast":
        """Raises NotFoundError where `folder` holds no forecast."""
        try:
            written = json.loads((folder / "forecast.json").read_text(encoding="utf-8"))
            fields = {name: _tuples(value) for name, value in written.items()}
            return cls(ForecastQuestion(**fields), *(pd.read_parquet(folder / f"{name}.parquet") for name in TABLES))
        except (OSError, TypeError, ValueError) as error:
            raise NotFoundError(N_("This run holds no forecast that could be shown.")) from error


TABLES = ("rows", "scores", "checked", "reliability", "importance", "response", "effects")


def _tuples(value: Any) -> Any:
    return tuple(_tuples(each) for each in value) if isinstance(value, list) else value
