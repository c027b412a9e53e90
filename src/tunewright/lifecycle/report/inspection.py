"""The page of a data set's quality: every inspection with its number, its charts, its worst rows, and what to do."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tunewright.data.quality.inspection import Case, Inspection, Verdict, counted
from tunewright.data.quality.report import Report
from tunewright.lifecycle.report import words
from tunewright.lifecycle.report.inspection_charts import caption, draw
from tunewright.lifecycle.report.page import fill

_WIDE_PX = 996
_NARROW_PX = 358
# What a page shows of a row; the JSON report has all of it.
_SHOWN_CHARACTERS = 600
MARKS: dict[Verdict, str] = {"act": "✗ act", "look": "! look", "good": "✓ good"}


def render_inspection(report: Report, *, created: datetime | None = None) -> str:
    """A whole HTML document that needs no other file, no script and no network. All texts are escaped.

    Args:
        report: What was found.
        created: When; by default now.
    """
    from tunewright import __version__

    view: dict[str, Any] = {
        "version": __version__,
        "created": words.moment((created or datetime.now(UTC)).isoformat(timespec="minutes")),
        "name": Path(report.path).name,
        "path": report.path,
        "goal": report.view.goal,
        "facts": _facts(report),
        "headline": _headline(report),
        "state": "missed" if report.verdicts["act"] else "none" if report.verdicts["look"] else "reached",
        "inspections": [_section(name, found) for name, found in report.inspections.items()],
        "not_run": [
            {"names": ", ".join(names).replace("_", " "), "reason": lacks.reason, "advice": lacks.advice}
            for lacks, names in report.lacking
        ],
    }
    return fill("inspection.html.j2", view)


def _facts(report: Report) -> list[tuple[str, str]]:
    view = report.view
    facts = [("Rows", f"{view.data.total:,}")]
    if view.data.drawn:
        facts.append(("Looked at", f"{len(view.data):,}, drawn at random"))
    facts += [
        ("Columns", ", ".join(view.data.columns[:12]) + (" …" if len(view.data.columns) > 12 else "")),
        ("Recognised as", view.format.replace("_", " ")),
        ("Answers", {"document": "none"}.get(view.kind, view.kind.replace("_", " "))),
    ]
    facts += [("Held out", f"{rows.name}, {counted(rows.total, 'row')}") for rows in view.held_out]
    return facts + [("Benchmark", f"{rows.name}, {counted(rows.total, 'row')}") for rows in view.benchmarks]


def _headline(report: Report) -> str:
    act, look, good = (len(report.verdicts[verdict]) for verdict in ("act", "look", "good"))
    if not act and not look:
        return f"All {good:,} inspections are good."
    parts = [f"{counted(act, 'thing')} to act on"] if act else []
    parts += [f"{look:,} to look at" if act else f"{counted(look, 'thing')} to look at"] if look else []
    return f"{', '.join([*parts, f'{good:,} good'])}."


def _section(name: str, found: Inspection) -> dict[str, Any]:
    numbers = {key: value for key, value in found.as_json().items() if key in found.numbers}
    return {
        "name": name,
        "found": found,
        "mark": MARKS[found.verdict],
        "charts": [
            {
                "title": chart.title,
                "caption": caption(chart),
                "wide": draw(chart, width=_WIDE_PX, name=f"{name}-{place}-wide"),
                "narrow": draw(chart, width=_NARROW_PX, name=f"{name}-{place}-narrow"),
            }
            for place, chart in enumerate(found.charts)
        ],
        "worst": [_row(case) for case in found.worst],
        "numbers": json.dumps(numbers, indent=2, ensure_ascii=False),
    }


def _row(case: Case) -> dict[str, str]:
    return {"place": case.place, "text": _shortened(case.text), "why": _shortened(case.why)}


def _shortened(text: str) -> str:
    left = len(text) - _SHOWN_CHARACTERS
    return f"{text[:_SHOWN_CHARACTERS]}… ({counted(left, 'character')} more)" if left > 0 else text
