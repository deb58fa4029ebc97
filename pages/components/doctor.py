"""Data doctor: figures of the dataset, data-quality issues, and repairs to choose, apply and undo."""

import json
from collections import Counter
from functools import partial

import numpy as np
import pandas as pd
import streamlit as st

from core import queries
from core.data.dataset import Dataset
from core.data.quality.changes import Trace
from core.data.quality.doctor import QualityReport
from core.data.quality.findings import QUESTION_KINDS, Finding, Repair, list_topics
from core.data.quality.places import build_place
from core.operations.quality import RepairEffect, RepairOrder, RepairSpec, is_quickly_checked
from core.operations.queries import CHECK_QUALITY, PREVIEW_REPAIRS, REPAIR_DATASET
from core.progress import Progress
from core.spec.codec import encode
from core.spec.spec import DataSpec
from pages.components import answers, auth, cache, downloads, job_progress, url_state
from pages.components.choices import label_uniquely
from pages.components.finding_card import build_column_config, format_changes, format_repair, show_finding, show_place
from pages.components.i18n import _, format_value

MAX_EXAMPLES = 50
MAX_SHOWN_CHANGES = 1000
MAX_EXPORT_CELLS = 20_000_000


def show(dataset: Dataset) -> None:
    """Show the issues of `dataset`, its repairs and downloads."""
    if dataset.recipe:
        show_recipe(dataset)
    answer = answers.ask(CHECK_QUALITY, DataSpec(dataset=dataset.digest), is_short=is_quickly_checked(dataset))
    if answer is not None:
        _show_findings(dataset, answer.report)
    _show_downloads(dataset)


def count_open_proposals(dataset: Dataset) -> int:
    """Return the number of issues that have a proposed repair; 0 for large data that were not checked yet."""
    spec = DataSpec(dataset=dataset.digest)
    is_short = is_quickly_checked(dataset)
    answer = answers.ask(CHECK_QUALITY, spec, is_short=True) if is_short else answers.find_answer(CHECK_QUALITY, spec)
    return 0 if answer is None else sum(bool(finding.repairs) for finding in answer.report.findings)


# ---- findings -------------------------------------------------------------------------------------------------------


def _show_findings(dataset: Dataset, report: QualityReport) -> None:
    """Show questions first, then findings with a repair, worst first; the others are folded."""
    keys = _name_findings(report.findings)
    questions = [number for number, finding in enumerate(report.findings) if finding.kind in QUESTION_KINDS]
    issues = [
        number for number, finding in enumerate(report.findings) if finding.repairs and number not in set(questions)
    ]
    notes = [number for number in range(len(report.findings)) if number not in {*questions, *issues}]
    if questions:
        st.header(_("Decisions for you"))
        st.caption(
            _(
                "The file can be read in two ways. If the one below is wrong, change a role or an option above and "
                "read the file again."
            )
        )
    for number in questions:
        show_finding(dataset, report, number, keys[number])
    if issues:
        chosen_repairs = _show_issues(dataset, report, {number: keys[number] for number in issues})
        if chosen_repairs:
            _show_preview(dataset, chosen_repairs)
    else:
        _show_calm_state(dataset)
    if notes:
        title = _("For your information ({count})").format(count=format_value(len(notes)))
        with st.expander(title, key="notes", icon=":material/info:"):
            for number in notes:
                show_finding(dataset, report, number, keys[number])


def _name_findings(findings: tuple[Finding, ...]) -> list[str]:
    """Return a key for every finding: its kind, and a number from the second of a kind on."""
    counts: Counter[str] = Counter()
    keys = []
    for finding in findings:
        counts[finding.kind] += 1
        keys.append(finding.kind if counts[finding.kind] == 1 else f"{finding.kind}-{counts[finding.kind]}")
    return keys


def _show_calm_state(dataset: Dataset) -> None:
    """Say that no repair is needed, and what was checked."""
    topics = ", ".join(_(topic) for topic in list_topics(dataset.profile, dataset.has_dates))
    st.success(
        _("The data doctor found nothing to repair. It checked {rows} rows for: {topics}.").format(
            rows=format_value(len(dataset)), topics=topics
        ),
        icon=":material/check_circle:",
    )


def _show_issues(dataset: Dataset, report: QualityReport, keys: dict[int, str]) -> list[Repair]:
    """Show the findings that have a repair, by number and key, and return the chosen repairs."""
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.header(_("Data-quality issues"))
        if len(keys) > 1:
            st.button(
                _("Select all proposed repairs"),
                key="choose-all",
                type="tertiary",
                icon=":material/healing:",
                on_click=url_state.set_widget_values,
                args=({f"repair-{key}": 0 for key in keys.values()},),
            )
    if len(keys) > 1:
        st.caption(_("Worst first: the order follows how much the proposed repair changes the measurements."))
    choices = [show_finding(dataset, report, number, key) for number, key in keys.items()]
    return [
        repair for position, repair in enumerate(choices) if repair is not None and repair not in choices[:position]
    ]


# ---- repairs --------------------------------------------------------------------------------------------------------


