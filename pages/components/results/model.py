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
from pages.components.i18n import _, say, shown

if TYPE_CHECKING:
    from core.runs.promotion import Version


def section(run: str, task: str) -> None:
    """Show `show` in an expander; MLflow is queried only when it is open."""
    place = st.expander(_("Model"), icon=":material/inventory_2:", key=f"{task}-model", on_change="rerun")
    if place.open:
        with place:
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
            "One name is one model through time: every registration is its next version, and its champion is "
            "what pages and commands load."
        ),
    )
    if not name:
        return
    with _refusals():
        versions = promotion.list_versions(cache.get_workspace(), name)
        own = next((version for version in versions if version.run_id == run), None)
        with _refusals():
            _register(run, name, task) if own is None else _promote(own, task)
        _show_versions(versions, run, task)


@contextmanager
def _refusals() -> Iterator[None]:
    """Show the error of the block in place; the other views of the page stay as they are."""
    try:
        yield
    except VigieError as error:
        st.error(say(error.text), icon=":material/block:")


def _register(run: str, name: str, task: str) -> None:
    from core.runs import promotion

    st.caption(_("This run's model is not registered under this name."))
    if st.button(_("Register"), icon=":material/inventory_2:", key="register"):
        cache.submit_once(
            f"register {run} {name}",
            lambda: (
                promotion.register(run, name, workspace=cache.get_workspace(), actor=auth.current_actor(task)).number
            ),
        )
        st.rerun()


def _promote(own: "Version", task: str) -> None:
    """Show the promotion form of a version that is not champion; a worse version needs force and a reason."""
    from core.runs import promotion

    if "champion" in own.aliases:
        st.success(
            _("This run's model is the champion (version {number}).").format(number=own.number),
            icon=":material/trophy:",
        )
        return
    compared = _(
        "This run's model is version {number}. It becomes champion where it is not worse on the same back-test."
    )
    judged = _("This run's model is version {number}. No figure says which of two is better: you decide, and say why.")
    st.caption((compared if promotion.promotion_metric(task) else judged).format(number=own.number))
    force = st.toggle(_("Promote even if the comparison speaks against it"), key="promote-force")
    reason = st.text_input(_("Reason, kept with the version"), key="promote-reason") if force else ""
    if st.button(_("Promote to champion"), icon=":material/trophy:", key="promote"):
        cache.submit_once(
            f"promote {own.name} {own.number} {force} {reason}",
            lambda: (
                promotion.promote(
                    own.name,
                    own.number,
                    workspace=cache.get_workspace(),
                    actor=auth.current_actor(task),
                    force=force,
                    reason=reason,
                )[0].number
            ),
        )
        st.rerun()


def _show_versions(versions: list["Version"], run: str, task: str) -> None:
    """Show the versions of a name, each with the metric that decides on promotion if the task has one."""
    from core.runs import promotion

    if not versions:
        return
    words = {"champion": _("champion"), "challenger": _("challenger"), "previous": _("champion before")}
    promoted_by = promotion.promotion_metric(task)
    metric = get_metric(promoted_by.metric, task) if promoted_by else None
    table = pd.DataFrame(
        {
            "number": version.number,
            "role": ", ".join(words.get(alias, alias) for alias in version.aliases),
            "figure": _figure(version, metric),
            "created": shown(clock.from_epoch_ms(version.created_ms)),
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
            "figure": st.column_config.NumberColumn(_heading(metric), format="localized"),
            "created": st.column_config.TextColumn(_("Registered")),
            "run": st.column_config.TextColumn(_("Run")),
        },
    )


def _figure(version: "Version", metric: Metric | None) -> float | None:
    """Return the metric of a version; None without one."""
    if metric is None or metric.name not in version.figures:
        return None
    value = float(version.figures[metric.name])
    return round(100 * value, 2) if metric.unit == "%" else round(value, 4)


def _heading(metric: Metric | None) -> str:
    return ", ".join(filter(None, [_(metric.label), _(metric.unit) if metric.unit else ""])) if metric else ""
