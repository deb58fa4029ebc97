"""Page of the call records task: import, KPIs, cleaning."""

from dataclasses import replace
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from core.data.dataset import Dataset
from core.data.regular_series import choose_default_measure
from core.runs.result import Result
from core.runs.stored_runs import load_task_result
from core.spec.spec import Spec
from core.spec.task import Mode, Task
from core.storage.named_files import link_or_copy
from core.tasks.call_records.clean_result import CleaningResult
from core.tasks.call_records.clean_spec import AUTO, CleanSpec
from core.tasks.call_records.import_result import ImportResult
from core.tasks.call_records.import_spec import ImportSpec
from pages.components import cache, doctor, task_page, url_state
from pages.components.i18n import _, get_date_format
from pages.components.markdown import escape_markdown
from pages.components.results import call_records
from pages.components.sample_cards import store_sample
from pages.components.task_links import ANALYSIS_FOLDER
from pages.components.uploads import locate_files, remove_files

SAMPLE = "trunk_calls"
INTERVALS = ("5min", "15min", "30min", "1h")
FILE_TYPES = ["csv", "parquet", "orc", "json", "jsonl", "ndjson", "gz"]
FILES, SERVER = "files", "server"
COLUMN_FIELDS = ("trunk_column", "start_column", "duration_column", "cause_column")
MAX_THRESHOLD = 1e12
SENT_STATE = "calls-sent-files"
"""Ids of the uploads that were given to a job."""


def page() -> None:
    """Show the import without data, else the chosen section."""
    task, dataset = task_page.open_page("call_records")
    if url_state.has_state(SENT_STATE) and task_page.find_running_spec(task) is None:
        remove_files(url_state.get_state(SENT_STATE))
    result = cache.load_result(task.name, load_task_result)
    import_mode, clean_mode = (_find_mode(task, kind) for kind in (ImportSpec, CleanSpec))
    section = _choose_section(task_page.find_running_spec(task), result) if dataset is not None else "import"
    if section == "import":
        _show_import(task, dataset, import_mode)
    elif dataset is not None and section == "kpis":
        call_records.show_kpis(dataset)
        _link_intervals(dataset)
    elif dataset is not None:
        _show_cleaning(task, dataset, clean_mode)
        _link_intervals(dataset)


def _find_mode(task: Task, kind: type[Spec]) -> Mode:
    return next(mode for mode in task.modes if mode.spec is kind)


def _choose_section(running: Spec | None, result: Result | None) -> str:
    """Ask for the section; at first that of the job or the result, else the KPIs. The URL holds the choice."""
    labels = {"import": _("Import"), "kpis": _("KPIs"), "cleaning": _("Cleaning")}
    asked = url_state.get_query_param("section")
    if asked in labels:
        start = asked
    elif isinstance(running, ImportSpec):
        start = "import"
    else:
        start = "cleaning" if isinstance(running, CleanSpec) or isinstance(result, CleaningResult) else "kpis"
    section = st.segmented_control(
        _("Section"),
        list(labels),
        default=start,
        format_func=labels.__getitem__,
        key="calls-section",
        label_visibility="collapsed",
        required=True,
    )
    url_state.set_query_param("section", section)
    return str(section)


def _link_intervals(dataset: Dataset) -> None:
    """Link to the page that forecasts these counts and judges them, if there is one."""
    script = ANALYSIS_FOLDER / "intervals.py"
    if script.is_file():
        st.page_link(
            script,
            label=_("Find what leaves its interval"),
            icon=":material/stacked_line_chart:",
            query_params={"dataset": dataset.digest},
        )


# ---- import ---------------------------------------------------------------------------------------------------------


def _show_import(task: Task, dataset: Dataset | None, mode: Mode) -> None:
    form = _ImportForm()
    if dataset is None:
        _offer_sample()
    task_page.ask_and_show(
        task,
        dataset,
        lambda result, _rows, run: call_records.show_import(result, run),
        mode=mode,
        kind=ImportResult,
        widgets=form.widgets,
        before_fields=form.ask_source,
        prepare=form.store_uploads,
    )


def _offer_sample() -> None:
    """Offer generated counts where there is nothing to look at yet."""
    with st.container(border=True):
        st.markdown(_("Count call detail records per interval and trunk, or start with generated calls."))
        if st.button(_("Two weeks of calls"), icon=":material/call:", key="calls-sample"):
            url_state.open_dataset(store_sample(SAMPLE))
            st.rerun()


