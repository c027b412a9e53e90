"""Edits word by word, within 80 columns: what goes in red and [-brackets-], what comes in green and {+braces+}."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from tunewright.cli.next_steps import command, show_next
from tunewright.data.augmenting import STEP as AUGMENT
from tunewright.data.ledger import word_diff
from tunewright.data.personal.keys import is_sealed

if TYPE_CHECKING:
    from tunewright.data.ledger import Comparison, Ledger
    from tunewright.lifecycle.undoing import Undone

# Of what did not change so much is shown on either side of what did.
_BESIDE_CHARACTERS = 30
_LONGEST_RECORD_CHARACTERS = 400
_STYLES = {"gone": "red", "new": "green"}
_MARKS = {"gone": ("[-", "-]"), "new": ("{+", "+}")}
_SIGNS = {" ": "·", "\n": "⏎", "\r": "␍", "\t": "⇥", "\u00a0": "⍽"}
_WHAT = {"added": "green", "removed": "red", "changed": "yellow", "moved": "cyan"}


def show_ledger(ledger: Ledger, *, whole: bool) -> None:
    """Counts by step and column, then the first edits.

    Args:
        whole: Whether texts are shown from end to end, and not only what stands beside a change.
    """
    console = _stdout()
    console.print(Text(f"Dataset {ledger.dataset[:12]}: {ledger.total:,} edits on record."))
    if not ledger.total:
        return
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1))
    for name in ("Step", "Column"):
        table.add_column(name, overflow="fold")
    table.add_column("Edits", justify="right")
    for count in ledger.counts:
        rows = "rows added" if count.step == AUGMENT else "rows dropped"
        column = Text(count.field) if count.field else Text(rows, "dim")
        table.add_row(Text(count.step), column, f"{count.edits:,}")
    console.print(table)
    for edit in ledger.edits.iter_rows(named=True):
        _show_edit(console, edit, whole)
    _show_rest(console, ledger.total - ledger.edits.height, "edits", "--step and --row narrow them down")


def show_comparison(comparison: Comparison) -> None:
    """Counts by what became of the rows, then some rows."""
    console = _stdout()
    console.print(Text(f"From dataset {comparison.first[:12]} to {comparison.second[:12]}:"))
    counts = comparison.counts
    console.print(Text("  " + ", ".join(f"{count:,} rows {what}" for what, count in counts.items())))
    for change in comparison.changes:
        console.print()
        head = Text.assemble((change.what, f"bold {_WHAT[change.what]}"), (f"  {change.place}  row {change.id}", "dim"))
        before, after = change.parts
        if before != after:
            head.append(f"  {before or 'nowhere'} → {after or 'nowhere'}", style="cyan")
        console.print(head)
        if change.what != "moved":
            console.print(Padding(changed_text(change.before, change.after, whole=False), (0, 0, 0, 2)))
    differing = sum(count for what, count in counts.items() if what != "same")
    _show_rest(console, differing - len(comparison.changes), "rows", "")


def show_undone(undone: Undone) -> None:
    """A dataset without some edits: what came back, what later steps did, and how it stays so."""
    console = _stdout()
    taken = ", ".join(f"{count:,} of {step}" for step, count in undone.taken.items())
    console.print(Text(f"\nTaken back: {taken}."))
    if "redact" in undone.taken:
        console.print(Text("What redact had hidden stands in the dataset again.", style="yellow"))
    for step in undone.steps:
        for what in ("changed", "dropped"):
            old, new = step[what]
            if old != new:
                console.print(Text(f"  {step['step']}: {what} {old:,} before, {new:,} now"))
    splits = ", ".join(f"{rows:,} {name}" for name, rows in undone.dataset.manifest["splits"].items())
    console.print(Text(f"Dataset {undone.dataset.hash[:12]}, made from {undone.parent.hash[:12]}: {splits} rows."))
    if undone.recipe:
        console.print(Text(f"Written into {undone.recipe}: the next preparation keeps to it."))
    else:
        console.print(Text("So that the next preparation keeps to it, say in the recipe (or give --recipe):"))
        for name, value in undone.fields.items():
            section, _, key = name.partition(".")
            console.print(Text(f"  {section}.{key}: {json.dumps(value, ensure_ascii=False)}"), soft_wrap=True)
    show_next(
        [
            (
                "what became of the rows",
                command("data", "diff", undone.parent.hash[:12], undone.dataset.hash[:12], workspace=undone.workspace),
            )
        ]
    )


def _show_edit(console: Console, edit: Mapping[str, Any], whole: bool) -> None:
    is_added = edit["step"] == AUGMENT
    console.print()
    console.print(
        Text.assemble(
            (str(edit["step"]), "bold"),
            f" {edit['field']}" if edit["field"] else (" added", "green") if is_added else (" dropped", "red"),
            (f"  {edit['source']}:{edit['line']}  row {edit['row_id']}", "dim"),
        )
    )
    console.print(Padding(Text(str(edit["reason"]), style="dim italic"), (0, 0, 0, 2)))
    if edit["field"]:
        told = changed_text(edit["before"], edit["after"], whole=whole)
    else:
        record = edit["after"] if is_added else edit["before"]
        told = Text(_shortened(visible(str(record), spaces=False), whole))
    console.print(Padding(told, (0, 0, 0, 2)))


def changed_text(before: str | None, after: str | None, *, whole: bool) -> Text:
    """A text before and after in one, word by word; an empty cell is called so."""
    told = Text()
    if before is None or after is None or is_sealed(before):
        for kind, text in (("gone", "(sealed)" if is_sealed(before) else before), ("new", after)):
            told.append(_marked(kind, "(no value)" if text is None else visible(text)), style=_STYLES[kind])
        return told
    spans = word_diff(before, after)
    for place, span in enumerate(spans):
        if span.kind == "same":
            text = visible(span.text, spaces=False)
            told.append(text if whole else _context(text, place == 0, place == len(spans) - 1))
        else:
            told.append(_marked(span.kind, visible(span.text)), style=_STYLES[span.kind])
    return told


def visible(text: str, *, spaces: bool = True) -> str:
    """A text with signs for what cannot be seen: control and format characters, and, if asked, white space."""
    shown = []
    for sign in text:
        if spaces and sign in _SIGNS:
            shown.append(_SIGNS[sign])
        elif unicodedata.category(sign) in ("Cc", "Cf", "Co", "Zl", "Zp") and sign not in "\n\t":
            shown.append(f"<U+{ord(sign):04X}>")
        else:
            shown.append(sign)
    return "".join(shown)


def _marked(kind: str, text: str) -> str:
    opening, closing = _MARKS[kind]
    return f"{opening}{text}{closing}"


def _context(text: str, is_first: bool, is_last: bool) -> str:
    """What stands beside a change, without the rest."""
    head = "" if is_first else text[:_BESIDE_CHARACTERS]
    tail = "" if is_last else text[-_BESIDE_CHARACTERS:]
    if len(text) <= len(head) + len(tail) + 3:
        return text
    return f"{head}{' ' if head else ''}…{' ' if tail else ''}{tail}"


def _shortened(text: str, whole: bool) -> str:
    cut = _LONGEST_RECORD_CHARACTERS
    return text if whole or len(text) <= cut else f"{text[:cut]} … ({len(text) - cut:,} characters more)"


def _show_rest(console: Console, left: int, what: str, advice: str) -> None:
    if left > 0:
        how = f"--limit shows more{f', {advice}' if advice else ''}"
        console.print(Text(f"\n… and {left:,} more {what}; {how}.", "dim"))


def _stdout() -> Console:
    return Console(highlight=False)
