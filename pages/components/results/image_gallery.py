"""Pictures of scored images: the image, what the model expects, where the anomaly is, and the verdict on it."""

from collections.abc import Hashable
from typing import Any

import pandas as pd
import streamlit as st

from core.data.images.image_set import ImageSet, Pixels
from core.data.images.panels import join_panels
from core.detectors.images.image_model import ImageModel
from core.tasks.images.judgement import Explanation, explain_images
from pages.components import feedback_form
from pages.components.choices import label_uniquely
from pages.components.i18n import _, format_value
from pages.components.markdown import escape_markdown
from pages.components.results.sequence_event import format_severity

PANEL_WIDTH_PX, DETAIL_WIDTH_PX = 80, 180
MAX_CACHED_GALLERIES = 64


def show_gallery(
    rows: pd.DataFrame, images: ImageSet, model: ImageModel | None, model_key: str, run: str, key: str
) -> None:
    """Show the images of `rows`, in their order, and one of them in detail with the verdict on it.

    `rows` has position, image, class, score, p_value, anomaly and severity. `model_key` identifies the model, None
    shows the images alone; `key` is the name of the gallery on the page.
    """
    positions = rows["position"].to_numpy()
    if model is None:
        explanation, pixels = Explanation(None, None), images.pixels[positions]
    else:
        explanation = _explain(model_key, images.digest, tuple(positions.tolist()), model, images)
        pixels = _adapt(model, images.pixels[positions])
    pictures = join_panels(pixels, explanation.reconstructions, explanation.heat_maps)
    panels = pictures.shape[2] // pixels.shape[2]
    st.caption(_describe_panels(explanation))
    verdicts = feedback_form.list_verdicts(run, rows.rename(columns={"image": "entity"}))
    with st.container(horizontal=True, key=f"gallery-{key}"):
        for row, picture, verdict in zip(rows.to_dict("records"), pictures, verdicts, strict=True):
            with st.container(width=panels * PANEL_WIDTH_PX, gap="xxsmall"):
                st.image(picture, width=panels * PANEL_WIDTH_PX, alt=str(row["image"]))
                st.caption(_describe_row(row, verdict))
    originals = images.pixels[positions] if images.pixels.shape[1:3] != pixels.shape[1:3] else None
    _show_detail(rows, pictures, panels, originals, run, key)


@st.cache_resource(max_entries=MAX_CACHED_GALLERIES, show_spinner=False)
def _explain(
    model_key: str, digest: str, positions: tuple[int, ...], _model: ImageModel, _images: ImageSet
) -> Explanation:
    """Compute reconstructions and heat maps of a few images once per model."""
    return explain_images(_model, _adapt(_model, _images.pixels[list(positions)]))


def _adapt(model: ImageModel, pixels: Pixels) -> Pixels:
    return model.adapt(pixels)[0]


def _describe_panels(explanation: Explanation) -> str:
    parts = [_("image")]
    if explanation.reconstructions is not None:
        parts.append(_("what the model expects"))
    if explanation.heat_maps is not None:
        parts.append(_("where it is abnormal (orange)"))
    if len(parts) == 1:
        return _("There are neither reconstructions nor heat maps to show.")
    return _("From left to right: {parts}.").format(parts=", ".join(parts))


def _describe_row(row: dict[Hashable, Any], verdict: str) -> str:
    """Return class, score, p-value and verdict of an image in two short lines."""
    p_value = row["p_value"]
    facts = [
        f"**{escape_markdown(row['class'])}**" if row["class"] else escape_markdown(str(row["image"])[-24:]),
        _("alarm") if row["anomaly"] else "",
        verdict,
    ]
    figures = [
        format_score(row["score"]),
        _("p-value {value}").format(value=format_p_value(p_value)) if p_value == p_value else "",
    ]
    return " · ".join(filter(None, facts)) + "  \n" + " · ".join(filter(None, figures))


def format_score(score: float) -> str:
    """Return a score with four significant digits."""
    return format_value(float(f"{score:.4g}"))


def format_p_value(p_value: float) -> str:
    """Return a p-value with two significant digits; "–" for none."""
    return format_value(float(f"{p_value:.2g}")) if p_value == p_value else "–"


def _show_detail(
    rows: pd.DataFrame, pictures: Pixels, panels: int, originals: Pixels | None, run: str, key: str
) -> None:
    """Show one image large, with its facts, and ask for the verdict on it.

    `originals` are the images before the model changed their size; None where it did not.
    """
    places = range(len(rows))
    number = st.selectbox(
        _("Image"),
        places,
        format_func=label_uniquely(
            places, lambda place: f"{rows['image'].iloc[place]} · {format_score(rows['score'].iloc[place])}"
        ),
        key=f"gallery-image-{key}",
    )
    row = rows.iloc[number]
    left, right = st.columns(2)
    with left, st.container(key=f"gallery-detail-{key}"):
        if originals is not None:
            st.image(originals[number], width=DETAIL_WIDTH_PX, alt=_("The image before it was scaled"))
        st.image(pictures[number], width=panels * DETAIL_WIDTH_PX, alt=str(row["image"]))
        facts = [
            _("class: {name}").format(name=escape_markdown(row["class"])) if row["class"] else "",
            _("score: {score}").format(score=format_score(row["score"])),
            _("severity: {severity}").format(severity=format_severity(int(row["severity"]))),
        ]
        st.caption(" · ".join(filter(None, facts)))
        if row["p_value"] == row["p_value"]:
            st.caption(
                _("p-value {value}: share of normal images that are expected to score at least as high.").format(
                    value=format_p_value(row["p_value"])
                )
            )
    with right:
        feedback_form.ask_verdict("images", run, {"entity": row["image"], "score": row["score"]}, table_key=key)
