"""The form in which a browser sends a file, read chunk by chunk, so that no file lies in memory."""

from collections.abc import Callable

from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header

from pages.components.uploads import STORED_CONTENT


class UploadForm:
    """A form with one file: its content goes to `write_content`, its headers stay here.

    Raises FormParserError for a content type without a boundary.
    """

    def __init__(self, content_type: str, write_content: Callable[[bytes], None]) -> None:
        _kind, options = parse_options_header(content_type)
        if not options.get(b"boundary"):
            raise FormParserError("the content type has no boundary")
        self._boundary, self._write_content = options[b"boundary"], write_content
        self._headers, self._name, self._value = bytearray(), bytearray(), bytearray()
        self._part_count, self._is_complete = 0, False
        self._parser = MultipartParser(
            self._boundary,
            {
                "on_part_begin": self._begin_part,
                "on_header_field": lambda chunk, start, end: self._name.extend(chunk[start:end]),
                "on_header_value": lambda chunk, start, end: self._value.extend(chunk[start:end]),
                "on_header_end": self._end_header,
                "on_part_data": lambda chunk, start, end: self._write_content(chunk[start:end]),
                "on_end": self._end_form,
            },
        )

    def write(self, chunk: bytes) -> None:
        """Read on. Raises FormParserError for a broken form and for a second file, and the errors of writing."""
        self._parser.write(chunk)

    def finish(self) -> None:
        """End the reading. Raises FormParserError for a form that is cut off, and for one without a file."""
        self._parser.finalize()
        if not self._is_complete:
            raise FormParserError("the form is cut off")
        if not self._part_count:
            raise FormParserError("the form has no file")

    def build_short_form(self) -> bytes:
        """Return the form with its headers and `STORED_CONTENT` in the place of the content of the file."""
        delimiter = b"--" + self._boundary
        return b"".join((delimiter, b"\r\n", self._headers, b"\r\n", STORED_CONTENT, b"\r\n", delimiter, b"--\r\n"))

    def _begin_part(self) -> None:
        self._part_count += 1
        if self._part_count > 1:
            raise FormParserError("the form has more than one file")

    def _end_header(self) -> None:
        self._headers += b"".join((self._name, b": ", self._value, b"\r\n"))
        self._name.clear()
        self._value.clear()

    def _end_form(self) -> None:
        self._is_complete = True
