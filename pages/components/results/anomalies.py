"""Result of an anomaly detection: figures, charts, ranked rows, one row in detail, downloads."""

import pandas as pd
import streamlit as st
from streamlit.elements.lib.column_types import ColumnConfig

from core.data.dataset import Dataset
from core.tasks.anomalies import figures as figures
from core.tasks.anomalies.result import SEVERITIES, Detection
from pages.components import feedback_form
from pages.components.i18n import _, date_format, percent, shown
from pages.components.results import model
from pages.components.results.run_widgets import chart, cost, downloads, record

SHOWN_ROWS = 5000
MARKS = ("○", "◇", "▲", "★")


def detection(found: Detection, dataset: Dataset | None, run: str) -> None:
    """Show the result; `dataset` has the selected rows for the charts, None if they are not loaded."""
    _figures(found, run)
    if found.anomalies.empty:
        st.info(_("No row lies above the threshold."))
    else:
        if dataset is not None:
            _curves(found, dataset)
        _table(found, dataset, run, dated=pd.api.types.is_datetime64_any_dtype(found.rows["time"]))
    model.section(run, "anomalies")
    downloads(lambda: _exported(found), "anomalies", _("All scores ({kind})"))


def _figures(found: Detection, run: str) -> None:
    metrics = found.metrics()
    with st.container(horizontal=True, key="result-figures"):
        st.metric(_("Anomalies"), shown(int(metrics["anomalies"])), border=True)
        st.metric(_("Rows scored"), shown(int(metrics["rows"])), border=True)
        st.metric(_("Entities concerned"), f"{metrics['entities_with_anomalies']} / {metrics['entities']}", border=True)
        cost(run)
    left_out = int(metrics["rows_left_out"])
    notes = [_("{count} incomplete rows were left out.").format(count=shown(left_out))] if left_out else []
    notes.append(_threshold(found))
    st.caption(" ".join(notes))
    record(run)


def _threshold(found: Detection) -> str:
    asked, threshold = found.model_spec, shown(round(found.threshold, 4))
    if found.threshold_run:
        return _(
            "Rows scoring above {threshold} are flagged: the threshold was chosen from verdicts on the run {run}."
        ).format(threshold=threshold, run=found.threshold_run[:12])
    if asked.risk is not None:
        return _(
            "Rows scoring above {threshold} are flagged: by the tail of the scores, 1 normal row in {count} would."
        ).format(threshold=threshold, count=shown(round(1 / asked.risk)))
    return _("Rows scoring above {threshold} are flagged ({share} of the rows the model was fitted on).").format(
        threshold=threshold, share=percent(asked.contamination)
    )


def _curves(found: Detection, dataset: Dataset) -> None:
    if not dataset.dated:
        chart(figures.timeline(dataset, found, _), "timeline", _("Values in the order of the file, anomalies marked"))
        return
    over_time, calendar, who, when = st.tabs([_("Over time"), _("Calendar"), _("By entity"), _("By month")])
    with over_time:
        one = (
            st.selectbox(
                _("Entity"),
                dataset.entities,
                index=None,
                placeholder=_("All entities"),
                key="curve",
                label_visibility="collapsed",
            )
            if len(dataset.entities) > 1
            else None
        )
        part = dataset.select([one]) if one else dataset
        chart(figures.timeline(part, found, _), "timeline", _("Values over time, anomalies marked"))
    with calendar:
        st.caption(_("Anomalies per day; weeks across, Monday to Sunday down."))
        chart(figures.calendar_map(found, _), "calendar", _("Anomalies per day of each year"), dated=False)
    with who:
        chart(figures.per_entity(found, _), "per-entity", _("Anomalies of each entity"), dated=False)
    with when:
        chart(figures.per_month(found, _), "per-month", _("Anomalies per month of the year"), dated=False)


# ---- table ----------------------------------------------------------------------------------------------------------


def _table(found: Detection, dataset: Dataset | None, run: str, dated: bool) -> None:
    st.subheader(_("Ranked rows"))
    rows = _filtered(found)
    visible = rows.head(SHOWN_ROWS)
    st.caption(
        _("{count} rows, the most abnormal first. Choose a row to see why.").format(count=shown(len(rows)))
        + (" " + _("The first {count} are shown.").format(count=shown(SHOWN_ROWS)) if len(rows) > SHOWN_ROWS else "")
    )
    event = st.dataframe(
        _readable(visible, feedback_form.column(run, visible)),
        hide_index=True,
        width="stretch",
        key="ranked",
        on_select="rerun",
        selection_mode="single-row",
        column_config=_columns(found, dated),
        alt=_("Ranked rows"),
    )
    picked = event.selection.rows
    if len(visible):
        number = int(visible.index[picked[0]] if picked and picked[0] < len(visible) else visible.index[0])
        _opened(found, dataset, number)
        feedback_form.ask("anomalies", run, found.rows.loc[number, ["entity", "time", "score"]].to_dict())


