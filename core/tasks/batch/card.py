"""Run card of the batch task."""

from core.messages import N_, Message
from core.runs.card_data import CardData
from core.tasks.batch.result import BatchScoringResult


def describe(result: BatchScoringResult) -> CardData:
    """Return the counts, the notes and the folder of the scores."""
    location_note = Message(
        N_("The scores are in {folder}. The same command adds only missing scores to this folder."),
        {"folder": result.spec.out},
    )
    return CardData(files=result.data.files, counts=result.metrics(), notes=(*result.notes, location_note))
