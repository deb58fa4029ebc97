"""Names of runs, built from the task, the data and the model.

A stored name is plain English: "Anomalies · gas_daily 2018–2024 · robust-pca · 3". Pages translate the task, and the
work of a run without an algorithm: "Call records · trunks 2024 · Cleaning · 1".
"""

import re
from collections.abc import Callable, Mapping, Sequence
from itertools import takewhile
from pathlib import PurePosixPath
from typing import Any, Protocol

from core.data.dataset import Dataset
from core.spec.hyperparameters import get_hyperparameters, is_algorithm
from core.spec.task import Task, find_task, list_tasks

NAME_SEPARATOR = " · "
MAX_DATA_NAME_LENGTH = 60
COMPRESSION_SUFFIXES = {".gz", ".bz2", ".xz", ".zst", ".zip"}
FILE_SUFFIX = re.compile(r"\.[A-Za-z][A-Za-z0-9]{0,8}")
PART_NUMBER = re.compile(r"[\s_.\-]*(part|partie)?[\s_.\-]*\d*$", re.IGNORECASE)
MIN_COMMON_LENGTH = 3
FULL_NAME_PARTS = 4  # task, data, algorithm or work, number
SHORT_DIGEST_LENGTH = 8


class NamedData(Protocol):
    """Data with the names of their files and a digest."""

    @property
    def digest(self) -> str:
        """Digest of the content."""

    @property
    def files(self) -> tuple[str, ...]:
        """Names of the files."""


def build_run_name(task: str, model: str, params: Mapping[str, Any], data: NamedData) -> str:
    """Return the name of a run without its number; a model that repeats the label of the task is left out."""
    known_task = find_task(task)
    label = known_task.label if known_task else task
    algorithm = _find_algorithm(known_task, params) or model
    parts = (label, name_data(data), "" if algorithm.casefold() in label.casefold() else algorithm)
    return NAME_SEPARATOR.join(filter(None, parts))


def name_data(data: NamedData) -> str:
    """Return a short name of data: what the names of the files share, and the years that the rows cover."""
    name = shorten_file_names(data.files) or data.digest[:SHORT_DIGEST_LENGTH]
    if len(name) > MAX_DATA_NAME_LENGTH:
        name = f"{name[:MAX_DATA_NAME_LENGTH]}…"
    missing_years = [year for year in _list_years(data) if str(year) not in name]
    return f"{name} {'–'.join(map(str, _list_years(data)))}" if missing_years else name


def shorten_file_names(files: Sequence[str]) -> str:
    """Return what the names of files share, without folder, suffix and part number; "" without files.

    Example:
        >>> shorten_file_names(["gas.csv"]), shorten_file_names(["df_part1.csv", "df_part2.csv"])
        ('gas', 'df')
        >>> shorten_file_names(["north.csv.gz", "south.csv.gz", "west.csv.gz"])
        'north + 2'
    """
    stems = [_strip_suffixes(PurePosixPath(file).name) for file in files]
    if len(stems) < 2:
        return "".join(stems)
    common = PART_NUMBER.sub("", _find_common_start(stems))
    if len(common) >= min(MIN_COMMON_LENGTH, len(PART_NUMBER.sub("", stems[0]))) > 0:
        return common
    return f"{stems[0]} + {len(stems) - 1}"


def translate_run_name(name: str, task: str, translate: Callable[[str], str]) -> str:
    """Return a stored name in the language of a reader; a name that a person gave stays as it is.

    Example:
        >>> translate_run_name("Anomalies · gas · ecod · 1", "anomalies", lambda text: text.replace("Anom", "An"))
        'Analies · gas · ecod · 1'
        >>> words = {"Call records": "Tickets d’appel", "Cleaning": "Nettoyage"}
        >>> translate_run_name("Call records · May · Cleaning · 1", "call_records", lambda text: words.get(text, text))
        'Tickets d’appel · May · Nettoyage · 1'
    """
    known_task = find_task(task)
    label = known_task.label + NAME_SEPARATOR if known_task else ""
    if known_task is None or not name.startswith(label):
        return name
    parts = name.removeprefix(label).split(NAME_SEPARATOR)
    if len(parts) >= FULL_NAME_PARTS - 1:
        parts[-2] = translate(parts[-2])
    return NAME_SEPARATOR.join([translate(known_task.label), *parts])


def untranslate_text(text: str, translate: Callable[[str], str]) -> str:
    """Return a text that a reader searches for with the labels of tasks in the words of stored names.

    Example:
        >>> untranslate_text("écarts · gas", lambda label: "Écarts" if label == "Anomalies" else label)
        'Anomalies · gas'
    """
    for task in sorted(list_tasks(), key=lambda task: -len(translate(task.label))):
        label = re.compile(re.escape(translate(task.label)), re.IGNORECASE)
        if label.match(text):
            return label.sub(task.label.replace("\\", r"\\"), text, count=1)
    return text


def _find_algorithm(task: Task | None, params: Mapping[str, Any]) -> str:
    """Return the name under which a person chooses the algorithm of a run; "" without one."""
    fields = [field for mode in task.modes for field in get_hyperparameters(mode.spec).items()] if task else []
    return next((str(params[name]) for name, field in fields if is_algorithm(field) and params.get(name)), "")


def _strip_suffixes(name: str) -> str:
    path = PurePosixPath(name)
    if path.suffix.lower() in COMPRESSION_SUFFIXES:
        path = path.with_suffix("")
    return path.stem if FILE_SUFFIX.fullmatch(path.suffix) else path.name


def _find_common_start(texts: Sequence[str]) -> str:
    letters = takewhile(lambda position: len(set(position)) == 1, zip(*texts, strict=False))
    return "".join(position[0] for position in letters)


def _list_years(data: NamedData) -> list[int]:
    """Return the first and the last year of the rows, one year where they are equal; none without dates."""
    if not isinstance(data, Dataset) or not data.has_dates or not len(data):
        return []
    return sorted({data.time.min().year, data.time.max().year})
