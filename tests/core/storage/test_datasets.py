"""The dataset store: one copy for each digest, and lists per user."""

from pathlib import Path

import pytest

from core.data.dataset import Dataset
from core.data.samples import load_sample
from core.errors import NotFoundError
from core.storage.datasets import DatasetStore


@pytest.fixture
def store(tmp_path: Path) -> DatasetStore:
    return DatasetStore(tmp_path / "datasets")


def digests(store: DatasetStore, user: str = "") -> list[str]:
    return [stored.digest for stored in store.list_recent(user=user)]


def test_datasets_are_listed_per_user(store: DatasetStore, sample: Dataset) -> None:
    other = load_sample("kpi_matrix")
    store.save(sample, "ada")
    store.save(other, "grace")
    assert digests(store, "ada") == [sample.digest]
    assert digests(store, "grace") == [other.digest]
    assert digests(store, "alan") == []
    assert set(digests(store)) == {sample.digest, other.digest}


def test_datasets_of_two_users_are_stored_once(store: DatasetStore, sample: Dataset) -> None:
    assert store.save(sample, "ada") == store.save(sample, "grace") == sample.digest
    assert [path.name for path in store.folder.glob("[0-9a-f]*")] == [sample.digest]
    assert digests(store, "ada") == digests(store, "grace") == [sample.digest]


def test_removed_dataset_is_not_listed(store: DatasetStore, sample: Dataset) -> None:
    store.save(sample, "ada")
    (store.folder / sample.digest).rename(store.folder.parent / "elsewhere")
    assert digests(store, "ada") == []
    with pytest.raises(NotFoundError):
        store.load(sample.digest)


@pytest.mark.parametrize("user", ["../../etc", "a/b", "\0", "é" * 5000])
def test_dataset_name_is_never_a_path(store: DatasetStore, sample: Dataset, user: str) -> None:
    store.save(sample, user)
    assert digests(store, user) == [sample.digest]
    assert {path.name for path in store.folder.parent.iterdir()} == {"datasets"}
