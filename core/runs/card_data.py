"""What the result of a run says of itself, whatever its task: the part of the data, the threshold, figures and what
to know.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from core.errors import NotFoundError
from core.messages import N_, Text
from core.runs.card_model import Intervals, Part, Picture, ScoreCard, Threshold
from core.tasks.anomalies.result import SEVERITIES, Detection
from core.tasks.clusters.result import Clustering
from core.tasks.comparison.result import Comparison
from core.tasks.forecast.result import Forecast
from core.tasks.sequences.result import SequenceDetection

BINS = 30
CARD = ("f1", "auc_pr", "vus_pr", "auc_roc", "event_f1", "affiliation_f1", "delay")
VERDICTS = "verdicts"
BY_SHARE = N_("The share of {share} of the rows was asked for; it promises nothing about false alarms.")
BY_TAIL = N_("By the tail of the scores (peaks over threshold): the share of {share} of normal rows would exceed it.")
BY_VERDICTS = N_("People chose it from their verdicts on the run {run}; it promises nothing about false alarms.")
ALARMS = {
    "1000 rows": N_(
        "At most {amount} false alarms per 1,000 rows were asked for, over all entities together; rows held out decide."
    ),
    "hour": N_(
        "At most {amount} false alarms per hour were asked for, over all entities together; rows held out decide."
    ),
    "day": N_(
        "At most {amount} false alarms per day were asked for, over all entities together; rows held out decide."
    ),
    "week": N_(
        "At most {amount} false alarms per week were asked for, over all entities together; rows held out decide."
    ),
    "month": N_(
        "At most {amount} false alarms per month were asked for, over all entities together; rows held out decide."
    ),
}
NO_LABELS = N_("There are no labels: no figure here says how many of these are right.")


@dataclass(frozen=True)
class Facts:
    """A result in the words of the run card."""

    question: Mapping[str, Any]
    part: Part | None = None
    threshold: Threshold | None = None
    card: ScoreCard | None = None
    intervals: Intervals | None = None
    counts: Mapping[str, float] = field(default_factory=dict)
    picture: Picture | None = None
    notes: tuple[Text, ...] = ()


def facts_of(task: str, files: Path) -> Facts | None:
    """What the result among the files of a run says; None where there is none, or it is of a task that keeps none."""
    if task not in READERS:
        return None
    try:
        return READERS[task](files / "result")
    except NotFoundError:
        return None


def _detection(folder: Path) -> Facts:
    found = Detection.load(folder)
    asked = found.question
    method, amount = ("contamination", asked.contamination) if asked.risk is None else ("pot", asked.risk)
    why = Text(BY_SHARE if asked.risk is None else BY_TAIL, {"share": amount})
    if asked.judged_in:
        method, why = VERDICTS, Text(BY_VERDICTS, {"run": asked.judged_in})
    share = len(found.anomalies) / max(len(found.rows), 1)
    severities = found.anomalies["severity"].value_counts()
    return Facts(
        asdict(asked),
        _part(found.rows, asked),
        Threshold(asked.threshold, method, amount, "rows", why, asked.risk if method == "pot" else None, share),
        counts={
            "flagged_share": share,
            **{name: int(severities.get(place, 0)) for place, name in enumerate(SEVERITIES)},
        },
        picture=_histogram(found.rows["score"], asked.threshold),
        notes=(Text(NO_LABELS),),
    )


def _clustering(folder: Path) -> Facts:
    found = Clustering.load(folder)
    sizes = {str(number): (float(size),) for number, size in enumerate(found.sizes)}
    picture = Picture(
        "bars", Text(N_("Points in each cluster")), tuple(sizes), {"points": tuple(size for (size,) in sizes.values())}
    )
    metrics = found.metrics()
    return Facts(
        asdict(found.question),
        _part(found.rows, found.question),
        picture=picture,
        notes=found.notes,
        counts={name: value for name, value in metrics.items() if not name.startswith(("cluster_", "explained_"))},
    )


def _forecast(folder: Path) -> Facts:
    found = Forecast.load(folder)
    asked, steps = found.question, found.per_step()
    together = found.scores[(found.scores["entity"] == "") & (found.scores["step"] == 0)]
    overall = together.iloc[0] if len(together) else pd.Series(dtype=float)
    names = ("mae", "wape", "rmse", "r2", "mase", "quantile_loss")
    lines = [(asked.forecaster, tuple(_number(overall.get(name)) for name in names))]
    lines += [
        (naive, tuple(_number(overall.get(f"{name}_{naive}")) for name in names)) for naive in ("naive1", "naive7")
    ]
    wape = {
        name: tuple(map(_number, steps[column]))
        for name, column in ((asked.forecaster, "wape"), ("naive1", "wape_naive1"), ("naive7", "wape_naive7"))
    }
    low, high = min(asked.quantiles), max(asked.quantiles)
    return Facts(
        asdict(asked),
        _part(found.rows, asked),
        card=ScoreCard(names, tuple(lines)),
        intervals=Intervals(low, high, high - low, _number(overall.get("coverage"))),
        counts={
            name: value
            for name in ("skill_naive1", "skill_naive7", "days")
            if (value := _number(overall.get(name))) is not None
        },
        picture=Picture("lines", Text(N_("WAPE by number of days ahead")), tuple(map(float, steps["step"])), wape),
        notes=tuple(asked.texts),
    )


def _sequences(folder: Path) -> Facts:
    found = SequenceDetection.load(folder)
    asked, measured = found.question, _number(found.measured)
    words = {
        "alarms": Text(ALARMS.get(asked.per, ALARMS["1000 rows"]), {"amount": asked.amount}),
        "pot": Text(BY_TAIL, {"share": asked.amount}),
        "contamination": Text(BY_SHARE, {"share": asked.amount}),
        VERDICTS: Text(N_("People chose it from their verdicts; it promises nothing about false alarms.")),
        "best_f1": Text(N_("The best for the labels of the rows it is judged on: an oracle, not what to expect.")),
    }
    threshold = Threshold(
        asked.threshold,
        asked.method,
        asked.amount,
        asked.per,
        words[VERDICTS if asked.method == VERDICTS else asked.asked],
        asked.promise,
        measured,
    )
    metrics = found.metrics()
    return Facts(
        asdict(asked),
        _part(found.rows, asked),
        threshold,
        _score_card(found.card),
        counts={
            name: metrics[name]
            for name in ("rows_fitted", "rows_judged", "anomalies", "events", "entities_with_events")
            if name in metrics
        },
        picture=_histogram(found.judged["score"], asked.threshold),
        notes=(*(() if len(found.card) else (Text(NO_LABELS),)), *found.notes),
    )


def _comparison(folder: Path) -> Facts:
    found = Comparison.load(folder)
    asked = found.question
    best = {str(line["line"]): float(line["vus_pr"]) for line in found.card.to_dict("records")}
    return Facts(
        asdict(asked),
        card=_score_card(found.card),
        counts={
            "rows_fitted": asked.learnt,
            "rows_judged": asked.judged,
            "planted": asked.planted,
            "copies": asked.copies,
        },
        picture=Picture("bars", Text(N_("VUS-PR of each line")), tuple(best), {"vus_pr": tuple(best.values())}),
    )


# ---- parts ----------------------------------------------------------------------------------------------------------


def _part(rows: pd.DataFrame, asked: Any) -> Part:
    times = rows["time"] if "time" in rows else pd.Series(dtype=object)
    first, last = (str(times.min()), str(times.max())) if len(times) else ("", "")
    return Part(len(rows), int(rows["entity"].nunique()), first, last, tuple(asked.entities), asked.start, asked.end)


def _score_card(card: pd.DataFrame) -> ScoreCard | None:
    if not len(card):
        return None
    names = tuple(name for name in CARD if name in card)
    lines = [(str(line["line"]), tuple(_number(line[name]) for name in names)) for line in card.to_dict("records")]
    return ScoreCard(names, tuple(lines))


def _histogram(scores: pd.Series, threshold: float) -> Picture | None:
    finite = scores[np.isfinite(scores)].to_numpy(dtype=float)
    if not len(finite):
        return None
    counts, edges = np.histogram(finite, BINS)
    return Picture(
        "histogram",
        Text(N_("Scores of the rows, and the threshold")),
        tuple(map(float, edges)),
        {"rows": tuple(map(float, counts))},
        threshold,
    )


def _number(value: Any) -> float | None:
    return None if value is None or not np.isfinite(value) else float(value)


READERS: dict[str, Callable[[Path], Facts]] = {
    "anomalies": _detection,
    "clusters": _clustering,
    "forecast": _forecast,
    "sequences": _sequences,
    "sequence-comparison": _comparison,
}
