"""Content of a report to hand on: a result in words and figures, the quality of its data, and its run card."""

from dataclasses import dataclass
from datetime import datetime

from core.data.dataset import Dataset
from core.data.images.image_set import ImageSet
from core.data.quality.doctor import run_checks
from core.data.quality.findings import Finding, list_topics
from core.data.quality.repairs import describe_repair
from core.errors import NotFoundError
from core.messages import N_, Message
from core.phrases import list_names, to_percent, to_span
from core.runs.card import build_run_card
from core.runs.card_data import describe_result
from core.runs.card_model import DataSelection, RunCard
from core.runs.report_content import KeyFigure, ReportContent
from core.runs.result import Result
from core.runs.stored_runs import load_task_result
from core.spec.spec import DataSpec
from core.spec.task import find_task, get_metric, load_entry_point
from core.storage.datasets import DatasetStore
from core.storage.image_sets import ImageSetStore
from core.workspace import Workspace

MAX_FINDINGS = 10
MAX_CHECKED_CELLS = 20_000_000


@dataclass(frozen=True)
class DataQuality:
    """Quality of the data in words: what they are, issues with their numbers (0: without a number), and repairs.

    more  number of issues that are not listed
    """

    facts: tuple[Message, ...]
    issues: tuple[tuple[int, Message], ...] = ()
    more: int = 0
    repairs: tuple[Message, ...] = ()


@dataclass(frozen=True)
class Report:
    """A report in no language yet: the run card, what the task tells, and the quality of the data."""

    card: RunCard
    introduction: Message
    content: ReportContent
    quality: DataQuality
    certainty: tuple[Message, ...]


def build_report(run_id: str, workspace: Workspace) -> Report:
    """Return the report of a run. Raises NotFoundError for a run without a result, and as `load_run` does."""
    result = load_task_result(run_id, workspace)
    card = build_run_card(run_id, workspace)
    data = _find_data(result, card, workspace)
    content = describe_content(card.about.task, result, data)
    return Report(
        card,
        introduce_run(card),
        content,
        describe_quality(data),
        (*(() if content.tells_threshold else describe_threshold(card)), *describe_coverage(card)),
    )


def describe_content(task_name: str, result: Result, data: Dataset | ImageSet | None) -> ReportContent:
    """Return what the task tells about its result; the counts and notes of the run card where it tells nothing.

    `data` are the stored data of the result; the task gets the rows that the result selects.
    """
    task = find_task(task_name)
    if task is not None and task.report:
        rows = result.select(data) if isinstance(data, Dataset) and isinstance(result.spec, DataSpec) else data
        content: ReportContent = load_entry_point(task.report)(result, rows)
        return content
    card = describe_result(task_name, result)
    labels = {name: get_metric(name, task_name).label for name in card.counts}
    return ReportContent(
        key_figures=tuple(KeyFigure(Message(labels[name]), value) for name, value in card.counts.items()),
        notes=card.notes,
    )


def _find_data(result: Result, card: RunCard, workspace: Workspace) -> Dataset | ImageSet | None:
    """Return the stored data that a result is about: those it made where it read others; None where there are none."""
    digest = result.spec.dataset if isinstance(result.spec, DataSpec) else result.made_dataset or card.data.digest
    stores: tuple[DatasetStore | ImageSetStore, ...] = (workspace.datasets, workspace.image_sets)
    for store in stores:
        try:
            return store.load(digest)
        except NotFoundError:
            continue
    return None


# ---- words of every report ------------------------------------------------------------------------------------------


def introduce_run(card: RunCard) -> Message:
    """Return who asked what of which data, and when, as one sentence."""
    about, data = card.about, card.data
    values: dict[str, object] = {
        "question": _describe_question(card),
        "files": list_names(data.files),
        "user": about.user,
        "time": datetime.fromisoformat(about.began).replace(tzinfo=None) if about.began else "",
        "extent": _describe_extent(card),
    }
    if about.user:
        return Message(N_("On {time} (UTC), {user} ran {question} on {files}{extent}."), values)
    return Message(N_("{question} was run on {files}{extent} on {time} (UTC)."), values)


def _describe_question(card: RunCard) -> Message:
    """Return the task with its model; without the model where the task is not about one."""
    task, values = find_task(card.about.task), {"task": card.about.title, "model": card.model.name}
    if task is None or not task.saves_model or not card.model.name:
        return Message(N_("“{task}”"), values)
    return Message(N_("“{task}” with {model}"), values)


