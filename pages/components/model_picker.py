"""Selection of a saved model: registered models by NAME@ALIAS first, then runs with a saved model."""

from collections.abc import Callable
from typing import Any

import streamlit as st

from core.errors import VigieError
from core.workspace import Workspace
from pages.components import cache, clock
from pages.components.i18n import _
from pages.components.run_name import format_run_name

ALIASES = ("champion", "challenger", "previous")


def pick_model(task: str, describe_run: Callable[[Any], str]) -> str:
    """Return the address of the chosen model, as `resolve_run` reads it; "" if `task` has no saved model.

    `describe_run` describes the settings of a run with a model in a few words.
    """
    from core.runs.promotion import runs_with_model

    labels = _label_registered_models(task, cache.get_workspace()) | {
        run.id: f"{format_run_name(run)} · {describe_run(run)} · {clock.format_epoch_ms(run.started_ms)}"
        for run in runs_with_model(task, cache.get_workspace())
    }
    if not labels:
        st.info(_("No model is saved yet. Train one first."))
        return ""
    return (
        st.selectbox(
            _("Saved model"),
            list(labels),
            format_func=labels.__getitem__,
            key=f"{task}-model-run",
            persist_state="page",
        )
        or ""
    )


def _label_registered_models(task: str, workspace: Workspace) -> dict[str, str]:
    """Return address → label of registered models, champions first; {} if MLflow does not answer."""
    from core.runs import promotion

    try:
        versions = [version for version in promotion.list_versions(workspace) if version.tags.get("task") == task]
    except VigieError:  # runs with a model can still be chosen
        return {}
    return {
        f"{version.name}@{alias}": _("{name} · version {number}").format(
            name=f"{version.name}@{alias}", number=version.number
        )
        for alias in ALIASES
        for version in versions
        if alias in version.aliases
    }
