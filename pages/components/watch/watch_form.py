"""Form of a watch: a new one, filled in from a result, and the change of one."""

from collections.abc import Callable
from zoneinfo import available_timezones

import streamlit as st

from core.errors import OptionError, VigieError
from core.operations.watching.watches import add_watch, change_watch, check_watch, list_recipients, suggest_watch
from core.runs.recent import find_recent_results
from core.watches.schedule import parse_schedule
from core.watches.watch import MAX_HISTORY_DAYS, Watch
from pages.components import cache, url_state
from pages.components.choices import label_uniquely
from pages.components.i18n import _, translate_message
from pages.components.markdown import escape_markdown
from pages.components.run_name import format_run_name
from pages.components.task_links import get_task_label, link_first_steps
from pages.components.watch.changes import build_checked, get_actor, make_change
from pages.components.watch.source_form import ask_source
from pages.components.watch.words import SEVERITY_LEVELS, format_severity

MAX_MINUTES, MAX_FAILURES = 525_600, 100
SUGGESTION_STATE = "watch-suggestion"
Build = Callable[[Watch], Watch]
"""Function that returns a watch with the values of the form; it raises OptionError for one that is not accepted."""


def show_new() -> None:
    """Show the form of a new watch that asks the question of the run in the address; without one, ask for a result."""
    run_id = url_state.get_run_id()
    if not run_id:
        _ask_result()
        return
    suggestion = _suggest(run_id)
    st.caption(
        _("{task}: the model of this result judges the new rows, and tells what is abnormal.").format(
            task=get_task_label(suggestion.task)
        )
    )
    key = f"new-watch-{run_id}"
    build = _ask_watch(suggestion, key, is_new=True)
    with st.container(horizontal=True):
        is_started = st.button(
            _("Start watching"), type="primary", icon=":material/notifications_active:", key="watch-start"
        )
        is_checked = st.button(_("Check the source"), icon=":material/lan:", key="watch-check")
        st.button(
            _("Replay it first"),
            icon=":material/replay:",
            key="watch-replay-first",
            on_click=url_state.set_query_param,
            args=("view", "replay"),
            help=_("Shows which incidents this watch would have opened in the past."),
        )
    if is_started:
        _start(suggestion, build)
    elif is_checked:
        _check(suggestion, build)


def show_change(watch: Watch) -> None:
    """Show the form that changes a watch."""
    build = _ask_watch(watch, f"watch-{watch.name}", is_new=False)
    with st.container(horizontal=True):
        is_saved = st.button(_("Save"), type="primary", icon=":material/check:", key=f"watch-save-{watch.name}")
        is_checked = st.button(_("Check the source"), icon=":material/lan:", key=f"watch-check-{watch.name}")
    if is_saved:
        _save(watch, build)
    elif is_checked:
        _check(watch, build)


def _suggest(run_id: str) -> Watch:
    """Return the watch that a result suggests, once in a session until it is started: its name is then taken."""
    run, suggestion = url_state.get_state(SUGGESTION_STATE, ("", None))
    if run != run_id or suggestion is None:
        suggestion = suggest_watch(run_id, cache.get_workspace())
        url_state.set_state(SUGGESTION_STATE, (run_id, suggestion))
    return suggestion


# ---- result that is asked again -------------------------------------------------------------------------------------


def _ask_result() -> None:
    """Ask for a recent result that can be asked again."""
    actor, workspace = get_actor(), cache.get_workspace()
    results = find_recent_results("", actor.user, workspace, _).results
    names = {result.record.id: format_run_name(result.record) for result in results if result.task.judge}
    if not names:
        st.info(
            _(
                "A watch asks the question of a result again. There is no result yet that can be asked again: load "
                "data, find anomalies in them, and choose “Ask this again” there."
            ),
            icon=":material/notifications_active:",
        )
        link_first_steps()
        return
    st.selectbox(
        _("Result that is asked again"),
        list(names),
        index=None,
        format_func=label_uniquely(list(names), names.__getitem__),
        placeholder=_("Choose a result"),
        key="watch-result",
        on_change=lambda: url_state.set_query_param("run", url_state.get_state("watch-result") or ""),
    )


# ---- fields ---------------------------------------------------------------------------------------------------------


