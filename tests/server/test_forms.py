"""Forms: whatever pieces the bytes come in, the file and the fields are the same; broken ones are refused."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from fastapi import Request
from hypothesis import given, settings
from hypothesis import strategies as st

from tunewright.server.errors import ApiError
from tunewright.server.forms import MOST_FIELD_BYTES, MOST_PARTS, read_form

BOUNDARY = "7d29"
Read = tuple[dict[str, str], list[str], bytes]


def part(name: str, content: bytes, filename: str | None = None) -> bytes:
    said = f'; filename="{filename}"' if filename is not None else ""
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{said}\r\n\r\n'
    return head.encode() + content + b"\r\n"


def whole(*parts: bytes) -> bytes:
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


def read(
    *chunks: bytes,
    content_type: str = f"multipart/form-data; boundary={BOUNDARY}",
    hangs_up: bool = False,
    fault: Exception | None = None,
    sizes: list[int] | None = None,
) -> Read:
    """The fields, the file's names, and its bytes, of a body that comes in these chunks."""
    last: dict[str, Any] = {"type": "http.disconnect"} if hangs_up else {"type": "http.request", "more_body": False}
    messages = [*({"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks), last]
    names: list[str] = []
    content = bytearray()

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    def write(piece: bytes) -> None:
        if fault is not None:
            raise fault
        content.extend(piece)
        if sizes is not None:
            sizes.append(len(piece))

    scope = {"type": "http", "method": "POST", "headers": [(b"content-type", content_type.encode())]}
    request = Request(scope, receive)
    fields = asyncio.run(read_form(request, file_field="file", opened=names.append, write=write))
    assert not messages
    return fields, names, bytes(content)


def refusal(*chunks: bytes, **how: Any) -> str:
    with pytest.raises(ApiError) as caught:
        read(*chunks, **how)
    assert caught.value.status == 400
    return caught.value.message


def test_a_form_is_read_whatever_its_order() -> None:
    file, purpose = part("file", b"one\ntwo\n", "rows.jsonl"), part("purpose", b"fine-tune")
    expected = ({"purpose": "fine-tune"}, ["rows.jsonl"], b"one\ntwo\n")
    assert read(whole(file, purpose)) == read(whole(purpose, file)) == expected


def test_names_are_read_as_browsers_and_clients_write_them() -> None:
    assert read(whole(part("file", b"", "größe.jsonl")))[1] == ["größe.jsonl"]
    assert read(whole(part("file", b"")))[1] == [""]
    quoted = whole(
        part("file", b"x", "a.jsonl").replace(b"form-data", b"Form-Data").replace(b"Content-D", b"CONTENT-d")
    )
    assert read(quoted)[1] == ["a.jsonl"]
    assert read(whole(part("file", b"x", "a")), content_type=f'multipart/form-data; boundary="{BOUNDARY}"')[2] == b"x"


@given(content=st.binary(max_size=60), cuts=st.lists(st.integers(1, 40), max_size=30))
@settings(deadline=None, max_examples=25)
def test_the_pieces_that_a_form_comes_in_do_not_matter(content: bytes, cuts: list[int]) -> None:
    # Bytes that look like the beginning of a border are the hard ones.
    content = content.replace(b"\x00", b"\r\n--7d2")
    form = whole(part("purpose", b"batch"), part("file", content, "a"), part("more", b"\xc3\xa9"))
    chunks, at = [], 0
    for cut in cuts:
        chunks.append(form[at : at + cut])
        at += cut
    assert read(*chunks, form[at:]) == ({"purpose": "batch", "more": "é"}, ["a"], content)


def test_what_is_no_form_is_refused() -> None:
    assert "must be a form" in refusal(b"{}", content_type="application/json")
    assert "must be a form" in refusal(b"{}", content_type="multipart/form-data")
    assert "cannot be read" in refusal(b"no border at all")
    assert "cannot be read" in refusal(b"x", content_type=f"multipart/form-data; boundary={'b' * 300}")
    assert "required property" in refusal(whole(part("purpose", b"batch")))
    assert "more than one file" in refusal(whole(part("file", b"1", "a"), part("file", b"2", "b")))
    assert "not UTF-8" in refusal(whole(part("file", b"1", "a"), part("purpose", b"\xff")))


def test_a_form_that_breaks_off_is_refused() -> None:
    form = whole(part("purpose", b"batch"), part("file", b"one", "a"))
    for length in (0, 10, 60, len(form) - 6):
        assert "breaks off" in refusal(form[:length])
    assert "broke off" in refusal(form[:60], hangs_up=True)


def test_too_much_beside_the_file_is_refused() -> None:
    assert "beside the file" in refusal(whole(part("purpose", b"x" * (MOST_FIELD_BYTES + 1))))
    assert f"more than {MOST_PARTS} fields" in refusal(whole(*[part(f"f{n}", b"") for n in range(MOST_PARTS + 1)]))
    assert "cannot be read" in refusal(b"--7d29\r\nContent-Disposition: " + b"x" * 10_000)


def test_the_file_is_never_whole_in_memory() -> None:
    form = whole(part("file", bytes(4 << 20), "a"), part("purpose", b"batch"))
    sizes: list[int] = []
    _, _, content = read(*[form[at : at + 65_536] for at in range(0, len(form), 65_536)], sizes=sizes)
    assert content == bytes(4 << 20)
    assert len(sizes) > 3
    assert max(sizes) <= (256 << 10) + 65_536


def test_a_fault_while_writing_is_raised_once_all_has_been_read() -> None:
    form = whole(part("file", b"x" * (3 << 20), "a"))
    chunks = [form[at : at + 65_536] for at in range(0, len(form), 65_536)]
    with pytest.raises(OSError, match="disk"):
        read(*chunks, fault=OSError("disk"))
