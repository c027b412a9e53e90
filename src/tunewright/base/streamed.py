"""Lines of bytes that come over a connection, as server-sent events have them."""

from __future__ import annotations

_LONGEST = 4 << 20  # bytes of a line: far more than any event of an answer takes


class StreamedLines:
    """Cuts what comes at line feeds, and there alone.

    httpx's `iter_lines` also cuts at U+0085, U+2028 and others, which JSON may hold as they are, and half an event is
    none.

    Args:
        longest: Bytes of a line, at most.
    """

    def __init__(self, longest: int = _LONGEST) -> None:
        self._longest, self._rest = longest, b""

    def feed(self, data: bytes) -> list[str]:
        """The lines that are whole with what has come now, without their ends.

        Raises:
            ValueError: If a line is too long, or no UTF-8.
        """
        *whole, self._rest = (self._rest + data).split(b"\n")
        if max(map(len, (*whole, self._rest))) > self._longest:
            raise ValueError(f"a line of a stream is longer than {self._longest:,} bytes")
        return [line.removesuffix(b"\r").decode("utf-8") for line in whole]
