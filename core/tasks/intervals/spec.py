"""Specs of the task intervals."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from core import forecasters as algorithms
from core.batch.folder_spec import FolderSpec, declare_batch_rows
from core.data.cleaning import FILL_LABELS
from core.data.regular_series import choose_default_measure
from core.errors import OptionError
from core.forecasters.series.base import SeriesForecaster
from core.messages import N_
from core.spec.hyperparameters import algorithm, hyperparameter, require_choice
from core.spec.plugins import discover_classes
from core.spec.spec import ApplySpec, PartSpec, Spec

if TYPE_CHECKING:
    from core.data.dataset import Dataset

DEFAULT_FORECASTER = "gradient-boosting-quantiles"
RATIO_ATTEMPTS = {"ccr": "total"}  # ratio → column with the number of events behind it
MAX_HORIZON_STEPS = 4 * 672
MAX_WINDOWS = 26
BATCH_ROWS = 2_700_000  # 500 trunks on 8 weeks of quarter-hours


def list_series_forecasters() -> dict[str, type[SeriesForecaster]]:
    """Return name → class of every forecaster of quantiles."""
    return discover_classes(algorithms, SeriesForecaster)


@dataclass(frozen=True)
class JudgingSpec(Spec):
    """Measures, forecaster and periods of a judgement: the same for one dataset and for a folder of them.

    value       measured columns; () for `total`, or the first column of data without it
    horizon     steps of one forecast; None for a week where the data cover four weeks, else a day
    level       promised share of the points inside the interval; a 50 % interval comes with it
    calibration_windows, test_windows  periods of one horizon each, which the forecaster is not fitted on; None for a
                number that suits the length of the history
    attempts    column with the number of events behind a ratio; "" for `total` behind `ccr`, else none
    spike_window, spike_threshold, fill_from  cleaning of the history that the forecaster sees; points are judged by
                their original values
    """

    value: tuple[str, ...] = hyperparameter(
        (),
        help=N_("Measure to watch (default: total, or the first column). The option can be repeated."),
        label=N_("Measures"),
        flag="--value",
    )
    forecaster: SeriesForecaster = algorithm(
        list_series_forecasters,
        DEFAULT_FORECASTER,
        help=N_("Method that forecasts the median and the quantiles."),
        label=N_("Forecasting method"),
    )
    horizon: int | None = hyperparameter(
        None,
        help=N_("Steps of one forecast (default: a week where the data cover four weeks, else a day)."),
        label=N_("Steps ahead"),
        low=1,
        high=MAX_HORIZON_STEPS,
        steps=(7, 14, 24, 28, 48, 96, 168, 192, 288, 336, 672, 1344),
    )
    level: float = hyperparameter(
        0.95,
        help=N_("Share of usual points that the interval should contain."),
        label=N_("Level of the interval"),
        low=0.6,
        high=0.999,
        steps=(0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999),
        format="percent",
    )
    calibration_windows: int | None = hyperparameter(
        None,
        help=N_(
            "Horizons before the judged ones, used to calibrate the interval (default: by the length of the history)."
        ),
        label=N_("Horizons to calibrate on"),
        low=1,
        high=MAX_WINDOWS,
        steps=tuple(range(1, MAX_WINDOWS + 1)),
    )
    test_windows: int | None = hyperparameter(
        None,
        help=N_("Last horizons, whose points are judged (default: by the length of the history)."),
        label=N_("Horizons to judge"),
        low=1,
        high=MAX_WINDOWS,
        steps=tuple(range(1, MAX_WINDOWS + 1)),
    )
    attempts: str = hyperparameter(
        "",
        help=N_("Column with the number of events behind a ratio, such as the calls behind ccr (total)."),
        label=N_("Attempts behind the ratio"),
        metavar="COLUMN",
    )
    spike_window: int = hyperparameter(
        5,
        help=N_("Number of values of the rolling median that is used to find spikes."),
        label=N_("Spike window"),
        low=3,
        high=99,
    )
    spike_threshold: Literal["auto", "none"] | float = hyperparameter(
        "auto",
        help=N_("Distance from the rolling median of a spike: a number, auto (from the data), or none."),
        label=N_("Spike threshold"),
        low=0,
        metavar="auto|none|NUMBER",
    )
    fill_from: str = hyperparameter(
        "previous-week",
        help=N_("How holes of the history are filled. Filled points are never anomalies."),
        label=N_("Filling of holes"),
        choices=tuple(FILL_LABELS),
        words=FILL_LABELS,
    )

    def check(self) -> None:
        """Raise OptionError for a value that is not accepted, or attempts for several measures."""
        super().check()
        if self.attempts and len(self.value) > 1:
            raise OptionError(
                N_("{name} = {value!r} is not accepted. Accepted: {accepted}."),
                name="attempts",
                value=self.attempts,
                accepted="one --value",
            )

    def choose_measures(self, dataset: "Dataset") -> tuple[str, ...]:
        """Return the measures of `dataset` to watch. Raises OptionError for a column that the data do not have."""
        columns = ["value"] if dataset.profile else dataset.columns
        value = tuple(dict.fromkeys(self.value)) or (choose_default_measure(columns),)
        for name in (*value, *filter(None, [self.attempts])):
            require_choice("value" if name in value else "attempts", name, tuple(columns))
        return value

    def find_attempts(self, measure: str, dataset: "Dataset") -> str:
        """Return the column with the number of events behind `measure`; "" for a measure that is no ratio."""
        usual = RATIO_ATTEMPTS.get(measure, "")
        return self.attempts or (usual if usual in dataset.columns else "")


@dataclass(frozen=True)
class IntervalsSpec(JudgingSpec, PartSpec):
    """Find the points of regular series that leave the calibrated interval of a forecast, and the events they form.

    search  settings of a neural forecaster to try before; 0 for none
    """

    search: int = hyperparameter(
        0,
        help=N_("Number of settings of a neural network to try first; 0 for none."),
        label=N_("Settings to try"),
        low=0,
        high=50,
    )

    def check(self) -> None:
        """Raise OptionError for a value that is not accepted, or a search in vain."""
        from core.forecasters.series.neural_forecaster import NeuralForecaster

        super().check()
        if self.search and not isinstance(self.forecaster, NeuralForecaster):
            raise OptionError(
                N_("{name} = {value!r} is not accepted. Accepted: {accepted}."),
                name="search",
                value=self.search,
                accepted=f"0 ({self.forecaster.name})",
            )

    def fill_defaults(self, dataset: "Dataset") -> "IntervalsSpec":
        """Return the spec with the digest of `dataset` and its measures. Raises the error of `choose_measures`."""
        return replace(self, dataset=dataset.digest, value=self.choose_measures(dataset))


@dataclass(frozen=True)
class IntervalsApplySpec(ApplySpec):
    """Judge the points of a dataset by the model of an earlier run, which goes on with its calibration."""


@dataclass(frozen=True)
class IntervalsFolderSpec(JudgingSpec, FolderSpec):
    """Find what leaves its calibrated interval among thousands of series, in batches; an interrupted run resumes."""

    batch_rows: int = declare_batch_rows(BATCH_ROWS)
