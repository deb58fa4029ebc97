"""Labels of the lines of a score card: detectors, random scores and simple baselines."""

from core.messages import N_
from core.tasks.anomalies import spec as rows
from core.tasks.sequences import spec as sequences

BASELINE_LABELS = {
    "random": N_("random scores"),
    "mean_distance": N_("distance to the mean (baseline)"),
    "pca": N_("PCA residual (baseline)"),
    "moving_mean": N_("moving mean (baseline)"),
}


def label_line(name: str) -> str:
    """Return the label of a detector or a baseline, not translated; the name itself for an unknown one."""
    if name in BASELINE_LABELS:
        return BASELINE_LABELS[name]
    detector_classes = rows.list_detectors() | sequences.list_detectors()
    return detector_classes[name].label if name in detector_classes else name
