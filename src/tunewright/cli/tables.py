"""What a run found, as tables that fit 80 columns: the look before training, and the scores before and after."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from tunewright.cli.next_steps import command, show_next
from tunewright.lifecycle.report import gate as gate_words
from tunewright.lifecycle.report import slices, sure, words

if TYPE_CHECKING:
    from tunewright.data.dataset import Dataset
    from tunewright.data.preflight import Preflight
    from tunewright.lifecycle.pipeline import RunResult
    from tunewright.lifecycle.stages import Adapter

_SYSTEMS = ("base", "base_few_shot", "bag_of_words", "champion", "tuned")
_IN_SENTENCES = {
    "base": "the base model",
    "base_few_shot": "the base model with worked examples",
    "bag_of_words": "the bag of words",
    "champion": "the newest release",
}
_NO_METRICS = ("cut", "seconds", "not_covered")
_DEMO_MESSAGE = "My Lumo lamp arrived broken. Order A1042 of 14 March 2025. Please send a new one today!"


def show_result(result: RunResult, *, is_demo: bool = False) -> None:
    """A finished run: scores, verdicts, where the report lies, and what to do next."""
    show_scores(result.evaluation, result.verdicts, result.gate)
    console = _stdout()
    total = sum(cost["seconds"] for cost in result.timings.values())
    peak = max(cost["peak_memory_bytes"] for cost in result.timings.values())
    made = f"Released as {result.release}" if result.release else "Not released: the gate was missed. It took"
    took = f"in {words.duration(total)}" if result.release else words.duration(total)
    console.print(Text(f"\n{made} {took}, at most {words.size(peak)} of memory."))
    if result.release and not all(verdict["passed"] for verdict in result.verdicts):
        console.print(Text("It missed what the recipe calls success, and is stored with that verdict.", style="yellow"))
    console.print(Text(f"Report: {result.report}"), soft_wrap=True)
    if not result.release:
        despite = command("models", "release", result.run, "--despite", "WHY", workspace=result.workspace)
        show_next([("look at the run", command("runs", "show", result.run, workspace=result.workspace))])
        console.print(Text(f"To release it all the same, on your word: {despite}"), soft_wrap=True)
        return
    name, workspace = result.release.partition("@")[0], result.workspace
    said = ["--message", _DEMO_MESSAGE] if is_demo else []
    show_next(
        [
            ("ask it something", command("chat", name, *said, workspace=workspace)),
            ("its scores and files", command("models", "show", name, workspace=workspace)),
            ("where it came from", command("models", "lineage", name, workspace=workspace)),
        ]
    )


def show_scores(
    evaluation: Mapping[str, Any], verdicts: Sequence[Mapping[str, Any]], gate: Sequence[Mapping[str, Any]] = ()
) -> None:
    """The table before and after, the paired tests in words, what the recipe calls success, and the gate."""
    console = _stdout()
    console.print()
    console.print(scores_table(evaluation))
    for line in comparison_lines(evaluation):
        console.print(Text(line))
    told = [sure.lines, challenger_lines, finding_lines, slices.lines]
    for line in (line for lines in told for line in lines(evaluation)):
        console.print(Text(line))
    for verdict in verdicts:
        console.print(_verdict_line(verdict))
    for ruling in gate:
        console.print(_gate_line(ruling))


def scores_table(evaluation: Mapping[str, Any]) -> Table:
    """Metrics by systems, each value above its 95 % interval."""
    systems = [system for system in _SYSTEMS if system in evaluation]
    title = f"Before and after, on {evaluation['n']:,} held-out rows (95 % intervals)"
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, padding=(0, 1))
    table.add_column("Metric", no_wrap=False, max_width=20)
    for system in systems:
        table.add_column(words.system_name(system), justify="right", style="bold green" if system == "tuned" else "")
    for metric in _metrics(evaluation, systems):
        table.add_row(words.metric_name(metric), *(_score(metric, evaluation[s].get(metric)) for s in systems))
    if "without_leaked" in evaluation:
        clean = evaluation["without_leaked"]
        metric = next(iter(evaluation["tuned"]))
        table.add_row(
            f"{words.metric_name(metric)}, without the {clean['rows']:,} rows that stand in train",
            *(_score(metric, clean.get(s, {}).get(metric)) for s in systems),
        )
    return table


def comparison_lines(evaluation: Mapping[str, Any]) -> list[str]:
    """The exact McNemar tests, a sentence each."""
    return [
        f"{words.metric_name(test['metric'])}: {words.rows(test['only_a'])} only the tuned model has right, "
        f"{words.count(test['only_b'])} only {_in_sentence(test['b'])} has "
        f"(exact McNemar test, p {sure.p(test['p'])}, corrected {sure.p(test.get('p_corrected', test['p']))})."
        for test in evaluation["comparisons"]
    ]


def challenger_lines(evaluation: Mapping[str, Any]) -> list[str]:
    """What the tuned model reaches on the challenger set, beside the base, a sentence for each metric."""
    apart = evaluation.get("challenger", {})
    sentences = []
    for metric in _metrics(apart, []):
        tuned, base = (_score(metric, apart.get(name, {}).get(metric)).plain.split("\n") for name in ("tuned", "base"))
        beside = f", the base {base[0]}" if metric in apart.get("base", {}) else ""
        sentences.append(
            f"On the challenger set ({words.rows(apart['n'])}): {words.metric_name(metric)} {' '.join(tuned)}{beside}."
        )
    return sentences


def finding_lines(evaluation: Mapping[str, Any]) -> list[str]:
    """What probes found, a sentence each."""
    return [
        f"{finding['title']}: {words.plain(finding['value'])}"
        + ("" if finding["base"] is None else f", the base {words.plain(finding['base'])}")
        + f" ({finding['better']} is better, {words.count(finding['n'])} cases)."
        for finding in evaluation.get("findings", {}).values()
    ]


def preflight_table(found: Preflight) -> list[RenderableType]:
    """The look before training: a table, warnings, and rendered rows with what is learned in colour."""
    table = Table(box=box.SIMPLE, show_header=False, padding=(0, 1), title="Before training", title_justify="left")
    table.title_style = "bold"
    table.add_column(style="dim", no_wrap=True)
    table.add_column()
    for what, value in _preflight_rows(found):
        table.add_row(what, value)
    parts: list[RenderableType] = [table]
    parts += [Text(f"! {warning}", style="yellow") for warning in found.warnings]
    if found.previews:
        what = "its answers are drawn" if found.drawn else "what it learns to write is ⟦green, in brackets⟧"
        parts.append(Text(f"Rows as the model reads them; {what}:", style="bold"))
    for shown in found.previews:
        parts.append(Text(f"{shown.place}", style="dim"))
        parts.append(Text.assemble(*(_span(span.text, learned=span.learned) for span in shown.spans)))
        if shown.rejected:
            parts.append(Text(f"and learns to prefer it to: {shown.rejected}", style="red"))
    return parts


def _span(text: str, *, learned: bool) -> tuple[str, str]:
    return (f"⟦{text}⟧", "bold green") if learned else (text, "")


def show_training(adapter: Adapter, *, run: str, recipe: Path, overrides: Sequence[str], workspace: Path) -> None:
    """A trained adapter, and how to measure it."""
    curves = adapter.curves
    done, validation = len(curves["train"]), curves["validation"]
    best = f"; best validation loss {min(loss for _, loss in validation):.3f}" if validation else ""
    if rewards := curves.get("rewards"):
        best = f"; the mean reward went from {rewards[0][1]:.3f} to {rewards[-1][1]:.3f}"
    early = ", stopped early" if curves["stopped_early"] else ""
    console = _stdout()
    console.print(Text(f"\nTrained for {done:,} of {curves['steps']:,} steps{early}{best}."))
    console.print(Text(f"Adapter: {adapter.stored.path}"), soft_wrap=True)
    given = _as_options(overrides)
    show_next(
        [
            ("measure it", command("eval", recipe, *given, workspace=workspace)),
            ("measure, release, report", command("run", recipe, *given, "--resume", run, workspace=workspace)),
        ]
    )


def show_dataset(dataset: Dataset, *, recipe: Path, overrides: Sequence[str], workspace: Path) -> None:
    """A prepared dataset, and how to train on it."""
    splits = ", ".join(f"{rows:,} {name}" for name, rows in dataset.manifest["splits"].items())
    console = _stdout()
    console.print(Text(f"\nDataset {dataset.hash[:12]}: {splits} rows."))
    console.print(Text(f"Its tables, edits and refused rows: {dataset.path}"), soft_wrap=True)
    show_next([("train, measure, release", command("run", recipe, *_as_options(overrides), workspace=workspace))])


def _preflight_rows(found: Preflight) -> list[tuple[str, str]]:
    rows = [
        ("records", f"{found.rows:,} read, {found.refused:,} refused"),
        ("examples", f"{found.examples:,} to learn from and to validate with, {found.usable:,} of them usable"),
    ]
    if found.lengths:
        rows.append(("tokens in one", f"{_quantiles(found.lengths)} (limit {found.max_length:,})"))
    if found.learned_lengths:
        rows.append(("learned of them", _quantiles(found.learned_lengths)))
    rows.append(("too long", f"{found.too_long:,} ({words.percent(found.too_long / max(1, found.examples))})"))
    if found.truncated:
        rows.append(("cut to the limit", f"{found.truncated:,}, {found.lost:,} of them in what should be learned"))
    if found.split:
        rows.append(("split to the limit", f"{found.split:,}, into {found.split_rows:,} rows"))
    rows.append(("nothing to learn", f"{found.no_target:,}"))
    if found.drawn:
        rows.append(("answers", f"drawn, of {found.drawn:,} tokens at most"))
    elif found.classes:
        rows.append(("classes", f"{found.classes:,}"))
    else:
        rows.append(("end token learned", words.percent(found.end_share)))
    return rows


def _quantiles(lengths: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {lengths[name]:,}" for name in ("min", "p50", "p95", "max") if name in lengths)


def _metrics(evaluation: Mapping[str, Any], systems: Sequence[str]) -> list[str]:
    names = (name for system in ("tuned", *systems) for name in evaluation.get(system, {}))
    return [name for name in dict.fromkeys(names) if name not in _NO_METRICS]


def _score(metric: str, score: Mapping[str, Any] | None) -> Text:
    if score is None:
        return Text("–", style="dim")
    share = words.is_share(metric)
    text = Text(words.score(score["value"], share=share))
    return text.append(f"\n{words.interval(score['low'], score['high'], share=share)}", style="not bold dim")


def _verdict_line(verdict: Mapping[str, Any]) -> Text:
    met = verdict["passed"]
    line = Text("✓ " if met else "✗ ", style="bold green" if met else "bold red")
    said = f"{words.metric_name(verdict['metric'])} {verdict['condition']}"
    return line.append(f"{said}: {'met' if met else 'missed'} with {verdict['value']:.4g}")


def _gate_line(ruling: Mapping[str, Any]) -> Text:
    line = Text("✓ " if ruling["passed"] else "✗ ", style="bold green" if ruling["passed"] else "bold red")
    return line.append(f"gate: {gate_words.line(ruling)}")


def _in_sentence(system: str) -> str:
    return _IN_SENTENCES.get(system, system)


def _as_options(overrides: Sequence[str]) -> list[str]:
    return [word for override in overrides for word in ("--set", override)]


def _stdout() -> Console:
    return Console(highlight=False)
