"""Rows of text files that grow at their end: their header, and where the last complete row ends."""

import csv
import json
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from core.data.ingest.files import Source, detect_encoding
from core.data.ingest.readers.delimited_text import detect_dialect
from core.data.ingest.readers.text_lines import split_preamble
from core.errors import UnreadableFileError

HEAD_BYTES = 64 * 1024
MAX_ROW_LINES, HEAD_LINES = 100, 100
ARCHIVE_MARKS = (b"\x1f\x8b", b"PK", b"PAR1")
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class FileForm(StrEnum):
    """Form of a file, from its first bytes: what can be read of it when it grows."""

    ROWS = "rows"  # delimited text
    RECORDS = "records"  # one flat JSON object a line
    WHOLE = "whole"  # anything else, which is read again as a whole


def detect_form(head: bytes) -> FileForm:
    r"""Return the form of a file with these first bytes, at most `HEAD_BYTES`.

    Example:
        >>> detect_form(b"time,MW\n2024-01-01,5"), detect_form(b'{"time": "2024-01-01", "MW": 5}\n')
        (<FileForm.ROWS: 'rows'>, <FileForm.RECORDS: 'records'>)
        >>> detect_form(b'[{"time": "2024-01-01"}]'), detect_form(b"t\0i\0")
        (<FileForm.WHOLE: 'whole'>, <FileForm.WHOLE: 'whole'>)
    """
    text = head.removeprefix(BYTE_ORDER_MARK).lstrip()
    if head.startswith(ARCHIVE_MARKS) or b"\0" in head or text.startswith((b"[", b"<")):
        return FileForm.WHOLE
    if text.startswith(b"{"):
        return FileForm.RECORDS if is_flat_record(text.partition(b"\n")[0]) else FileForm.WHOLE
    if b"\r" in head and b"\n" not in head:  # lines of old Macintosh computers
        return FileForm.WHOLE
    return FileForm.ROWS


def is_flat_record(line: bytes) -> bool:
    """Tell whether a line is one JSON object without nested values."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return isinstance(record, dict) and not any(isinstance(value, dict | list) for value in record.values())


@dataclass(frozen=True)
class TextHead:
    """Facts that the first rows of a delimited text tell.

    start, end  position of the lines that name the columns, below lines of other content
    delimiter   sign between two cells; "" where it is unknown
    width       cells of a row
    """

    start: int = 0
    end: int = 0
    delimiter: str = ""
    width: int = 0

    def is_row(self, text: bytes) -> bool:
        """Tell whether `text`, without a line end, has as many cells as a row, and no open quotation mark."""
        if not self.delimiter or text.count(b'"') % 2:
            return False
        return len(next(csv.reader([text.decode("latin-1")], delimiter=self.delimiter), [])) == self.width


def take_first_rows(head: bytes) -> bytes:
    """Return the first complete rows of a text, at most `HEAD_LINES` lines: enough to tell the header."""
    text = b"".join(head.splitlines(keepends=True)[:HEAD_LINES])
    return text[: find_row_end(text)]


def read_head(head: bytes, is_all: bool, name: str, draft: Path) -> TextHead | None:
    """Return what the first rows of a delimited text tell; None while no row has come yet.

    head    first rows of a file, from `take_first_rows`
    is_all  True if they are all complete rows of the file
    draft   path of a file that is written and removed
    """
    if not head and not is_all:
        return TextHead()
    draft.write_bytes(head)
    source = Source(draft, name, "text")
    try:
        encoding = detect_encoding(source)
        dialect = detect_dialect(source, encoding)
    except UnreadableFileError:
        return None if is_all else TextHead()  # a longer text is passed on, and its reader tells what is wrong
    finally:
        draft.unlink()
    lines = head.splitlines(keepends=True)[: dialect.skip_rows]
    lines_above, _, _ = split_preamble(head.decode(encoding.encoding))
    start = sum(map(len, lines[:lines_above]))
    return TextHead(start, sum(map(len, lines)), dialect.delimiter, len(dialect.names))


def find_row_end(text: bytes) -> int:
    r"""Return the number of bytes of the complete rows at the begin of `text`, which begins with a row.

    A line break between quotation marks ends no row, in at most `MAX_ROW_LINES` lines: a single mark, such as that of
    an inch, must not hold back what follows. The reader of the file tells about it.

    Example:
        >>> find_row_end(b'a,"b\nc"\nd,"e\n'), find_row_end(b"a,b")
        (8, 0)
    """
    last = end = text.rfind(b"\n") + 1
    quote_count = text.count(b'"', 0, end)
    for _ in range(MAX_ROW_LINES):
        if not quote_count % 2:
            return end
        previous = text.rfind(b"\n", 0, end - 1) + 1
        quote_count -= text.count(b'"', previous, end)
        end = previous
    return last


def find_record_end(text: bytes) -> int:
    r"""Return the number of bytes of the complete lines of JSON; a last line that is whole JSON needs no line end.

    Example:
        >>> find_record_end(b'{"a": 1}\n{"a": 2}'), find_record_end(b'{"a": 1}\n{"a": ')
        (17, 9)
    """
    end = text.rfind(b"\n") + 1
    return len(text) if text[end:].strip() and is_flat_record(text[end:]) else end


ROW_ENDS: dict[FileForm, Callable[[bytes], int]] = {FileForm.ROWS: find_row_end, FileForm.RECORDS: find_record_end}
