"""Content of a run card: data, model, threshold, quality, cost, and the command that repeats the run."""

import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from core.data.dataset import Dataset
from core.errors import NotFoundError
from core.messages import N_, Text
from core.runs.card_data import CardData, describe_result, read_result
from core.runs.card_model import About, Card, Cost, Data, Model, Repeat
from core.runs.result import Result
from core.runs.stored_runs import is_pending, load_run
from core.runs.tracked_run import RECIPE
from core.spec.command_line import command_line
from core.spec.hyperparameters import get_params, hyperparameters, is_algorithm
from core.spec.spec import ApplySpec, DataSpec, Spec, ThresholdSpec
from core.spec.task import find_task
from core.workspace import Workspace
from mlflow_utils.run_record import Record
from mlflow_utils.runs import StoredRun

SEEDS = ("random_state", "seed")


def run_card(run_id: str, workspace: Workspace) -> Card:
    """Return the card of a run of any status, local or in MLflow. Raises NotFoundError as `load_run` does."""
    stored = load_run(run_id, workspace)
    record = stored.record
    result = read_result(record.experiment, stored.files)
    described = describe_result(record.experiment, result) if result else CardData()
    data = _data(stored, described, workspace)
    return Card(
        _about(record, workspace),
        data,
        _model(record),
        threshold=described.threshold,
        score_card=described.score_card,
        intervals=described.intervals,
        counts=described.counts,
        metrics=dict(sorted(record.metrics.items())),
        cost=_cost(record),
        versions=_versions(stored),
        repeat=_repeat(record, result, described, data),
        picture=described.picture,
        notes=described.notes,
    )


def _about(record: Record, workspace: Workspace) -> About:
    tags, task = record.tags, record.experiment
    return About(
        record.id,
        record.key,
        task,
        Text(known.label if (known := find_task(task)) else task),
        record.name,
        record.status,
        is_pending(record.id, workspace),
        tags.get("user", ""),
        tags.get("mlflow.source.name", ""),
        _moment(record.started_ms),
        _moment(record.ended_ms),
        workspace.redact(tags.get("error", "")),
    )


def _model(record: Record) -> Model:
    given = {name: str(value) for name, value in record.params.items()}
    seeds = [given[name] for name in SEEDS if given.get(name, "").isdecimal()]
    return Model(record.tags.get("model_name", ""), given, int(seeds[0]) if seeds else None, given.get("model_run", ""))


def _cost(record: Record) -> Cost:
    metrics, tags = record.metrics, record.tags
    return Cost(
        metrics.get("seconds"),
        metrics.get("emissions_kg"),
        metrics.get("energy_kwh"),
        tags.get("emissions.method", ""),
        tags.get("emissions.country", ""),
    )


def _data(stored: StoredRun, described: CardData, workspace: Workspace) -> Data:
    tags = stored.record.tags
    digest, files = tags.get("dataset.digest", ""), tags.get("dataset.files", "")
    repairs, dataset = tags.get("dataset.repairs", ""), _stored(digest, workspace)
    if dataset is None:
        names = described.files or tuple(filter(None, [files]))
        recipe = _stored_recipe(stored.files) if repairs else ()
        return Data(names, digest, False, None, None, "", "", repairs, recipe, described.part)
    return Data(
        dataset.files,
        digest,
        True,
        len(dataset),
        len(dataset.entities),
        str(dataset.time.min()),
        str(dataset.time.max()),
        repairs,
        tuple(repair.to_json() for repair in dataset.recipe),
        described.part,
    )


def _stored(digest: str, workspace: Workspace) -> Dataset | None:
    try:
        return workspace.datasets.load(digest)
    except NotFoundError:
        return None


def _stored_recipe(files: Path) -> tuple[Mapping[str, Any], ...] | None:
    try:
        return tuple(json.loads((files / RECIPE).read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return None


def _versions(stored: StoredRun) -> dict[str, str]:
    """Return the versions of Vigie and its revision, and of Python and the libraries in the saved model."""
    tags = stored.record.tags
    found = {"vigie": tags.get("code.version", ""), "revision": tags.get("code.revision", "")}
    environment = _lines(stored.files / "model" / "python_env.yaml")
    found["python"] = next((line.partition(":")[2].strip() for line in environment if line.startswith("python:")), "")
    for line in _lines(stored.files / "model" / "requirements.txt"):
        name, equals, version = line.partition("==")
        found |= {name.strip(): version.strip()} if equals else {}
    return {name: version for name, version in found.items() if version}


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines() if path.is_file() else []


# ---- reproduction ---------------------------------------------------------------------------------------------------


def _repeat(record: Record, result: Result | None, described: CardData, data: Data) -> Repeat:
    task = find_task(record.experiment)
    if result is None or task is None:
        return Repeat("", (Text(_explain_no_command(record)),))
    spec, notes = result.spec, []
    apply_spec = task.find_spec(ApplySpec)
    if isinstance(spec, ThresholdSpec) and apply_spec is not None:
        spec = apply_spec(record.id, dataset=spec.dataset, entities=spec.entities, start=spec.start, end=spec.end)
        notes.append(
            Text(
                N_(
                    "People chose the threshold: the command applies the model that this run kept, with that "
                    "threshold, to every row."
                )
            )
        )
    command = command_line(task, spec)
    if not command:
        return Repeat("", (Text(N_("No command repeats this task; its page does.")),))
    return Repeat(command, (*notes, *_list_needs(record, spec, described, data)))


def _explain_no_command(record: Record) -> str:
    if record.status == "completed":
        return N_("No command is given: the result of this run is not on record here.")
    return N_("No command is given: the run did not complete, and what part of the data it was about is not on record.")


def _list_needs(record: Record, spec: Spec, described: CardData, data: Data) -> list[Text]:
    """Return notes on the data and settings that the command needs for the same result."""
    notes = [_locate_data(data)] if isinstance(spec, DataSpec) else []
    if data.recipe is None and data.repairs:
        notes.append(
            Text(
                N_("Repairs were made ({repairs}), but their settings are not on record here."),
                {"repairs": data.repairs},
            )
        )
    elif data.recipe and not data.stored_here:
        notes.append(Text(N_("Save the recipe of repairs as recipe.json and add --recipe recipe.json.")))
    if described.covariate_files:
        notes.append(
            Text(
                N_("Files known in advance are stored under their digest, too: {files}."),
                {"files": ", ".join(described.covariate_files)},
            )
        )
    limit = _time_limit(spec)
    if limit is not None and not record.metrics.get("seconds", math.inf) < limit:
        notes.append(
            Text(
                N_("Learning may have met its time limit of {seconds} s: then the same scores need as fast a machine."),
                {"seconds": limit},
            )
        )
    return notes


def _locate_data(data: Data) -> Text:
    if data.stored_here:
        return Text(
            N_(
                "The dataset is stored under this digest in the data folder (VIGIE_DATA_DIR); the command "
                "runs beside it."
            )
        )
    return Text(
        N_("The dataset is not stored here. Give the files by name instead of the digest: {files}."),
        {"files": ", ".join(data.files)},
    )


def _time_limit(spec: Spec) -> float | None:
    """Return the time limit of training in seconds; None for an algorithm without one."""
    algorithms = [getattr(spec, name) for name, field in hyperparameters(spec).items() if is_algorithm(field)]
    limits = [get_params(algorithm)["seconds"] for algorithm in algorithms if "seconds" in get_params(algorithm)]
    return float(limits[0]) if limits else None


def _moment(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="seconds") if milliseconds else ""
