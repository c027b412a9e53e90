"""Review sessions in words and tables that fit 80 columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tunewright.cli.next_steps import command, show_next
from tunewright.evaluate.reviewing.rater import read_given, way
from tunewright.evaluate.reviewing.results import Results

if TYPE_CHECKING:
    from tunewright.evaluate.agreement import Coefficient
    from tunewright.evaluate.reviewing.session import Session
    from tunewright.evaluate.statistics import Interval
    from tunewright.lifecycle.late_findings import Attached


def session_as_json(session: Session) -> dict[str, Any]:
    """A session as `--json` prints it: what it is about, and how far its raters are."""
    return {
        "session": session.id,
        "kind": session.settings.kind,
        "criteria": [rubric.name for rubric in session.settings.criteria],
        "rows": len(session.rows),
        **{name: session.about[name] for name in ("shared", "unshared", "identical")},
        "sources": session.about["sources"],
        "raters": [
            {"rater": rater, "answered": len(read_given(session, rater)), "asked": len(way(session, rater))}
            for rater in session.raters()
        ],
        "folder": str(session.folder),
    }


def show_links(session: Session, links: Mapping[str, str]) -> None:
    """Where each rater goes. On stderr, beside the progress: stdout is for results."""
    console = Console(stderr=True, highlight=False)
    pairs = "pairs" if session.settings.kind == "pairwise" else "rows"
    console.print(Text(f"Review session {session.id}: {len(session.rows):,} {pairs}. Each link is for one rater:"))
    for name, link in links.items():
        console.print(Text(f"  {name}: ", style="bold") + Text(link), soft_wrap=True)
    console.print(Text("Answers are kept as they come. Ctrl-C ends the page; the same command goes on.", style="dim"))


def show_end(session: Session) -> None:
    """How far the raters are, and what comes next."""
    found = session_as_json(session)
    console = Console(highlight=False)
    for rater in found["raters"]:
        console.print(Text(f"{rater['rater']}: {rater['answered']:,} of {rater['asked']:,} answered."))
    root = session.folder.parent.parent
    steps = [("what they said", command("eval", "review", "results", session.id, workspace=root))]
    show_next([*steps, ("go on", command("eval", "review", session.id, workspace=root))])


def show_sessions(sessions: Sequence[Session]) -> None:
    """All sessions."""
    console = Console(highlight=False)
    if not sessions:
        console.print("No session yet. `tunewright eval review NAME` begins one.")
        return
    table = _table("Review sessions", "Session", "Kind", "Rows", "About", "Raters")
    for session in sessions:
        about = ", ".join(source["label"] for source in session.about["sources"])
        raters = ", ".join(session.raters()) or "–"
        table.add_row(session.id, session.settings.kind, f"{len(session.rows):,}", about, raters)
    console.print(table)


def show_results(
    results: Results, attached: Attached | None, *, exported: tuple[Path, int | None] | None, workspace: Path
) -> None:
    """What people said."""
    console = Console(highlight=False)
    session = results.session
    console.print(Text(f"Session {session.id}: {results.rows:,} of {len(session.rows):,} rows answered.", style="bold"))
    if not results.counts_anything:
        console.print(Text("No answer counts yet.", style="yellow"))
    _show_pairs(results, console)
    _show_scales(results, console)
    if results.left_out:
        told = f"Answers of raters who failed the training items, which do not count: {results.left_out:,}."
        console.print(Text(told, style="yellow"))
    _show_raters(results, console)
    if exported is not None:
        console.print(Text(f"{exported[1]:,} ratings written to {exported[0]}"), soft_wrap=True)
    if attached is None and results.counts_anything:
        line = command("eval", "review", "results", session.id, "--attach", workspace=workspace)
        show_next([("put it into the report", line)])
    if attached is None:
        return
    console.print(Text(f"Put to the run {attached.run} and {', '.join(attached.releases) or 'no release'}."))
    if attached.report:
        console.print(Text(f"Report: {attached.report}"), soft_wrap=True)
    if attached.note:
        console.print(Text(attached.note, style="yellow"))


def _show_pairs(results: Results, console: Console) -> None:
    pairs = results.pairs
    if pairs is None:
        return
    one, other = results.session.systems
    about = results.session.about
    console.print(Text(f"{one} is preferred to {other}: {_share(pairs.win_rate)}; a tie counts half."))
    test = pairs.paired
    console.print(
        Text(f"Rows that went to {one}: {test.only_a:,}, to {other}: {test.only_b:,} (sign test, p = {test.p:.4f}).")
    )
    said = ", ".join(f"{name.replace('_', ' ')} {count:,}" for name, count in pairs.votes.items())
    console.print(Text(f"Votes: {said}."))
    if about["identical"]:
        console.print(Text(f"To {about['identical']:,} of {about['shared']:,} rows both answered the same."))
    if pairs.left is not None:
        console.print(Text(f"Preferences for the left answer: {_share(pairs.left)}; without bias 50.0 %."))
    _show_agreement({"Krippendorff's alpha": pairs.agreement, "Fleiss' kappa": pairs.fleiss}, console)


def _show_scales(results: Results, console: Console) -> None:
    for scale in results.scales:
        table = _table(scale.rubric.shown, "System", "Mean", "95 % interval", "Rows")
        for system, mean in scale.means.items():
            table.add_row(system, f"{mean.value:.2f}", f"{mean.low:.2f} to {mean.high:.2f}", f"{mean.n:,}")
        console.print(table)
        if scale.difference is not None and scale.paired is not None:
            far = scale.difference
            console.print(
                Text(
                    f"Row by row {results.session.systems[0]} is {far.value:+.2f} ({far.low:+.2f} to {far.high:+.2f};"
                    f" sign test, p = {scale.paired.p:.4f})."
                )
            )
        _show_agreement({"Krippendorff's alpha (ordinal)": scale.agreement}, console)


def _show_agreement(found: Mapping[str, Coefficient], console: Console) -> None:
    for name, each in found.items():
        if each.value is None:
            console.print(Text(f"{name}: not defined. {each.note}", style="dim"))
            continue
        interval = "" if each.low is None else f" ({each.low:.2f} to {each.high:.2f})"
        console.print(Text(f"{name}: {each.value:.2f}{interval}, on {each.n:,} things by {len(each.raters)} raters."))


def _show_raters(results: Results, console: Console) -> None:
    table = _table("Raters", "Rater", "Rows", "Skipped", "Training", "Same again", "Seconds")
    for rater in results.raters:
        learned = rater.learned
        training = f"{learned.right}/{learned.items}" if learned.items else "–"
        table.add_row(
            rater.name,
            f"{rater.answered:,} of {rater.asked:,}{'' if rater.finished else ' so far'}",
            f"{len(rater.skipped):,}",
            f"{training} failed" if rater.marked else training,
            f"{rater.repeated}/{rater.repeats}" if rater.repeats else "–",
            "–" if rater.median_seconds is None else f"{rater.median_seconds:.0f}",
        )
    console.print(table)


def _share(found: Interval) -> str:
    return f"{found.value:.1%} ({found.low:.1%} to {found.high:.1%})".replace("%", " %")


def _table(title: str, *heads: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, padding=(0, 1))
    for number, head in enumerate(heads):
        table.add_column(head, justify="left" if number == 0 else "right")
    return table