def _ask_watch(template: Watch, key: str, *, is_new: bool) -> Build:
    """Show the fields of a watch, filled in from `template`; return what makes another watch of a watch."""
    left, right = st.columns(2)
    name = template.name
    if is_new:
        name = left.text_input(
            _("Name"),
            template.name,
            key=f"{key}-name",
            max_chars=60,
            help=_("Small letters, digits and hyphens. Messages name the watch."),
        )
    zones = sorted(available_timezones() | {template.zone})
    with right if is_new else left:
        schedule = st.text_input(
            _("Schedule"),
            template.schedule,
            key=f"{key}-schedule",
            help=_(
                "An interval such as `15 minutes`, `1 hour` or `1 day`, or a cron line of five fields such as "
                "`0 7 * * 1-5`."
            ),
        )
        _describe_schedule(schedule, str(url_state.get_state(f"{key}-zone", template.zone)))
    build_source = ask_source(template.source, key)
    left, right = st.columns(2)
    with left:
        recipients = _ask_recipients(template, key)
    severity = right.segmented_control(
        _("Announced from"),
        SEVERITY_LEVELS,
        default=template.min_severity,
        format_func=format_severity,
        required=True,
        key=f"{key}-severity",
        help=_("Incidents of a lower severity are listed here, and announced to nobody."),
    )
    with st.expander(_("More settings"), icon=":material/tune:", key=f"{key}-more"):
        left, middle, right = st.columns(3)
        zone = left.selectbox(_("Time zone of the schedule"), zones, zones.index(template.zone), key=f"{key}-zone")
        failures = middle.number_input(
            _("Failures before “no data”"),
            1,
            MAX_FAILURES,
            template.max_failures,
            key=f"{key}-failures",
            help=_("So many failed ticks in a row open an incident “no data”."),
        )
        silence = right.number_input(
            _("Minutes without a row before “no data”"),
            0,
            MAX_MINUTES,
            template.max_silence_minutes,
            key=f"{key}-silence",
            help=_("0: the watch waits for rows without a limit."),
        )
        left, right = st.columns(2)
        refit = left.text_input(
            _("Train again"),
            template.refit,
            key=f"{key}-refit",
            help=_("An interval or a cron line, as for the schedule. Empty: the model stays as it is."),
        )
        history = right.number_input(
            _("Days of rows that are kept"),
            0,
            MAX_HISTORY_DAYS,
            template.history_days,
            key=f"{key}-history",
            help=_("For training again, for charts of incidents, and as the past that some models need."),
        )

    def build(current: Watch) -> Watch:
        fields = {
            "name": name.strip(),
            "source": build_source(),
            "schedule": schedule.strip(),
            "zone": zone,
            "recipients": tuple(recipients),
            "min_severity": severity,
            "max_failures": failures,
            "max_silence_minutes": silence,
            "refit": refit.strip(),
            "history_days": history,
        }
        return build_checked(Watch, **current.model_dump() | fields)

    return build


def _ask_recipients(template: Watch, key: str) -> list[str]:
    names = [recipient.name for recipient in list_recipients(cache.get_workspace())]
    return list(
        st.multiselect(
            _("Recipients"),
            list(dict.fromkeys([*template.recipients, *names])),
            template.recipients,
            key=f"{key}-recipients",
            placeholder=_("Nobody: incidents are listed here only"),
            help=_("Whom to tell. An operator adds recipients in the tab “Recipients”."),
        )
    )


def _describe_schedule(schedule: str, zone: str) -> None:
    """Show the schedule in words, or what is accepted."""
    try:
        st.caption(translate_message(parse_schedule(schedule, zone).describe()))
    except OptionError as error:
        st.warning(translate_message(error.message), icon=":material/schedule:")


# ---- buttons --------------------------------------------------------------------------------------------------------


def _check(template: Watch, build: Build) -> None:
    """Check the whole watch with its source, and show what is wrong."""
    try:
        with st.spinner(_("Checking …")):
            check_watch(build(template), cache.get_workspace())
    except VigieError as error:
        st.error(translate_message(error.message), icon=":material/error:")
    else:
        st.success(_("The source can be read, and the model can judge."), icon=":material/check:")


def _start(template: Watch, build: Build) -> None:
    workspace, actor = cache.get_workspace(), get_actor()
    try:
        watch = build(template)
    except OptionError as error:
        st.error(translate_message(error.message), icon=":material/error:")
        return

    def open_watch() -> None:
        url_state.set_state(SUGGESTION_STATE, ("", None))
        for name, value in (("run", ""), ("view", "watches"), ("name", watch.name)):
            url_state.set_query_param(name, value)

    with st.spinner(_("Checking …")):
        make_change(
            f"add watch {watch.model_dump_json(exclude={'created_at'})}",
            lambda: add_watch(watch, workspace, actor),
            _("The watch {name} is started.").format(name=escape_markdown(watch.name)),
            open_watch,
        )


def _save(template: Watch, build: Build) -> None:
    """Change the watch as it is stored now: somebody else may have paused it, or accepted a level, in between."""
    workspace, actor = cache.get_workspace(), get_actor()
    try:
        draft = build(template)
    except OptionError as error:
        st.error(translate_message(error.message), icon=":material/error:")
        return
    with st.spinner(_("Checking …")):
        make_change(
            f"change watch {draft.model_dump_json()}",
            lambda: change_watch(build(workspace.watches.watches.load_watch(draft.name)), workspace, actor),
            _("The watch {name} is changed.").format(name=escape_markdown(draft.name)),
        )
