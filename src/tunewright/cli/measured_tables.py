"""What was measured on some rows, as a table that fits 80 columns: each score with its interval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tunewright.lifecycle.report import comparison, words

# What stands beside the metrics in a system's scores.
NO_METRICS = ("cut", "seconds", "not_covered")


def show_measured(
    evaluation: Mapping[str, Any], systems: Mapping[str, str], *, title: str, lines: Sequence[str] = ()
) -> None:
    """Prints scores, and what is odd about the answers.

    Args:
        evaluation: `evaluate.Evaluation.as_json()`.
        systems: What to call each system in it.
        title: Stands above.
        lines: Sentences to print below.
    """
    console = Console(highlight=False)
    console.print(Text(f"\n{title} (95 % intervals)", style="bold"))
    console.print(measured_table(evaluation, systems))
    for line in lines:
        console.print(Text(line))


def measured_table(evaluation: Mapping[str, Any], systems: Mapping[str, str]) -> Table:
    """Metrics by systems, each value above its 95 % interval."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1))
    table.add_column("Metric")
    for shown in systems.values():
        table.add_column(shown, justify="right", overflow="fold")
    found = [name for system in systems for name in evaluation[system] if name not in NO_METRICS]
    for metric in dict.fromkeys(found):
        table.add_row(words.metric_name(metric), *(score(metric, evaluation[system].get(metric)) for system in systems))
    without = evaluation.get("without_leaked", {})
    for system in systems:
        if system in without:
            metric, value = next(iter(without[system].items()))
            name = f"{words.metric_name(metric)}, without the {without['rows']:,} rows seen in training"
            table.add_row(name, *(score(metric, value) if each == system else Text("–") for each in systems))
    return table


def score(metric: str, found: Mapping[str, Any] | None) -> Text:
    """A value above its interval; a dash where there is none."""
    if found is None:
        return Text("–", style="dim")
    share = words.is_share(metric)
    text = Text(words.score(found["value"], share=share))
    return text.append(f"\n{words.interval(found['low'], found['high'], share=share)}", style="not bold dim")


def tests_table(differences: Sequence[Mapping[str, Any]]) -> Table:
    """Paired tests, a line each: how far apart, how surely, and what could have been seen."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1))
    for head, right in (("Pair", False), ("Metric", False), ("Difference", True), ("p", True), ("Seen from", True)):
        table.add_column(head, justify="right" if right else "left", overflow="fold")
    for found in differences:
        line = comparison.test_line(found)
        style = {"yes": "green", "no": "red"}.get(line["state"], "")
        apart = Text(line["value"], style=style).append(f"\n{line['interval']}", style="not bold dim")
        table.add_row(line["pair"], line["name"], apart, line["corrected"], line["detectable"])
    return table
