"""Options and output of `python -m core sequences train|score`, in addition to the fields of their specs."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from core.data.dataset import Dataset
from core.detectors.sequence_model import CALIBRATION_SHARE
from core.errors import OptionError
from core.exports import write_csv
from core.messages import N_
from core.runs.tracked_run import Run
from core.spec.command_line import CommandOptions, ExtraOption, OptionValues, to_word
from core.spec.hyperparameters import build_from_settings, get_hyperparameters, get_params
from core.spec.metric import SCORE_CARD_METRICS
from core.tasks.sequences.result import SequenceDetection
from core.tasks.sequences.spec import FAST_DETECTORS, PER_1000_ROWS, SequenceSpec, list_detectors
from core.tasks.sequences.split import build_training_mask

MAX_EVENTS = 10
FOLDER_DETECTOR, DEFAULT_DETECTOR = "sgmvrnn", FAST_DETECTORS[0]
DAY_S = 86_400.0
EPOCH_SETTINGS = {"steps", "batch_size", "seconds"}
SETTING_ALIASES = {"seed": ("seed", "random_state")}  # names of one setting in different detectors
THRESHOLD_OPTIONS = {
    "alarms_per_hour": ("alarms", "hour"),
    "alarms_per_day": ("alarms", "day"),
    "alarms_per_week": ("alarms", "week"),
    "alarms_per_month": ("alarms", "month"),
    "alarms_per_1000": ("alarms", PER_1000_ROWS),
    "risk": ("pot", PER_1000_ROWS),
    "contamination": ("contamination", PER_1000_ROWS),
    "best_f1": ("best_f1", PER_1000_ROWS),
}
"""Option → kind of threshold, and the period in which alarms are counted."""


# ---- options --------------------------------------------------------------------------------------------------------


def read_options(extra: OptionValues, fields: OptionValues) -> OptionValues:
    """Return the fields, updated with the values of the options. Raises OptionError for several thresholds."""
    return {**fields, **_read_threshold(extra, fields), **_read_detector(extra, fields)}


def list_remarks(spec: SequenceSpec, dataset: Dataset, extra: OptionValues) -> Iterator[str]:
    """Yield options that the detector has no setting for, and the number of steps that the epochs make."""
    name, settings = spec.detector.name, get_params(spec.detector)
    for option, value in _list_settings(extra).items():
        if not _find_setting(option, settings):
            yield f"{name} has no setting {option}: {value} is left out"
    if (epochs := extra.get("epochs")) is None:
        return
    if not settings.keys() >= EPOCH_SETTINGS:
        yield f"{name} does not learn in epochs: {epochs} is left out"
        return
    rows = _count_train_rows(spec, dataset)
    steps, windows = _count_steps(epochs, rows, settings), settings["batch_size"]
    yield f"{epochs} epochs of {rows:,} rows are {steps:,} steps of {windows} windows"


def adjust_spec(spec: SequenceSpec, dataset: Dataset, extra: OptionValues) -> SequenceSpec:
    """Return the spec with the steps that `--epochs` asks for, and a time limit of one day.

    Raises OptionError if the dataset does not have the number of columns given by `--n`.
    """
    _check_columns(dataset, extra.get("n"))
    settings = get_params(spec.detector)
    if extra.get("epochs") is None or not settings.keys() >= EPOCH_SETTINGS:
        return spec
    steps = _count_steps(extra["epochs"], _count_train_rows(spec, dataset), settings)
    detector = build_from_settings(type(spec.detector), {**settings, "steps": steps, "seconds": DAY_S})
    return replace(spec, detector=detector)


def write_curves(detection: SequenceDetection, extra: OptionValues) -> None:
    """Write the training curves into the folder given by `--log_path`."""
    if (folder := extra.get("log_path")) is not None:
        folder.mkdir(parents=True, exist_ok=True)
        write_csv(detection.curves, folder / "training.csv", extra["csv_format"])


def write_scores(detection: SequenceDetection, extra: OptionValues) -> None:
    """Write the scores in the format of the original SGmVRNN to the file given by `--scores-file`."""
    if "scores_file" in extra:
        detection.write_likelihoods(extra["scores_file"])


TRAIN_OPTIONS = CommandOptions(
    options=(
        ExtraOption(
            "alarms_per_week",
            float,
            "Maximum number of false alarms per week (default: 2; without dates 2 per 1,000 rows).",
        ),
        ExtraOption("alarms_per_day", float, "Maximum number of false alarms per day."),
        ExtraOption("alarms_per_hour", float, "Maximum number of false alarms per hour."),
        ExtraOption("alarms_per_month", float, "Maximum number of false alarms per month."),
        ExtraOption("alarms_per_1000", float, "Maximum number of false alarms per 1,000 rows."),
        ExtraOption("risk", float, "Target share of normal rows above the threshold (peaks over threshold)."),
        ExtraOption("contamination", float, "Share of rows to flag, above 0 and at most 0.5."),
        ExtraOption("best_f1", bool, "Best-F1 threshold for the labels (oracle)."),
        ExtraOption("seed", int, "Seed of the detector."),
        ExtraOption(
            "dataset_path",
            Path,
            f"File, or folder of files, instead of FILE; the detector is then {FOLDER_DETECTOR} unless one is named.",
            flag="--dataset_path",
        ),
        ExtraOption("gpu_id", int, "Train on this CUDA device.", flag="--gpu_id"),
        ExtraOption("log_path", Path, "Folder for the training curves (training.csv).", flag="--log_path"),
        ExtraOption(
            "checkpoints_path", Path, "Folder for checkpoints. Training resumes from them.", flag="--checkpoints_path"
        ),
        ExtraOption("epochs", int, "Number of passes over the training rows.", flag="--epochs"),
        ExtraOption("batch_size", int, "Number of windows per step.", flag="--batch_size"),
        ExtraOption("n", int, "Number of columns. An error is raised if the data have another number.", flag="--n"),
    ),
    to_fields=read_options,
    remarks=list_remarks,
    adjust=adjust_spec,
    finish=write_curves,
    checkpoints=lambda extra: extra.get("checkpoints_path"),
    files=lambda extra: [extra["dataset_path"]] if "dataset_path" in extra else [],
    optional_files=True,
)
SCORE_OPTIONS = CommandOptions(
    options=(ExtraOption("scores_file", Path, "File for one line timestamp,loglik,Normaly|Anomaly per row."),),
    finish=write_scores,
)


def _read_threshold(extra: OptionValues, fields: OptionValues) -> OptionValues:
    """Return the fields of the threshold that the options ask for; empty if no option does."""
    threshold_names = [name for name in THRESHOLD_OPTIONS if name in extra]
    if len(threshold_names) > 1 or (threshold_names and not {"threshold", "amount", "per"}.isdisjoint(fields)):
        options = [option.option_name for option in TRAIN_OPTIONS.options if option.name in THRESHOLD_OPTIONS]
        raise OptionError(
            N_("Several thresholds are set. Use only one of {options}."), options=", ".join((*options, "--threshold"))
        )
    if not threshold_names:
        return {}
    threshold, period = THRESHOLD_OPTIONS[threshold_names[0]]
    amount = 0.0 if threshold == "best_f1" else extra[threshold_names[0]]
    return {"threshold": threshold, "amount": amount, "per": to_word(period)}


def _read_detector(extra: OptionValues, fields: OptionValues) -> OptionValues:
    """Return the detector and its settings. Settings given with `--set` come last, so they override the options."""
    name = fields.get("detector") or (FOLDER_DETECTOR if "dataset_path" in extra else DEFAULT_DETECTOR)
    classes = list_detectors()
    accepted = get_hyperparameters(classes[name]) if name in classes else {}
    settings = [
        f"{setting}={value}"
        for option, value in _list_settings(extra).items()
        if (setting := _find_setting(option, accepted))
    ]
    return {"detector": name, "settings": [*settings, *fields.get("settings", [])]}


def _list_settings(extra: OptionValues) -> OptionValues:
    """Return the options that are settings of detectors."""
    settings = {name: extra[name] for name in ("seed", "batch_size") if name in extra}
    return settings | ({"device": f"cuda:{extra['gpu_id']}"} if "gpu_id" in extra else {})


def _find_setting(option: str, accepted: Mapping[str, Any]) -> str:
    """Return the name of a setting in the detector; "" if the detector does not have it."""
    return next((name for name in SETTING_ALIASES.get(option, (option,)) if name in accepted), "")


def _count_train_rows(spec: SequenceSpec, dataset: Dataset) -> int:
    """Return the number of training rows, without rows held out for calibration by a detector that is fitted once."""
    train_mask = build_training_mask(spec.select(dataset), spec.fill_defaults(dataset).until)
    return int(train_mask.sum() * (1 - CALIBRATION_SHARE if spec.detector.calibration_fits == 1 else 1))


def _count_steps(epochs: int, rows: int, settings: OptionValues) -> int:
    """Return the number of steps in `epochs` passes over `rows` rows."""
    return max(1, epochs * -(-rows // int(settings["batch_size"])))


def _check_columns(dataset: Dataset, count: int | None) -> None:
    if count is not None and count != len(dataset.columns):
        raise OptionError(
            N_("--n is {value}, but the number of columns of measurements in {file} is {count}."),
            value=count,
            file=", ".join(dataset.files[:3]),
            count=len(dataset.columns),
        )


# ---- output ---------------------------------------------------------------------------------------------------------


def to_lines(detection: SequenceDetection, run: Run) -> Iterator[str]:
    """Yield the counts, the target and measured share of flagged rows, then the events with the highest scores."""
    metrics = detection.metrics()
    yield (
        f"{metrics['events']:,.0f} events, {metrics['anomalies']:,.0f} of {metrics['rows_scored']:,.0f} rows judged, "
        f"{run.summary}"
    )
    target_rate = "-" if detection.target_rate is None else f"{detection.target_rate:.6f}"
    verdict = {None: "", True: " (promise kept)", False: " (promise broken)"}[detection.promise_kept]
    yield f"share of rows flagged: promised {target_rate}, measured {detection.measured_rate:.6f}{verdict}"
    for event in detection.build_event_table().head(MAX_EVENTS).itertuples():
        yield (
            f"  {event.event:>3}  {event.start!s:19.19}  {event.end!s:19.19}  {event.entity:24.24}  "
            f"{event.peak:>10.4g}  {event.severity:8}  {event.kind:14}  {event.causes}; {describe_values(event)}"
        )


def to_answer(detection: SequenceDetection, run: Run) -> dict[str, Any]:
    """Return whether the promised rate of false alarms was kept; None without a promise."""
    return {"promise_kept": detection.promise_kept}


def describe_values(event: Any) -> str:
    """Return measured and usual values of the first cause of an event, and what would not have been flagged.

    Example:
        >>> from types import SimpleNamespace
        >>> values = {"column": "latency", "measured": 310.0, "usual_low": 90.0, "usual_high": 140.0}
        >>> describe_values(SimpleNamespace(**values, unflagged="latency 85 … 152"))
        'latency: 310, usually 90 … 140; not flagged with latency 85 … 152'
    """
    usual = f"{event.column}: {event.measured:.4g}, usually {event.usual_low:.4g} … {event.usual_high:.4g}"
    return f"{usual}; not flagged with {event.unflagged}" if event.unflagged else usual


def format_score_card(metrics_by_name: Mapping[str, Mapping[str, float | None]]) -> Iterator[str]:
    """Yield a table with a line per detector and baseline, and a column per metric."""
    yield "  " + " ".join(f"{name:>14}" for name in ("", *SCORE_CARD_METRICS))
    for name, metrics in metrics_by_name.items():
        cells = (
            f"{'-' if (value := metrics[metric]) is None else format(value, '.3f'):>14}"
            for metric in SCORE_CARD_METRICS
        )
        yield "  " + " ".join((f"{name:>14}", *cells))
