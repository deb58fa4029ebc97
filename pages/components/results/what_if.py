"""Scenarios of a forecast: other weather or strikes, and the changed forecast next to the original."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from core.data.covariates import CovariateTable
from core.errors import VigieError
from core.tasks.forecast import figures as figures
from core.tasks.forecast.result import Forecast
from core.tasks.forecast.total import TOGETHER
from pages.components import auth, cache, covariate_upload
from pages.components.i18n import _, date_format, percent, say, shown
from pages.components.results.run_widgets import chart

if TYPE_CHECKING:
    from core.tasks.forecast.scenarios import Scenario

WARMEST = 10.0  # °C; limit of the slider in both directions
STRIKES = {"given": None, "yes": True, "no": False}


def show(found: Forecast, run: str) -> None:
    """Show the form of the scenario, and the changed forecast once something is changed."""
    dataset = cache.load_dataset()
    if dataset is None or found.spec.dataset != dataset.digest:
        st.info(_("The data of this result are not loaded; without them nothing can be forecast again."))
        return
    try:
        scenario = _form(found)
        if scenario is None:
            st.caption(_("Change something above, and the forecast is made again beside the one as given."))
            return
        table = _changed(run, _words(scenario), scenario)
    except VigieError as error:  # the other views of the page stay as they are
        st.error(say(error.text), icon=":material/error:")
        return
    _result(table, found)


# ---- form -----------------------------------------------------------------------------------------------------------


def _form(found: Forecast) -> "Scenario | None":
    """Return the scenario of the form; None if nothing is changed."""
    from core.tasks.forecast.scenarios import Scenario

    left, right = st.columns(2)
    entities = left.multiselect(
        _("Entities"),
        sorted(found.rows["entity"].astype(str).unique()),
        placeholder=_("All"),
        key="if-entities",
        persist_state="page",
    )
    days = sorted(found.rows["time"].dt.normalize().unique())[: found.model_spec.horizon]
    chosen = right.multiselect(
        _("Days"),
        [str(day)[:10] for day in days],
        placeholder=_("All"),
        key="if-days",
        persist_state="page",
        format_func=lambda day: shown(pd.Timestamp(day).date()),
    )
    warmer, strike = _shift(found), _strike(found)
    weather = _weather(found)
    tables = _file()
    scenario = Scenario(warmer, STRIKES[strike], tuple(chosen), tuple(entities), weather, tables)
    return scenario if warmer or strike != "given" or weather or tables else None


def _shift(found: Forecast) -> float:
    learnt = "temperature" in found.covariates
    return st.slider(
        _("Warmer (+) or colder (−), °C"),
        -WARMEST,
        WARMEST,
        0.0,
        0.5,
        key="if-warmer",
        disabled=not learnt,
        help=None if learnt else _not_learnt("temperature"),
        format="%+.1f",
        persist_state="page",
    )


def _strike(found: Forecast) -> str:
    words = {"given": _("as given"), "yes": _("yes"), "no": _("no")}
    learnt = "strike" in found.covariates
    return (
        st.segmented_control(
            _("Strike"),
            list(words),
            default="given",
            required=True,
            format_func=words.__getitem__,
            key="if-strike",
            disabled=not learnt,
            help=None if learnt else _not_learnt("strike"),
            persist_state="page",
        )
        or "given"
    )


def _weather(found: Forecast) -> dict[str, float]:
    """Return the filled weather fields; a covariate that the model does not use is disabled."""
    from core.tasks.forecast.scenarios import WEATHER_FIELDS

    given = {}
    for place, (name, (label, unit, low, high, usual)) in enumerate(WEATHER_FIELDS.items()):
        if place % 3 == 0:
            columns = st.columns(3)
        learnt = name in found.covariates or (name.startswith("temperature") and "temperature" in found.covariates)
        value = columns[place % 3].number_input(
            f"{_(label)} ({unit})",
            low,
            high,
            None,
            step=1.0,
            placeholder=_("as given"),
            key=f"if-{name}",
            disabled=not learnt,
            help=_("{low} to {high} {unit}, for example {usual}.").format(
                low=f"{low:g}", high=f"{high:g}", unit=unit, usual=f"{usual:g}"
            )
            if learnt
            else _not_learnt(_(label)),
            persist_state="page",
        )
        if value is not None and learnt:
            given[name] = float(value)
    return given


def _not_learnt(name: str) -> str:
    return _(
        "The model has not learnt {name}: no file gave it on enough days, or the question left the weather out."
    ).format(name=name)


def _file() -> tuple[CovariateTable, ...]:
    uploads = st.file_uploader(
        _("Or a file of many days, which takes the place of the weather of the days it covers"),
        accept_multiple_files=True,
        max_upload_size=cache.get_workspace().settings.vigie_max_upload_mb,
        key="if-files",
    )
    return tuple(covariate_upload.read(uploads)) if uploads else ()


def _words(scenario: "Scenario") -> str:
    """Return all settings of a scenario as text, as the cache key of its forecast."""
    said = (scenario.warmer, scenario.strike, scenario.days, scenario.entities, sorted(scenario.weather.items()))
    return f"{said} {[table.digest for table in scenario.tables]}"


@st.cache_resource(max_entries=32, show_spinner=False)
def _changed(run: str, words: str, _scenario: "Scenario") -> pd.DataFrame:
    """Compute the forecast of a scenario, once per run and scenario."""
    from core.tasks.forecast.scenarios import what_if

    dataset = cache.load_dataset()
    assert dataset is not None
    return what_if(dataset, run, _scenario, workspace=cache.get_workspace(), actor=auth.current_actor("forecast"))


# ---- result ---------------------------------------------------------------------------------------------------------


def _result(table: pd.DataFrame, found: Forecast) -> None:
    touched = _touched(table)
    if not touched:
        st.info(_("The forecast stays the same."))
    entity = st.selectbox(
        _("Entity shown"),
        [TOGETHER, *sorted(table["entity"].astype(str).unique())],
        key="if-entity",
        persist_state="page",
        format_func=lambda each: each or _("All entities together"),
    )
    if entity == TOGETHER:
        rows = table.groupby("time", as_index=False)[["forecast", "changed"]].sum()
    else:
        rows = table[table["entity"] == entity]
    _differences(rows, found)
    chart(figures.changed(rows, found, _), "changed", _("The forecast as given and as changed"))
    if entity == TOGETHER:
        st.caption(_("Intervals are shown for one entity at a time: those of a sum are not the sum of theirs."))
    _table(rows, found)


def _touched(table: pd.DataFrame) -> bool:
    return bool(((table["changed"] - table["forecast"]).abs() > 1e-9 * table["forecast"].abs().max()).any())


def _differences(rows: pd.DataFrame, found: Forecast) -> None:
    given, other = rows["forecast"].sum(), rows["changed"].sum()
    with st.container(horizontal=True, key="if-figures"):
        st.metric(_("As given, all days"), f"{_rounded(given)} {found.data.unit}", border=True)
        st.metric(
            _("As changed"),
            f"{_rounded(other)} {found.data.unit}",
            border=True,
            delta_color="off",
            delta=f"{_rounded(other - given)} ({percent(round(other / given - 1, 4)) if given else '–'})",
        )


def _rounded(amount: float) -> str:
    return shown(round(amount)) if abs(amount) >= 100 else shown(round(float(amount), 2))


def _table(rows: pd.DataFrame, found: Forecast) -> None:
    unit = f" ({found.data.unit})" if found.data.unit else ""
    names: Sequence[str] = [
        each for each in ("forecast", "low", "high", "changed", "changed_low", "changed_high") if each in rows
    ]
    digits = 0 if rows["forecast"].abs().median() >= 100 else 3
    table = rows[["time", *names]].assign(difference=rows["changed"] - rows["forecast"]).round(digits)
    table["share"] = (100 * (rows["changed"] / rows["forecast"] - 1)).round(2)
    labels = {
        "forecast": _("As given") + unit,
        "low": _("Low end"),
        "high": _("High end"),
        "changed": _("As changed") + unit,
        "changed_low": _("Low end, changed"),
        "changed_high": _("High end, changed"),
        "difference": _("Difference") + unit,
        "share": _("Difference, %"),
    }
    hours = len(found.slots) > 1
    st.dataframe(
        table,
        hide_index=True,
        width="stretch",
        key="if-rows",
        alt=_("The forecast as given and as changed, as a table"),
        column_config={
            "time": st.column_config.DatetimeColumn(_("Time"), format=date_format() + (" HH:mm" if hours else "")),
            **{name: st.column_config.NumberColumn(label, format="localized") for name, label in labels.items()},
        },
    )
