"""Result of intervals of a folder: counts, promise, the worst events, skipped files, and where all tables are."""

import pandas as pd
import streamlit as st

from core.tasks.intervals.folder_result import FolderIntervals
from core.tasks.intervals.words import describe_promise, round_amount
from pages.components.i18n import _, format_value, get_date_format, translate_message
from pages.components.results.interval_labels import format_kind, format_severity
from pages.components.results.intervals import show_alarm_rate, show_events
from pages.components.results.run_widgets import show_cost, show_downloads, show_notes, show_record


def show_folder(result: FolderIntervals, run: str) -> None:
    """Show the result; all of its parts come from the run. The tables of all points stay in the output folder."""
    with st.container(horizontal=True, key="result-figures"):
        show_events(dict(reversed(result.severities.items())))
        st.metric(_("Series"), format_value(result.series), border=True)
        show_alarm_rate(result)
        st.metric(_("Series per second"), format_value(round(result.series_per_second, 1)), border=True)
        st.metric(_("Skipped files"), format_value(result.files_skipped), border=True)
        show_cost(run)
    if result.rows:
        st.markdown(" ".join(map(translate_message, describe_promise(result, result.rows))))
    else:
        st.warning(_("No point was judged. The notes below give the reason."), icon=":material/data_alert:")
    st.caption(_describe_batches(result))
    st.markdown(_("All points, events and series are tables in this folder:"))
    st.code(result.spec.out, language=None)
    _show_skipped(result)
    _show_events(result)
    show_notes(result.notes)
    show_record(run)


def _describe_batches(result: FolderIntervals) -> str:
    text = _("{count} batch of about {rows} rows.", "{count} batches of about {rows} rows.", result.batches).format(
        count=format_value(result.batches), rows=format_value(result.spec.batch_rows)
    )
    if result.batches_resumed:
        text += " " + _(
            "{count} of them was finished before.", "{count} of them were finished before.", result.batches_resumed
        ).format(count=format_value(result.batches_resumed))
    return text


def _show_skipped(result: FolderIntervals) -> None:
    if not result.skipped:
        return
    with st.expander(_("Skipped files"), icon=":material/report:"):
        st.caption(_("The first ones; skipped.csv in the folder lists all."))
        st.dataframe(
            pd.DataFrame(list(result.skipped), columns=["file", "reason"]),
            hide_index=True,
            width="stretch",
            key="skipped-files",
            alt=_("Skipped files"),
            column_config={
                "file": st.column_config.TextColumn(_("File")),
                "reason": st.column_config.TextColumn(_("Reason")),
            },
        )


def _show_events(result: FolderIntervals) -> None:
    st.header(_("Worst events"))
    if result.events.empty:
        st.info(_("No point of the judged period is outside its interval."), icon=":material/check:")
        return
    if len(result.events) < result.event_count:
        st.caption(
            _("The worst {count} of {total} events; events.csv in the folder lists all.").format(
                count=format_value(len(result.events)), total=format_value(result.event_count)
            )
        )
    number, text, time = st.column_config.NumberColumn, st.column_config.TextColumn, st.column_config.DatetimeColumn
    time_format = get_date_format() + " HH:mm"
    st.dataframe(
        _build_table(result),
        hide_index=True,
        width="stretch",
        key="folder-events",
        alt=_("Worst events"),
        column_config={
            "severity": text(_("Severity")),
            "entity": text(_("Entity")),
            "measure": text(_("Measure")),
            "start": time(_("Start"), format=time_format),
            "end": time(_("End"), format=time_format),
            "rel_distance": number(
                _("Outside by"),
                format="percent",
                step=0.01,
                help=_("Distance from the interval at the peak, in percent of the usual value. Empty where that is 0."),
            ),
            "y": number(_("Measured"), format="localized", help=_("At the peak of the event.")),
            "yhat": number(_("usual (median)"), format="localized"),
            "kind": text(_("Kind")),
            "file": text(_("File")),
        },
    )
    show_downloads(result.to_frame, "events", _("Events ({kind})"))


def _build_table(result: FolderIntervals) -> pd.DataFrame:
    """Return the shown columns; measure and file only where there are several."""
    events = result.events
    table = events[["severity", "entity", "measure", "start", "end", "rel_distance", "y", "yhat", "kind", "file"]]
    table = table.assign(
        severity=[format_severity(name) for name in events["severity"]],
        kind=[format_kind(name) for name in events["kind"]],
        rel_distance=events["rel_distance"] / 100,
        y=events["y"].map(round_amount),
        yhat=events["yhat"].map(round_amount),
    )
    return table.drop(columns=[name for name in ("measure", "file") if events[name].nunique() == 1])
