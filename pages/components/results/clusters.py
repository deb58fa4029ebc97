"""A clustering on screen: figures, map, profiles, where and when, regions, noise, the table, downloads, the record."""

from collections.abc import Callable

import pandas as pd
import streamlit as st

from core.tasks.clusters import figures as figures
from core.tasks.clusters.result import Clustering
from pages.components import feedback_form
from pages.components.i18n import _, date_format, percent, say, shown
from pages.components.results import model
from pages.components.results.run_widgets import chart, cost, downloads, record

SHOWN_ROWS = 5000


def clustering(found: Clustering, run: str) -> None:
    """The whole answer."""
    _figures(found, run)
    st.caption(_judged(found))
    if found.notes:
        st.caption(" ".join(say(note) for note in found.notes))
    record(run)
    tabs: dict[str, Callable[[Clustering], None]] = {
        _("Map"): _map,
        _("Profiles"): _profiles,
        _("Where and when"): _where,
        **({_("France"): _france} if figures.in_france(found) else {}),
        _("Noise"): lambda each: _noise(each, run),
    }
    for tab, show in zip(st.tabs(list(tabs)), tabs.values(), strict=True):
        with tab:
            show(found)
    _table(found, run)
    model.section(run, "clusters")
    downloads(lambda: _exported(found), "clusters", _("All clusters ({kind})"))


def _figures(found: Clustering, run: str) -> None:
    metrics = found.metrics()
    with st.container(horizontal=True, key="result-figures"):
        st.metric(_("Clusters"), shown(int(metrics["clusters"])), border=True)
        st.metric(_("Noise"), f"{shown(int(metrics['noise_points']))} ({percent(metrics['noise_ratio'])})", border=True)
        st.metric(
            _("Silhouette"),
            _figure(metrics, "silhouette"),
            border=True,
            help=_(
                "How much nearer points are to their own cluster than to the next: 1 clear, 0 on the border, "
                "negative misplaced."
            ),
        )
        cost(run)


def _judged(found: Clustering) -> str:
    """The other figures of merit on one line; those that these clusters have."""
    known = {
        "stability": _("stability {value} (agreement with fits on parts of the points: 1 the same, 0 chance)"),
        "davies_bouldin": _("Davies–Bouldin {value} (lower is better)"),
        "calinski_harabasz": _("Calinski–Harabasz {value} (higher is better)"),
        "inertia": _("inertia {value}"),
    }
    said = [text.format(value=_figure(found.quality, name)) for name, text in known.items() if name in found.quality]
    settings = ", ".join(f"{name} = {value}" for name, value in found.question.settings.items())
    return " · ".join([f"{found.question.clusterer} ({settings})", *said])


def _figure(metrics: dict[str, float], name: str) -> str:
    return shown(round(metrics[name], 3)) if name in metrics else "–"


def _map(found: Clustering) -> None:
    beyond = figures.beyond_the_map(found)
    said = [_("Each point is a day or an entity; alike ones lie together.")]
    if beyond:
        said.append(_("{count} points lie farther out and sit on the edge.").format(count=shown(beyond)))
    st.caption(" ".join(said))
    chart(figures.pca_map(found, _), "map", _("Points on the two axes of greatest variance, by cluster"), dated=False)


def _profiles(found: Clustering) -> None:
    if found.profiles.empty:
        st.info(_("There is no cluster to show."))
        return
    st.caption(_("Mean of each cluster; the band holds 80 % of its points."))
    if len(found.sizes) > figures.PROFILES:
        st.caption(_("The {count} largest clusters are shown.").format(count=figures.PROFILES))
    chart(figures.profiles(found, _), "profiles", _("Mean profile of each cluster with its band"), dated=False)
    sizes = pd.DataFrame({"cluster": range(len(found.sizes)), "points": found.sizes})
    sizes["share"] = sizes["points"] / len(found.rows)
    if found.question.look == "level":
        sizes["level"] = found.profiles.groupby("cluster")["mean"].mean().reindex(sizes["cluster"]).to_numpy()
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
                _("Mean {unit}").format(unit=found.question.unit).strip(), format="localized"
            ),
        },
    )


