"""Page of the clusters task: similar days and similar entities."""

from typing import Any

import streamlit as st

from core.clusterers.model_selection import ClusterSuggestion
from core.spec.spec import Spec
from core.tasks.clusters import figures
from core.tasks.clusters.run import get_min_samples
from core.tasks.clusters.settings import build_question
from core.tasks.clusters.spec import ClusteringSpec
from pages.components import answers, task_page
from pages.components.i18n import _, format_value
from pages.components.results import clusters
from pages.components.results.run_widgets import show_chart


def page() -> None:
    """Show the form and the result."""
    task, dataset = task_page.open_page("clusters")
    if dataset is not None:
        task_page.ask_and_show(
            task, dataset, clusters.show_clustering, describe_model=_describe_model, after_button=_offer_suggestion
        )


def _describe_model(record: Any) -> str:
    """Return the samples and features of a saved model."""
    return " · ".join(record.params[name] for name in ("of", "look"))


# ---- suggestion of parameters ---------------------------------------------------------------------------------------


def _offer_suggestion(spec: Spec) -> None:
    if not isinstance(spec, ClusteringSpec):
        return
    with st.expander(_("Help me choose"), icon=":material/help:"):
        st.caption(_("Computed for the settings above. The result is not saved."))
        if st.toggle(
            _("Compute inertia, silhouette and distances to neighbours"), key="clusters-help", persist_state="page"
        ):
            comparison = answers.ask("cluster_settings", build_question(spec), place="clusters-help")
            if comparison is not None:
                _show_suggestion(comparison.suggestion, get_min_samples(spec))


def _show_suggestion(suggestion: ClusterSuggestion, min_samples: int) -> None:
    if suggestion.k:
        st.caption(
            _("The silhouette is highest for k = {k} (points: {points}).").format(
                k=suggestion.k, points=format_value(suggestion.points)
            )
        )
        show_chart(figures.draw_elbow(suggestion, _), "elbow", _("Inertia and silhouette by number of clusters"))
    st.caption(
        _(
            "Distance to the {count} nearest points, including the point itself. The knee of "
            "the curve suggests eps = {eps}."
        ).format(count=min_samples, eps=format_value(float(f"{suggestion.eps:.3g}")))
    )
    show_chart(
        figures.draw_neighbour_distances(suggestion, _), "neighbours", _("Distances to neighbours, in ascending order")
    )


page()
