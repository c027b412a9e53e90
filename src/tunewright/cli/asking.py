"""Asking for labels: single keys in a terminal, lines where stdin is none or the labels are too many for keys."""

from __future__ import annotations

import string
import sys
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from rich.columns import Columns
from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from tunewright.base.errors import did_you_mean

if TYPE_CHECKING:
    from tunewright.data.labelling.agreement import Agreement
    from tunewright.data.labelling.pool import Candidate
    from tunewright.data.labelling.session import Session

Command = Literal["skip", "undo", "quit", "comment"]
_COMMANDS: dict[str, Command] = {"s": "skip", "u": "undo", "q": "quit"}
WITH_COMMENT: dict[str, Command] = {**_COMMANDS, "c": "comment"}
_KEYS = [sign for sign in string.digits[1:] + string.ascii_lowercase if sign not in _COMMANDS]
_SHOWN_DISAGREEMENTS = 20
_LONGEST_TEXT = 100


@dataclass(frozen=True, slots=True)
class Answer:
    """A label, or what else to do."""

    label: str = ""
    command: Command | None = None


@dataclass(slots=True)
class Asker:
    """Reads what a person answers.

    Args:
        labels: What may be answered.
        keys: The key of each; empty where there are more labels than keys.
        by_key: Whether a key alone is an answer: in a terminal.
        console: Where questions are put: stderr, so that stdout holds results alone.
        typed: Keys that were typed ahead.
        commands: What else may be done, by key.
    """

    labels: tuple[str, ...]
    keys: tuple[str, ...]
    by_key: bool
    console: Console
    typed: deque[str] = field(default_factory=deque)
    commands: Mapping[str, Command] = field(default_factory=lambda: _COMMANDS)

    @classmethod
    def open(cls, labels: Sequence[str], commands: Mapping[str, Command] = _COMMANDS) -> Asker:
        """The way to ask that fits stdin and the labels."""
        free = [key for key in _KEYS if key not in commands]
        keys = tuple(free[: len(labels)]) if len(labels) <= len(free) else ()
        console = Console(stderr=True, highlight=False)
        return cls(tuple(labels), keys, bool(keys) and sys.stdin.isatty(), console, commands=commands)

    def answer(self) -> Answer:
        """The next answer; the end of stdin ends the session."""
        while True:
            typed = self._read()
            if typed is None:
                return Answer(command="quit")
            found = self.understand(typed)
            if isinstance(found, Answer):
                return found
            self.console.print(Text(found, style="yellow"))

    def understand(self, typed: str) -> Answer | str:
        """A label by its name, its key or its name's beginning, or a command; else what is wrong."""
        if typed in self.labels:
            return Answer(typed)
        if typed in self.keys:
            return Answer(self.labels[self.keys.index(typed)])
        if typed.removeprefix(":") in (*self.commands, *self.commands.values()):
            name = typed.removeprefix(":")
            return Answer(command=self.commands.get(name) or name)  # type: ignore[arg-type]
        begun = [label for label in self.labels if typed and label.casefold().startswith(typed.casefold())]
        if len(begun) == 1 and not self.by_key:
            return Answer(begun[0])
        if len(begun) > 1 and not self.by_key:
            return f"'{typed}' begins {len(begun)} labels: {', '.join(begun[:10])}{'…' if len(begun) > 10 else ''}"
        return f"'{harmless(typed)}' is no label. {did_you_mean(typed, self.labels)}s skips, u takes back, q ends."

    def _read(self) -> str | None:
        if self.by_key:
            return self._read_key()
        line = sys.stdin.readline()
        return line.strip() if line else None

    def _read_key(self) -> str | None:
        import click

        if not self.typed:
            try:
                keys = click.getchar()
            except EOFError:  # Ctrl-D
                return None
            # An arrow or the like is one key; other signs that come together were typed ahead.
            self.typed.extend([keys] if keys.startswith("\x1b") else keys)
        return self.typed.popleft()

    def read_line(self, prompt: str) -> str:
        """A line that a person types after a question of its own; empty at the end of stdin."""
        self.console.print(Text(prompt, style="dim"), end=" ")
        return sys.stdin.readline().strip()

    def legend(self) -> Columns | Text:
        """The keys and what they mean."""
        if not self.keys:
            return Text("Type the beginning of a label; :s skips, :u takes the last one back, :q ends.", style="dim")
        pairs = [*zip(self.keys, self.labels, strict=True), *self.commands.items()]
        return Columns([Text.assemble((key, "bold cyan"), f" {name}") for key, name in pairs], padding=(0, 3))


