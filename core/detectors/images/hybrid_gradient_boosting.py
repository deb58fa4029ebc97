"""Supervised hybrid of a VAE and gradient boosting."""

from dataclasses import dataclass

from typing_extensions import override

from core.detectors.images.supervised_hybrid import SupervisedHybrid
from core.detectors.vectors.classifiers import BoostingClassifier, VectorClassifier
from core.messages import N_
from core.spec.hyperparameters import hyperparameter


@dataclass
class HybridGradientBoosting(SupervisedHybrid):
    """Score images by the log-odds that boosted trees give their code, the output of the encoder of a VAE."""

    name = "hybrid-gradient-boosting"
    label = N_("VAE encoder → gradient boosting (supervised)")

    trees: int = hyperparameter(200, low=10, high=5000, help=N_("Number of trees."), label=N_("Number of trees"))
    tree_share: float = hyperparameter(
        0.1,
        low=0.001,
        high=1.0,
        help=N_("Learning rate: share of the correction of each tree that is applied (0–1)."),
        label=N_("Learning rate"),
    )

    @override
    def build_classifier(self) -> VectorClassifier:
        return BoostingClassifier(self.trees, self.tree_share, self.seed)