def _filtered(found: Detection) -> pd.DataFrame:
    rows = found.rows
    entities, severities, others = st.columns([4, 6, 3], vertical_alignment="bottom")
    with entities:
        names = st.multiselect(
            _("Entities"), sorted(rows["entity"].astype(str).unique()), placeholder=_("All"), key="table-entities"
        )
    with severities:
        levels = st.pills(
            _("Severity"),
            [3, 2, 1, 0],
            selection_mode="multi",
            format_func=_severity,
            key="table-severity",
            help=_(
                "By how rare the score is among the rows the model was fitted on: extreme 1 in 10,000, rare 1 "
                "in 1,000, notable 1 in 100, mild more often."
            ),
        )
    with others:
        everything = st.toggle(_("All rows"), key="table-all")
    keep = rows["anomaly"] | everything
    if names:
        keep &= rows["entity"].isin(names)
    if levels:
        keep &= rows["severity"].isin(levels)
    return rows[keep]


def _severity(level: int) -> str:
    return f"{MARKS[level]} {_(SEVERITIES[level])}"


def _readable(rows: pd.DataFrame, verdicts: list[str]) -> pd.DataFrame:
    """Return the displayed columns; a mark next to the word keeps severity independent of colour."""
    digits = 0 if rows["amount"].abs().median() >= 100 else 3
    return pd.DataFrame(
        {
            "rank": rows.index + 1,
            "severity": [_severity(level) for level in rows["severity"]],
            "verdict": verdicts,
            "entity": rows["entity"].astype(str),
            "time": rows["time"],
            "causes": rows["causes"].str.replace("level", _("level"), regex=False),
            "score": rows["score"].round(3),
            "amount": rows["amount"].round(digits),
            "expected": rows["expected"].round(digits),
            "deviation": (rows["amount"] - rows["expected"]).round(digits),
        }
    )


def _columns(found: Detection, dated: bool) -> dict[str, ColumnConfig]:
    unit = f" ({found.data.unit})" if found.data.unit else ""
    number = st.column_config.NumberColumn
    hours = dated and (pd.DatetimeIndex(found.rows["time"]).normalize() != found.rows["time"]).any()
    day = date_format() + (" HH:mm" if hours else "")
    return {
        "rank": number(_("Rank"), width="small"),
        "severity": st.column_config.TextColumn(_("Severity"), width="small"),
        "verdict": feedback_form.column_config(),
        "entity": st.column_config.TextColumn(_("Entity")),
        "time": st.column_config.DatetimeColumn(_("Time"), format=day) if dated else number(_("Row")),
        "score": number(_("Score"), format="localized", width="small"),
        "amount": number(_("Measured") + unit, format="localized"),
        "expected": number(_("Expected") + unit, format="localized"),
        "deviation": number(_("Deviation") + unit, format="localized"),
        "causes": st.column_config.TextColumn(_("Deviates most"), width="medium"),
    }


def _opened(found: Detection, dataset: Dataset | None, number: int) -> None:
    """Show one row: its values and expected values, or a single value with its neighbours in time."""
    row, cells = found.rows.loc[number], found.explained(number)
    when = shown(row["time"].to_pydatetime()) if hasattr(row["time"], "to_pydatetime") else str(row["time"])
    st.subheader(f"{_severity(int(row['severity']))} · {row['entity']} · {when}")
    if cells.empty:
        st.caption(_("Expected values are kept only for the highest-ranked rows."))
        return
    unit, time = found.data.unit, row["time"]
    if dataset is not None and len(cells) == 1:
        figure, dated = figures.moment(dataset.around(row["entity"], time), time, cells.iloc[0], unit, _), True
    else:
        figure, dated = figures.profile(cells, unit, _), False
    chart(figure, "profile", _("The row against its expected band"), dated=dated)


def _exported(found: Detection) -> pd.DataFrame:
    table = found.to_frame()
    return table.assign(entity=table["entity"].astype(str))