def _show_preview(dataset: Dataset, chosen_repairs: list[Repair]) -> None:
    """Show the effect of the chosen repairs before they are applied."""
    st.header(_("What the repairs change"))
    spec = RepairSpec(dataset=dataset.digest, repairs=tuple(chosen_repairs))
    effect = answers.ask(PREVIEW_REPAIRS, spec, place="repairs", is_short=is_quickly_checked(dataset))
    if effect is None:
        return
    trace = _trace(dataset.digest, effect.after.digest, dataset, effect)
    changes = format_changes(trace.count_changes()) or _("Nothing changes.")
    st.write(
        _("{changes} · Rows after the repair: {total}").format(changes=changes, total=format_value(len(trace.after)))
    )
    if len(effect.changed_cells):
        _show_example(trace, effect.changed_cells)
    if st.button(_("Apply these repairs"), type="primary", key="make-repairs"):
        order = RepairOrder(dataset=dataset.digest, repairs=tuple(chosen_repairs), owner=auth.dataset_owner())
        _repair(order, is_short=is_quickly_checked(dataset))
    st.caption(_("Every repair can be undone later. The original data stay as they are."))


@st.cache_resource(max_entries=4, show_spinner=False)
def _trace(before: str, after: str, _dataset: Dataset, _effect: RepairEffect) -> Trace:
    """Return the trace of the repairs between two datasets, with what it computes once."""
    return _effect.build_trace(_dataset)


def _show_example(trace: Trace, changed_cells: pd.DataFrame) -> None:
    """Show the changed cells in a table, and one changed row before and after."""
    size = (changed_cells["after"] - changed_cells["before"]).abs().fillna(np.inf)
    ranked_changes = (
        changed_cells.assign(size=size).sort_values("size", ascending=False, kind="stable").drop(columns="size")
    )
    examples = ranked_changes.drop_duplicates(["entity", "time"]).head(MAX_EXAMPLES).reset_index(drop=True)
    positions = range(len(examples))
    number = st.selectbox(
        _("Example"),
        positions,
        key="repair-example",
        format_func=label_uniquely(
            positions, lambda position: f"{examples['entity'][position]} · {_format_time(examples['time'][position])}"
        ),
    )
    entity, time, column = examples.loc[number, ["entity", "time", "column"]]
    place = build_place(trace, str(entity), time, column)
    if place is not None:
        show_place(place, trace.before, "before-after")
    with st.expander(_("All changes")):
        if len(ranked_changes) > MAX_SHOWN_CHANGES:
            st.caption(_("Only the first {count} are shown.").format(count=format_value(MAX_SHOWN_CHANGES)))
        st.dataframe(
            ranked_changes.head(MAX_SHOWN_CHANGES),
            hide_index=True,
            width="stretch",
            key="changes",
            column_config=build_column_config(ranked_changes, trace.before.unit),
        )


def _format_time(time: object) -> str:
    """Return a timestamp for the reader, or a row number."""
    return format_value(time.item() if isinstance(time, np.generic) else time)


def _repair(order: RepairOrder, *, is_short: bool) -> None:
    """Repair a small dataset at once, another one by a job; then open the repaired one."""
    if not is_short:
        job_progress.submit_job(REPAIR_DATASET, encode(order))
    workspace, actor = cache.get_workspace(), auth.current_actor("data")
    digest = queries.answer_question(REPAIR_DATASET, order, workspace=workspace, actor=actor, progress=Progress())
    url_state.open_dataset(digest)
    st.rerun()


def show_recipe(dataset: Dataset) -> None:
    """Show the repairs that made this dataset, each with a button to undo it."""
    with st.container(border=True, key="recipe"):
        title = _("Repaired")
        st.markdown(f"**{title}**")
        for number, repair in enumerate(dataset.recipe):
            with st.container(horizontal=True, vertical_alignment="center"):
                st.markdown(f"✓ {format_repair(repair)}")
                if st.button(_("Undo"), key=f"undo-{number}", type="tertiary", icon=":material/undo:"):
                    _undo_repair(dataset, number)
        st.download_button(
            _("Recipe (JSON)"),
            json.dumps([repair.to_json() for repair in dataset.recipe], indent=2),
            "recipe.json",
            "application/json",
            key="recipe-json",
            icon=":material/download:",
        )


def _undo_repair(dataset: Dataset, number: int) -> None:
    """Apply the other repairs again, to the original data."""
    rest = tuple(repair for position, repair in enumerate(dataset.recipe) if position != number)
    undone = dataset.recipe[number].kind
    order = RepairOrder(dataset=dataset.source, repairs=rest, owner=auth.dataset_owner(), undone=undone)
    _repair(order, is_short=is_quickly_checked(dataset))


def _show_downloads(dataset: Dataset) -> None:
    if dataset.frame.size > MAX_EXPORT_CELLS:
        st.caption(
            _(
                "The data are too large to download here. Use the command line: python -m core "
                "doctor FILE --out CLEAN.parquet"
            )
        )
        return
    with st.expander(_("Download the data")), st.container(horizontal=True):
        downloads.show_table_buttons(partial(_build_table, dataset), "data")


def _build_table(dataset: Dataset) -> pd.DataFrame:
    table = dataset.frame.reset_index()
    return table.assign(entity=table["entity"].astype(str))
