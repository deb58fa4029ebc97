"""Result of a clustering: figures, map, profiles, counts by entity and season, noise, table, downloads."""

from collections.abc import Callable

import pandas as pd
import streamlit as st

from core.data.dataset import Dataset
from core.runs.renderings import Drawing
from core.spec.hyperparameters import get_params
from core.tasks.clusters import figures
from core.tasks.clusters.result import Clustering
from core.tasks.clusters.summary import MAX_SUMMARIES, describe_clusters
from pages.components import feedback_form
from pages.components.i18n import _, format_percent, format_value, get_date_format, translate_message
from pages.components.markdown import escape_markdown
from pages.components.results import model
from pages.components.results.run_widgets import show_chart, show_cost, show_downloads, show_record
from pages.components.term_help import explain

MAX_SHOWN_ROWS = 5000


def show_clustering(clustering: Clustering, dataset: Dataset | None, run: str) -> None:
    """Show the result; it does not use `dataset`."""
    _show_metrics(clustering, run)
    _show_summary(clustering)
    if clustering.notes:
        st.caption(" ".join(translate_message(note) for note in clustering.notes))
    tabs: dict[str, Callable[[Clustering, str], None]] = {
        _("Profiles"): _show_profiles,
        _("Map"): _show_map,
        _("By entity and season"): _show_counts,
        **({_("France"): _show_france} if figures.has_french_regions(clustering) else {}),
        _("Noise"): _show_noise,
    }
    for tab, show_view in zip(st.tabs(list(tabs)), tabs.values(), strict=True):
        with tab:
            show_view(clustering, run)
    st.caption(_describe_quality(clustering))
    _show_table(clustering)
    model.show_section(run, "clusters")
    show_downloads(lambda: _export_table(clustering), "clusters", _("All clusters ({kind})"))
    show_record(run)


def _show_metrics(clustering: Clustering, run: str) -> None:
    metrics = clustering.metrics()
    with st.container(horizontal=True, key="result-figures"):
        st.metric(_("Clusters"), format_value(int(metrics["clusters"])), border=True)
        st.metric(
            _("Noise"),
            f"{format_value(int(metrics['noise_points']))} ({format_percent(metrics['noise_ratio'])})",
            border=True,
        )
        st.metric(
            _("Silhouette"),
            _format_metric(metrics, "silhouette"),
            border=True,
            help=explain(
                "silhouette",
                _(
                    "Separation of the clusters: 1 for clearly separated points, 0 for points "
                    "between two clusters, negative for points that are closer to another cluster."
                ),
            ),
        )
        show_cost(run)


def _show_summary(clustering: Clustering) -> None:
    """Show every cluster in words, the largest first."""
    sentences = [translate_message(message) for message in describe_clusters(clustering)]
    if sentences:
        st.markdown("\n".join(f"- {sentence}" for sentence in sentences))
    if len(clustering.sizes) > MAX_SUMMARIES:
        st.caption(_("Only the {count} largest clusters are described.").format(count=MAX_SUMMARIES))


def _describe_quality(clustering: Clustering) -> str:
    """Return the quality measures that this clustering has, in one line."""
    texts = {
        "stability": _("stability {value} (agreement with clusterings of subsamples: 1 identical, 0 random)"),
        "davies_bouldin": _("Davies–Bouldin {value} (lower is better)"),
        "calinski_harabasz": _("Calinski–Harabasz {value} (higher is better)"),
        "inertia": _("inertia {value}"),
    }
    quality, clusterer = clustering.quality, clustering.model_spec.clusterer
    figures_of_merit = [
        text.format(value=_format_metric(quality, name)) for name, text in texts.items() if name in quality
    ]
    settings = ", ".join(f"{name} = {value}" for name, value in get_params(clusterer).items())
    return " · ".join([escape_markdown(f"{clusterer.name} ({settings})"), *figures_of_merit])


def _format_metric(metrics: dict[str, float], name: str) -> str:
    return format_value(round(metrics[name], 3)) if name in metrics else "–"


def _show_map(clustering: Clustering, run: str) -> None:
    outside_count = figures.count_outside_map(clustering)
    is_entities = clustering.model_spec.of == "entities"
    texts = [
        _("Each point is an entity. Similar entities are close to each other.")
        if is_entities
        else _("Each point is a row, such as a day. Similar rows are close to each other.")
    ]
    if outside_count:
        texts.append(_("Points outside the map, drawn on its edge: {count}.").format(count=format_value(outside_count)))
    st.caption(" ".join(texts))
    show_chart(
        Drawing(run, figures.draw_pca_map, (clustering, _)),
        "map",
        _("Points on the two axes of greatest variance, by cluster"),
    )


