"""The live view of a run: one listener that draws bars in a terminal, and plain lines elsewhere. Always on stderr."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task
from rich.table import Column
from rich.text import Text

from tunewright.base.events import Event, Message, Metrics, Stage

_PLAIN_EVERY_S = 5.0
_NAME_WIDTH = 21
# A rate over a handful of things says nothing.
_FEWEST_FOR_PACE = 10
# Units a second; below it, time left is a guess in years.
_SLOWEST = 1e-6
_LEVEL_STYLE = {"info": "", "warning": "yellow", "error": "bold red"}
# The one number of a stage's metrics that is worth a place in 80 columns, by preference.
# The first that is there is shown. Where answers are drawn, the loss says nothing.
_SHOWN_METRICS = {
    "reward": "reward",
    "loss": "loss",
    "validation_reward": "val. reward",
    "validation_loss": "val. loss",
}


@contextlib.contextmanager
def progress(console: Console | None = None) -> Iterator[Bars | PlainLines]:
    """Yields a listener that shows events as they come.

    Args:
        console: Where to draw; by default stderr. Bars if it is a terminal, else lines every few seconds.
    """
    console = console or Console(stderr=True, highlight=False)
    if not console.is_terminal:
        yield PlainLines(console)
        return
    columns = (_Name(_one_line()), BarColumn(12), _Amount(_one_line()), _Pace(_one_line()), _Latest(_one_line()))
    bars = Progress(*columns, console=console, refresh_per_second=4)
    with bars:
        yield Bars(bars)


def _one_line() -> Column:
    return Column(no_wrap=True, overflow="ellipsis")


@dataclass
class Bars:
    """Draws one bar per stage, in the order in which stages begin."""

    bars: Progress
    tasks: dict[str, Task] = field(default_factory=dict)

    def __call__(self, event: Event) -> None:
        if isinstance(event, Stage):
            self._stage(event)
        elif isinstance(event, Metrics):
            self._metrics(event)
        elif isinstance(event, Message):
            self.bars.console.print(Text(event.text, style=_LEVEL_STYLE[event.level]))

    @property
    def console(self) -> Console:
        """Where else to print; what is printed there stands above the bars."""
        return self.bars.console

    def _metrics(self, event: Metrics) -> None:
        task = self.tasks.get(event.stage)
        if task is None:
            return
        self.bars.update(task.id, completed=event.step, total=event.total or None, unit=task.fields["unit"] or "steps")
        if shown := shown_metric(event.values):
            self.bars.update(task.id, latest=shown)

    def _stage(self, event: Stage) -> None:
        if event.name not in self.tasks or event.status == "started":
            self._begin(event)
        task = self.tasks[event.name]
        if event.status in ("finished", "skipped"):
            total = event.total or task.total or 1
            self.bars.update(task.id, total=total, completed=event.done or total, end=event.status, note=event.note)
            self.bars.stop_task(task.id)
        else:
            self.bars.update(task.id, total=event.total or None, completed=event.done, unit=event.unit, note=event.note)

    def _begin(self, event: Stage) -> None:
        if (old := self.tasks.get(event.name)) is not None:
            self.bars.remove_task(old.id)  # a stage that begins again (after a resume) takes its old place's bar
        number = self.bars.add_task(event.name, total=event.total or None, unit=event.unit, note="", latest="", end="")
        self.tasks[event.name] = next(task for task in self.bars.tasks if task.id == number)


@dataclass
class PlainLines:
    """Prints lines: where a stage begins and ends, and at most every few seconds how far it is."""

    console: Console
    every_s: float = _PLAIN_EVERY_S
    started: dict[str, float] = field(default_factory=dict)
    # Where each stage stood when it was first heard of: a resumed one begins in the middle, and its rate does not.
    first: dict[str, tuple[int, float]] = field(default_factory=dict)
    latest: dict[str, str] = field(default_factory=dict)
    printed_at: float = field(default_factory=time.monotonic)

    def __call__(self, event: Event) -> None:
        if isinstance(event, Stage):
            self._stage(event)
        elif isinstance(event, Metrics):
            self.latest[event.stage] = shown_metric(event.values) or self.latest.get(event.stage, "")
            self._progress(Stage(event.stage, "progress", event.step, event.total, "steps"))
        elif isinstance(event, Message):
            self._print(event.text if event.level == "info" else f"{event.level}: {event.text}")

    def _stage(self, event: Stage) -> None:
        now = time.monotonic()
        if event.status == "started":
            self.started[event.name] = now
            self.first.pop(event.name, None)
            self._print(f"{event.name}: started")
        elif event.status == "progress":
            self._progress(event)
        elif event.status == "skipped":
            self._print(f"{event.name}: skipped{_in_brackets(event.note)}")
        else:
            seconds = now - self.started.pop(event.name, now)
            self._print(f"{event.name}: finished in {clock(seconds)}{_in_brackets(event.note)}")

    def _progress(self, event: Stage) -> None:
        now = time.monotonic()
        done, since = self.first.setdefault(event.name, (event.done, now))
        if now - self.printed_at >= self.every_s:
            self._print(self._line(event, (event.done - done) / (now - since) if now > since else 0.0))

    def _line(self, event: Stage, rate: float) -> str:
        parts = [f"{event.name}: {amount(event.done, event.total, event.unit)}"]
        parts += [pace(event.done, event.total, rate, event.unit), self.latest.get(event.name, ""), event.note]
        return " ".join(part for part in parts if part)

    def _print(self, text: str) -> None:
        self.printed_at = time.monotonic()
        self.console.print(Text(text), soft_wrap=True)


class _Name(ProgressColumn):
    def render(self, task: Task) -> Text:
        style = "" if task.fields["end"] else "bold"
        return Text(f"{_shortened(task.description):<12}", style=style)


def _shortened(name: str) -> str:
    return name if len(name) <= _NAME_WIDTH else f"{name[: _NAME_WIDTH - 1]}…"


class _Amount(ProgressColumn):
    def render(self, task: Task) -> Text:
        if task.fields["end"]:
            mark = "✓" if task.fields["end"] == "finished" else "– skipped"
            return Text(mark, style="green" if mark == "✓" else "dim")
        return Text(amount(int(task.completed), int(task.total or 0), task.fields["unit"]))


class _Pace(ProgressColumn):
    max_refresh = 0.5

    def render(self, task: Task) -> Text:
        seconds = task.elapsed or 0.0
        if task.fields["end"]:
            return Text("" if task.fields["end"] == "skipped" else clock(seconds), style="dim")
        done, total = int(task.completed), int(task.total or 0)
        return Text(pace(done, total, task.speed or 0.0, task.fields["unit"]) or clock(seconds), style="cyan")


class _Latest(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(task.fields["latest"] or task.fields["note"], style="dim", overflow="ellipsis", no_wrap=True)


def shown_metric(values: dict[str, float]) -> str:
    """The metric to show beside a bar, as `loss 0.412`; empty if there is none."""
    return next((f"{said} {values[name]:.3f}" for name, said in _SHOWN_METRICS.items() if name in values), "")


def amount(done: int, total: int, unit: str) -> str:
    """`120/625 steps`, or `120 rows` where the total is not known."""
    if unit == "bytes":
        return f"{done / 1e6:,.1f}/{total / 1e6:,.1f} MB" if total else f"{done / 1e6:,.1f} MB"
    if not total:
        return f"{done:,} {unit}".strip() if done else ""
    return f"{done:,}/{total:,} {unit}".strip()


def pace(done: int, total: int, rate: float, unit: str = "") -> str:
    """`4.1/s 2:03 left`, by a rate in units a second; empty while there is none."""
    if rate < _SLOWEST or 0 < total < _FEWEST_FOR_PACE:
        return ""
    shown = f"{rate:,.0f}/s" if rate >= 10 else f"{rate:.1f}/s" if rate >= 0.1 else f"{1 / rate:,.0f} s each"
    if unit == "bytes":
        shown = f"{rate / 1e6:,.1f} MB/s"
    return f"{shown} {clock((total - done) / rate)} left" if total > done else shown


def clock(seconds: float) -> str:
    """`0.8 s`, `2:03` or `1:02:03`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _in_brackets(note: str) -> str:
    return f" ({note})" if note else ""