def ask(session: Session, asker: Asker, *, limit: int | None = None) -> None:
    """Asks until there is nothing left to ask, enough was labelled, or the person ends it."""
    console = asker.console
    if session.journal.torn_bytes:
        console.print(Text("The last line was half written, and was cut off; its label is asked for again.", "yellow"))
    if session.pool.distinct > len(session.pool.candidates):
        told = (
            f"Of {session.pool.distinct:,} distinct texts {len(session.pool.candidates):,} are considered, by chance."
        )
        console.print(Text(told, style="dim"))
    while (limit is None or session.given < limit) and (candidate := session.next()) is not None:
        _show(session, candidate, asker)
        answer = asker.answer()
        if answer.command == "quit":
            return
        if answer.command == "skip":
            session.skip(candidate)
        elif answer.command == "undo":
            taken = session.undo()
            told = f"Took back '{taken.label}'." if taken else "There is no label to take back."
            console.print(Text(told, style="yellow"))
        else:
            labelled = session.label(candidate, answer.label)
            differs = labelled.predicted is not None and labelled.predicted != labelled.label
            more = f"  (the model would have said {labelled.predicted})" if differs else ""
            console.print(Text.assemble((f"→ {labelled.label}", "green"), (more, "dim")))


def _show(session: Session, candidate: Candidate, asker: Asker) -> None:
    """The question: how far the session is, the text, and the keys."""
    agreement = session.agreement()
    told = f"{len(session.journal.labelled):,} labelled, {session.left:,} left"
    if agreement.recent_asked:
        told += f"; the model agreed on {agreement.recent_agreed} of the last {agreement.recent_asked}"
    asker.console.print()
    asker.console.print(Text(f"{told}  ·  {candidate.source}:{candidate.line}", style="dim"))
    asker.console.print(Padding(Text(harmless(candidate.text), style="bold"), (1, 2)))
    asker.console.print(asker.legend())


def harmless(text: str) -> str:
    """A text that neither moves the cursor nor colours the screen."""
    return "".join(sign if sign.isprintable() or sign in "\n\t" else "\ufffd" for sign in text)


def show_session(found: Mapping[str, Any]) -> None:
    """How a session ended."""
    console = Console(highlight=False)
    console.print(Text(f"\n{found['now']:,} labels more, {found['labelled']:,} in all, in {found['output']}"))
    for label, count in found["counts"].items():
        console.print(Text(f"  {count:>7,}  {label}"))
    model = found["model"]
    if model["asked"]:
        share = model["agreed"] / model["asked"]
        console.print(
            Text(
                f"The model that learned along was right {model['agreed']:,} of {model['asked']:,} times ({share:.0%})."
            )
        )
        console.print(
            Text("It is asked where it is least sure: on rows drawn by chance it would be right more often.", "dim")
        )
    console.print(Text(f"{found['left']:,} considered texts have no label; the same command goes on."))


def show_agreement(agreement: Agreement) -> None:
    """How far two people agree, and where they do not."""
    console = Console(highlight=False)
    share = agreement.agreed / agreement.both
    console.print(Text(f"{agreement.both:,} texts have both labels; {agreement.agreed:,} of them agree ({share:.1%})."))
    alone = f"{agreement.only_first:,} only the first has, {agreement.only_second:,} only the second."
    console.print(Text(alone, style="dim"))
    if agreement.kappa is None:
        console.print(Text("Cohen's kappa is not defined: both used one and the same label throughout."))
    else:
        console.print(Text(f"Cohen's kappa: {agreement.kappa:.3f}  (1: full agreement, 0: what chance gives)", "bold"))
    for one, other, count in agreement.confused:
        console.print(Text(f"  {count:>5,}  {one} / {other}"))
    for each in agreement.disagreements[:_SHOWN_DISAGREEMENTS]:
        text = each.text if len(each.text) <= _LONGEST_TEXT else f"{each.text[:_LONGEST_TEXT]}…"
        console.print(Text.assemble("\n", harmless(text), (f"\n  {each.first} / {each.second}", "yellow")))
    left = len(agreement.disagreements) - _SHOWN_DISAGREEMENTS
    if left > 0:
        console.print(Text(f"\n… and {left:,} more; --json lists all of them.", style="dim"))
