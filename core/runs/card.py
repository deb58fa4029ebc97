"""The card of a run: on which data, with which model and threshold, how good, at what cost, and how to repeat it.
Plain data.
"""

import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from core.data.dataset import Dataset
from core.errors import NotFoundError
from core.messages import N_, Text
from core.runs.card_data import VERDICTS, Facts, facts_of
from core.runs.card_model import About, Card, Cost, Data, Model, Repeat
from core.runs.comparison import TASKS
from core.runs.reproduce import command_line
from core.runs.stored_runs import is_pending, load_run
from core.workspace import Workspace
from mlflow_utils.run_record import Record
from mlflow_utils.runs import StoredRun

SEEDS = ("random_state", "seed")
RECIPE = "recipe.json"


def run_card(run_id: str, workspace: Workspace) -> Card:
    """The card of a run, however it ended and wherever it is. Raises NotFoundError as `load_run`."""
    past = load_run(run_id, workspace)
    record = past.record
    facts = facts_of(record.experiment, past.files)
    data = _data(past, facts, workspace)
    return Card(
        _about(record, workspace),
        data,
        _model(record),
        threshold=facts.threshold if facts else None,
        score_card=facts.card if facts else None,
        intervals=facts.intervals if facts else None,
        counts=facts.counts if facts else {},
        metrics=dict(sorted(record.metrics.items())),
        cost=_cost(record),
        versions=_versions(past),
        repeat=_repeat(past, facts, data),
        picture=facts.picture if facts else None,
        notes=facts.notes if facts else (),
    )


def _about(record: Record, workspace: Workspace) -> About:
    tags, task = record.tags, record.experiment
    return About(
        record.id,
        record.key,
        task,
        Text(TASKS[task].label if task in TASKS else task),
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


def _data(past: StoredRun, facts: Facts | None, workspace: Workspace) -> Data:
    tags = past.record.tags
    digest, files = tags.get("dataset.digest", ""), tags.get("dataset.files", "")
    names = tuple(facts.question["files"]) if facts else tuple(filter(None, [files]))
    dataset = _stored(digest, workspace)
    if dataset is None:
        return Data(
            names,
            digest,
            False,
            None,
            None,
            "",
            "",
            tags.get("dataset.repairs", ""),
            _kept_recipe(past.files),
            facts.part if facts else None,
        )
    recipe = tuple(repair.to_json() for repair in dataset.recipe)
    return Data(
        dataset.files,
        digest,
        True,
        len(dataset),
        len(dataset.entities),
        str(dataset.time.min()),
        str(dataset.time.max()),
        tags.get("dataset.repairs", ""),
        recipe,
        facts.part if facts else None,
    )


def _stored(digest: str, workspace: Workspace) -> Dataset | None:
    try:
        return workspace.datasets.load(digest)
    except NotFoundError:
        return None


def _kept_recipe(files: Path) -> tuple[Mapping[str, Any], ...] | None:
    try:
        return tuple(json.loads((files / RECIPE).read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return None


def _versions(past: StoredRun) -> dict[str, str]:
    """Of Vigie as it ran, and of the libraries as the model that the run kept notes them."""
    tags = past.record.tags
    found = {"vigie": tags.get("code.version", ""), "revision": tags.get("code.revision", "")}
    environment = _lines(past.files / "model" / "python_env.yaml")
    found["python"] = next((line.partition(":")[2].strip() for line in environment if line.startswith("python:")), "")
    for line in _lines(past.files / "model" / "requirements.txt"):
        name, equals, version = line.partition("==")
        found |= {name.strip(): version.strip()} if equals else {}
    return {name: version for name, version in found.items() if version}


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines() if path.is_file() else []


# ---- repeated -------------------------------------------------------------------------------------------------------


def _repeat(past: StoredRun, facts: Facts | None, data: Data) -> Repeat:
    record = past.record
    if facts is None:
        return Repeat("", (Text(_no_question(record)),))
    question, notes = facts.question, []
    if record.params.get("threshold_from") == VERDICTS:
        question = {**question, "fitted_by": record.id}
        notes.append(
            Text(
                N_(
                    "People chose the threshold: the command applies the model that this run kept, with that "
                    "threshold, to every row."
                )
            )
        )
    recalibrated = record.experiment == "forecast" and bool(question["fitted_by"]) and (past.files / "model").is_dir()
    command = command_line(record.experiment, question, recalibrated)
    if not command:
        return Repeat("", (Text(N_("No command repeats a comparison of detectors; the page of sequences does.")),))
    return Repeat(command, (*notes, *_needs(record, question, data)))


def _no_question(record: Record) -> str:
    if record.experiment == "scale":
        return N_("No command is given: the folder that was scored is not on record. The parameters say the rest.")
    if record.status == "completed":
        return N_("No command is given: the result of this run is not on record here.")
    return N_("No command is given: the run did not complete, and what part of the data it was about is not on record.")


def _needs(record: Record, question: Mapping[str, Any], data: Data) -> list[Text]:
    """What has to be there for the command to give the same."""
    notes = [
        Text(
            N_(
                "The dataset is stored under this digest in the data folder (VIGIE_DATA_DIR); the command "
                "runs beside it."
            )
        )
    ]
    if not data.stored_here:
        notes = [
            Text(
                N_("The dataset is not stored here. Give the files by name instead of the digest: {files}."),
                {"files": ", ".join(data.files)},
            )
        ]
    if data.recipe is None and data.repairs:
        notes.append(
            Text(
                N_("Repairs were made ({repairs}), but their settings are not on record here."),
                {"repairs": data.repairs},
            )
        )
    elif data.recipe and not data.stored_here:
        notes.append(Text(N_("Save the recipe of repairs as recipe.json and add --recipe recipe.json.")))
    if question.get("driver_tables"):
        joins = [str(join.get("file", "")) for join in question.get("joins", ())]
        notes.append(
            Text(
                N_("Files known in advance are stored under their digest, too: {files}."),
                {"files": ", ".join(filter(None, joins))},
            )
        )
    limit = question.get("settings", {}).get("seconds")
    if limit is not None and not question["fitted_by"] and not record.metrics.get("seconds", math.inf) < float(limit):
        notes.append(
            Text(
                N_("Learning may have met its time limit of {seconds} s: then the same scores need as fast a machine."),
                {"seconds": float(limit)},
            )
        )
    return notes


def _moment(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="seconds") if milliseconds else ""
