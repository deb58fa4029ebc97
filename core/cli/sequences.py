"""`python -m core sequences train|score|evaluate`: which moments of many series are abnormal, and how good that is."""

from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from core.cli.options import (
    End,
    Entities,
    Files,
    Start,
    check_out,
    command_actor,
    loaded,
    one_line_errors,
    one_of,
    pairs,
    print_json,
    selection,
    write_out,
)
from core.cli.output import Telling
from core.errors import OptionError
from core.messages import N_
from core.runs.tracked_run import Run
from core.workspace import get_workspace

if TYPE_CHECKING:
    from core.data.dataset import Dataset
    from core.detectors.base import SequenceDetector
    from core.tasks.sequences.config import Asked
    from core.tasks.sequences.result import SequenceDetection

sequences = typer.Typer(no_args_is_help=True, help="Series of many KPIs: train a detector, score with it, evaluate it.")

Settings = Annotated[list[str], typer.Option("--set", metavar="NAME=VALUE", help="A hyper-parameter of the detector.")]
Recipe = Annotated[Path | None, typer.Option(help="Repairs to make first: a JSON list of {kind, settings}.")]
Out = Annotated[Path | None, typer.Option(help="Write the scores as .csv or .parquet.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
SHOWN = 10
DEEP, QUICK = "sgmvrnn", "pca-residual"
CARD = ("f1", "auc_pr", "vus_pr", "event_f1", "affiliation_f1", "delay")
LINES = ("random", "mean_distance", "pca", "moving_mean")
SAME = {"seed": ("seed", "random_state")}
DAY = 86_400.0  # seconds


@sequences.command()
def train(
    files: Files = [],  # noqa: B006
    detector: Annotated[
        str, typer.Option(help="Name of the detector (default: pca-residual; sgmvrnn with --dataset_path).")
    ] = "",
    until: Annotated[
        str,
        typer.Option(metavar="MOMENT|ROW", help="Learn from the rows before it (default: the training part, or half)."),
    ] = "",
    alarms_per_week: Annotated[
        float | None,
        typer.Option(help="At most so many false alarms a week (default: 2; without dates 2 per 1,000 rows)."),
    ] = None,
    alarms_per_day: Annotated[float | None, typer.Option(help="At most so many false alarms a day.")] = None,
    alarms_per_hour: Annotated[float | None, typer.Option(help="At most so many false alarms an hour.")] = None,
    alarms_per_month: Annotated[float | None, typer.Option(help="At most so many false alarms a month.")] = None,
    alarms_per_1000: Annotated[float | None, typer.Option(help="At most so many false alarms per 1,000 rows.")] = None,
    risk: Annotated[
        float | None, typer.Option(help="Share of normal rows above the threshold, by peaks over threshold.")
    ] = None,
    contamination: Annotated[float | None, typer.Option(help="Share of rows to flag, above 0, at most 0.5.")] = None,
    best_f1: Annotated[bool, typer.Option("--best-f1", help="The best threshold for the labels: an oracle.")] = False,
    scaling: Annotated[
        Literal["standard", "robust", "minmax"], typer.Option(help="How columns are made comparable.")
    ] = "minmax",
    counts: Annotated[bool, typer.Option("--counts", help="Columns are counts: log(1 + value) first.")] = False,
    settings: Settings = [],  # noqa: B006
    seed: Annotated[int | None, typer.Option(help="Seed of the detector.")] = None,
    entities: Entities = [],  # noqa: B006
    start: Start = "",
    end: End = "",
    recipe: Recipe = None,
    out: Out = None,
    as_json: AsJson = False,
    dataset_path: Annotated[
        Path | None, typer.Option("--dataset_path", help="File, or folder of files, instead of FILE.")
    ] = None,
    gpu_id: Annotated[int | None, typer.Option("--gpu_id", help="Train on this CUDA device.")] = None,
    log_path: Annotated[Path | None, typer.Option("--log_path", help="Folder for the losses, as training.csv.")] = None,
    checkpoints_path: Annotated[
        Path | None, typer.Option("--checkpoints_path", help="Folder for checkpoints; found there again.")
    ] = None,
    epochs: Annotated[int | None, typer.Option("--epochs", help="Passes over the data.")] = None,
    batch_size: Annotated[int | None, typer.Option("--batch_size", help="Windows per step.")] = None,
    n: Annotated[int | None, typer.Option("--n", help="Number of columns; checked against the data.")] = None,
) -> None:
    """Learn what is usual, score every row, flag what lies above the threshold, and keep the answer as a run."""
    from core.detectors.sequence_model import HELD_OUT
    from core.tasks.sequences import run as analysis
    from core.tasks.sequences.config import Plan, learnt, usual_until

    actor, workspace = command_actor("sequences train"), get_workspace()
    with one_line_errors():
        check_out(out)
        chosen = _detector(
            detector or (DEEP if dataset_path else QUICK),
            pairs(settings),
            {"seed": seed, "device": None if gpu_id is None else f"cuda:{gpu_id}", "batch_size": batch_size},
        )
        dataset = loaded(_given(files, dataset_path), recipe)
        _check_columns(dataset, n)
        chosen_part = selection(dataset, entities, start, end)
        part = chosen_part.of(dataset)
        alarms = {
            "hour": alarms_per_hour,
            "day": alarms_per_day,
            "week": alarms_per_week,
            "month": alarms_per_month,
            "1000 rows": alarms_per_1000,
        }
        asked = _asked(part, alarms, risk, contamination, best_f1)
        plan = Plan(until or usual_until(part), scaling, counts)
        chosen = _for_epochs(chosen, epochs, int(learnt(part, plan.until).sum() * (1 - HELD_OUT)))
        found, run = analysis.train(
            dataset,
            chosen,
            plan,
            asked,
            selection=chosen_part,
            workspace=workspace,
            actor=actor,
            progress=Telling(checkpoints_path),
        )
        write_out(found.to_frame(), out)
        if log_path is not None:
            log_path.mkdir(parents=True, exist_ok=True)
            write_out(found.curves, log_path / "training.csv")
    workspace.tracking.wait_for_delivery(30)
    print_json(_answer(found, run)) if as_json else _print(found, run)


@sequences.command()
def score(
    files: Files,
    model: Annotated[str, typer.Option(metavar="RUN_ID|NAME@ALIAS", help="The model to score with.")],
    entities: Entities = [],  # noqa: B006
    start: Start = "",
    end: End = "",
    recipe: Recipe = None,
    out: Out = None,
    scores_file: Annotated[
        Path | None, typer.Option(help="Write a line timestamp,loglik,Normaly|Anomaly per row.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Score every row with the model and the threshold of an earlier run."""
    from core.runs.promotion import resolve_run
    from core.tasks.sequences import run as analysis

    actor, workspace = command_actor("sequences score"), get_workspace()
    with one_line_errors():
        check_out(out)
        dataset = loaded(files, recipe)
        part = selection(dataset, entities, start, end)
        found, run = analysis.apply_model(
            dataset, resolve_run(model, workspace), selection=part, workspace=workspace, actor=actor, progress=Telling()
        )
        write_out(found.to_frame(), out)
        if scores_file is not None:
            found.write_likelihoods(scores_file)
    workspace.tracking.wait_for_delivery(30)
    print_json(_answer(found, run)) if as_json else _print(found, run)


@sequences.command()
def evaluate(
    data: Annotated[Path, typer.Option(metavar="FILE.npz", help="Arrays train, test and label.")],
    detector: Annotated[str, typer.Option(help="Name of the detector.")] = QUICK,
    seconds: Annotated[float | None, typer.Option(help="Time limit of learning, for detectors that have one.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the detector, of random scores and of planted anomalies.")] = 0,
    scaling: Annotated[
        Literal["standard", "robust", "minmax"], typer.Option(help="How columns are made comparable.")
    ] = "minmax",
    settings: Settings = [],  # noqa: B006
    causes: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="Root causes of the events, lines start-end:column,column…"),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="SCORES.csv", help="Write row,score; row = index in test.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Measure a detector on labelled data, beside random scores and the simplest detectors."""
    from core.tasks.sequences.evaluation import evaluate_file

    with one_line_errors():
        answer = evaluate_file(
            data,
            detector,
            seconds=seconds,
            seed=seed,
            out=out,
            scaling=scaling,
            settings=pairs(settings),
            causes=causes,
            progress=Telling(),
        )
    print_json(answer) if as_json else _print_card(answer)


# ---- arguments ------------------------------------------------------------------------------------------------------


def _given(files: list[Path], dataset_path: Path | None) -> list[Path]:
    """Raises OptionError where nothing was given."""
    if not files and dataset_path is None:
        raise OptionError(N_("No file was given: name files, or a folder with --dataset_path."))
    return [*files, *([dataset_path] if dataset_path else [])]


def _detector(name: str, settings: dict[str, str], given: dict[str, Any]) -> "SequenceDetector":
    """The detector `name`; of `given`, what it has a setting for. What it has none for is said on standard error."""
    from core.spec.hyperparameters import build_from_settings, hyperparameters
    from core.tasks.sequences.run import detectors

    known = detectors()
    one_of("--detector", name, known)
    own = hyperparameters(known[name])
    chosen = {
        next((each for each in SAME.get(option, (option,)) if each in own), option): value
        for option, value in given.items()
        if value is not None
    }
    for option in [option for option in chosen if option not in own]:
        typer.echo(f"{name} has no setting {option}: {chosen.pop(option)} is left out", err=True)
    return build_from_settings(known[name], chosen | settings)


def _for_epochs(detector: "SequenceDetector", epochs: int | None, rows: int) -> "SequenceDetector":
    """The detector with as many steps as `epochs` passes over `rows` rows make, and time for them."""
    if epochs is None:
        return detector
    if not {"steps", "batch_size"} <= {field.name for field in fields(detector)}:  # type: ignore[arg-type]
        typer.echo(f"{detector.name} does not learn in epochs: {epochs} is left out", err=True)
        return detector
    steps = max(1, epochs * -(-rows // detector.batch_size))  # type: ignore[attr-defined]
    typer.echo(f"{epochs} epochs of {rows:,} rows are {steps:,} steps of {detector.batch_size} windows", err=True)  # type: ignore[attr-defined]
    return replace(detector, steps=steps, seconds=DAY)  # type: ignore[type-var]


def _asked(
    dataset: "Dataset", alarms: dict[str, float | None], risk: float | None, contamination: float | None, best_f1: bool
) -> "Asked":
    """The one threshold that was asked for; 2 false alarms a week (per 1,000 rows without dates) where none was."""
    from core.tasks.sequences.config import Asked, row_seconds

    given = [Asked("alarms", amount, per) for per, amount in alarms.items() if amount is not None]  # type: ignore[arg-type]
    given += [Asked("pot", risk, "1000 rows")] if risk is not None else []
    given += [Asked("contamination", contamination, "1000 rows")] if contamination is not None else []
    given += [Asked("best_f1", 0.0, "1000 rows")] if best_f1 else []
    if len(given) > 1:
        raise OptionError(
            N_(
                "Several thresholds were asked for; choose one of --alarms-per-hour, --alarms-per-day, "
                "--alarms-per-week, --alarms-per-month, --alarms-per-1000, --risk, --contamination and "
                "--best-f1."
            )
        )
    return given[0] if given else Asked(per="week" if row_seconds(dataset) else "1000 rows")


def _check_columns(dataset: "Dataset", n: int | None) -> None:
    if n is not None and n != len(dataset.columns):
        raise OptionError(
            N_("--n = {value}, but {file} has {count} columns of measurements."),
            value=n,
            file=", ".join(dataset.files[:3]),
            count=len(dataset.columns),
        )


# ---- answers --------------------------------------------------------------------------------------------------------


def _answer(found: "SequenceDetection", run: Run) -> dict[str, Any]:
    return {
        "run_id": run.id,
        "recorded": run.delivered,
        "metrics": run.metrics,
        "notes": [str(note) for note in found.notes],
        "seconds": run.seconds,
        "emissions_kg": run.emissions_kg,
    }


def _print(found: "SequenceDetection", run: Run) -> None:
    metrics = found.metrics()
    typer.echo(
        f"{metrics['events']:,.0f} events, {metrics['anomalies']:,.0f} of {metrics['rows_judged']:,.0f} rows judged,"
        f" {run.seconds:.1f} s, {run.emissions_kg * 1000:.4f} g CO2, run {run.id}"
    )
    promised = "-" if found.question.promise is None else f"{found.question.promise:.6f}"
    typer.echo(f"share of rows flagged: promised {promised}, measured {found.measured:.6f}")
    for event in found.event_table().head(SHOWN).itertuples():
        typer.echo(
            f"  {event.event:>3}  {event.start!s:19.19}  {event.end!s:19.19}  {event.entity:24.24}  "
            f"{event.peak:>10.4g}  {event.severity:8}  {event.causes}"
        )


def _print_card(answer: dict[str, Any]) -> None:
    typer.echo(
        f"{answer['file']}: learnt from {answer['rows_learnt']:,} rows, judged on {answer['rows']:,} "
        f"({answer['labels']} labels)"
    )
    typer.echo("  " + " ".join(f"{name:>14}" for name in ("", *CARD)))
    for line in (answer["detector"], *LINES):
        card = answer["metrics" if line == answer["detector"] else line]
        figures = (f"{'-' if card[name] is None else format(card[name], '.3f'):>14}" for name in CARD)
        typer.echo("  " + " ".join((f"{line:>14}", *figures)))
    for note in answer["notes"]:
        typer.echo(f"  {note}")
