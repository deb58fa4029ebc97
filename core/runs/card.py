"""Content of a run card: data, model, threshold, quality, cost, and the command that repeats the run."""

import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from core.data.dataset import Dataset
from core.data.recipes import list_recipe_steps
from core.errors import NotFoundError
from core.messages import N_, Message
from core.runs.card_data import CardData, describe_result, read_result
from core.runs.card_model import CardCost, CardDataset, ModelSummary, RepeatCommand, RunCard, RunSummary
from core.runs.lineage import CHANGE_TAG, PARENT_TAG
from core.runs.result import Result
from core.runs.stored_runs import is_pending, load_run
from core.runs.tracked_run import RECIPE
from core.spec.command_line import reproduce_command
from core.spec.hyperparameters import get_hyperparameters, get_params, is_algorithm
from core.spec.spec import ApplySpec, DataSpec, Spec, ThresholdSpec
from core.spec.task import find_task
from core.workspace import Workspace
from mlflow_utils.run_record import Record
from mlflow_utils.runs import StoredRun

SEED_NAMES = ("random_state", "seed")


def build_run_card(run_id: str, workspace: Workspace) -> RunCard:
    """Return the card of a run of any status, local or in MLflow. Raises NotFoundError as `load_run` does."""
    stored = load_run(run_id, workspace)
    record = stored.record
    result = read_result(record.experiment, stored.files)
    description = describe_result(record.experiment, result) if result else CardData()
    data = _describe_data(stored, description, workspace)
    return RunCard(
        _describe_run(record, workspace),
        data,
        _describe_model(record),
        threshold=description.threshold,
        score_card=description.score_card,
        intervals=description.intervals,
        counts=description.counts,
        metrics=dict(sorted(record.metrics.items())),
        cost=_describe_cost(record),
        versions=_list_versions(stored),
        repeat=_build_repeat(record, result, description, data),
        picture=description.picture,
        notes=description.notes,
    )


def _describe_run(record: Record, workspace: Workspace) -> RunSummary:
    tags, task = record.tags, record.experiment
    return RunSummary(
        record.id,
        record.key,
        task,
        Message(known_task.label if (known_task := find_task(task)) else task),
        record.name,
        record.status,
        is_pending(record.id, workspace),
        tags.get("user", ""),
        tags.get("mlflow.source.name", ""),
        _format_time(record.started_ms),
        _format_time(record.ended_ms),
        workspace.redact(tags.get("error", "")),
        tags.get(PARENT_TAG, ""),
        tags.get(CHANGE_TAG, ""),
    )


def _describe_model(record: Record) -> ModelSummary:
    params = {name: str(value) for name, value in record.params.items()}
    seeds = [params[name] for name in SEED_NAMES if params.get(name, "").isdecimal()]
    return ModelSummary(
        record.tags.get("model_name", ""), params, int(seeds[0]) if seeds else None, params.get("model_run", "")
    )


def _describe_cost(record: Record) -> CardCost:
    metrics, tags = record.metrics, record.tags
    return CardCost(
        metrics.get("seconds"),
        metrics.get("emissions_kg"),
        metrics.get("energy_kwh"),
        tags.get("emissions.method", ""),
        tags.get("emissions.country", ""),
    )


def _describe_data(stored: StoredRun, description: CardData, workspace: Workspace) -> CardDataset:
    tags = stored.record.tags
    digest, files = tags.get("dataset.digest", ""), tags.get("dataset.files", "")
    repairs, dataset = tags.get("dataset.repairs", ""), _find_dataset(digest, workspace)
    if dataset is None:
        names = description.files or tuple(filter(None, [files]))
        recipe = _read_recipe(stored.files) if repairs or tags.get("dataset.reading") else ()
        return CardDataset(names, digest, False, None, None, "", "", repairs, recipe, description.part)
    return CardDataset(
        dataset.files,
        digest,
        True,
        len(dataset),
        len(dataset.entities),
        str(dataset.time.min()),
        str(dataset.time.max()),
        repairs,
        tuple(list_recipe_steps(dataset)),
        description.part,
    )


def _find_dataset(digest: str, workspace: Workspace) -> Dataset | None:
    try:
        return workspace.datasets.load(digest)
    except NotFoundError:
        return None


