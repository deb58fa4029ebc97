"""Options and output of `python -m core sequences train|score`, in addition to the fields of their specs."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from core.data.dataset import Dataset
from core.detectors.devices import CPU, check_device
from core.detectors.sequence_model import CALIBRATION_SHARE
from core.errors import OptionError
from core.exports import write_csv
from core.messages import N_
from core.runs.tracked_run import Run
from core.spec.command_line import CommandOptions, ExtraOption, OptionValues, to_word
from core.spec.hyperparameters import build_from_settings, get_hyperparameters, get_params
from core.spec.metric import SCORE_CARD_METRICS
from core.spec.spec import ApplySpec, PartSpec
from core.tasks.sequences import predecessor
from core.tasks.sequences.result import SequenceDetection
from core.tasks.sequences.scores_files import SCORES_FILE, name_scores_files, write_scores_files
from core.tasks.sequences.spec import FAST_DETECTORS, PER_1000_ROWS, SequenceSpec, list_detectors
from core.tasks.sequences.split import build_training_mask

MAX_EVENTS = 10
MAX_SHOWN_FILES = 5
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


def list_data_paths(extra: OptionValues) -> list[Path]:
    """Return the path given by `--dataset_path`."""
    return [extra["dataset_path"]] if "dataset_path" in extra else []


def read_options(extra: OptionValues, fields: OptionValues) -> OptionValues:
    """Return the fields, updated with the values of the options.

    Raises OptionError for several thresholds and for an unknown device.
    """
    check_device(extra.get("device", CPU))
    return {**fields, **_read_threshold(extra, fields), **_read_detector(extra, fields)}


def list_remarks(spec: SequenceSpec, dataset: Dataset, extra: OptionValues) -> Iterator[str]:
    """Yield options that the detector has no setting for, and the number of steps that the epochs make."""
    name, settings = spec.detector.name, get_params(spec.detector)
    for option, value in _list_settings(extra).items():
        if not _find_setting(option, settings):
            yield f"{name} has no setting {option}: {value} is left out"
    yield from predecessor.list_ignored_options(extra, is_training=True)
    yield from _list_entity_files(spec, dataset, extra.get("scores_file"))
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


def write_training_files(detection: SequenceDetection, run: Run, extra: OptionValues) -> None:
    """Write the training curves, the id of the run and the scores to the paths that the options give."""
    if (folder := extra.get("log_path")) is not None:
        folder.mkdir(parents=True, exist_ok=True)
        write_csv(detection.curves, folder / "training.csv", extra["csv_format"])
    predecessor.save_run(extra, run.id)
    if "scores_file" in extra:
        write_scores_files(detection, extra["scores_file"])


def read_score_options(extra: OptionValues, fields: OptionValues) -> OptionValues:
    """Return the fields, with the model of `--checkpoints_path` unless one is given. Raises OptionError without it."""
    model = fields.get("model") or predecessor.load_run_id(extra)
    return {**fields, "model": model} if model else fields


def list_score_remarks(spec: ApplySpec, dataset: Dataset, extra: OptionValues) -> Iterator[str]:
    """Yield options that change nothing, and the files of the scores of several entities."""
    yield from predecessor.list_ignored_options(extra, is_training=False)
    for path in _list_scores_paths(extra):
        yield from _list_entity_files(spec, dataset, path)


def check_score_columns(spec: ApplySpec, dataset: Dataset, extra: OptionValues) -> ApplySpec:
    """Return the spec. Raises OptionError if the dataset does not have the number of columns given by `--n`."""
    _check_columns(dataset, extra.get("n"))
    return spec


def write_scores(detection: SequenceDetection, run: Run, extra: OptionValues) -> None:
    """Write the scores to the file given by `--scores-file`, and into the folder given by `--log_path`."""
    for path in _list_scores_paths(extra):
        write_scores_files(detection, path)


def _list_scores_paths(extra: OptionValues) -> list[Path]:
    paths = [extra.get("scores_file"), extra["log_path"] / SCORES_FILE if "log_path" in extra else None]
    return [path for path in paths if path is not None]


def _list_entity_files(spec: PartSpec, dataset: Dataset, path: Path | None) -> Iterator[str]:
    """Yield the names of the files of scores if there are several instead of `path`."""
    if path is not None and len(entities := spec.select(dataset).entities) > 1:
        names = list(name_scores_files(entities, path.name).values())
        shown = ", ".join(names[:MAX_SHOWN_FILES]) + (" …" if len(names) > MAX_SHOWN_FILES else "")
        yield f"one file of scores per entity: {shown}"


SCORES_OPTION = ExtraOption(
    "scores_file",
    Path,
    "File for one line timestamp,loglik,Normaly|Anomaly per window, for its last row; Anomaly is above the threshold. "
    "Several entities have a file each, with the entity in its name.",
)
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
        ExtraOption("device", str, "Device of the training: cpu, cuda, cuda:1 or mps. The CPU replaces a missing one."),
        SCORES_OPTION,
        *predecessor.TRAIN_OPTIONS,
    ),
    to_fields=read_options,
    remarks=list_remarks,
    adjust=adjust_spec,
    finish=write_training_files,
    checkpoints=lambda extra: extra.get("checkpoints_path"),
    files=list_data_paths,
    optional_files=True,
)
SCORE_OPTIONS = CommandOptions(
    options=(SCORES_OPTION, *predecessor.SCORE_OPTIONS),
    to_fields=read_score_options,
    remarks=list_score_remarks,
    adjust=check_score_columns,
    finish=write_scores,
    files=list_data_paths,
    optional_files=True,
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
    own_settings = {name: extra[name] for name in ("seed", "device") if name in extra}
    return predecessor.list_settings(extra) | own_settings


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
