"""Drift between the training data of a model and a stored dataset, by column."""

import streamlit as st
from streamlit.elements.lib.column_types import ColumnConfig

from core import queries
from core.data.dataset import Dataset
from core.messages import N_
from core.operations import drift
from core.operations import monitoring_figures as figures
from core.operations.drift import DriftAnswer, DriftSpec
from core.operations.queries import COMPARE_DRIFT
from core.spec.task import list_tasks
from core.storage.datasets import DatasetInfo
from pages.components import answers, cache, downloads, model_picker, selection_form, url_state
from pages.components.i18n import _, format_value
from pages.components.markdown import escape_markdown
from pages.components.results.run_widgets import show_chart
from pages.components.task_links import get_task_label
from pages.components.term_help import explain

QUERY_PARAM = "drift"
LEVEL_LABELS = {"stable": N_("stable"), "moderate": N_("moderate"), "major": N_("major")}


def show_section() -> None:
    """Show the form, and the result once it is computed."""
    st.caption(
        _(
            "Compares new data with the training data of a model. If they differ, check the results of the "
            "model or train it again."
        )
    )
    _ask_comparison()
    key = url_state.get_query_param(QUERY_PARAM)
    spec = queries.load_question(COMPARE_DRIFT, key, cache.get_workspace()) if key else None
    answer = None if spec is None else answers.ask(COMPARE_DRIFT, spec, place="drift")
    if answer is not None:
        _show_drift(answer)


def _ask_comparison() -> None:
    stored = cache.get_workspace().datasets.list_recent()
    if not stored:
        selection_form.show_no_data()
        return
    model_tasks = [task.name for task in list_tasks() if task.saves_model]
    task = st.segmented_control(
        _("Task of the model"),
        model_tasks,
        default=model_tasks[0],
        format_func=get_task_label,
        key="drift-task",
        required=True,
    )
    model_address = model_picker.pick_model(str(task), lambda run: run.tags.get("user", ""))
    dataset_info = st.selectbox(_("New data"), stored, format_func=_describe_dataset, key="drift-dataset")
    if st.button(
        _("Compare"), type="primary", icon=":material/compare:", key="drift-compare", disabled=not model_address
    ):
        from core.runs.promotion import resolve_run

        spec = DriftSpec(resolve_run(model_address, cache.get_workspace()), dataset_info.digest)
        url_state.set_query_param(QUERY_PARAM, queries.save_question(COMPARE_DRIFT, spec, cache.get_workspace()))


def _describe_dataset(info: DatasetInfo) -> str:
    """Return a label that ends with the digest, so that two datasets of the same files differ."""
    return _("{files} · rows: {rows} · repairs: {repairs} · {digest}").format(
        files=", ".join(info.files)[:60], rows=format_value(info.rows), repairs=info.repairs, digest=info.digest[:8]
    )


def _show_drift(result: DriftAnswer) -> None:
    counts = result.table["level"].value_counts()
    with st.container(horizontal=True, key="drift-figures"):
        for level, name in LEVEL_LABELS.items():
            st.metric(_(name).capitalize(), format_value(int(counts.get(level, 0))), border=True)
    for note in _list_notes(result):
        st.caption(note)
    selected_rows = st.dataframe(
        result.table.assign(
            entity=result.table["entity"].replace(drift.ALL_ENTITIES, _("all together")),
            level=result.table["level"].map(lambda level: _(LEVEL_LABELS[level])),
        ),
        hide_index=True,
        width="stretch",
        key="drift-table",
        on_select="rerun",
        selection_mode="single-row",
        column_config=_build_column_config(),
        alt=_("Columns, largest change first"),
    ).selection.rows
    st.caption(
        _(
            "PSI measures the change of a column: above 0.1 it is moderate, above 0.25 major. "
            "With few rows the limits are higher, because PSI reaches them by chance. KS is "
            "the largest distance between the two distribution functions. q is its p value, "
            "adjusted for the number of columns (Benjamini–Hochberg). With many rows, q is "
            "very small even for negligible changes. Consecutive rows in time also make q too "
            "small. Use PSI first. A season that is missing in the training data also counts "
            "as drift."
        )
    )
    downloads.show_csv_button(_("Download as CSV"), lambda: result.table, "drift.csv", key="drift-csv")
    _show_column(result, selected_rows[0] if selected_rows else 0)


def _list_notes(result: DriftAnswer) -> list[str]:
    files = _("Training data: {then}. New data: {now}.").format(
        then=escape_markdown(", ".join(result.reference.files)), now=escape_markdown(", ".join(result.current.files))
    )
    notes = [files]
    if result.new_entities:
        notes.append(
            _("Entities missing in the training data: {entities}.").format(
                entities=escape_markdown(", ".join(result.new_entities[:10]))
            )
        )
    if result.missing_entities:
        notes.append(
            _("Entities missing in the new data: {entities}.").format(
                entities=escape_markdown(", ".join(result.missing_entities[:10]))
            )
        )
    if result.is_combined:
        notes.append(
            _(
                "All entities are compared together, because there are too many of them or the two "
                "datasets have none in common."
            )
        )
    return notes


def _show_column(result: DriftAnswer, row: int) -> None:
    comparison = result.table.loc[row]
    rows = _load_rows(result.spec.run, result.spec.dataset)
    reference_values, current_values = drift.sample_values(rows, comparison["entity"], comparison["column"])
    names = filter(None, [str(comparison["entity"]), str(comparison["column"])])
    st.header(escape_markdown(" · ".join(names)))
    left, right = st.columns(2)
    with left:
        show_chart(
            figures.draw_value_histograms(reference_values, current_values, result.reference.unit, _),
            "drift-histograms",
            _("Distribution of the values in the training data and the new data"),
        )
    with right:
        show_chart(
            figures.draw_quantile_comparison(reference_values, current_values, result.reference.unit, _),
            "drift-quantiles",
            _("Quantiles of the training data and the new data"),
        )


@st.cache_resource(max_entries=4, show_spinner=False)
def _load_rows(run: str, dataset: str) -> tuple[Dataset, Dataset]:
    return drift.load_compared_rows(DriftSpec(run, dataset), cache.get_workspace())


def _build_column_config() -> dict[str, ColumnConfig | str]:
    number = st.column_config.NumberColumn
    return {
        "entity": _("Entity"),
        "column": _("Column"),
        "level": _("Change"),
        "psi": number("PSI", format="localized"),
        "by_chance": number(
            _("PSI by chance"),
            format="localized",
            help=explain("psi", _("95 % quantile of PSI if nothing has changed.")),
        ),
        "ks": number("KS", format="localized"),
        "p": number("p", format="compact"),
        "q": number("q", format="compact"),
        "rows_then": number(_("Rows (training)"), format="localized"),
        "rows_now": number(_("Rows (new)"), format="localized"),
        "median_then": number(_("Median (training)"), format="localized"),
        "median_now": number(_("Median (new)"), format="localized"),
        "missing_then": number(_("Missing (training)"), format="percent"),
        "missing_now": number(_("Missing (new)"), format="percent"),
    }
