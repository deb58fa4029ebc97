"""New parts of files: what was appended to a text since it was last read, or all of a file that changed otherwise.

A file is known by what was read of it, not by its name, so that a renamed log is not read twice. A file is read again
as a whole wherever that is in doubt: the ledger of the watch drops rows that were judged.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from core.data.ingest.files import natural_sort_key
from core.errors import UnreadableFileError
from core.messages import N_, Message
from core.storage.sources.base import Portion
from core.storage.sources.file_records import START_BYTES, FileChangedError, FileRecord, FileState, ListedFile
from core.storage.sources.text_rows import (
    HEAD_BYTES,
    ROW_ENDS,
    FileForm,
    TextHead,
    detect_form,
    find_row_end,
    read_head,
    take_first_rows,
)

MAX_FILES = 20_000
LAST_ROW_WAIT_S = 3600.0  # a program that is slow to write may still be inside its last row
FORMAT_WAIT_S = 5.0  # for files that cannot be read before they are complete
DIGEST_BYTES = 16


def take_new_parts(
    files: Sequence[ListedFile],
    state: FileState,
    folder: Path,
    max_bytes: int,
    max_file_bytes: int,
    window_bytes: int = 0,
) -> Portion:
    """Write what `files` have that is new since `state` to files in `folder`, the oldest first.

    max_file_bytes  limit of a file that is read as a whole
    window_bytes    above twice so many bytes, only so many at the begin and the end of what was read are compared
                    with a later state of the file; 0 compares all

    Raises UnreadableFileError for too many files, too large ones and endless rows.
    """
    if len(files) > MAX_FILES:
        raise UnreadableFileError(
            N_("The source has {count} files. At most {accepted} are watched. Move old ones away."),
            count=len(files),
            accepted=MAX_FILES,
        )
    intake = _Intake(folder, max_bytes, max_file_bytes, window_bytes, _list_strays(files, state))
    records = dict(state.records)
    has_more = False
    for file in sorted(files, key=lambda file: (file.changed_s, natural_sort_key(file.name))):
        record = state.records.get(file.name, FileRecord())
        if record.is_current(file) or (file.name not in state.records and file.stamp and file.seal in state.seals):
            continue
        if intake.remaining_bytes <= 0:
            has_more = True
            break
        try:
            records[file.name] = intake.take(file, record)
        except FileChangedError:
            continue  # the next tick reads it
    new_state = FileState(records, state.seals).dump(files)
    return Portion(tuple(intake.parts), new_state, has_more or intake.has_more, tuple(intake.notes))


def _list_strays(files: Iterable[ListedFile], state: FileState) -> list[FileRecord]:
    """Return the records of files that are gone, or that have changed and may be others; the longest first."""
    by_name = {file.name: file for file in files}
    strays = [
        record for name, record in state.records.items() if name not in by_name or not record.is_current(by_name[name])
    ]
    return sorted((record for record in strays if record.position), key=lambda record: -record.position)


@dataclass
class _Intake:
    """Work of one call: what it wrote, and how many bytes it may still write."""

    folder: Path
    remaining_bytes: int
    max_file_bytes: int
    window_bytes: int
    strays: list[FileRecord]
    parts: list[tuple[Path, str]] = field(default_factory=list)
    notes: list[Message] = field(default_factory=list)
    has_more: bool = False

    def take(self, file: ListedFile, record: FileRecord) -> FileRecord:
        """Write the new part of `file`, and return its record."""
        head = file.read_bytes(0, min(file.size, HEAD_BYTES))
        seen = FileRecord(file.size, file.stamp)
        if not head.strip():
            return replace(seen, end=len(head) if len(head) == file.size else 0)
        form = detect_form(head)
        base, hasher = self._find_base(file, head, record, form)
        if form is FileForm.WHOLE:
            return self._take_whole(file, head, base, seen)
        return self._take_rows(file, head, form, base, hasher, seen)

    def _find_base(
        self, file: ListedFile, head: bytes, record: FileRecord, form: FileForm
    ) -> tuple[FileRecord, "hashlib.blake2b"]:
        """Return the record of what was read of this content, under this or a former name, and the digest so far."""
        starts: dict[int, str] = {}
        for candidate in (record, *self.strays):
            length = min(candidate.position, START_BYTES)
            if not length or candidate.position > file.size or candidate.form != form:
                continue
            if length not in starts:
                starts[length] = _digest(head[:length])
            if candidate.start != starts[length]:
                continue
            hasher = self._hash(file, candidate.position)
            if hasher.hexdigest() == candidate.digest:
                return candidate, hasher
        return FileRecord(), self._hash(file, 0)

    def _hash(self, file: ListedFile, end: int) -> "hashlib.blake2b":
        """Return the digest of the first `end` bytes, or of a window at either side of them."""
        hasher = hashlib.blake2b(digest_size=DIGEST_BYTES)
        windows = [(0, end)]
        if self._has_windows(end):
            windows = [(0, self.window_bytes), (end - self.window_bytes, end)]
        for start, stop in windows:
            for block in file.read(start, stop):
                hasher.update(block)
        return hasher

    def _has_windows(self, end: int) -> bool:
        return bool(self.window_bytes) and end > 2 * self.window_bytes

    def _take_whole(self, file: ListedFile, head: bytes, base: FileRecord, seen: FileRecord) -> FileRecord:
        if base.position == file.size:
            return replace(base, size=file.size, stamp=file.stamp, end=file.size)
        if file.age_s < FORMAT_WAIT_S:
            return seen
        if file.size > self.max_file_bytes:
            raise UnreadableFileError(
                N_("{file} has {count} bytes. Files of this format are read as a whole, up to {accepted} bytes."),
                file=file.name,
                count=file.size,
                accepted=self.max_file_bytes,
            )
        if self.parts and file.size > self.remaining_bytes:
            self.has_more, self.remaining_bytes = True, 0
            return seen
        # the digest comes first: if the file changes in between, the next tick notices it and reads the file again
        digest = self._hash(file, file.size).hexdigest()
        self._write(file, file.read(0, file.size))
        return _complete(seen, FileForm.WHOLE, file.size, file.size, TextHead(), head, digest)

    def _take_rows(
        self,
        file: ListedFile,
        head: bytes,
        form: FileForm,
        base: FileRecord,
        hasher: "hashlib.blake2b",
        seen: FileRecord,
    ) -> FileRecord:
        text_head = self._read_head(file, head, base) if form is FileForm.ROWS else TextHead()
        if text_head is None:
            self._note_wait(N_("{file} has no complete row yet. It is read once it has one."), file)
            return seen
        start, header_end = base.position, text_head.end
        if (base.header_start, base.header_end) != (text_head.start, header_end) or start < header_end:
            start, hasher = 0, self._hash(file, 0)
        stop = min(file.size, max(start, header_end) + self.remaining_bytes)
        text = file.read_bytes(start, stop)
        row_end = ROW_ENDS[form](text)
        position, is_all = start + row_end, stop == file.size
        if not is_all and (not row_end or position <= header_end):
            return self._defer(file, base, seen)
        rest = text[row_end:] if is_all else b""
        if rest.strip() and not self._is_last_row(file, head, rest):
            self._note_wait(N_("The last row of {file} is not complete. It is read once it is."), file)
            rest = b""
        new_text = text[: row_end + len(rest)]
        if new_text.strip() and start + len(new_text) > header_end:
            self._write(file, [head[text_head.start : header_end] if start else b"", new_text])
        self.has_more = self.has_more or not is_all
        hasher.update(text[:row_end])
        digest = self._hash(file, position).hexdigest() if self._has_windows(position) else hasher.hexdigest()
        return _complete(seen, form, position, start + len(new_text), text_head, head, digest)

    def _read_head(self, file: ListedFile, head: bytes, base: FileRecord) -> TextHead | None:
        """Return what the first rows tell; a single row without a line end counts once it has waited long enough."""
        rows, row_end, draft = take_first_rows(head), find_row_end(head), self.folder / "head"
        if len(rows) < row_end and base.position >= len(rows):  # the same rows told it before
            return TextHead(base.header_start, base.header_end)
        is_all = len(head) == file.size and len(rows) == row_end
        text_head = read_head(rows, is_all, file.name, draft)
        if text_head is None and file.age_s >= LAST_ROW_WAIT_S:
            return read_head(head, is_all, file.name, draft)
        return text_head

    def _is_last_row(self, file: ListedFile, head: bytes, rest: bytes) -> bool:
        """Tell whether a text without a line end is a row that nobody goes on writing."""
        if file.age_s < LAST_ROW_WAIT_S or detect_form(head) is not FileForm.ROWS:
            return False
        text_head = self._read_head(file, head, FileRecord())
        return text_head is not None and text_head.is_row(rest)

    def _defer(self, file: ListedFile, base: FileRecord, seen: FileRecord) -> FileRecord:
        """Leave a row that does not fit to the next call. Raises UnreadableFileError if it never fits."""
        if not self.parts:
            raise UnreadableFileError(
                N_("{file}: a row has more than {accepted} bytes."), file=file.name, accepted=self.remaining_bytes
            )
        self.has_more, self.remaining_bytes = True, 0
        return replace(base, size=seen.size, stamp="")

    def _write(self, file: ListedFile, blocks: Iterable[bytes]) -> None:
        path = self.folder / str(len(self.parts))
        with path.open("wb") as target:
            for block in blocks:
                self.remaining_bytes -= target.write(block)
        self.parts.append((path, file.name))

    def _note_wait(self, template: str, file: ListedFile) -> None:
        self.notes.append(Message(template, {"file": file.name}))


def _complete(
    seen: FileRecord, form: FileForm, position: int, end: int, text_head: TextHead, head: bytes, digest: str
) -> FileRecord:
    start = _digest(head[: min(position, START_BYTES)])
    return replace(
        seen,
        form=form,
        position=position,
        end=end,
        header_start=text_head.start,
        header_end=text_head.end,
        start=start,
        digest=digest,
    )


def _digest(text: bytes) -> str:
    return hashlib.blake2b(text, digest_size=8).hexdigest()