def _describe_extent(card: RunCard) -> Message | str:
    """Return the rows, entities and period of the data, and the selected part; "" where they are unknown."""
    data, selection = card.data, _describe_selection(card.data.part)
    if data.rows is None:
        return Message(" ({selection})", {"selection": selection}) if selection else ""
    values = {
        "rows": data.rows,
        "entities": data.entities,
        "period": _describe_period(data.first, data.last),
        "selection": selection,
    }
    extent = Message(N_("rows: {rows}, entities: {entities}"), values)
    for part in filter(None, (values["period"], values["selection"])):
        extent = Message("{extent}, {part}", {"extent": extent, "part": part})
    return Message(" ({extent})", {"extent": extent})


def _describe_selection(part: DataSelection | None) -> Message | str:
    """Return the entities and days that a person selected; "" for all."""
    if part is None or not (part.selected_entities or part.start or part.end):
        return ""
    names = [*part.selected_entities]
    if part.start or part.end:
        names.append(f"{part.start or '…'} – {part.end or '…'}")
    return Message(N_("selected: {names}"), {"names": list_names(names)})


def _describe_period(first: str, last: str) -> object:
    try:
        return to_span(datetime.fromisoformat(first), datetime.fromisoformat(last))
    except ValueError:  # numbers of rows, or nothing
        return ""


def describe_threshold(card: RunCard) -> tuple[Message, ...]:
    """Return where the threshold comes from, and its target beside the measured rate."""
    threshold = card.threshold
    if threshold is None:
        return ()
    flagged = Message(
        N_("Rows with a score above {threshold} are flagged."), {"threshold": float(f"{threshold.value:.4g}")}
    )
    rates = []
    if threshold.promised is not None and threshold.measured is not None:
        rates.append(
            Message(
                N_("At most {promised} of the normal rows should be above the threshold; {measured} were measured."),
                {"promised": to_percent(threshold.promised, 3), "measured": to_percent(threshold.measured, 3)},
            )
        )
    elif threshold.measured is not None:
        rates.append(
            Message(N_("{measured} of the rows are above it."), {"measured": to_percent(threshold.measured, 3)})
        )
    return (flagged, threshold.why, *rates)


def describe_coverage(card: RunCard) -> tuple[Message, ...]:
    """Return the share of values that the intervals promise to hold, beside the measured share."""
    intervals = card.intervals
    if intervals is None:
        return ()
    values = {
        "promised": to_percent(intervals.promised),
        "measured": to_percent(float("nan") if intervals.measured is None else intervals.measured),
    }
    if intervals.measured is None:
        return (
            Message(
                N_("The intervals are made to hold {promised} of the values. Nothing was measured to check it."), values
            ),
        )
    return (
        Message(
            N_("The intervals are made to hold {promised} of the values; {measured} of the measured ones were inside."),
            values,
        ),
    )


# ---- quality of the data --------------------------------------------------------------------------------------------


def describe_quality(dataset: Dataset | ImageSet | None) -> DataQuality:
    """Return the issues that the data doctor finds in a dataset, worst first, and the repairs that made it.

    Of images, the notes about reading them.
    """
    if isinstance(dataset, ImageSet):
        return _describe_images(dataset)
    if dataset is None:
        return DataQuality((Message(N_("The data are not stored here, so they were not checked for this report.")),))
    repairs = tuple(map(describe_repair, dataset.recipe))
    if dataset.frame.size > MAX_CHECKED_CELLS:
        return DataQuality((Message(N_("The data are too large to be checked for this report.")),), repairs=repairs)
    findings = run_checks(dataset).findings
    return DataQuality(
        (_summarise_checks(dataset, findings),),
        tuple((finding.count if finding.repairs else 0, finding.message) for finding in findings[:MAX_FINDINGS]),
        max(len(findings) - MAX_FINDINGS, 0),
        repairs,
    )


def _summarise_checks(dataset: Dataset, findings: tuple[Finding, ...]) -> Message:
    topics = list_topics(dataset.profile, dataset.has_dates)
    values = {"rows": len(dataset), "topics": list_names(map(Message, topics), limit=len(topics))}
    if findings:
        return Message(N_("The data doctor checked {rows} rows for: {topics}. It reports, worst first:"), values)
    return Message(N_("The data doctor found nothing to repair. It checked {rows} rows for: {topics}."), values)


def _describe_images(images: ImageSet) -> DataQuality:
    values = {
        "count": len(images),
        "width": images.width,
        "height": images.height,
        "classes": list_names(images.classes) if images.classes else Message(N_("none")),
    }
    fact = Message(N_("Images: {count}, of {width} × {height} pixels. Classes: {classes}."), values)
    return DataQuality((fact,), tuple((0, note) for note in images.notes))
