"""From any exception to one clear message and an exit code.

0    done
1    it ran, and the answer is no
2    wrong input: nothing was changed
3    our fault: a bug, or a broken machine; what was finished is kept
130  Ctrl-C (143: asked to end by the system); checkpoints are kept
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import Any

import typer

from tunewright.base.errors import TrainingDivergedError, TunewrightError

INTERRUPTED = 130
TERMINATED = 143


class Terminated(KeyboardInterrupt):
    """The system asked this process to end (SIGTERM). Handled as Ctrl-C is, so that runs are marked and kept."""


def listen_for_termination() -> None:
    """Lets SIGTERM end a verb as tidily as Ctrl-C does."""

    def end(_number: int, _frame: FrameType | None) -> None:
        raise Terminated

    signal.signal(signal.SIGTERM, end)


@contextlib.contextmanager
def reported(*, json_output: bool, debug: bool, workspace: Path | None) -> Iterator[None]:
    """Turns whatever the block raises into a message on stderr (and JSON on stdout) and an exit code.

    Raises:
        typer.Exit: With the code; nothing else leaves the block.
    """
    try:
        yield
    except (typer.Exit, typer.Abort):
        raise
    except KeyboardInterrupt as error:
        raise typer.Exit(_report_interrupt(error, json_output)) from None
    except BrokenPipeError:
        raise typer.Exit(_leave_quietly()) from None
    except Exception as error:
        raise typer.Exit(report(error, json_output=json_output, debug=debug, workspace=workspace)) from None


def report(error: Exception, *, json_output: bool, debug: bool, workspace: Path | None) -> int:
    """Prints an error; returns the exit code."""
    from tunewright.lifecycle.faults import known

    ours = known(error)
    if debug:
        sys.stderr.write("".join(traceback.format_exception(error)))
    if ours is None:
        ours = _unexpected(error, workspace)
    advice = _how_to_go_on(ours)
    print_error(ours)
    if advice:
        sys.stderr.write(f"{advice}\n")  # never broken, or pasting would run half of it
        ours.hint = f"{ours.hint} {advice}"
    if json_output:
        print_json({"error": {**ours.as_json(), "exit_code": ours.exit_code}})
    return ours.exit_code


def print_error(error: TunewrightError) -> None:
    """One red block on stderr: what, where, what to do."""
    from rich.console import Console
    from rich.padding import Padding
    from rich.text import Text

    # Outside a terminal lines are left whole, so that a log can be searched for them.
    console = Console(stderr=True, highlight=False, soft_wrap=not sys.stderr.isatty())
    head = Text("Error: ", style="bold red")
    head.append(f"{error.where}: " if error.where else "", style="bold")
    head.append(error.what if error.what.endswith((".", "…")) or "\n" in error.what else f"{error.what}.", style="red")
    console.print(head)
    if error.hint:
        console.print(Padding(Text(error.hint), (0, 0, 0, 2)) if sys.stderr.isatty() else Text(f"  {error.hint}"))


def print_json(document: Any) -> None:
    """The one JSON document of a verb, on stdout."""
    sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def _report_interrupt(error: KeyboardInterrupt, json_output: bool) -> int:
    terminated = isinstance(error, Terminated) or isinstance(error.__cause__, Terminated)
    what = "Ended by the system" if terminated else "Interrupted"
    code = TERMINATED if terminated else INTERRUPTED
    hint = _how_to_resume(getattr(error, "run", None))
    sys.stderr.write(f"{what}. {hint}".rstrip() + "\n")
    if json_output:
        print_json({"error": {"type": "Interrupted", "what": what, "where": "", "hint": hint, "exit_code": code}})
    return code


def _how_to_go_on(error: TunewrightError) -> str:
    """The command to type after a divergence; empty for any other error."""
    if not isinstance(error, TrainingDivergedError):
        return ""
    from tunewright.cli.next_steps import lower_rate

    line = lower_rate(sys.argv[1:], error)
    where = "Go on from there" if error.has_checkpoint else "Start again"
    return f"{where} at half the rate: {line}" if line else ""


def _how_to_resume(run: str | None) -> str:
    if run is None:
        return ""
    from tunewright.cli.next_steps import again

    line = again(sys.argv[1:], run)
    return f"Finished work and checkpoints are kept. Go on with: {line}" if line else "Finished work is kept."


def _leave_quietly() -> int:
    """The reader of our output is gone (as in `| head`); keeps Python from complaining when it flushes at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _unexpected(error: Exception, workspace: Path | None) -> TunewrightError:
    log = _write_log(error, workspace)
    return TunewrightError(
        f"Something went wrong inside tunewright: {type(error).__name__}: {error}",
        hint=f"This is a bug, or a broken machine; finished work is kept. The traceback is in {log}.",
    )


def _write_log(error: Exception, workspace: Path | None) -> Path:
    text = f"{' '.join(sys.argv)}\n\n{''.join(traceback.format_exception(error))}"
    name = f"error-{datetime.now():%Y%m%d-%H%M%S}-{os.getpid()}.log"
    for folder in (_log_folder(workspace), Path(tempfile.gettempdir())):
        if folder is None:
            continue
        with contextlib.suppress(OSError):  # a workspace that cannot be written is why there is a second place
            folder.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text, encoding="utf-8")
            return folder / name
    return Path(os.devnull)


def _log_folder(workspace: Path | None) -> Path | None:
    from tunewright.store import Workspace

    with contextlib.suppress(Exception):  # a broken workspace must not hide the error that is being reported
        return Workspace.open(workspace, create=False).root / "logs"
    return None
