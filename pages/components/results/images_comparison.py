"""Result of a comparison of detectors of images: winner, table of areas, bars, cost, and a link to every fit."""

from collections.abc import Hashable
from typing import Any

import pandas as pd
import streamlit as st

from core.data.images.image_set import ImageSet
from core.errors import VigieError
from core.tasks.images.comparison import load_unfinished
from core.tasks.images.comparison_figures import draw_means
from core.tasks.images.comparison_result import ImageComparison
from core.tasks.images.figures import draw_comparison
from core.tasks.images.spec import LINE_TO_BEAT, ImagesCompareSpec, list_detectors
from pages.components import cache, downloads
from pages.components.i18n import _, format_fixed, format_percent, format_value
from pages.components.markdown import escape_markdown
from pages.components.results.run_widgets import show_chart, show_cost, show_downloads, show_notes, show_record
from pages.components.task_links import ANALYSIS_FOLDER

PUBLISHED_COLOUR = "rgba(122, 139, 153, 0.18)"
BEST_RGB, MAX_OPACITY = "0, 114, 178", 0.55
UNFINISHED_INTERVAL_S = 2.0
CHANCE = 0.5  # areas at chance and below have no colour
DETECTOR_COLUMN, MEAN_COLUMN = "detector", "mean"
PERCENT = 100.0


def show_comparison(comparison: ImageComparison, run: str) -> None:
    """Show the comparison; all of its parts come from the run."""
    _show_metrics(comparison, run)
    st.markdown(_describe_winner(comparison))
    _warn_below_line(comparison)
    _show_table(comparison, run)
    _show_bars(comparison)
    _show_costs(comparison)
    _show_failures(comparison)
    show_notes(comparison.notes)
    show_downloads(comparison.to_frame, "images", _("Table of areas ({kind})"))
    show_record(run)


@st.fragment(run_every=UNFINISHED_INTERVAL_S)
def watch_unfinished(spec: ImagesCompareSpec, images: ImageSet) -> None:
    """Show the finished fits of a comparison while it runs."""
    show_unfinished(spec, images)


def show_unfinished(spec: ImagesCompareSpec, images: ImageSet) -> None:
    """Show the finished fits of a comparison that has no result; nothing without any."""
    try:
        unfinished = load_unfinished(spec, images, cache.get_workspace())
    except VigieError:  # a form that is not complete; the button tells what is missing
        return
    if unfinished.cells.empty:
        return
    st.header(_("Finished so far: area under the ROC curve, %"))
    areas, text = unfinished.areas, st.column_config.TextColumn
    texts = areas.map(format_area).set_axis([str(number) for number in range(areas.shape[1])], axis="columns")
    texts.insert(0, DETECTOR_COLUMN, [name_detector(name) for name in areas.index])
    st.dataframe(
        texts,
        hide_index=True,
        width="stretch",
        key="images-unfinished",
        column_config={
            DETECTOR_COLUMN: text(_("Detector"), pinned=True),
            **{str(number): text(name) for number, name in enumerate(areas)},
        },
    )
    template = _("{done} of {total} trainings are saved. This comparison computes only the others.")
    st.caption(template.format(done=format_value(len(unfinished.cells)), total=format_value(unfinished.total)))


def name_detector(name: str) -> str:
    """Return the label of a detector; the name itself for one that no longer exists."""
    cls = list_detectors().get(name)
    return _(cls.label) if cls else escape_markdown(name)


def format_area(area: float, sd: float = float("nan")) -> str:
    """Return an area in percent, with the standard deviation over the seeds if there is one; "–" for none."""
    if area != area:
        return "–"
    text = format_fixed(PERCENT * area, 1)
    return f"{text} ± {format_fixed(PERCENT * sd, 1)}" if sd == sd else text


# ---- figures --------------------------------------------------------------------------------------------------------


