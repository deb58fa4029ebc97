"""Model of a run: registration under a name, and promotion to champion."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from core.errors import VigieError
from core.spec.metric import Metric
from core.spec.task import get_metric
from pages.components import auth, cache, clock
from pages.components.i18n import _, translate_message

if TYPE_CHECKING:
    from streamlit.elements.lib.column_types import ColumnConfig

    from core.runs.promotion import ModelVersion


def show_section(run: str, task: str) -> None:
    """Show `show` in an expander; MLflow is queried only when it is open."""
    expander = st.expander(_("Model"), icon=":material/inventory_2:", key=f"{task}-model", on_change="rerun")
    if expander.open:
        with expander:
            show(run, task)


def show(run: str, task: str) -> None:
    """Let the user register and promote the model of `run`, and show all versions of its name."""
    from core.runs import promotion

    name = st.text_input(
        _("Name of the model"),
        task,
        key=f"{task}-model-name",
        persist_state="page",
        help=_(
            "Each registration under this name creates the next version. Pages and commands "
            "load the champion of the name."
        ),
    )
    if not name:
        return
    with _show_errors():
        versions = promotion.list_versions(cache.get_workspace(), name)
        run_version = next((version for version in versions if version.run_id == run), None)
        with _show_errors():
            if run_version is None:
                _show_register_button(run, name, task)
            else:
                has_champion = any("champion" in version.aliases for version in versions)
                _show_promotion(run_version, task, has_champion)
        _show_versions(versions, run, task)


@contextmanager
def _show_errors() -> Iterator[None]:
    """Show the error of the block in place; the other views of the page stay as they are."""
    try:
        yield
    except VigieError as error:
        st.error(translate_message(error.message), icon=":material/block:")


def _show_register_button(run: str, name: str, task: str) -> None:
    from core.runs import promotion

    st.caption(_("The model of this run is not registered under this name."))
    if st.button(_("Register"), icon=":material/inventory_2:", key="register"):
        cache.submit_once(
            f"register {run} {name}",
            lambda: (
                promotion.register(run, name, workspace=cache.get_workspace(), actor=auth.current_actor(task)).number
            ),
        )
        st.rerun()


def _show_promotion(version: "ModelVersion", task: str, has_champion: bool) -> None:
    """Show the promotion form of a version that is not champion; a worse version needs force and a reason."""
    from core.runs import promotion

    if "champion" in version.aliases:
        st.success(
            _("The model of this run is the champion (version {number}).").format(number=version.number),
            icon=":material/trophy:",
        )
        return
    first_template = _("The model of this run is version {number}. It becomes the first champion of this name.")
    metric_template = _(
        "The model of this run is version {number}. It can become champion if it is not worse on the same backtest."
    )
    reason_template = _(
        "The model of this run is version {number}. This task has no metric to compare two "
        "versions. You decide, and you give the reason."
    )
    template = metric_template if promotion.get_promotion_metric(task) else reason_template
    st.caption((template if has_champion else first_template).format(number=version.number))
    force = has_champion and st.toggle(_("Promote even if the comparison does not allow it"), key="promote-force")
    reason = st.text_input(_("Reason (saved with the version)"), key="promote-reason") if force else ""
    if st.button(_("Promote to champion"), icon=":material/trophy:", key="promote"):
        cache.submit_once(
            f"promote {version.name} {version.number} {force} {reason}",
            lambda: (
                promotion.promote(
                    version.name,
                    version.number,
                    workspace=cache.get_workspace(),
                    actor=auth.current_actor(task),
                    force=force,
                    reason=reason,
                )[0].number
            ),
        )
        st.rerun()


def _show_versions(versions: list["ModelVersion"], run: str, task: str) -> None:
    """Show the versions of a name, each with the metric that decides on promotion if the task has one."""
    from core.runs import promotion

    if not versions:
        return
    alias_labels = {"champion": _("champion"), "challenger": _("challenger"), "previous": _("previous champion")}
    promotion_metric = promotion.get_promotion_metric(task)
    metric = get_metric(promotion_metric.metric, task) if promotion_metric else None
    table = pd.DataFrame(
        {
            "number": version.number,
            "role": ", ".join(alias_labels.get(alias, alias) for alias in version.aliases),
            "figure": _get_metric_value(version, metric),
            "created": clock.format_epoch_ms(version.created_ms),
            "run": ("→ " if version.run_id == run else "") + version.run_id[:12],
        }
        for version in versions
    )
    st.dataframe(
        table.dropna(axis="columns", how="all"),
        hide_index=True,
        width="stretch",
        key="versions",
        alt=_("Versions of this model"),
        column_config={
            "number": st.column_config.NumberColumn(_("Version"), width="small"),
            "role": st.column_config.TextColumn(_("Role")),
            "figure": _build_metric_column(metric),
            "created": st.column_config.TextColumn(_("Registered")),
            "run": st.column_config.TextColumn(_("Run")),
        },
    )


def _build_metric_column(metric: Metric | None) -> "ColumnConfig":
    label = _build_metric_heading(metric)
    if metric is not None and metric.is_yes_no:
        return st.column_config.CheckboxColumn(label)
    return st.column_config.NumberColumn(label, format="localized")


def _get_metric_value(version: "ModelVersion", metric: Metric | None) -> float | bool | None:
    """Return the metric of a version; None without one."""
    if metric is None or metric.name not in version.figures:
        return None
    value = float(version.figures[metric.name])
    if metric.is_yes_no:
        return bool(value)
    return round(100 * value, 2) if metric.unit == "%" else round(value, 4)


def _build_metric_heading(metric: Metric | None) -> str:
    return ", ".join(filter(None, [_(metric.label), _(metric.unit) if metric.unit else ""])) if metric else ""