def _read_recipe(files: Path) -> tuple[Mapping[str, Any], ...] | None:
    try:
        return tuple(json.loads((files / RECIPE).read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return None


def _list_versions(stored: StoredRun) -> dict[str, str]:
    """Return the versions of Vigie and its revision, and of Python and the libraries in the saved model."""
    tags = stored.record.tags
    versions = {"vigie": tags.get("code.version", ""), "revision": tags.get("code.revision", "")}
    environment = _read_lines(stored.files / "model" / "python_env.yaml")
    versions["python"] = next(
        (line.partition(":")[2].strip() for line in environment if line.startswith("python:")), ""
    )
    for line in _read_lines(stored.files / "model" / "requirements.txt"):
        name, equals, version = line.partition("==")
        versions |= {name.strip(): version.strip()} if equals else {}
    return {name: version for name, version in versions.items() if version}


def _read_lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines() if path.is_file() else []


# ---- reproduction ---------------------------------------------------------------------------------------------------


def _build_repeat(record: Record, result: Result | None, description: CardData, data: CardDataset) -> RepeatCommand:
    task = find_task(record.experiment)
    if result is None or task is None:
        return RepeatCommand("", (Message(_explain_no_command(record)),))
    spec, notes = result.spec, []
    apply_spec = task.find_spec_class(ApplySpec)
    if isinstance(spec, ThresholdSpec) and apply_spec is not None:
        spec = apply_spec(record.id, dataset=spec.dataset, entities=spec.entities, start=spec.start, end=spec.end)
        notes.append(
            Message(
                N_(
                    "The threshold was chosen by a user. The command applies the "
                    "saved model of this run, with this threshold, to all rows."
                )
            )
        )
    command = reproduce_command(task, spec)
    if not command:
        return RepeatCommand("", (Message(N_("This task has no command. Use its page to repeat the run.")),))
    return RepeatCommand(command, (*notes, *_list_needs(record, spec, description, data)))


def _explain_no_command(record: Record) -> str:
    if record.status == "completed":
        return N_("No command is available. The result of this run is not stored here.")
    return N_("No command is available. The run did not complete, so its selection of the data is not stored.")


def _list_needs(record: Record, spec: Spec, description: CardData, data: CardDataset) -> list[Message]:
    """Return notes on the data and settings that the command needs for the same result."""
    notes = [_locate_data(data)] if isinstance(spec, DataSpec) else []
    if data.recipe is None and data.repairs:
        notes.append(
            Message(
                N_("The data were repaired ({repairs}). The settings of the repairs are not stored here."),
                {"repairs": data.repairs},
            )
        )
    elif data.recipe and not data.stored_here:
        notes.append(Message(N_("Save the recipe as recipe.json and add the option --recipe recipe.json.")))
    if description.covariate_files:
        notes.append(
            Message(
                N_("The files of the covariates are also stored under their digest: {files}."),
                {"files": ", ".join(description.covariate_files)},
            )
        )
    limit = _find_time_limit(spec)
    if limit is not None and not record.metrics.get("seconds", math.inf) < limit:
        notes.append(
            Message(
                N_(
                    "Training may have stopped at its time limit of {seconds} s. A slower machine "
                    "may then give other scores."
                ),
                {"seconds": limit},
            )
        )
    return notes


def _locate_data(data: CardDataset) -> Message:
    if data.stored_here:
        return Message(
            N_(
                "The dataset is stored under this digest in the data folder (VIGIE_DATA_DIR). "
                "Run the command with the same data folder."
            )
        )
    return Message(
        N_("The dataset is not stored here. Replace the digest by the names of the files: {files}."),
        {"files": ", ".join(data.files)},
    )


def _find_time_limit(spec: Spec) -> float | None:
    """Return the time limit of training in seconds; None for an algorithm without one."""
    algorithms = [getattr(spec, name) for name, field in get_hyperparameters(spec).items() if is_algorithm(field)]
    limits = [get_params(algorithm)["seconds"] for algorithm in algorithms if "seconds" in get_params(algorithm)]
    return float(limits[0]) if limits else None


def _format_time(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="seconds") if milliseconds else ""
