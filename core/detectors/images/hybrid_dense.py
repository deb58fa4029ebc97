"""Supervised hybrid of a VAE and a dense network."""

from dataclasses import dataclass

from typing_extensions import override

from core.detectors.images.supervised_hybrid import SupervisedHybrid
from core.detectors.vectors.classifiers import DenseClassifier, VectorClassifier
from core.messages import N_
from core.spec.hyperparameters import hyperparameter


@dataclass
class HybridDense(SupervisedHybrid):
    """Score images by the log-odds that a small dense network gives their code, the output of the encoder of a VAE."""

    name = "hybrid-dense"
    label = N_("VAE encoder → dense classifier (supervised)")

    classifier_epochs: int = hyperparameter(
        50,
        low=1,
        high=10_000,
        help=N_("Passes of the dense classifier over the training images."),
        label=N_("Epochs of the classifier"),
    )

    @override
    def build_classifier(self) -> VectorClassifier:
        return DenseClassifier(self.classifier_epochs, self.seed)
