"""Mailboxes and messages: headers, encodings, attachments, and what cannot be decoded."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.data.readers.made import MAILBOX, rows_and_faults
from tunewright.data import limits
from tunewright.data.readers import sniff
from tunewright.data.rows import Row


def test_a_mailbox(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(MAILBOX)
    first, second = rows_and_faults(path)[0]
    assert first == Row(
        {
            "text": "The lamp is broken.\nFrom here on it is dark.",
            "subject": "Lamp käputt",
            "from": "Ana <ana@example.org>",
            "to": "help@example.org",
            "date": "2026-01-05T10:00:00+01:00",
            "attachments": 0,
        },
        "a",
        1,
    )
    assert (second.line, second.values["text"], second.values["attachments"]) == (10, "Where is my invoice?", 1)


def test_one_message_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "a.eml"
    path.write_text("Subject: Hello\nFrom: a@b.org\n\nA line, and\nanother.\n")
    assert sniff(path) == "email"
    assert [row.values["text"] for row in rows_and_faults(path)[0]] == ["A line, and\nanother."]


def test_what_cannot_be_decoded_costs_one_message(tmp_path: Path) -> None:
    broken = (
        b"From x@y.org Mon Jan 05 10:00:00 2026\nSubject: a\nContent-Type: text/plain; charset=utf-8\n\nna\xefve\n\n"
    )
    empty = b"From x@y.org Mon Jan 05 10:00:00 2026\nSubject: a\n\n \n\n"
    path = tmp_path / "a.mbox"
    path.write_bytes(broken + empty + MAILBOX)
    rows, faults = rows_and_faults(path)
    assert len(rows) == 2
    assert [(fault.line, fault.reason[:29]) for fault in faults] == [
        (1, "this message cannot be read ("),
        (7, "this message holds no text"),
    ]


def test_a_message_too_large_is_set_aside_and_not_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MOST_DOCUMENT_BYTES", 2000)
    large = b"From x@y.org Mon Jan 05 10:00:00 2026\nSubject: a\n\n" + b"a line\n" * 1000 + b"\n"
    path = tmp_path / "a.mbox"
    path.write_bytes(large + MAILBOX)
    rows, (fault,) = rows_and_faults(path)
    assert len(rows) == 2
    assert str(fault) == "a.mbox:1: this message is larger than 2,000 bytes"


def test_headers_are_decoded_and_attached_messages_are_attachments(tmp_path: Path) -> None:
    path = tmp_path / "a.eml"
    path.write_bytes(
        b"Subject: =?iso-8859-1?q?Gr=FC=DFe?=\n  and more\nFrom: Zo\xc3\xab <z@x.org>\nDate: yesterday\n"
        b"MIME-Version: 1.0\n"
        b"Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: multipart/alternative; boundary=c\n\n"
        b"--c\nContent-Type: text/html\n\n<p>rich</p>\n--c\nContent-Type: text/plain\n\nplain\n--c--\n"
        b"--b\nContent-Type: message/rfc822\nContent-Disposition: attachment\n\nSubject: inner\n\ninner text\n--b--\n"
    )
    (row,) = rows_and_faults(path)[0]
    assert row.values == {
        "text": "plain",
        "subject": "Grüße and more",
        "from": "Zoë <z@x.org>",
        "to": None,
        "date": "yesterday",
        "attachments": 1,
    }


@pytest.mark.parametrize(
    "header",
    [
        b"From: " + b"(" * 30_000,
        b"From: " + b"a@b.c, " * 20_000,
        b'Subject: "' * 9_000,
        b"Content-Type: a; " + b"b=c; " * 20_000,
    ],
)
def test_headers_made_to_be_slow_are_not(tmp_path: Path, header: bytes) -> None:
    path = tmp_path / "a.eml"
    path.write_bytes(b"Subject: a\n" + header + b"\n\nText.\n")
    start = time.process_time()
    assert rows_and_faults(path)[0][0].values["text"] == "Text."
    assert time.process_time() - start < 5
