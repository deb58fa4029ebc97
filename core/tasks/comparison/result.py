"""Detectors beside each other on one series: how well each sees known or planted anomalies, and how long that took."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from core.errors import NotFoundError
from core.messages import N_

FILE = "comparison.json"
HEADLINE = "vus_pr"


@dataclass(frozen=True)
class Compared:
    """What was compared on what.

    entity   the series: the one with most labelled rows, else the longest
    until    the first row that was not learnt from
    learnt   rows learnt from, and `judged` rows judged
    planted  anomalies that were planted, in `copies` copies of the judged rows; 0 where the labels are real
    """

    dataset: str
    files: tuple[str, ...]
    until: str
    scaling: str
    counts: bool
    entity: str
    learnt: int
    judged: int
    planted: int
    copies: int


@dataclass(frozen=True)
class Comparison:
    """Every line of the card is a detector with its default settings, or a baseline; the best VUS-PR first.

    card  line, the metrics of `score_card`, seconds of learning and scoring, and with planted anomalies hit_100: the
          share
          of the changed columns that the detector names first
    """

    question: Compared
    card: pd.DataFrame

    @property
    def winner(self) -> str:
        return str(self.card["line"].iloc[0])

    def metrics(self) -> dict[str, float]:
        """What a run logs: line.metric."""
        lines = self.card.set_index("line")
        found = {f"{line}.{name}": float(lines.loc[line, name]) for line in lines.index for name in lines.columns}
        counted = {
            "rows_fitted": self.question.learnt,
            "rows_judged": self.question.judged,
            "planted": self.question.planted,
        }
        return {name: value for name, value in {**counted, **found}.items() if value == value}

    def save(self, folder: Path) -> None:
        """Write the result below `folder`; `load` reads it back."""
        folder.mkdir(parents=True, exist_ok=True)
        self.card.to_parquet(folder / "card.parquet", index=False)
        (folder / FILE).write_text(json.dumps(asdict(self.question), ensure_ascii=False), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "Comparison":
        """Raises NotFoundError where `folder` holds no comparison."""
        try:
            asked: dict[str, Any] = json.loads((folder / FILE).read_text(encoding="utf-8"))
            question = Compared(**asked | {"files": tuple(asked["files"])})
            return cls(question, pd.read_parquet(folder / "card.parquet"))
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise NotFoundError(N_("This run holds no comparison that could be shown.")) from error
