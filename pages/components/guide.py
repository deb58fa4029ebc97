"""Guided walk: a quiet panel above each page that names the next step, from loading data to the run card.

The steps reached are read from the state of the browser session. The walk never blocks a page, and can be left and
started again at any time.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import streamlit as st

from core.messages import N_
from pages.components import url_state
from pages.components.i18n import _
from pages.components.task_links import ANALYSIS_FOLDER, HOME_SCRIPT, LOAD_SCRIPT, TRACKING_SCRIPT

STATE_KEY = "guide"
ANOMALIES_SCRIPT = ANALYSIS_FOLDER / "anomalies.py"


@dataclass
class Walk:
    """State of a walk: the names of the finished steps, and the dataset and the run that it led to."""

    finished: set[str] = field(default_factory=set)
    dataset: str = ""
    run: str = ""


@dataclass(frozen=True)
class Step:
    """A step of the walk: its short name, what to do, the page where it is done, and the address of that page.

    can_be_skipped  False for a step that the next ones need
    """

    name: str
    label: str
    task: str
    link: str
    script: Path
    build_query: Callable[[Walk], dict[str, str]]
    can_be_skipped: bool = True


def _address_nothing(walk: Walk) -> dict[str, str]:
    return {}


def _address_dataset(walk: Walk) -> dict[str, str]:
    return {"dataset": walk.dataset}


def _address_result(walk: Walk) -> dict[str, str]:
    return {"dataset": walk.dataset, "run": walk.run} if walk.run else {"dataset": walk.dataset}


def _address_run(walk: Walk) -> dict[str, str]:
    return {"runs": walk.run}


STEPS = (
    Step(
        "load",
        N_("Load"),
        N_("Load a file, or open a sample: “Regional gas” shows most."),
        N_("Go to the samples"),
        HOME_SCRIPT,
        _address_nothing,
        can_be_skipped=False,
    ),
    Step(
        "doctor",
        N_("Check"),
        N_("Look at the plot, then read the data-quality issues below it. Apply a repair, or leave the data."),
        N_("Go to the data"),
        LOAD_SCRIPT,
        _address_dataset,
    ),
    Step(
        "anomalies",
        N_("Find"),
        N_("Press “Find anomalies”. The settings can stay as they are."),
        N_("Go to Anomalies"),
        ANOMALIES_SCRIPT,
        _address_dataset,
        can_be_skipped=False,
    ),
    Step(
        "why",
        N_("Understand"),
        N_("Select an incident in the list. Below it you see what was measured and what is usual."),
        N_("Go to the result"),
        ANOMALIES_SCRIPT,
        _address_result,
    ),
    Step(
        "verdict",
        N_("Judge"),
        N_("Say below the incident whether it is a true alarm, and save the verdict."),
        N_("Go to the result"),
        ANOMALIES_SCRIPT,
        _address_result,
    ),
    Step(
        "card",
        N_("Hand on"),
        N_("Download the run card: it holds data, settings, quality and cost, and the command that repeats the run."),
        N_("Go to the run"),
        TRACKING_SCRIPT,
        _address_run,
    ),
)


def show_start_button() -> None:
    """Show the button that starts the walk, from the beginning if it was left or finished."""
    if url_state.get_state(STATE_KEY) is None:
        st.button(_("Show me around"), icon=":material/explore:", key="guide-start", on_click=_start)


def show(script: Path | None) -> None:
    """Show the current step, if a walk is under way; `script` is that of the page below the panel."""
    walk: Walk | None = url_state.get_state(STATE_KEY)
    if walk is None:
        return
    _follow(walk)
    step = next((step for step in STEPS if step.name not in walk.finished), None)
    with st.container(border=True, key="guide"):
        with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
            st.markdown(_list_steps(walk, step))
            st.button(_("Leave the walk"), icon=":material/close:", key="guide-leave", type="tertiary", on_click=_leave)
        if step is None:
            st.markdown(_("The walk is complete. Go on with *Forecast* or *Clusters*, or load your own data."))
        else:
            _show_step(step, walk, script)


def record_verdict() -> None:
    """Record that the user has given a verdict."""
    walk: Walk | None = url_state.get_state(STATE_KEY)
    if walk is not None:
        walk.finished |= {"why", "verdict"}


def _start() -> None:
    url_state.set_state(STATE_KEY, Walk())


def _leave() -> None:
    url_state.set_state(STATE_KEY, None)


def _follow(walk: Walk) -> None:
    """Finish the steps that the address of the page shows as done."""
    dataset, run = url_state.get_dataset_digest(), url_state.get_run_id()
    if dataset:
        walk.dataset = dataset
        walk.finished.add("load")
    if run and dataset:
        walk.run = run
        walk.finished |= {"doctor", "anomalies"}


def _list_steps(walk: Walk, current: Step | None) -> str:
    """Return the names of all steps in one line: ✓ before the finished ones, the current one in bold."""
    names = []
    for step in STEPS:
        label = _(step.label)
        names.append(f"**{label}**" if step is current else f"✓ {label}" if step.name in walk.finished else label)
    return " · ".join(names)


def _show_step(step: Step, walk: Walk, script: Path | None) -> None:
    st.markdown(_(step.task))
    with st.container(horizontal=True, vertical_alignment="center"):
        if step.script != script:
            query = step.build_query(walk)
            st.page_link(step.script, label=_(step.link), icon=":material/arrow_forward:", query_params=query)
        if step.can_be_skipped:
            st.button(
                _("Next step"),
                key="guide-next",
                type="tertiary",
                icon=":material/skip_next:",
                on_click=walk.finished.add,
                args=(step.name,),
            )
