"""How good a detector of series is on data whose anomalies are known, beside the simplest detectors and random
numbers.
"""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.data.ingest.cells import MAX_MAGNITUDE
from core.data.ingest.files import Source
from core.data.ingest.readers.npz import read_npz
from core.data.interpretation import root_causes
from core.detectors import sequences as rooms
from core.detectors.base import Scored, SequenceDetector
from core.detectors.scaling import METHODS, Method, Scaling
from core.detectors.sequences.mean_distance import MeanDistance
from core.detectors.sequences.moving_mean import MovingMean
from core.detectors.sequences.pca_residual import PcaResidual
from core.errors import DataError, OptionError, UnreadableFileError
from core.evaluation.explanation import RootCause, explanation_card, moving_mean_distance
from core.evaluation.injection import inject
from core.evaluation.metrics import score_card
from core.messages import N_, Text
from core.progress import Progress
from core.spec.hyperparameters import build_from_settings, get_params, hyperparameters
from core.spec.plugins import members

Floats = NDArray[np.float64]
Card = dict[str, float]

WINDOW = 100  # rows of doubt around labels, as the published VUS figures have it
LINES = {"mean_distance": MeanDistance, "pca": PcaResidual, "moving_mean": MovingMean}
LINES_SCALING: Method = "minmax"  # with which each of them is best
SEEDS = ("seed", "random_state")  # as detectors call it
ORACLE = N_("The best F1 takes its threshold from the labels: nobody could have known it before.")
PLANTED = N_("There are no labelled anomalies: {count} were planted, and the figures tell of planted anomalies alone.")


@dataclass(frozen=True)
class Arrays:
    """Rows to learn from, rows to judge, both (rows, columns), and which of these are abnormal; None where nobody
    knows.
    """

    train: Floats
    test: Floats
    labels: NDArray[np.bool_] | None


@dataclass(frozen=True)
class Evaluation:
    """A detector's figures and, under the same names, those of every line it has to pass.

    scores        (rows of test,), of the rows as they are, higher is more anomalous
    metrics       of the detector, see `score_card`
    lines         the same of random, mean_distance, pca and moving_mean
    explanation   hit rates of the detector's shares and of the moving mean, see `explanation_card`; empty without
                  causes
    planted       the anomalies that were planted; 0 where the labels are real
    """

    scores: NDArray[np.float64]
    metrics: Card
    lines: dict[str, Card]
    explanation: dict[str, Card]
    planted: int
    fit_seconds: float
    score_seconds: float

    @property
    def rows_per_second(self) -> float:
        return len(self.scores) / max(self.score_seconds, 1e-9)

    @property
    def notes(self) -> tuple[Text, ...]:
        planted = (Text(PLANTED, {"count": self.planted}),) if self.planted else ()
        return (*planted, Text(ORACLE))


