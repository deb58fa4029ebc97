"""Clusters: which days, and which entities, are alike."""

from dataclasses import dataclass
from typing import Any

import streamlit as st

from core.clusterers.base import Clusterer
from core.clusterers.choosing import Advice
from core.data.dataset import Dataset
from core.tasks.clusters import figures as figures
from core.tasks.clusters.run import advice, clusterers, clustering_of, question_of
from core.tasks.selection import Selection
from pages.components import cache, forms, job_progress, model_picker, selection_form, url_state
from pages.components.i18n import _, shown
from pages.components.results import clusters as show
from pages.components.results.run_widgets import chart

FRESH, SAVED = "fit", "apply"


@dataclass(frozen=True)
class Request:
    """What the form asks for."""

    selection: Selection
    clusterer: Clusterer | None = None
    of: Any = "days"
    look: Any = "level"
    incomplete: Any = "drop"
    model_run: str = ""


def page() -> None:
    st.title(_("Clusters"))
    dataset = cache.load_dataset()
    if dataset is None:
        selection_form.no_data()
        return
    selection_form.about(dataset)
    found = cache.load_result("clusters", clustering_of)
    ended = job_progress.settled(dataset.digest)
    request = _form(dataset, asked=found is not None)
    if request is not None:
        _begin(dataset, request)
    job_progress.show(ended)
    if found is not None and not job_progress.going_on():
        if found.question.dataset != dataset.digest:
            st.warning(_("This result belongs to data other than those loaded."))
        show.clustering(found, url_state.get_run_id())


def _form(dataset: Dataset, asked: bool) -> Request | None:
    """The question; None until it is asked. No Streamlit form: the settings change with the clusterer chosen."""
    with st.expander(_("Question"), expanded=not asked and not job_progress.going_on(), icon=":material/tune:"):
        how = st.segmented_control(
            _("Model"),
            [FRESH, SAVED],
            default=FRESH,
            key="cluster-how",
            required=True,
            format_func={FRESH: _("Fit on these rows"), SAVED: _("Apply a saved model")}.__getitem__,
        )
        selection = Selection(*selection_form.part(dataset, "cluster"))
        request = _fresh(selection) if how == FRESH else _saved(selection)
        submitted = st.button(
            _("Find clusters"),
            type="primary",
            icon=":material/bubble_chart:",
            key="find-clusters",
            disabled=request is None or job_progress.going_on(),
        )
        if request is not None and how == FRESH:
            _help(dataset, request)
    return request if submitted else None


def _fresh(selection: Selection) -> Request:
    left, middle, right = st.columns(3)
    of = left.radio(
        _("What is alike?"),
        ["days", "entities"],
        key="cluster-of",
        format_func={"days": _("Days (rows)"), "entities": _("Entities")}.__getitem__,
        captions=[_("Every row is a point."), _("Every entity is a point: its typical week and year.")],
    )
    look = middle.radio(
        _("By what?"),
        ["level", "shape"],
        key="cluster-look",
        format_func={"level": _("Level"), "shape": _("Shape")}.__getitem__,
        captions=[_("The values themselves."), _("The values divided by their own mean: the course of the day alone.")],
    )
    incomplete = right.radio(
        _("Rows with missing measurements"),
        ["drop", "impute", "column-mean"],
        key="cluster-incomplete",
        format_func={
            "drop": _("leave out"),
            "impute": _("fill from the same entity"),
            "column-mean": _("fill with the column mean"),
        }.__getitem__,
        captions=["", "", _("Mixes entities; for comparison with older results only.")],
    )
    choices = clusterers()
    name = st.segmented_control(
        _("Clusterer"),
        list(choices)[::-1],
        default="kmeans",
        required=True,
        key="clusterer",
        format_func=lambda each: _(choices[each].label),
    )
    with st.popover(_("Settings of the clusterer"), icon=":material/settings:"):
        clusterer = forms.ask(choices[name], name)
    return Request(selection, clusterer, of, look, incomplete)


def _saved(selection: Selection) -> Request | None:
    chosen = model_picker.choose("clusters", _described)
    return Request(selection, model_run=chosen) if chosen else None


def _described(record: Any) -> str:
    return " · ".join(record.params[name] for name in ("of", "look"))


# ---- help to choose -------------------------------------------------------------------------------------------------


def _help(dataset: Dataset, request: Request) -> None:
    with st.expander(_("Help me choose"), icon=":material/help:"):
        st.caption(_("Computed for the question above; nothing is recorded."))
        if not st.toggle(_("Compute inertia, silhouette and distances to neighbours"), key="cluster-help"):
            return
        with st.spinner(_("Comparing settings …")):
            found = _advice(dataset, request.selection, dataset.digest, _words(request), _min_samples(request))
        if found.k:
            st.caption(
                _("The silhouette is highest for k = {k}, among {points} points.").format(
                    k=found.k, points=shown(found.points)
                )
            )
            chart(
                figures.elbow(found, _), "elbow", _("Inertia and silhouette over the number of clusters"), dated=False
            )
        st.caption(
            _(
                "How far away the {count} nearest points are, the point itself counted: the bend suggests eps = {eps}."
            ).format(count=_min_samples(request), eps=shown(float(f"{found.eps:.3g}")))
        )
        chart(figures.neighbour_distances(found, _), "neighbours", _("Distances to neighbours, rising"), dated=False)


def _min_samples(request: Request) -> int:
    return int(getattr(request.clusterer, "min_samples", 5))


def _words(request: Request) -> tuple[str, str, str, str]:
    return request.of, request.look, request.incomplete, str(request.selection)


@st.cache_resource(max_entries=16, show_spinner=False)
def _advice(
    _dataset: Dataset, _selection: Selection, digest: str, words: tuple[Any, Any, Any, str], min_samples: int
) -> Advice:
    """Computed once for a dataset's `digest` and a question's `words`."""
    of, look, incomplete, _asked = words
    return advice(_dataset, of=of, look=look, incomplete=incomplete, min_samples=min_samples, selection=_selection)


# ---- the answer -----------------------------------------------------------------------------------------------------


def _begin(dataset: Dataset, request: Request) -> None:
    """One click, one job, one run."""
    job_progress.start(
        "clusters",
        question_of(
            dataset.digest,
            request.clusterer,
            of=request.of,
            look=request.look,
            incomplete=request.incomplete,
            selection=request.selection,
            model_run=request.model_run,
        ),
    )


page()
