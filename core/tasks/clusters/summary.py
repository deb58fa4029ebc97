"""Clusters in words: which entities or days each one holds, and where its profile is unlike that of all points."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from core.clusterers.points import MONTH
from core.messages import N_, Message
from core.tasks.clusters.result import Clustering

MAX_SUMMARIES = 8
MAX_NAMES = 6  # entities of a cluster that are named
MIN_PREVALENCE = 1.3  # share of an entity or season in a cluster, as a multiple of its share of all points
MIN_MAJORITY = 0.4  # share of an entity or season in a cluster that is worth a word
MIN_DIFFERENCE = 0.03  # of a profile from that of all points

MONTH_NAMES = (
    N_("January"),
    N_("February"),
    N_("March"),
    N_("April"),
    N_("May"),
    N_("June"),
    N_("July"),
    N_("August"),
    N_("September"),
    N_("October"),
    N_("November"),
    N_("December"),
)


def describe_clusters(clustering: Clustering) -> Iterator[Message]:
    """Yield a sentence or two on each of the largest clusters, the largest first."""
    for cluster in np.argsort(-np.array(clustering.sizes, dtype=int), kind="stable")[:MAX_SUMMARIES].tolist():
        members = clustering.rows[clustering.rows["cluster"] == cluster]
        if members.empty:  # a saved model may have clusters without points
            continue
        describe = _describe_entities if clustering.model_spec.of == "entities" else _describe_days
        yield Message(
            N_("Cluster {number}: {members}{profile}"),
            {
                "number": str(cluster),
                "members": describe(clustering, members),
                "profile": _describe_profile(clustering, cluster),
            },
        )


def _describe_entities(clustering: Clustering, members: pd.DataFrame) -> Message:
    """Return the names of the entities of a cluster."""
    names = sorted(members["entity"].astype(str))
    values: dict[str, object] = {
        "count": len(names),
        "total": len(clustering.rows),
        "names": ", ".join(names[:MAX_NAMES]),
        "more": len(names) - MAX_NAMES,
    }
    if len(names) > MAX_NAMES:
        return Message(N_("{count} of {total} entities: {names} and {more} more."), values)
    return Message(N_("{count} of {total} entities: {names}."), values)


def _describe_days(clustering: Clustering, members: pd.DataFrame) -> Message:
    """Return the share of the days in a cluster, and the entity and season that prevail in it."""
    values: dict[str, object] = {"count": len(members), "share": round(100 * len(members) / len(clustering.rows))}
    entity = _find_prevalent(clustering.count_by_entity(), members)
    season = _find_prevalent(clustering.count_by_season(), members)
    if entity and season:
        values |= {"entity": entity, "season": season}
        return Message(N_("{count} points ({share} %), {entity} and {season}."), values)
    if prevalent := entity or season:
        return Message(N_("{count} points ({share} %), {prevalent}."), values | {"prevalent": prevalent})
    return Message(N_("{count} points ({share} %)."), values)


def _find_prevalent(counts: pd.DataFrame, members: pd.DataFrame) -> Message | None:
    """Return the row of `counts` (entities or seasons × clusters) that prevails in a cluster; None if none does."""
    if len(counts) < 2:
        return None
    inside = counts[int(members["cluster"].iloc[0])] / len(members)
    usual = counts.sum(axis=1) / counts.to_numpy().sum()
    name, share = inside.idxmax(), float(inside.max())
    if share < MIN_MAJORITY or share < MIN_PREVALENCE * usual[name]:
        return None
    is_season = counts.index.name == "season"
    template = N_("{share} % of them in {name} ({usual} % of all points)")
    if not is_season:
        template = N_("{share} % of them of {name} ({usual} % of all points)")
    return Message(
        template,
        {
            "name": Message(str(name)) if is_season else str(name),
            "share": round(100 * share),
            "usual": round(100 * float(usual[name])),
        },
    )


def _describe_profile(clustering: Clustering, cluster: int) -> Message:
    """Return where the mean of a cluster is farthest above and below that of all points, in percent of it."""
    table = clustering.profiles
    places = ["panel", "column"]
    means = table.pivot_table(index=places, columns="cluster", values="mean", sort=False)
    sizes = np.array([clustering.sizes[number] for number in means.columns], dtype=float)
    overall = (means * sizes).sum(axis=1) / sizes.sum()
    difference = ((means[cluster] - overall) / overall.where(overall > 0)).dropna()
    if difference.empty or difference.abs().max() < MIN_DIFFERENCE:
        return Message("")
    high, low = difference.idxmax(), difference.idxmin()
    values: dict[str, object] = {
        "high": _name_place(high),
        "above": round(100 * float(difference[high])),
        "low": _name_place(low),
        "below": round(-100 * float(difference[low])),
    }
    if difference[high] >= MIN_DIFFERENCE and difference[low] <= -MIN_DIFFERENCE:
        template = N_(" Farthest above the mean of all: {high} (+{above} %). Farthest below it: {low} (−{below} %).")
    elif difference[high] >= MIN_DIFFERENCE:
        template = N_(" Farthest above the mean of all: {high} (+{above} %).")
    else:
        template = N_(" Farthest below the mean of all: {low} (−{below} %).")
    return Message(template, values)


def _name_place(place: tuple[str, str]) -> Message | str:
    """Return the name of a part of the profile and its column, such as "working day 07:00"."""
    part, column = place
    if not part:
        return column
    if part == MONTH:
        return Message(MONTH_NAMES[int(column) - 1])
    return Message(N_("{part} {column}"), {"part": Message(part), "column": column})