def _show_metrics(comparison: ImageComparison, run: str) -> None:
    ranking, cells = comparison.ranking, comparison.cells
    best = ranking.iloc[0]
    with st.container(horizontal=True, key="result-figures"):
        st.metric(
            _("Best mean AUROC, %"),
            format_area(best["auc_roc"]),
            border=True,
            delta=name_detector(best["detector"]),
            delta_color="off",
            delta_arrow="off",
            help=_("Mean over the classes of the area under the ROC curve: 50 is chance, 100 separates all images."),
        )
        st.metric(
            _("Reference, %"),
            format_area(comparison.line_to_beat),
            border=True,
            delta=name_detector(LINE_TO_BEAT),
            delta_color="off",
            delta_arrow="off",
            help=_("Detector that learns nothing. A network with a lower score is not worth its training."),
        )
        failed = int((cells["reason"] != "").sum())
        st.metric(
            _("Trainings"),
            format_value(len(cells)),
            border=True,
            delta=_("failed: {count}").format(count=format_value(failed)) if failed else None,
            delta_color="off",
            delta_arrow="off",
        )
        show_cost(run)


def _describe_winner(comparison: ImageComparison) -> str:
    ranking = comparison.ranking
    if comparison.winner:
        second = ranking.iloc[1]
        sentence = _(
            "**Winner: {name}**, {area} %. Its lead over {second} ({other} %) is larger than the spread of "
            "the seeds and the error due to the test images."
        ).format(
            name=name_detector(comparison.winner),
            area=format_area(ranking.iloc[0]["auc_roc"]),
            second=name_detector(second["detector"]),
            other=format_area(second["auc_roc"]),
        )
        if comparison.winner == LINE_TO_BEAT:
            sentence += " " + _("The reference learns nothing: on these images, training does not pay.")
        return sentence
    if ranking["auc_roc"].notna().sum() < 2:
        return _("No winner: fewer than two detectors have figures for all classes.")
    if comparison.spec.seeds < 2:
        return _(
            "**No winner is named**, because one seed does not tell how much the figures vary. Compare "
            "with two seeds or more."
        )
    return _(
        "**No winner**: the lead of the first over the second is not larger than the spread of the seeds "
        "and the error due to the test images. More seeds, classes or test images may tell them apart."
    )


def _warn_below_line(comparison: ImageComparison) -> None:
    names = [name_detector(name) for name in comparison.list_below_line()]
    if names:
        st.warning(
            _("Below the reference, which learns nothing: {names}.").format(names=", ".join(names)),
            icon=":material/trending_down:",
        )


# ---- table ----------------------------------------------------------------------------------------------------------


def _show_table(comparison: ImageComparison, run: str) -> None:
    """Show detector × class as a heat map; a selected cell opens its fits below."""
    st.header(_("Area under the ROC curve, %"))
    areas, texts = _pivot_table(comparison)
    measured, text = len(comparison.ranking), st.column_config.TextColumn
    styled = texts.style.apply(lambda _table: _colour_cells(areas, measured), axis=None)
    selection = st.dataframe(
        styled,
        hide_index=True,
        width="stretch",
        key=f"images-cells-{run}",
        on_select="rerun",
        selection_mode="single-cell",
        alt=_("Mean area under the ROC curve of every detector and normal class"),
        column_config={
            DETECTOR_COLUMN: text(_("Detector"), pinned=True),
            MEAN_COLUMN: text(_("Mean")),
            **{str(number): text(name) for number, name in enumerate(_list_classes(comparison))},
        },
    ).selection
    caption = _("Columns are the normal classes. Mean over the seeds ± standard deviation.")
    if len(comparison.published):
        sources = ", ".join(dict.fromkeys(comparison.published["source"]))
        caption += " " + _("Grey rows are published figures, not measured here: {sources}.").format(sources=sources)
    st.caption(caption)
    _show_fits(comparison, run, selection.get("cells") or [])


def _list_classes(comparison: ImageComparison) -> list[str]:
    """Return the compared normal classes; the column of a class is its number as text, for a class may be “mean”."""
    return list(dict.fromkeys(comparison.cells["normal_class"]))


