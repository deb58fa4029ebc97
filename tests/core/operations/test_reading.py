"""Reading of uploaded files as queries: dataset, preview, events, options, lost files."""

import pytest

from core import queries
from core.actor import Actor
from core.data.read_options import ReadOptions
from core.errors import InputError, NotFoundError, UnknownLayoutError
from core.operations.queries import OPEN_SAMPLE, PREVIEW_FILES, READ_COVARIATES, READ_FILES
from core.operations.reading import CovariatesSpec, FilesSpec, ReadingSpec, SampleSpec, find_files, is_quickly_read
from core.progress import CancelledError, Progress
from core.spec.spec import Spec
from core.workspace import Workspace

ALICE = Actor("alice", "tests")
ROWS = "time,load\n" + "".join(f"2024-01-{day:02},{day * 1.5}\n" for day in range(1, 29))


def upload(workspace: Workspace, text: str = ROWS, name: str = "load.csv") -> str:
    path = workspace.folder / "upload"
    path.write_text(text)
    digest = workspace.uploads.save([(path, name)])
    path.unlink()
    return digest


def answer(name: str, spec: Spec, workspace: Workspace, progress: Progress | None = None) -> str:
    return queries.answer_question(name, spec, workspace=workspace, actor=ALICE, progress=progress or Progress())


def test_reading_stores_dataset_for_its_owner(workspace: Workspace) -> None:
    progress = Progress()
    digest = answer(READ_FILES, ReadingSpec(upload(workspace), owner="alice"), workspace, progress)
    dataset = workspace.datasets.load(digest)
    assert (len(dataset), dataset.files) == (28, ("load.csv",))
    assert [info.digest for info in workspace.datasets.list_recent(user="alice")] == [digest]
    assert workspace.datasets.list_recent(user="bob") == []
    [event] = workspace.events.read_events()
    assert (event.event, event.details.inputs["dataset"]) == ("data_load", digest)
    assert progress.share == 1.0
    assert [name for _path, name in find_files(digest, workspace)] == ["load.csv"], "for another reading"


def test_reading_twice_are_two_actions(workspace: Workspace) -> None:
    spec = ReadingSpec(upload(workspace))
    assert answer(READ_FILES, spec, workspace) == answer(READ_FILES, spec, workspace)
    assert len(workspace.events.read_events()) == 2


def test_reading_again_with_other_options_remembers_them(workspace: Workspace) -> None:
    first = answer(READ_FILES, ReadingSpec(upload(workspace)), workspace)
    options = ReadOptions(unit="MW")
    second = workspace.datasets.load(answer(READ_FILES, ReadingSpec(first, options, "alice"), workspace))
    assert second.unit == "MW"
    assert workspace.read_choices.find(["time", "load"], "alice") == options


def test_preview_is_kept_for_the_next_visit(workspace: Workspace) -> None:
    spec = FilesSpec(upload(workspace))
    answer(PREVIEW_FILES, spec, workspace)
    preview = queries.load_answer(PREVIEW_FILES, spec, workspace)
    assert preview is not None
    assert [column.name for column in preview.columns] == ["time", "load"]
    assert preview.layout
    assert workspace.events.read_events() == []


def test_reading_of_lost_files_says_so(workspace: Workspace) -> None:
    for name, spec in ((READ_FILES, ReadingSpec("0" * 64)), (PREVIEW_FILES, FilesSpec("../events"))):
        with pytest.raises(NotFoundError, match="Load them again"):
            answer(name, spec, workspace)


def test_failed_and_cancelled_readings_are_recorded_and_keep_the_files(workspace: Workspace) -> None:
    odd = upload(workspace, "name,size\nx,1\ny,2\n", "names.csv")
    with pytest.raises(UnknownLayoutError):
        answer(READ_FILES, ReadingSpec(odd), workspace)
    progress = Progress()
    progress.cancel()
    with pytest.raises(CancelledError):
        answer(READ_FILES, ReadingSpec(upload(workspace)), workspace, progress)
    assert [event.status for event in workspace.events.read_events()] == ["failed"]
    assert find_files(odd, workspace)


def test_only_small_files_are_quickly_read(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = upload(workspace)
    assert is_quickly_read(digest, workspace)
    monkeypatch.setattr("core.operations.reading.SHORT_FILES_BYTES", 10)
    assert not is_quickly_read(digest, workspace)


def test_sample_is_stored_for_its_owner(workspace: Workspace) -> None:
    digest = answer(OPEN_SAMPLE, SampleSpec("tidy_series", "alice"), workspace)
    assert [info.digest for info in workspace.datasets.list_recent(user="alice")] == [digest]
    [event] = workspace.events.read_events()
    assert (event.event, event.details.inputs["dataset"]) == ("data_load", digest)


def test_covariate_tables_are_kept_for_the_next_visit(workspace: Workspace) -> None:
    weather = "time,temperature\n" + "".join(f"2024-01-{day:02},{day / 2}\n" for day in range(1, 29))
    spec = CovariatesSpec(
        upload(workspace, weather, "weather.csv"), answer(READ_FILES, ReadingSpec(upload(workspace)), workspace)
    )
    answer(READ_COVARIATES, spec, workspace)
    stored = queries.load_answer(READ_COVARIATES, spec, workspace)
    assert stored is not None
    [table] = stored.tables
    assert (table.file, table.kind, len(table.frame)) == ("weather.csv", "weather", 28)
    with pytest.raises(InputError):
        answer(READ_COVARIATES, CovariatesSpec(upload(workspace, "a,b\nx,y\n", "odd.csv"), spec.dataset), workspace)
    with pytest.raises(NotFoundError, match="Load them again"):
        answer(READ_COVARIATES, CovariatesSpec("0" * 64, spec.dataset), workspace)
