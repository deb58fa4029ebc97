"""Result of a saved model applied to pictures: the most abnormal first, with heat maps, verdicts and a download."""

import streamlit as st

from core.data.images.image_set import ImageSet
from core.tasks.images.fit import load_fitted_model
from core.tasks.images.model_result import ImageScores
from pages.components import cache, feedback_form
from pages.components.i18n import _, format_percent, format_value, translate_message
from pages.components.markdown import escape_markdown
from pages.components.results import image_gallery
from pages.components.results.image_gallery import format_p_value, format_score
from pages.components.results.images_comparison import format_area, name_detector
from pages.components.results.run_widgets import show_cost, show_downloads, show_record
from pages.components.results.sequence_event import format_severity

PAGE_SIZE = 24
MAX_TABLE_ROWS = 5_000


def show_scores(scores: ImageScores, pictures: ImageSet, run: str) -> None:
    """Show the scored pictures."""
    _show_metrics(scores, run)
    st.caption(_describe_model(scores))
    for note in scores.notes:
        st.info(translate_message(note), icon=":material/info:")
    rows = scores.rows
    if len(rows) > PAGE_SIZE:
        pages = -(-len(rows) // PAGE_SIZE)
        number = st.number_input(_("Page (of {count})").format(count=format_value(pages)), 1, pages, key="gallery-page")
        shown = rows.iloc[PAGE_SIZE * (number - 1) : PAGE_SIZE * number]
    else:
        shown = rows
    model_run = scores.spec.model
    model = cache.cache_by_run(load_fitted_model, model_run)
    image_gallery.show_gallery(shown, pictures, model, model_run, run, "scores")
    _show_table(scores, run)
    show_downloads(scores.to_frame, "image-scores", _("All scores ({kind})"))
    show_record(run)


def _show_metrics(scores: ImageScores, run: str) -> None:
    metrics = scores.metrics()
    with st.container(horizontal=True, key="result-figures"):
        st.metric(_("Images"), format_value(len(scores.rows)), border=True)
        st.metric(
            _("Alarms"),
            format_value(len(scores.anomalies)) if scores.threshold is not None else "–",
            border=True,
            delta=_("no threshold")
            if scores.promised_rate is None
            else _("at most {rate} of normal ones").format(rate=format_percent(round(scores.promised_rate, 4))),
            delta_color="off",
            delta_arrow="off",
        )
        if "auc_roc" in metrics:
            st.metric(_("AUROC, %"), format_area(metrics["auc_roc"]), border=True)
        show_cost(run)


def _describe_model(scores: ImageScores) -> str:
    spec = scores.model_spec
    return _("Model: {detector}, trained on the class {name}. The most abnormal images come first.").format(
        detector=name_detector(spec.detector.name), name=escape_markdown(spec.normal_class)
    )


def _show_table(scores: ImageScores, run: str) -> None:
    """Show all pictures as a table, with the verdicts."""
    rows = scores.rows.head(MAX_TABLE_ROWS)
    table = rows[["image", "class", "anomaly"]].assign(
        score=[format_score(score) for score in rows["score"]],
        p_value=[format_p_value(value) for value in rows["p_value"]],
        severity=[format_severity(int(level)) for level in rows["severity"]],
        verdict=feedback_form.list_verdicts(run, rows.rename(columns={"image": "entity"})),
    )
    text = st.column_config.TextColumn
    st.dataframe(
        table if (rows["class"] != "").any() else table.drop(columns="class"),
        hide_index=True,
        width="stretch",
        key="image-scores",
        alt=_("Scored images, the most abnormal first"),
        column_config={
            "image": text(_("Image")),
            "class": text(_("Class")),
            "anomaly": st.column_config.CheckboxColumn(_("Alarm")),
            "score": text(_("Score")),
            "p_value": text(
                _("p-value"), help=_("Share of normal images that are expected to score at least as high.")
            ),
            "severity": text(_("Severity")),
            "verdict": feedback_form.build_verdict_column(),
        },
    )