def _pivot_table(comparison: ImageComparison) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return areas, and their texts, per detector and class: the best detector first, published ones last."""
    ranking = comparison.ranking
    measured = len(ranking)
    areas, spreads = _pivot(comparison, "auc_roc"), _pivot(comparison, "sd")
    published_means = areas.iloc[measured:].mean(axis=1, skipna=False)
    areas.insert(0, MEAN_COLUMN, [*ranking["auc_roc"], *published_means])
    spreads.insert(0, MEAN_COLUMN, [*ranking["sd"], *([float("nan")] * len(published_means))])
    texts = pd.DataFrame({column: list(map(format_area, areas[column], spreads[column])) for column in areas})
    names = [*map(name_detector, ranking["detector"])]
    names += [_("{name} (published)").format(name=name) for name in areas.index[measured:]]
    texts.insert(0, DETECTOR_COLUMN, names)
    return areas.reset_index(drop=True), texts


def _pivot(comparison: ImageComparison, value: str) -> pd.DataFrame:
    """Return a value per detector and class, measured rows before published ones."""
    classes, published = _list_classes(comparison), comparison.published
    table = comparison.table.pivot(index="detector", columns="normal_class", values=value)
    table = table.loc[comparison.ranking["detector"], classes]
    if len(published):
        others = published.pivot(index="model", columns="normal_class", values=value)
        table = pd.concat([table, others.reindex(published["model"].unique(), columns=classes)])
    return table.set_axis([str(number) for number in range(len(classes))], axis="columns")


def _colour_cells(areas: pd.DataFrame, measured: int) -> pd.DataFrame:
    """Return the style of every cell: blue from the lowest to the highest measured area, grey for published rows."""
    values = areas.iloc[:measured].to_numpy(float)
    low = max(float(pd.Series(values.ravel()).min()), CHANCE)
    styles = areas.map(lambda area: _colour_area(area, low))
    styles.insert(0, DETECTOR_COLUMN, "")
    styles.iloc[measured:] = f"background-color: {PUBLISHED_COLOUR}"
    return styles


def _colour_area(area: float, low: float) -> str:
    if not low <= area < 1:  # also an unknown one
        return f"background-color: rgba({BEST_RGB}, {MAX_OPACITY})" if area == 1 else ""
    return f"background-color: rgba({BEST_RGB}, {MAX_OPACITY * (area - low) / (1 - low):.3f})"


def _show_fits(comparison: ImageComparison, run: str, selected: list[tuple[int, str]]) -> None:
    """Show the fits of one cell of the table, each with a link to its result."""
    ranking, cells = comparison.ranking, comparison.cells
    detectors, classes = ranking["detector"].tolist(), _list_classes(comparison)
    row, column = selected[0] if selected else (0, "")
    start = detectors[row] if row < len(detectors) else detectors[0]
    class_start = classes[int(column)] if column.isdecimal() else _choose_weakest_class(comparison, start)
    with st.container(border=True, key="images-fits"):
        left, right = st.columns(2)
        detector = left.selectbox(
            _("Detector"),
            detectors,
            detectors.index(start),
            format_func=name_detector,
            key=f"images-cell-detector-{start}-{class_start}",
        )
        normal_class = right.selectbox(
            _("Normal class"), classes, classes.index(class_start), key=f"images-cell-class-{start}-{class_start}"
        )
        fits = cells[(cells["detector"] == detector) & (cells["normal_class"] == normal_class)]
        for fit in fits.to_dict("records"):
            _show_fit(fit, run)


def _choose_weakest_class(comparison: ImageComparison, detector: str) -> str:
    """Return the class that a detector is worst at; the first one for a detector without a figure."""
    worst = comparison.ranking.set_index("detector").loc[detector, "worst_class"]
    return str(worst) or _list_classes(comparison)[0]


def _show_fit(fit: dict[Hashable, Any], comparison_run: str) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        facts = [
            _("seed {seed}").format(seed=format_value(fit["seed"])),
            f"AUROC {format_area(fit['auc_roc'])}",
            f"AUPR {format_area(fit['auc_pr'])}",
            _("{seconds} s").format(seconds=format_value(float(f"{fit['seconds']:.2g}"))),
        ]
        st.markdown(" · ".join(facts) if not fit["reason"] else f"{facts[0]} · {escape_markdown(fit['reason'])}")
        if fit["collapse"]:
            st.caption(_("collapsed"))
        if fit["run"]:
            st.page_link(
                ANALYSIS_FOLDER / "images.py",
                label=_("Open this training"),
                icon=":material/open_in_new:",
                query_params={"run": str(fit["run"]), "section": "model", "from": comparison_run},
            )


# ---- bars, cost, failures -------------------------------------------------------------------------------------------


def _show_bars(comparison: ImageComparison) -> None:
    """Show the means over the classes, or the areas of every class."""
    labels = {"mean": _("Mean over the classes"), "class": _("By class")}
    view = st.segmented_control(
        _("Figure"),
        list(labels),
        default="mean",
        format_func=labels.__getitem__,
        key="images-figure",
        label_visibility="collapsed",
        required=True,
    )
    if view == "class":
        figure, alt = draw_comparison(comparison, _), _("Area of every detector and normal class with its spread")
    else:
        figure = draw_means(comparison, name_detector, _)
        alt = _("Mean area of every detector with its spread over the seeds, and the reference")
    show_chart(figure, "images-means", alt)


def _show_costs(comparison: ImageComparison) -> None:
    """Show time, CO₂ and the weakest class of every detector."""
    st.header(_("Cost and weakest class"))
    ranking = comparison.ranking
    table = pd.DataFrame(
        {
            "detector": [name_detector(name) for name in ranking["detector"]],
            "auc_roc": (PERCENT * ranking["auc_roc"]).round(2),
            "auc_pr": (PERCENT * ranking["auc_pr"]).round(2),
            "worst": [
                f"{name} · {format_area(area)}" if name else "–"
                for name, area in zip(ranking["worst_class"], ranking["worst"], strict=True)
            ],
            "seconds": ranking["seconds"].round(2),
            "emissions": [float(f"{1000 * value:.2g}") for value in ranking["emissions_kg"]],
        }
    )
    number, text = st.column_config.NumberColumn, st.column_config.TextColumn
    st.dataframe(
        table,
        hide_index=True,
        width="stretch",
        key="images-costs",
        alt=_("Accuracy, time and CO₂ of every detector"),
        column_config={
            "detector": text(_("Detector"), pinned=True),
            "auc_roc": number(_("Mean AUROC, %"), format="localized"),
            "auc_pr": number(_("Mean AUPR, %"), format="localized"),
            "worst": text(_("Weakest class")),
            "seconds": number(_("Seconds per training"), format="localized"),
            "emissions": number(_("g CO₂, all trainings"), format="localized"),
        },
    )


def _show_failures(comparison: ImageComparison) -> None:
    failed = comparison.cells[comparison.cells["reason"] != ""]
    if failed.empty:
        return
    share = format_percent(round(len(failed) / len(comparison.cells), 2))
    with st.expander(
        _("Trainings without a result: {count} ({share})").format(count=format_value(len(failed)), share=share),
        icon=":material/error:",
    ):
        st.caption(_("A detector with a missing training has no mean, because means over different classes mislead."))
        st.dataframe(
            failed[["detector", "normal_class", "seed", "reason"]].assign(
                detector=[name_detector(name) for name in failed["detector"]]
            ),
            hide_index=True,
            width="stretch",
            key="images-failures",
            column_config={
                "detector": _("Detector"),
                "normal_class": _("Normal class"),
                "seed": _("Seed"),
                "reason": st.column_config.TextColumn(_("Reason"), width="large"),
            },
        )
        downloads.show_csv_button(_("Trainings (CSV)"), lambda: comparison.cells, "fits.csv", key="images-fits-CSV")
