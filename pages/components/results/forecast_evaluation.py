"""Evaluation of a forecast: back-test, errors by group, and coverage of the intervals."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import streamlit as st

from core.data.dataset import Dataset
from core.tasks.forecast import error_figures as figures
from core.tasks.forecast import figures as forecasts
from core.tasks.forecast.result import Forecast
from core.tasks.forecast.total import TOGETHER
from pages.components import auth, cache, url_state
from pages.components.i18n import _, shown
from pages.components.results.run_widgets import chart, downloads

SCORES = ("wape", "wape_naive1", "wape_naive7", "mae", "rmse", "mase", "r2", "quantile_loss", "coverage", "width")
PERCENT = ("wape", "wape_naive1", "wape_naive7", "quantile_loss", "coverage", "width")
Chosen = Callable[[str], Forecast]


def covered(found: Forecast) -> float:
    """Return the measured coverage of the outermost quantiles over the whole back-test, as a share 0–1."""
    whole = found.scores[(found.scores["entity"] == "") & (found.scores["step"] == 0)]
    return float(whole["coverage"].iloc[0])


def entity_of(found: Forecast, key: str) -> str:
    """Return the selected entity of a figure; TOGETHER for the sum of all."""
    entities = sorted(found.rows["entity"].astype(str).unique())
    return st.selectbox(
        _("Entity"),
        [TOGETHER, *entities] if len(entities) > 1 else entities,
        key=f"{key}-entity",
        persist_state="page",
        format_func=lambda entity: entity or _("All entities together"),
    )


def choice(found: Forecast, key: str) -> tuple[str, int]:
    """Return the selected entity and number of days ahead."""
    left, right = st.columns([3, 1])
    with left:
        entity = entity_of(found, key)
    steps = sorted(int(step) for step in found.checked["step"].unique())
    return entity, right.selectbox(_("Days ahead"), steps, key=f"{key}-step", persist_state="page")


# ---- back-test ------------------------------------------------------------------------------------------------------


def backtest(found: Forecast, chosen: Chosen) -> None:
    """Show the scores of the back-test by days ahead and by entity, and the forecasts day by day."""
    steps = found.per_step()
    chart(figures.per_step(steps, _), "per-step", _("Error by days ahead, beside two naive forecasts"), dated=False)
    st.caption(_("Every day of the back-test was forecast from what was known so many days before."))
    _scores(steps.drop(columns="days"), "step", "scores-per-step")
    st.subheader(_("By entity"))
    step = st.selectbox(
        _("Days ahead"),
        [0, *steps["step"]],
        key="entities-step",
        persist_state="page",
        format_func=lambda each: shown(int(each)) if each else _("all"),
    )
    entities = found.scores[(found.scores["step"] == step) & (found.scores["entity"] != "")]
    _scores(entities.sort_values("wape", ascending=False), "entity", "scores-per-entity")
    st.subheader(_("Day by day"))
    entity, step = choice(found, "compared")
    mine = chosen(entity).checked
    mine = mine[mine["step"] == step]
    if mine.empty:
        st.info(_("No day of the back-test has both a forecast and a measured amount."))
        return
    chart(forecasts.compared(mine, found, _), "compared", _("Forecast and measured amounts over the back-test"))
    downloads(lambda: _exported(found), "backtest", _("The back-test ({kind})"))


def _scores(table: pd.DataFrame, first: str, key: str) -> None:
    """Show one row of scores per number of days ahead or per entity; shares are in percent."""
    names = [name for name in SCORES if name in table]
    rows = table[[first, *names]].assign(**{name: 100 * table[name] for name in PERCENT})
    number = st.column_config.NumberColumn
    labels = {
        "wape": "WAPE, %",
        "wape_naive1": _("WAPE of the last day, %"),
        "wape_naive7": _("WAPE of the weekday before, %"),
        "mae": "MAE",
        "rmse": "RMSE",
        "mase": "MASE",
        "r2": "R²",
        "quantile_loss": _("Quantile loss, %"),
        "coverage": _("Coverage, %"),
        "width": _("Interval width, %"),
    }
    config = {name: number(labels[name], format="localized") for name in names}
    digits = {name: 0 if name in ("mae", "rmse") and rows[name].median() >= 100 else 2 for name in names} | {
        "r2": 4,
        "mase": 3,
    }
    st.dataframe(
        rows.round(digits),
        hide_index=True,
        width="stretch",
        key=key,
        alt=_("Figures of the back-test"),
        column_config={
            "step": number(_("Days ahead"), width="small"),
            "entity": st.column_config.TextColumn(_("Entity")),
            **config,
        },
    )


def _exported(found: Forecast) -> pd.DataFrame:
    return found.checked.assign(entity=found.checked["entity"].astype(str), unit=found.data.unit)


# ---- errors ---------------------------------------------------------------------------------------------------------


def errors(found: Forecast, chosen: Chosen) -> None:
    """Show the errors of an entity by weekday, month, temperature or hour."""
    entity, step = choice(found, "errors")
    mine = chosen(entity).checked
    mine = mine[mine["step"] == step]
    names = {"weekday": _("Weekday"), "month": _("Month"), "temperature": _("Temperature"), "hour": _("Time of day")}
    if "temperature" not in mine or mine["temperature"].isna().all():
        del names["temperature"]
    if len(found.slots) == 1:
        del names["hour"]
    group = st.segmented_control(
        _("By"),
        list(names),
        default="weekday",
        required=True,
        format_func=names.__getitem__,
        key="errors-by",
        persist_state="page",
    )
    chart(
        figures.residuals(mine, group or "weekday", _),
        "residuals",
        _("Errors of the back-test by circumstance"),
        dated=False,
    )
    st.caption(
        _(
            "Boxes hold the middle half of the errors, whiskers nine in ten. Above zero more came than was "
            "forecast. Groups of fewer than {least} errors are left out."
        ).format(least=figures.LEAST)
    )


# ---- intervals ------------------------------------------------------------------------------------------------------


def intervals(found: Forecast, dataset: Dataset | None, run: str) -> None:
    """Show nominal and measured coverage."""
    levels = found.reliability["nominal"].unique()
    asked = found.model_spec.quantiles[-1] - found.model_spec.quantiles[0]
    level = float(levels[np.abs(levels - asked).argmin()])
    chart(figures.reliability(found.reliability, _), "reliability", _("Promised and measured coverage"), dated=False)
    st.caption(
        _(
            "Below the dotted line intervals are too narrow, above it too wide. Entities share their weather: "
            "chance allows more than the band, which counts every day of every entity as independent."
        )
    )
    st.subheader(_("Coverage of the {level} % interval").format(level=f"{100 * level:g}"))
    kinds = {"month": _("Month"), "entity": _("Entity"), "weekday": _("Weekday"), "hour": _("Time of day")}
    if len(found.slots) == 1:
        del kinds["hour"]
    group = st.segmented_control(
        _("By"),
        list(kinds),
        default="month",
        required=True,
        format_func=kinds.__getitem__,
        key="coverage-by",
        persist_state="page",
    )
    figure = figures.coverage(found.reliability, group or "month", level, _)
    chart(figure, "coverage", _("Measured coverage by group, beside what was promised"), dated=False)
    _recalibrate(dataset, run)


def _recalibrate(dataset: Dataset | None, run: str) -> None:
    st.caption(
        _(
            "Recalibrating chooses the past errors that intervals are made of on the first half of the "
            "back-test, and judges them on the second: a new run with the same forecasts."
        )
    )
    whole = cache.load_dataset()
    if (
        not st.button(_("Recalibrate"), icon=":material/straighten:", key="recalibrate", disabled=dataset is None)
        or whole is None
    ):
        return
    from core.tasks.forecast.run import recalibrate
    from core.tasks.forecast.spec import RecalibrationSpec

    spec = RecalibrationSpec(run)
    with st.spinner(_("Recalibrating …")):
        again = cache.submit_once(
            f"recalibrate {run}",
            lambda: (
                recalibrate(spec, whole, workspace=cache.get_workspace(), actor=auth.current_actor("forecast"))[1].id
            ),
        )
    url_state.set_run(again, whole.digest)
    st.rerun()