def _show_profiles(clustering: Clustering, run: str) -> None:
    if clustering.profiles.empty:
        st.info(_("There is no cluster to show."))
        return
    st.caption(_("Mean of each cluster. The band contains 80 % of its points."))
    if len(clustering.sizes) > figures.MAX_PROFILES:
        st.caption(_("Only the {count} largest clusters are shown.").format(count=figures.MAX_PROFILES))
    show_chart(
        Drawing(run, figures.draw_profiles, (clustering, _)),
        "profiles",
        _("Mean profile of each cluster with its band"),
    )
    sizes = pd.DataFrame({"cluster": range(len(clustering.sizes)), "points": clustering.sizes})
    sizes["share"] = sizes["points"] / len(clustering.rows)
    if clustering.model_spec.look == "level":
        sizes["level"] = clustering.profiles.groupby("cluster")["mean"].mean().reindex(sizes["cluster"]).to_numpy()
    st.dataframe(
        sizes,
        hide_index=True,
        key="cluster-sizes",
        alt=_("Size and mean of each cluster"),
        column_config={
            "cluster": st.column_config.NumberColumn(_("Cluster"), width="small"),
            "points": st.column_config.NumberColumn(_("Points"), format="localized"),
            "share": st.column_config.NumberColumn(_("Share"), format="percent"),
            "level": st.column_config.NumberColumn(
                _("Mean {unit}").format(unit=clustering.data.unit).strip(), format="localized"
            ),
        },
    )


def _show_counts(clustering: Clustering, run: str) -> None:
    st.caption(_("Number of points by entity and cluster. The colour is the share of the points of the entity."))
    show_chart(
        Drawing(run, figures.draw_crosstab, (clustering.count_by_entity(), _)),
        "by-entity",
        _("Number of points by entity and cluster"),
    )
    seasons = clustering.count_by_season()
    if not seasons.empty:
        st.caption(_("Number of points by season and cluster. The colour is the share of the points of the season."))
        show_chart(
            Drawing(run, figures.draw_crosstab, (seasons, _)), "by-season", _("Number of points by season and cluster")
        )


def _show_france(clustering: Clustering, run: str) -> None:
    st.caption(
        _(
            "One tile per region, with its cluster or the most frequent cluster of its days. A "
            "divided tile has several entities."
        )
    )
    show_chart(
        Drawing(run, figures.draw_france_map, (clustering, _)), "france", _("Regions of France as tiles, by cluster")
    )


def _show_noise(clustering: Clustering, run: str) -> None:
    noise = clustering.noise
    if noise.empty:
        st.info(_("There is no noise. Every point belongs to a cluster."))
        return
    st.caption(
        _(
            "Points without a cluster: {count}. Isolation Forest also flags {isolated} of "
            "them. The most distant points come first."
        ).format(count=format_value(len(noise)), isolated=format_value(int(noise["isolated"].sum())))
    )
    shown = noise.head(MAX_SHOWN_ROWS)
    position = _show_rows(
        clustering, shown, "noise-rows", _("Points without a cluster"), feedback_form.list_verdicts(run, shown)
    )
    if position is None:
        st.caption(_("Select a row to give a verdict."))
        return
    point = shown.iloc[position]
    feedback_form.ask_verdict(
        "clusters",
        run,
        {
            **point[[name for name in ("entity", "time") if name in shown]].to_dict(),
            "score": point.get("distance", float("nan")),
            "cluster": figures.name_cluster(int(point["cluster"]), _),
        },
        table_key="noise-rows",
    )


def _show_table(clustering: Clustering) -> None:
    st.header(_("Points and their clusters"))
    numbers = sorted(int(number) for number in clustering.rows["cluster"].unique())
    chosen_clusters = st.multiselect(
        _("Cluster"),
        numbers,
        placeholder=_("All"),
        key="table-clusters",
        format_func=lambda number: figures.name_cluster(number, _),
    )
    rows = clustering.rows[clustering.rows["cluster"].isin(chosen_clusters)] if chosen_clusters else clustering.rows
    if len(rows) > MAX_SHOWN_ROWS:
        st.caption(_("Only the first {count} are shown.").format(count=format_value(MAX_SHOWN_ROWS)))
    _show_rows(clustering, rows.head(MAX_SHOWN_ROWS), "cluster-rows", _("Points and their clusters"))


def _show_rows(
    clustering: Clustering, rows: pd.DataFrame, key: str, alt: str, verdicts: list[str] | None = None
) -> int | None:
    """Show points as a table. With `verdicts` a row can be selected: return its position, None if none is."""
    columns = [name for name in ("entity", "time", "cluster", "distance", "isolated") if name in rows]
    if not clustering.rows["isolated"].any():
        columns.remove("isolated")
    table = rows[columns].assign(
        entity=rows["entity"].astype(str), cluster=[figures.name_cluster(int(number), _) for number in rows["cluster"]]
    )
    config = {
        "verdict": feedback_form.build_verdict_column(),
        "entity": st.column_config.TextColumn(_("Entity")),
        "time": st.column_config.DatetimeColumn(_("Time"), format=get_date_format())
        if clustering.has_dates
        else st.column_config.NumberColumn(_("Row")),
        "cluster": st.column_config.TextColumn(_("Cluster")),
        "distance": st.column_config.NumberColumn(
            _("Distance"),
            format="localized",
            help=_("Distance to the nearest centre or core point, in standard deviations."),
        ),
        "isolated": st.column_config.CheckboxColumn(_("Flagged by Isolation Forest")),
    }
    if verdicts is None:
        st.dataframe(table, hide_index=True, width="stretch", key=key, alt=alt, column_config=config)
        return None
    selected = st.dataframe(
        table.assign(verdict=verdicts),
        hide_index=True,
        width="stretch",
        key=key,
        alt=alt,
        column_config=config,
        on_select="rerun",
        selection_mode="single-row",
    ).selection.rows
    return selected[0] if selected and selected[0] < len(table) else None


def _export_table(clustering: Clustering) -> pd.DataFrame:
    table = clustering.to_frame()
    return table.assign(entity=table["entity"].astype(str))
