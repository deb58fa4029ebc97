"""Supervised hybrid of a VAE and a random forest."""

from dataclasses import dataclass

from typing_extensions import override

from core.detectors.images.supervised_hybrid import SupervisedHybrid
from core.detectors.vectors.classifiers import ForestClassifier, VectorClassifier
from core.messages import N_
from core.spec.hyperparameters import hyperparameter


@dataclass
class HybridRandomForest(SupervisedHybrid):
    """Score images by the log-odds that a random forest gives their code, the output of the encoder of a VAE."""

    name = "hybrid-random-forest"
    label = N_("VAE encoder → random forest (supervised)")

    trees: int = hyperparameter(300, low=10, high=2000, help=N_("Number of trees."), label=N_("Number of trees"))

    @override
    def build_classifier(self) -> VectorClassifier:
        return ForestClassifier(self.trees, self.seed)
