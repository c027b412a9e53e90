"""A plan, as tables that fit 80 columns."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tunewright.cli.next_steps import command, show_next
from tunewright.lifecycle.report import words

if TYPE_CHECKING:
    from tunewright.plan.edit import Edit
    from tunewright.plan.predict import Option, Plan

_CAUSES = {
    "process": "program and libraries",
    "weights": "weights",
    "gradients": "gradients",
    "optimiser": "optimiser",
    "copies": "best weights so far",
    "activations": "activations",
    "attention": "attention",
    "head": "output layer",
    "allocator": "lost to the allocator",
}


def show_plan(found: Plan, *, recipe: Path, overrides: Sequence[str], edit: Edit | None) -> None:
    """All of a plan: what has to be done, what it takes, what was measured, and what would make it fit."""
    console = Console(highlight=False)
    for line in head_lines(found):
        console.print(Text(line))
    console.print(memory_table(found))
    for line in regime_lines(found):
        console.print(Text(line))
    for line in measured_lines(found):
        console.print(Text(line))
    console.print(verdict(found))
    for change in found.changes:
        console.print(Text(f"  {change.text}: {words.size(change.peak_bytes)}; {change.cost}."))
    if edit is not None:
        console.print(Text(f"Written into {recipe}:", style="bold"))
        console.print(Text(edit.diff.rstrip()), soft_wrap=True)
    given = [word for override in overrides for word in ("--set", override)]
    if found.fits or edit is not None:
        show_next([("train, measure, release", command("run", recipe, *given))])
    elif found.changes and not found.fits_memory:
        show_next([("write the first of them into the recipe", command("plan", recipe, *given, "--fix"))])


def head_lines(found: Plan) -> list[str]:
    """What is planned, where, and how much there is to do."""
    work, device = found.work, found.device
    timed = "timed now" if device.is_here else "its maker says"
    lines = [
        f"{found.recipe.name}: {found.recipe.base}, {words.count(found.size.parameters)} parameters, {found.dtype}",
        f"On {device.label}: {words.size(device.memory_bytes)} of memory"
        f"{' free' if device.is_here else ''}, {device.best_product(found.dtype):.3g} TFLOP/s ({timed})",
    ]
    if work.is_known:
        saved = words.percent(1 - 1 / max(1.0, work.sharing))
        lines.append(f"{words.rows(work.rows)} to learn from ({found.note}), {work.steps:,} steps;")
        lines.append(f"what rows of a step share saves {saved} of their tokens.")
    else:
        rows = f"about {words.rows(work.rows)}" if work.rows else "an unknown number of rows"
        lines.append(f"Assumed: {rows} of {found.recipe.data.max_length:,} tokens each that share nothing, since")
        lines.append(f"{found.note}.")
    lines.append(f"The largest piece of a step: {work.worst.nodes:,} nodes, of which {work.worst.sources:,} predict.")
    return lines


def memory_table(found: Plan) -> Table:
    """Causes by ways to train, with time and disk below."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), title="At the peak", title_justify="left", title_style="bold")
    table.add_column("")
    for option in found.options:
        own = option.name == "recipe"
        title = f"{option.method.plugin}\n(as it stands)" if own else f"{option.name}\n"
        table.add_column(title, justify="right", style="bold" if own else "")
    for cause, name in _CAUSES.items():
        held = [option.memory.causes()[cause] for option in found.options]
        if any(held):
            table.add_row(name, *(words.size(each) if each else "–" for each in held))
    table.add_section()
    table.add_row("memory in all", *(words.size(option.memory.total) for option in found.options))
    table.add_row("fits", *(Text("yes", "green") if option.fits else Text("no", "red") for option in found.options))
    table.add_row("time", *(_time(option) for option in found.options))
    table.add_row("disk", *(words.size(option.disk_bytes) for option in found.options))
    return table


def regime_lines(found: Plan) -> list[str]:
    """What a weight costs in each way, and what training in full costs by precision."""
    from tunewright.plan.predict import REGIMES, full_state_bytes

    lines = [f"{option.method.plugin}: {option.regime}." for option in found.options]
    totals = full_state_bytes(found.size)
    lines.append("In full, before any activations:")
    lines += [f"  {words.size(totals[each])} at {each} bytes a parameter ({REGIMES[each]})" for each in REGIMES]
    return lines


def measured_lines(found: Plan) -> list[str]:
    """What the measured step took, and how far the account was off."""
    measured = found.measured
    if measured is None:
        return []
    if measured.was_killed:
        return ["\nMeasured: the system ended the step for want of memory."]
    error = found.error or 0.0
    side = "below" if error < 0 else "above"
    return [
        f"\nMeasured: {words.size(measured.peak_bytes)} at the peak, {words.duration(measured.step_s)} for the longest",
        f"step of {measured.nodes:,} nodes; the account is {words.percent(abs(error))} {side} that. Times go by it.",
    ]


def verdict(found: Plan) -> Text:
    """Whether it fits."""
    if not found.fits_memory:
        return Text("✗ It does not fit. What would make it fit:" if found.changes else "✗ It does not fit.", "bold red")
    if not found.fits_disk:
        free = words.size(found.disk_free_bytes)
        return Text(f"✗ It fits in memory, but not on the disk, where {free} are free.", "bold red")
    return Text("✓ It fits.", "bold green")


def _time(option: Option) -> str:
    return words.duration(option.seconds) if option.seconds else "unknown"
