"""Forms with a file in them (multipart/form-data), read piece by piece: the file goes to disk as it comes."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from tunewright.server.errors import ApiError

MOST_PARTS = 64
MOST_FIELD_BYTES = 32 << 10
# Forms are read in a thread, since a file of many short lines keeps a processor busy; handing over to it costs too.
_READ_BYTES = 256 << 10


async def read_form(
    request: Request, *, file_field: str, opened: Callable[[str], None], write: Callable[[bytes], None]
) -> dict[str, str]:
    """Reads a form to its end, and returns the fields beside the file.

    What is wrong with it is raised once all of it has come, so that a client which is still sending hears of it.

    Args:
        file_field: The name of the field that holds the file.
        opened: Called with the file's name as soon as it begins; in a thread.
        write: Called with the file's pieces in order; likewise.

    Raises:
        ApiError: If it is no form, breaks off, has no file or two, or too much beside it.
    """
    form = _Form(_boundary(request), file_field, opened, write)
    waiting = bytearray()
    try:
        async for chunk in request.stream():
            waiting += chunk
            if len(waiting) >= _READ_BYTES:
                await run_in_threadpool(form.take, bytes(waiting))
                waiting.clear()
    except ClientDisconnect:
        raise ApiError(400, "The upload broke off. Please send it again.", param=file_field) from None
    await run_in_threadpool(form.take, bytes(waiting))
    return form.ended()


def _boundary(request: Request) -> bytes:
    kind, options = parse_options_header(request.headers.get("content-type"))
    boundary = options.get(b"boundary", b"")
    if kind != b"multipart/form-data" or not boundary:
        raise ApiError(400, "The body must be a form (multipart/form-data) with a boundary.")
    return boundary


class _Form:
    """A form as its bytes come."""

    def __init__(
        self, boundary: bytes, file_field: str, opened: Callable[[str], None], write: Callable[[bytes], None]
    ) -> None:
        self._file_field, self._opened, self._write = file_field, opened, write
        self._fields: dict[str, bytearray] = {}
        self._field_bytes = self._parts = 0
        self._has_file = self._is_whole = False
        self._waiting = bytearray()
        self._fault: Exception | None = None
        self._header_name = self._header_value = b""
        self._disposition = b""
        # The field that is being read; None for the file.
        self._field: bytearray | None = None
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._part_begins,
                    "on_header_begin": self._header_begins,
                    "on_header_field": self._header_named,
                    "on_header_value": self._header_said,
                    "on_header_end": self._header_ends,
                    "on_headers_finished": self._headers_end,
                    "on_part_data": self._data,
                    "on_end": self._ends,
                },
            )
        except FormParserError as error:
            raise ApiError(400, f"The form cannot be read: {error}.") from error

    def take(self, chunk: bytes) -> None:
        """Reads on; after a fault nothing is read any more."""
        if self._fault is not None:
            return
        try:
            self._parser.write(chunk)
            if self._waiting:
                self._write(bytes(self._waiting))
                self._waiting.clear()
        except FormParserError as error:
            self._fault = ApiError(400, f"The form cannot be read: {error}.")
        except Exception as error:
            self._fault = error

    def ended(self) -> dict[str, str]:
        """The fields of a form that is whole.

        Raises:
            ApiError: If it is not, or anything was wrong with it.
            Exception: What `opened` or `write` raised.
        """
        if self._fault is not None:
            raise self._fault
        if not self._is_whole:
            raise ApiError(400, "The form breaks off before its end. Please send it again.")
        if not self._has_file:
            raise ApiError(
                400,
                f"'{self._file_field}' is a required property",
                param=self._file_field,
                code="missing_required_parameter",
            )
        try:
            return {name: bytes(value).decode() for name, value in self._fields.items()}
        except UnicodeDecodeError:
            raise ApiError(400, "A field of the form is not UTF-8.") from None

    def _part_begins(self) -> None:
        self._parts += 1
        if self._parts > MOST_PARTS:
            raise ApiError(400, f"The form has more than {MOST_PARTS} fields.")
        self._disposition = b""

    def _header_begins(self) -> None:
        self._header_name = self._header_value = b""

    def _header_named(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _header_said(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _header_ends(self) -> None:
        if self._header_name.lower() == b"content-disposition":
            self._disposition = self._header_value

    def _headers_end(self) -> None:
        _, options = parse_options_header(self._disposition)
        name = options.get(b"name", b"").decode("utf-8", "replace")
        if name != self._file_field:
            self._field = self._fields.setdefault(name, bytearray())
            self._field.clear()
            return
        if self._has_file:
            raise ApiError(400, "The form holds more than one file.", param=self._file_field)
        self._field, self._has_file = None, True
        self._opened(options.get(b"filename", b"").decode("utf-8", "replace"))

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._field is None:
            self._waiting += data[start:end]
            return
        self._field_bytes += end - start
        if self._field_bytes > MOST_FIELD_BYTES:
            raise ApiError(400, f"The fields beside the file have more than {MOST_FIELD_BYTES:,} bytes.")
        self._field += data[start:end]

    def _ends(self) -> None:
        self._is_whole = True
