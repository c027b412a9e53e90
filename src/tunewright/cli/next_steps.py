"""Commands that work when pasted: right for this folder, this workspace, and an environment that is not activated."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from tunewright.base.errors import TrainingDivergedError
from tunewright.cli.arguments import BEGINNING, RESUMING, fill_in_resume

_RATE = "train.learning_rate"


def command(*words: str | Path, workspace: Path | None = None) -> str:
    """A `tunewright` command line for the user's shell, starting in the current folder.

    Args:
        words: Verb and arguments; paths are written relative to the current folder where they lie below it.
        workspace: The workspace the command must use; left out where it would be found anyway.
    """
    line = [_executable(), *(_short(word) if isinstance(word, Path) else word for word in words)]
    if workspace is not None and not _is_found_anyway(workspace):
        line += ["--workspace", _short(workspace)]
    return shlex.join(line)


def again(arguments: Sequence[str], run: str) -> str:
    """The command line that goes on with a run that was interrupted; empty where the verb resumes nothing.

    Args:
        arguments: Those of the interrupted command, the verb first.
        run: The run's id.
    """
    if not arguments or arguments[0] not in RESUMING:
        return ""
    given = iter(fill_in_resume(list(arguments)))
    kept = [word for word in given if word != "--resume" or next(given, None) is None]
    return command(*kept, "--resume", run)


def lower_rate(arguments: Sequence[str], error: TrainingDivergedError) -> str:
    """The command line that goes on after a divergence, at half the rate; empty where the verb cannot.

    Args:
        arguments: Those of the command that failed, the verb first.
        error: How it failed. Where the run left a good checkpoint, a new run begins there.
    """
    if not arguments or arguments[0] not in BEGINNING:
        return ""
    kept: list[str] = []
    given = iter(fill_in_resume(list(arguments)))
    for word in given:
        if word in ("--resume", "--from-checkpoint"):
            next(given, None)
        elif word == "--set":
            value = next(given, "")
            kept += [] if value.startswith(f"{_RATE}=") else [word, value]
        elif not word.startswith(("--resume=", "--from-checkpoint=", f"--set={_RATE}=")):
            kept.append(word)
    begin = ["--from-checkpoint", error.run] if error.run and error.has_checkpoint else []
    return command(*kept, *begin, "--set", f"{_RATE}={error.learning_rate / 2:g}")


def show_next(steps: Sequence[tuple[str, str]]) -> None:
    """Prints the next commands to try, each under what it is for."""
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    console.print(Text("\nNext:", style="bold"))
    for purpose, line in steps:
        console.print(Text(f"  # {purpose}", style="dim"))
        console.print(Text(f"  {line}"), soft_wrap=True)  # never broken, or pasting would run half of it


def _executable() -> str:
    """`tunewright` if the shell finds this very one, else the path it was started by."""
    started = Path(sys.argv[0])
    if started.name != "tunewright" or not started.exists():
        beside = Path(sys.executable).parent / "tunewright"
        started = beside if beside.exists() else started
    found = shutil.which("tunewright")
    if found and started.exists() and started.samefile(found):
        return "tunewright"
    return _short(started)


def _short(path: Path) -> str:
    absolute, here = Path(os.path.normpath(path.absolute())), Path.cwd()  # links stay: an environment needs its own
    if not absolute.is_relative_to(here):
        return str(absolute)
    relative = str(absolute.relative_to(here))
    return relative if os.sep in relative or not os.access(absolute, os.X_OK) else f".{os.sep}{relative}"


def _is_found_anyway(workspace: Path) -> bool:
    from tunewright.base.errors import WorkspaceError
    from tunewright.store import Workspace

    try:
        found = Workspace.open(create=False)
    except WorkspaceError:
        return False
    return found.root.resolve() == workspace.resolve()
