"""Scenarios of a forecast: other weather or strikes, and the changed forecast next to the original."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from core import queries
from core.errors import VigieError
from core.tasks.forecast import figures
from core.tasks.forecast.result import Forecast
from core.tasks.forecast.strike_words import describe_scenario
from core.tasks.forecast.total import TOTAL_ENTITY
from pages.components import answers, cache, covariate_upload, url_state
from pages.components.i18n import _, format_percent, format_value, get_date_format, translate_message
from pages.components.timeline import Timeline
from pages.components.uploads import store_files

if TYPE_CHECKING:
    from core.tasks.forecast.what_if import ScenarioSpec

QUERY, QUERY_PARAM = "what_if", "scenario"
MAX_SHIFT_DEGREES = 10.0  # °C; limit of the slider in both directions
STRIKE_OPTIONS = {"given": None, "yes": True, "no": False}


def show(forecast: Forecast, run: str, timeline: Timeline) -> None:
    """Show the form of the scenario, and the changed forecast once something is changed.

    The address holds the key of the question, so a refresh or a colleague sees the same scenario.
    """
    dataset = cache.load_dataset()
    if dataset is None or forecast.spec.dataset != dataset.digest:
        st.info(_("The data of this result are not loaded. Load them to forecast a scenario."))
        return
    try:
        spec = _ask_spec(forecast, run, _load_asked_spec(run))
        answer = None if spec is None else answers.ask(QUERY, spec, place="scenario")
    except VigieError as error:  # the other views of the page stay as they are
        st.error(translate_message(error.message), icon=":material/error:")
        return
    if spec is None:
        st.caption(_("Change a setting above to compare a new forecast with the original one."))
    elif answer is not None:
        _show_result(answer.table, forecast, timeline, has_strike=spec.scenario.strike is not None)


def find_asked_key() -> str:
    """Return the key of the scenario in the address; "" without one."""
    return url_state.get_query_param(QUERY_PARAM)


def _load_asked_spec(run: str) -> "ScenarioSpec":
    """Return the scenario that the address had when the session opened the run; the original one without any."""
    from core.tasks.forecast.what_if import ScenarioSpec

    state = f"scenario of {run}"
    if not url_state.has_state(state):
        stored = queries.load_question(QUERY, find_asked_key(), cache.get_workspace()) if find_asked_key() else None
        is_same_run = isinstance(stored, ScenarioSpec) and stored.run == run
        url_state.set_state(state, stored if is_same_run else ScenarioSpec(run=run))
    spec: ScenarioSpec = url_state.get_state(state)
    return spec


# ---- form -----------------------------------------------------------------------------------------------------------


def _ask_spec(forecast: Forecast, run: str, asked: "ScenarioSpec") -> "ScenarioSpec | None":
    """Return the scenario of the form, which starts with `asked`; None if nothing is changed."""
    from core.tasks.forecast.scenarios import Scenario

    left, right = st.columns(2)
    all_entities = sorted(forecast.rows["entity"].astype(str).unique())
    entities = left.multiselect(
        _("Entities"),
        all_entities,
        [entity for entity in asked.scenario.entities if entity in all_entities],
        placeholder=_("All"),
        key="if-entities",
        persist_state="page",
    )
    days = sorted(forecast.rows["time"].dt.normalize().unique())[: forecast.model_spec.horizon_periods]
    all_days = [str(day)[:10] for day in days]
    chosen_days = right.multiselect(
        _("Days"),
        all_days,
        [day for day in asked.scenario.days if day in all_days],
        placeholder=_("All"),
        key="if-days",
        persist_state="page",
        format_func=lambda day: format_value(pd.Timestamp(day).date()),
    )
    temperature_shift = _ask_shift(forecast, asked.scenario.temperature_delta)
    strike = _ask_strike(forecast, asked.scenario.strike)
    weather = _ask_weather(forecast, asked.scenario.weather)
    covariates = _ask_file(forecast) or asked.covariates
    is_changed = temperature_shift or strike is not None or weather or covariates
    scenario = Scenario(temperature_shift, strike, tuple(chosen_days), tuple(entities), weather)
    spec = replace(asked, dataset=forecast.spec.dataset, scenario=scenario, covariates=covariates)
    key = queries.save_question(QUERY, spec, cache.get_workspace()) if is_changed else ""
    url_state.set_query_param(QUERY_PARAM, key)
    return spec if is_changed else None


def _ask_shift(forecast: Forecast, start: float) -> float:
    is_fitted = "temperature" in forecast.covariates
    return st.slider(
        _("Warmer (+) or colder (−), °C"),
        -MAX_SHIFT_DEGREES,
        MAX_SHIFT_DEGREES,
        min(max(start, -MAX_SHIFT_DEGREES), MAX_SHIFT_DEGREES),
        0.5,
        key="if-warmer",
        disabled=not is_fitted,
        help=None if is_fitted else _explain_missing_covariate("temperature"),
        format="localized",
        persist_state="page",
    )


def _ask_strike(forecast: Forecast, start: bool | None) -> bool | None:
    option_labels = {"given": _("original"), "yes": _("yes"), "no": _("no")}
    is_fitted = "strike" in forecast.covariates
    option = st.segmented_control(
        _("Strike"),
        list(option_labels),
        default=next(name for name, value in STRIKE_OPTIONS.items() if value is start),
        required=True,
        format_func=option_labels.__getitem__,
        key="if-strike",
        disabled=not is_fitted,
        help=None if is_fitted else _explain_missing_covariate("strike"),
        persist_state="page",
    )
    return STRIKE_OPTIONS[option or "given"]


def _ask_weather(forecast: Forecast, start: Mapping[str, float]) -> dict[str, float]:
    """Return the filled weather fields; a covariate that the model does not use is disabled."""
    from core.tasks.forecast.scenarios import WEATHER_FIELDS

    weather = {}
    for position, (name, (label, unit, low, high, usual)) in enumerate(WEATHER_FIELDS.items()):
        if position % 3 == 0:
            columns = st.columns(3)
        is_fitted = name in forecast.covariates or (
            name.startswith("temperature") and "temperature" in forecast.covariates
        )
        value = columns[position % 3].number_input(
            f"{_(label)} ({unit})",
            low,
            high,
            start.get(name),
            step=1.0,
            placeholder=_("original"),
            key=f"if-{name}",
            disabled=not is_fitted,
            help=_("{low} to {high} {unit}, for example {usual}.").format(
                low=f"{low:g}", high=f"{high:g}", unit=unit, usual=f"{usual:g}"
            )
            if is_fitted
            else _explain_missing_covariate(_(label)),
            persist_state="page",
        )
        if value is not None and is_fitted:
            weather[name] = float(value)
    return weather


def _explain_missing_covariate(name: str) -> str:
    return _(
        "The model does not use {name}. Either too few training days have it, or the model was trained without weather."
    ).format(name=name)


def _ask_file(forecast: Forecast) -> str:
    """Ask for weather files; return the digest of the stored tables, "" without any."""
    uploads = st.file_uploader(
        _("Or a weather file, which replaces the weather of the days it covers"),
        accept_multiple_files=True,
        max_upload_size=cache.get_workspace().settings.vigie_max_upload_mb,
        key="if-files",
    )
    if not uploads:
        return ""
    files = store_files(uploads)
    tables = covariate_upload.read_files(files, forecast.spec.dataset, "scenario-files")
    return cache.get_workspace().covariates.save(tables) if tables else ""


# ---- result ---------------------------------------------------------------------------------------------------------


def _show_result(table: pd.DataFrame, forecast: Forecast, timeline: Timeline, *, has_strike: bool) -> None:
    has_changes = _has_changes(table)
    if not has_changes:
        st.info(_("The scenario does not change the forecast."))
    entity = st.selectbox(
        _("Entity shown"),
        [TOTAL_ENTITY, *sorted(table["entity"].astype(str).unique())],
        key="if-entity",
        persist_state="page",
        format_func=lambda name: name or _("All entities together"),
    )
    if entity == TOTAL_ENTITY:
        rows = table.groupby("time", as_index=False)[["forecast", "changed"]].sum()
    else:
        rows = table[table["entity"] == entity]
    _show_totals(rows, forecast)
    if has_strike and has_changes:
        change = float(rows["changed"].sum() / rows["forecast"].sum() - 1)
        st.markdown(translate_message(describe_scenario(change, forecast.effects)))
    timeline.show_chart(
        figures.draw_scenario(rows, forecast, _),
        "changed",
        _("Original and changed forecast"),
        "" if entity == TOTAL_ENTITY else entity,
    )
    if entity == TOTAL_ENTITY:
        st.caption(
            _(
                "Intervals are shown for single entities only, because the interval of a sum is not "
                "the sum of the intervals."
            )
        )
    _show_table(rows, forecast)


def _has_changes(table: pd.DataFrame) -> bool:
    return bool(((table["changed"] - table["forecast"]).abs() > 1e-9 * table["forecast"].abs().max()).any())


def _show_totals(rows: pd.DataFrame, forecast: Forecast) -> None:
    original_total, changed_total = rows["forecast"].sum(), rows["changed"].sum()
    change = format_percent(round(changed_total / original_total - 1, 4)) if original_total else "–"
    with st.container(horizontal=True, key="if-figures"):
        st.metric(_("Original, all days"), f"{_format_amount(original_total)} {forecast.data.unit}", border=True)
        st.metric(
            _("Changed"),
            f"{_format_amount(changed_total)} {forecast.data.unit}",
            border=True,
            delta_color="off",
            delta=f"{_format_amount(changed_total - original_total)} ({change})",
        )


def _format_amount(amount: float) -> str:
    return format_value(round(amount)) if abs(amount) >= 100 else format_value(round(float(amount), 2))


def _show_table(rows: pd.DataFrame, forecast: Forecast) -> None:
    unit = f" ({forecast.data.unit})" if forecast.data.unit else ""
    names: Sequence[str] = [
        column for column in ("forecast", "low", "high", "changed", "changed_low", "changed_high") if column in rows
    ]
    digits = 0 if rows["forecast"].abs().median() >= 100 else 3
    table = rows[["time", *names]].assign(difference=rows["changed"] - rows["forecast"]).round(digits)
    table["share"] = (100 * (rows["changed"] / rows["forecast"] - 1)).round(2)
    labels = {
        "forecast": _("Original") + unit,
        "low": _("Lower bound"),
        "high": _("Upper bound"),
        "changed": _("Changed") + unit,
        "changed_low": _("Lower bound, changed"),
        "changed_high": _("Upper bound, changed"),
        "difference": _("Difference") + unit,
        "share": _("Difference, %"),
    }
    has_times = len(forecast.slots) > 1
    st.dataframe(
        table,
        hide_index=True,
        width="stretch",
        key="if-rows",
        alt=_("Original and changed forecast, as a table"),
        column_config={
            "time": st.column_config.DatetimeColumn(
                _("Time"), format=get_date_format() + (" HH:mm" if has_times else "")
            ),
            **{name: st.column_config.NumberColumn(label, format="localized") for name, label in labels.items()},
        },
    )