class _ImportForm:
    """Source of the records at full width, and a widget for every other field of the spec."""

    def __init__(self) -> None:
        self.settings = cache.get_workspace().settings
        self.uploads: list[UploadedFile] = []
        self.source = FILES

    @property
    def widgets(self) -> dict[str, Any]:
        """Field of the spec → widget; the source is asked above the fields."""
        return {
            "records": lambda dataset: tuple(upload.name for upload in self.uploads),
            "elasticsearch": lambda dataset: self.settings.call_records_endpoint if self.source == SERVER else "",
            "index": lambda dataset: "",
            "interval": self.ask_interval,
            "start": lambda dataset: self.ask_day("start", _("First day (UTC)")),
            "end": lambda dataset: self.ask_day("end", _("Last day (UTC)")),
            **{name: lambda dataset, name=name: self.ask_column(name) for name in COLUMN_FIELDS},
        }

    def ask_source(self) -> None:
        """Ask for files, or for the server of the settings where there is one."""
        host = urlsplit(self.settings.call_records_endpoint).hostname or ""
        if host:
            labels = {FILES: _("Files"), SERVER: _("Elasticsearch ({host})").format(host=host)}
            self.source = st.radio(
                _("Records from"),
                list(labels),
                format_func=labels.__getitem__,
                horizontal=True,
                key="calls-source",
                persist_state="page",
            )
        if self.source == SERVER:
            st.caption(
                _("Call records of {index} are counted on that server; only the counts are transferred.").format(
                    index=escape_markdown(self.settings.call_records_index)
                )
            )
            return
        self.uploads = st.file_uploader(
            _("Call detail records, one per call: CSV, Parquet, ORC or JSON lines"),
            type=FILE_TYPES,
            accept_multiple_files=True,
            max_upload_size=self.settings.vigie_max_upload_mb,
            key="calls-files",
            help=_("The files are deleted as soon as they are counted. Numbers and names of customers are not read."),
        )

    def ask_interval(self, dataset: Dataset | None) -> str:
        """Ask for the length of the intervals."""
        return st.selectbox(
            _("Interval"),
            INTERVALS,
            INTERVALS.index("15min"),
            key="calls-interval",
            format_func=lambda text: text.replace("min", " min").replace("h", " h"),
            persist_state="page",
        )

    def ask_day(self, name: str, label: str) -> str:
        """Ask for the first or the last day of the calls; "" for no limit."""
        day = st.date_input(label, None, format=get_date_format(), key=f"calls-{name}", persist_state="page")
        return str(day) if day else ""

    def ask_column(self, name: str) -> str:
        """Ask for the name of a column of the files, if it is not the usual one."""
        label = ImportSpec.__dataclass_fields__[name].metadata["label"]
        help_text = ImportSpec.__dataclass_fields__[name].metadata["help"]
        if self.source == SERVER and name == "duration_column":
            return ""
        return st.text_input(
            _(label), placeholder=_("usual name"), help=_(help_text), key=f"calls-{name}", persist_state="page"
        ).strip()

    def store_uploads(self, spec: Spec) -> Spec | None:
        """Write the uploaded files for the worker, and return the spec with their paths; None without a source."""
        if not isinstance(spec, ImportSpec) or self.source == SERVER:
            return spec
        if not self.uploads:
            st.warning(_("Drop files with call records first."), icon=":material/upload_file:")
            return None
        files = [(name, partial(link_or_copy, path)) for path, name in locate_files(self.uploads)]
        url_state.set_state(SENT_STATE, [upload.file_id for upload in self.uploads])
        return replace(spec, records=cache.get_workspace().raw_uploads.save(files))


# ---- cleaning -------------------------------------------------------------------------------------------------------


def _show_cleaning(task: Task, dataset: Dataset, mode: Mode) -> None:
    if dataset.recipe:
        doctor.show_recipe(dataset)
    task_page.ask_and_show(
        task,
        dataset,
        lambda result, _rows, run: call_records.show_cleaning(result, run),
        mode=mode,
        kind=CleaningResult,
        widgets={"value": _ask_measure, "spike_threshold": _ask_threshold},
        after_button=lambda spec: call_records.show_preview(spec, dataset),
    )


def _ask_measure(dataset: Dataset) -> str:
    start = dataset.columns.index(choose_default_measure(dataset.columns))
    return st.selectbox(
        _("Column"),
        dataset.columns,
        start,
        format_func=call_records.name_column,
        key="call_records-value",
        persist_state="page",
    )


def _ask_threshold(dataset: Dataset) -> Any:
    """Ask for the spike threshold: learnt from the data, or a number."""
    is_learnt = st.checkbox(
        _("Learn the threshold"),
        True,
        key="call_records-auto",
        help=_("From the data: the largest usual distance from the median, over all times of the day."),
        persist_state="page",
    )
    if is_learnt:
        return AUTO
    return st.number_input(
        _("Spike threshold"),
        0.0,
        MAX_THRESHOLD,
        7000.0,
        step=100.0,
        format="%g",
        key="call_records-threshold",
        persist_state="page",
    )


page()