def _where(found: Clustering) -> None:
    st.caption(_("Points of each entity in each cluster; the colour is the share of the entity."))
    chart(figures.crossed(found.by_entity(), _), "by-entity", _("Points of each entity in each cluster"), dated=False)
    seasons = found.by_season()
    if not seasons.empty:
        st.caption(_("Points of each season in each cluster; the colour is the share of the season."))
        chart(figures.crossed(seasons, _), "by-season", _("Points of each season in each cluster"), dated=False)


def _france(found: Clustering) -> None:
    st.caption(
        _(
            "One tile a region: its cluster, or the cluster most of its days are in. A tile in parts has "
            "several entities."
        )
    )
    chart(figures.france(found, _), "france", _("Regions of France as tiles, by cluster"), dated=False)


def _noise(found: Clustering, run: str) -> None:
    noise = found.noise
    if noise.empty:
        st.info(_("No point is noise: every point belongs to a cluster."))
        return
    st.caption(
        _(
            "{count} points belong to no cluster; Isolation Forest flags {isolated} of them as well. The "
            "farthest come first."
        ).format(count=shown(len(noise)), isolated=shown(int(noise["isolated"].sum())))
    )
    _rows(found, noise, "noise-rows", _("Points that belong to no cluster"), run)


def _table(found: Clustering, run: str) -> None:
    st.subheader(_("Points and their clusters"))
    numbers = sorted(int(number) for number in found.rows["cluster"].unique())
    chosen = st.multiselect(
        _("Cluster"),
        numbers,
        placeholder=_("All"),
        key="table-clusters",
        format_func=lambda each: figures.named(each, _),
    )
    rows = found.rows[found.rows["cluster"].isin(chosen)] if chosen else found.rows
    if len(rows) > SHOWN_ROWS:
        st.caption(_("The first {count} are shown.").format(count=shown(SHOWN_ROWS)))
    _rows(found, rows, "cluster-rows", _("Points and their clusters"), run)


def _rows(found: Clustering, rows: pd.DataFrame, key: str, alt: str, run: str) -> None:
    """The first rows as a table, one of them opened for a verdict; the places on the map are left out."""
    columns = [name for name in ("entity", "time", "cluster", "distance", "isolated") if name in rows]
    if "isolated" in columns and not found.rows["isolated"].any():
        columns.remove("isolated")
    table = rows.head(SHOWN_ROWS)[columns]
    named = [figures.named(int(each), _) for each in table["cluster"]]
    picked = st.dataframe(
        table.assign(entity=table["entity"].astype(str), cluster=named, verdict=feedback_form.column(run, table)),
        hide_index=True,
        width="stretch",
        key=key,
        alt=alt,
        on_select="rerun",
        selection_mode="single-row",
        column_config={
            "verdict": feedback_form.column_config(),
            "entity": st.column_config.TextColumn(_("Entity")),
            "time": st.column_config.DatetimeColumn(_("Time"), format=date_format())
            if found.dated
            else st.column_config.NumberColumn(_("Row")),
            "cluster": st.column_config.TextColumn(_("Cluster")),
            "distance": st.column_config.NumberColumn(
                _("Distance"), format="%.3f", help=_("To the nearest centre or core point, in standard deviations.")
            ),
            "isolated": st.column_config.CheckboxColumn(_("Isolation Forest too")),
        },
    ).selection.rows
    if not picked or picked[0] >= len(table):
        st.caption(_("Choose a row to say whether it is a true alarm."))
        return
    point = table.iloc[picked[0]]
    feedback_form.ask(
        "clusters",
        run,
        {
            **point[[name for name in ("entity", "time") if name in table]].to_dict(),
            "score": point.get("distance", float("nan")),
            "cluster": named[picked[0]],
        },
        place=key,
    )


def _exported(found: Clustering) -> pd.DataFrame:
    table = found.to_frame()
    return table.assign(entity=table["entity"].astype(str))
