"""The live view: bars within 80 columns in a terminal, plain lines elsewhere."""

from __future__ import annotations

import io

from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from tunewright.base.events import Message, Metrics, Stage
from tunewright.cli.progress import PlainLines, amount, clock, pace, progress, shown_metric


def drawn(width: int = 80) -> tuple[Console, io.StringIO]:
    screen = io.StringIO()
    return Console(file=screen, force_terminal=True, width=width, highlight=False, color_system=None), screen


def test_bars_fit_into_80_columns() -> None:
    console, screen = drawn()
    with progress(console) as listener:
        listener(Stage("train", "started", total=10_000, unit="steps"))
        listener(Metrics("train", 9_999, 10_000, {"loss": 0.41234}))
        listener(Stage("train", "progress", done=9_999, total=10_000, unit="steps", note="a note that is long" * 9))
        listener(Stage("train", "finished", done=10_000, total=10_000, unit="steps"))
    lines = screen.getvalue().replace("\r", "\n").split("\n")
    plain = [Console(width=500).render_str(line).plain for line in lines]
    visible = [line for line in plain if "train" in line]
    assert visible
    assert "✓" in visible[-1]
    assert "loss 0.412" in visible[-1]
    assert max(len(_without_escapes(line)) for line in visible) <= 80


def test_messages_stand_above_the_bars() -> None:
    console, screen = drawn()
    with progress(console) as listener:
        listener(Stage("prepare", "started"))
        listener(Message("3 rows were refused", "warning"))
    assert "3 rows were refused" in screen.getvalue()


def test_a_stage_may_begin_again() -> None:
    console, screen = drawn()
    with progress(console) as listener:
        for _ in range(2):
            listener(Stage("train", "started", total=2, unit="steps"))
            listener(Stage("train", "finished", done=2, total=2))
        assert listener.__class__.__name__ == "Bars"
    assert screen.getvalue().rstrip().count("train") >= 1


def test_outside_a_terminal_lines_come_at_most_every_few_seconds() -> None:
    screen = io.StringIO()
    listener = PlainLines(Console(file=screen, width=80), every_s=3600)
    listener(Stage("train", "started", total=100, unit="steps"))
    for step in range(100):
        listener(Stage("train", "progress", done=step, total=100, unit="steps"))
    listener(Stage("train", "finished", done=100, total=100, note="best loss 0.4"))
    lines = screen.getvalue().splitlines()
    assert lines[0] == "train: started"
    assert lines[1].startswith("train: finished in 0.0 s (best loss 0.4)")
    assert len(lines) == 2


def test_a_plain_line_says_amount_pace_and_loss() -> None:
    screen = io.StringIO()
    listener = PlainLines(Console(file=screen, width=80), every_s=0)
    listener(Stage("train", "started", total=100, unit="steps"))
    listener(Metrics("train", 5, 100, {"loss": 0.5, "rate": 0.1}))
    done, since = listener.first["train"]
    listener.first["train"] = (done, since - 9)  # as if nine seconds had gone by since the fifth step
    listener(Stage("train", "progress", done=50, total=100, unit="steps"))
    assert screen.getvalue().splitlines()[-1] == "train: 50/100 steps 5.0/s 0:10 left loss 0.500"


def test_plain_output_has_no_escape_codes() -> None:
    screen = io.StringIO()
    with progress(Console(file=screen, width=80)) as listener:
        listener(Stage("train", "started"))
        listener(Message("watch out", "warning"))
    assert screen.getvalue() == "train: started\nwarning: watch out\n"


def test_numbers_read_well() -> None:
    assert clock(0.84) == "0.8 s"
    assert clock(123) == "2:03"
    assert clock(3723) == "1:02:03"
    assert amount(1200, 0, "rows") == "1,200 rows"
    assert amount(0, 0, "rows") == ""
    assert pace(50, 100, 5.0) == "5.0/s 0:10 left"
    assert pace(1, 10, 1 / 30) == "30 s each 4:30 left"
    assert pace(1, 4, 1 / 30) == ""  # a rate over four things says nothing
    assert pace(10_000_000, 40_000_000, 1e6, "bytes") == "1.0 MB/s 0:30 left"
    assert amount(10_000_000, 40_000_000, "bytes") == "10.0/40.0 MB"
    assert pace(0, 10, 0.0) == ""
    assert shown_metric({"loss": 1.23456}) == "loss 1.235"
    assert shown_metric({"accuracy": 1.0}) == ""


@given(st.integers(0, 10**9), st.integers(0, 10**9), st.floats(0, 1e7))
@settings(deadline=None, max_examples=50)
def test_pace_never_fails(done: int, total: int, seconds: float) -> None:
    assert isinstance(pace(done, total, seconds), str)


def _without_escapes(line: str) -> str:
    import re

    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", line)
