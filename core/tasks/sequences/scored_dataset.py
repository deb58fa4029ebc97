"""Scores of a dataset by a model: what the tables of a `SequenceDetection` are built from."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.array_types import Floats
from core.data.dataset import Dataset
from core.data.series import EntitySeries
from core.detectors.base import SequenceScores
from core.detectors.sequence_model import SequenceModel


@dataclass(frozen=True)
class ScoredDataset:
    """Scores of a dataset by a model.

    series         series of the dataset
    series_scores  their scores in the same order
    train_mask     (rows of the dataset,), True for training rows
    limits         (rows of the dataset,), threshold of each row if it adapts; None for the threshold of the model
    """

    dataset: Dataset
    series: Sequence[EntitySeries]
    series_scores: Sequence[SequenceScores]
    train_mask: NDArray[np.bool_]
    model: SequenceModel
    limits: Floats | None = None
