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


def list_digests(store: DatasetStore, user: str = "") -> list[str]:
    return [stored.digest for stored in store.list_recent(user=user)]


def test_dataset_store_lists_per_user(store: DatasetStore, sample: Dataset) -> None:
    second_sample = load_sample("kpi_matrix")
    store.save(sample, "ada")
    store.save(second_sample, "grace")
    assert list_digests(store, "ada") == [sample.digest]
    assert list_digests(store, "grace") == [second_sample.digest]
    assert list_digests(store, "alan") == []
    assert set(list_digests(store)) == {sample.digest, second_sample.digest}


def test_dataset_store_shares_copy_between_users(store: DatasetStore, sample: Dataset) -> None:
    assert store.save(sample, "ada") == store.save(sample, "grace") == sample.digest
    assert [path.name for path in store.folder.glob("[0-9a-f]*")] == [sample.digest]
    assert list_digests(store, "ada") == list_digests(store, "grace") == [sample.digest]


def test_dataset_store_omits_removed_dataset(store: DatasetStore, sample: Dataset) -> None:
    store.save(sample, "ada")
    (store.folder / sample.digest).rename(store.folder.parent / "elsewhere")
    assert list_digests(store, "ada") == []
    with pytest.raises(NotFoundError):
        store.load(sample.digest)


@pytest.mark.parametrize("user", ["../../etc", "a/b", "\0", "é" * 5000])
def test_dataset_store_user_name_is_never_a_path(store: DatasetStore, sample: Dataset, user: str) -> None:
    store.save(sample, user)
    assert list_digests(store, user) == [sample.digest]
    assert {path.name for path in store.folder.parent.iterdir()} == {"datasets"}
