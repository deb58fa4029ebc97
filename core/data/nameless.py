"""Name of a series that no column names: the same for every file, so that a model of one file applies to another."""

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.data.dataset import Dataset
from core.messages import N_, Message

SERIES = "series"
"""Entity of the rows of a file that has one series and no name of it."""


def strip_extensions(name: str) -> str:
    """Return a file name without its extensions.

    Example:
        >>> strip_extensions("paris.csv.gz")
        'paris'
    """
    return re.sub(r"(\.(csv|tsv|txt|json|xlsx|parquet|npz|seq|gz|zip))+$", "", name, flags=re.IGNORECASE) or name


def is_nameless(entities: Sequence[str], files: Sequence[str]) -> bool:
    """Tell whether `files` have one series that none of their columns names.

    Datasets that were stored before SERIES have the name of their first file as the entity.

    Example:
        >>> is_nameless(["series"], ["may.csv"]), is_nameless(["may"], ["may.csv"]), is_nameless(["Lyon"], ["may.csv"])
        (True, True, False)
    """
    return len(entities) == 1 and (entities[0] == SERIES or entities[0] in map(strip_extensions, files[:1]))


def rename_series(dataset: Dataset, name: str) -> Dataset:
    """Return a dataset of one entity under another name of this entity."""
    assert len(dataset.entities) == 1, "several entities cannot have one name"
    if dataset.entities == [name]:
        return dataset
    index = dataset.frame.index
    codes = [np.zeros(len(index), dtype=np.int8), index.codes[1]]
    return dataset.with_index(pd.MultiIndex([[name], index.levels[1]], codes, names=index.names))


def name_by_file(dataset: Dataset) -> Dataset:
    """Return the dataset with its file as the name of a nameless series, to tell the series of several files apart."""
    is_unnamed = dataset.entities == [SERIES] and bool(dataset.files)
    return rename_series(dataset, strip_extensions(dataset.files[0])) if is_unnamed else dataset


def takes_place(entities: Sequence[str], is_unnamed: bool, fitted_entities: Sequence[str]) -> bool:
    """Tell whether the only series of data, which nothing names, takes the place of the only entity of a model.

    A series with a name never does: another entity does not replace the one that a model was fitted on.

    Example:
        >>> takes_place(["series"], True, ["may"]), takes_place(["Lyon"], False, ["Paris"])
        (True, False)
    """
    return is_unnamed and len(entities) == len(fitted_entities) == 1


def code_fitted_entities(dataset: Dataset, fitted_entities: Sequence[str]) -> NDArray[np.intp]:
    """Return the position of each entity of `dataset` among the fitted ones, (entities,); -1 for another one."""
    if takes_place(dataset.entities, is_nameless(dataset.entities, dataset.files), fitted_entities):
        return np.zeros(1, dtype=np.intp)
    code_by_entity = {entity: code for code, entity in enumerate(fitted_entities)}
    return np.array([code_by_entity.get(entity, -1) for entity in dataset.entities], dtype=np.intp)


def list_name_notes(dataset: Dataset, fitted_entities: Sequence[str]) -> tuple[Message, ...]:
    """Return a note where a model of one named entity is applied to a series without a name."""
    entities = dataset.entities
    if entities == list(fitted_entities) or not takes_place(
        entities, is_nameless(entities, dataset.files), fitted_entities
    ):
        return ()
    values = {"file": ", ".join(dataset.files), "entity": fitted_entities[0]}
    return (
        Message(
            N_("The series of {file} has no name. It is treated as {entity}, on which the model was trained."), values
        ),
    )