def evaluate(
    train: Floats,
    test: Floats,
    labels: NDArray[Any] | None,
    detector: SequenceDetector,
    *,
    scaling: Scaling,
    seed: int,
    window: int = WINDOW,
    causes: Sequence[RootCause] | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Learn from all of `train`, score `test`, both (rows, columns), and measure the scores against `labels` (rows of
    test,).

    Without labels, or where none is abnormal, anomalies are planted in a copy of `test` with the `seed`, and that
    copy is
    judged. `causes` are root causes by event. The lines are learnt from the same rows, each scaled as serves it best.
    Raises DataError where arrays do not fit together, Cancelled.
    """
    progress = progress or Progress()
    _check(train, test, labels)
    train, test = (np.asarray(each, dtype=np.float64) for each in (train, test))
    began = time.perf_counter()
    detector.fit([scaling.fit([train]).transform(train)], progress.part(0, 2))
    fit_seconds = time.perf_counter() - began
    began = time.perf_counter()
    scored = detector.score(scaling.transform(test))
    score_seconds = time.perf_counter() - began
    scores, planted = scored.score.astype(np.float64), 0
    if labels is None or not labels.any():
        test, labels, events = _planted(test, seed)
        causes, planted = events, len(events)
        scored = detector.score(scaling.transform(test))
    progress.tell(0.6)
    metrics = score_card(labels, scored.score, window)
    progress.tell(0.7)
    lines = simple_lines([train], [test], labels, seed=seed, window=window)
    return Evaluation(scores, metrics, lines, _explanation(scored, test, causes), planted, fit_seconds, score_seconds)


def simple_lines(
    train: Sequence[Floats], test: Sequence[Floats], labels: NDArray[Any], *, seed: int, window: int = WINDOW
) -> dict[str, Card]:
    """Figures that a detector has to pass: `random`, `mean_distance`, `pca`, `moving_mean`, see `score_card`.

    `train` and `test` are series of shape (rows, columns), `labels` those of all rows of `test`, one series after the
    other.
    """
    scaling = Scaling(LINES_SCALING).fit(train)
    learnt, judged = ([scaling.transform(each) for each in series] for series in (train, test))
    cards = {"random": score_card(labels, np.random.default_rng(seed).random(len(labels)), window)}
    for name, line in LINES.items():
        scored = line().fit(learnt, Progress()).score_many(judged)
        cards[name] = score_card(labels, np.concatenate([each.score for each in scored]), window)
    return cards


def evaluate_file(
    path: Path,
    detector_name: str,
    *,
    seconds: float | None = None,
    seed: int = 0,
    out: Path | None = None,
    scaling: Method = "minmax",
    settings: Mapping[str, Any] | None = None,
    causes: Path | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """`evaluate` of an .npz file, as plain JSON: `metrics` and the same under `random`, `mean_distance`, `pca`,
    `moving_mean`.

    seconds   time limit of learning, for detectors that have one
    out       a CSV file to write, `row,score`, row = index in `test`
    causes    root causes of the labelled events, see `root_causes`
    Raises UnreadableFileError for another file, DataError for one whose arrays do not fit, OptionError for what
    does not exist.
    """
    detector = _configured(detector_name, seconds, seed, settings or {})
    if scaling not in METHODS:
        raise OptionError(
            N_("{name} = {value!r} is not accepted; choose {accepted}."),
            name="scaling",
            value=scaling,
            accepted=", ".join(METHODS),
        )
    arrays = read_arrays(path)
    known = root_causes(causes, arrays.labels, arrays.test.shape[1]) if causes else None
    found = evaluate(
        arrays.train,
        arrays.test,
        arrays.labels,
        detector,
        scaling=Scaling(scaling),
        seed=seed,
        causes=known,
        progress=progress,
    )
    if out is not None:
        pd.DataFrame({"row": np.arange(len(found.scores)), "score": found.scores}).to_csv(out, index=False)
    return {
        "file": path.name,
        "detector": detector.name,
        "settings": get_params(detector),
        "scaling": scaling,
        "seed": seed,
        "rows": len(arrays.test),
        "rows_learnt": len(arrays.train),
        "columns": arrays.test.shape[1],
        "labels": "planted" if found.planted else "given",
        "metrics": _plain(found.metrics),
        **{name: _plain(card) for name, card in found.lines.items()},
        "explanation": {name: _plain(card) for name, card in found.explanation.items()},
        "seconds": found.fit_seconds + found.score_seconds,
        "fit_seconds": found.fit_seconds,
        "score_seconds": found.score_seconds,
        "rows_per_second": found.rows_per_second,
        "notes": [str(note) for note in found.notes],
    }


def read_arrays(path: Path) -> Arrays:
    """The rows of an .npz file; where it has no `test`, its first half is learnt from and its second half judged.

    Values that are no usable number count as missing, as they do where a dataset is loaded; a row is abnormal where
    its label is
    above 0. Raises UnreadableFileError, with the array and what was found, DataError where labels are missing.
    """
    if not path.is_file():
        raise UnreadableFileError(N_("{file} does not exist."), file=str(path))
    frame = read_npz(Source(path, path.name, "npz"), lambda _: None).frame
    columns = [column for column in frame if column not in ("part", "label", "time")]
    values = frame[columns].to_numpy(dtype=np.float64)
    values = np.where(np.abs(values) <= MAX_MAGNITUDE, values, np.nan)
    judged = np.arange(len(frame)) >= len(frame) // 2
    if "part" in frame and frame["part"].nunique() == 2:
        judged = (frame["part"] == "test").to_numpy()
    return Arrays(
        values[~judged],
        values[judged],
        _labels(frame["label"].to_numpy(dtype=np.float64)[judged]) if "label" in frame else None,
    )


# ---- parts ----------------------------------------------------------------------------------------------------------


def _labels(found: Floats) -> NDArray[np.bool_]:
    missing = int(np.isnan(found).sum())
    if missing:
        raise DataError(N_("{count} of {rows} labels are missing."), count=missing, rows=len(found))
    return found > 0


def _check(train: Floats, test: Floats, labels: NDArray[Any] | None) -> None:
    if train.ndim != 2 or test.ndim != 2 or train.shape[1] != test.shape[1] or len(train) < 2 or not len(test):
        raise DataError(
            N_(
                "train has the shape {train} and test {test}; accepted: rows × columns, as many columns in "
                "both, 2 rows to learn from."
            ),
            train=str(train.shape),
            test=str(test.shape),
        )
    if labels is not None and labels.shape != (len(test),):
        raise DataError(
            N_("{labels} labels for {rows} rows of test; every row needs one."), labels=labels.size, rows=len(test)
        )


def _configured(name: str, seconds: float | None, seed: int, settings: Mapping[str, Any]) -> SequenceDetector:
    """The detector `name` with the time limit and the seed, as far as it knows such things."""
    known = members(rooms, SequenceDetector)
    if name not in known:
        raise OptionError(
            N_("{name} = {value!r} is not accepted; choose {accepted}."),
            name="detector",
            value=name,
            accepted=", ".join(known),
        )
    own = hyperparameters(known[name])
    given = {"seconds": seconds} | dict.fromkeys(SEEDS, seed)
    return build_from_settings(
        known[name], {key: value for key, value in given.items() if key in own and value is not None} | dict(settings)
    )


def _planted(test: Floats, seed: int) -> tuple[Floats, NDArray[np.bool_], Sequence[RootCause]]:
    values, labels, events = inject(test, seed=seed)
    return values.astype(np.float64), labels, events


def _explanation(scored: Scored, test: Floats, causes: Sequence[RootCause] | None) -> dict[str, Card]:
    """What the detector's shares and the plain moving mean name as causes: two answers to two questions."""
    if not causes:
        return {}
    moved = moving_mean_distance(test)
    return {"detector": explanation_card(scored.shares, causes), "moving_mean": explanation_card(moved, causes)}


def _plain(card: Card) -> dict[str, float | None]:
    """JSON knows no NaN."""
    return {name: value if math.isfinite(value) else None for name, value in card.items()}
