"""Run card of the call records task."""

from core.runs.card_data import CardData
from core.tasks.call_records.clean_result import CleaningResult
from core.tasks.call_records.import_result import ImportResult


def describe(result: ImportResult | CleaningResult) -> CardData:
    """Return the files, the counts and the notes of an import or a cleaning."""
    return CardData(files=result.data.files, counts=result.metrics(), notes=result.notes)
