"""A measured run without any training: stored answers, a release and a report, as a pipeline leaves them."""

from __future__ import annotations

from typing import Any

from tests.evaluate.reviewing.made import answers
from tunewright.evaluate import store_answers
from tunewright.lifecycle.report import ReportFacts
from tunewright.lifecycle.reporting import write_pages
from tunewright.store import Workspace

SYSTEMS = ("base", "base_few_shot", "tuned")


def measured(workspace: Workspace, name: str = "bank", *, systems: tuple[str, ...] = SYSTEMS, rows: int = 12) -> str:
    """A run with stored answers, a release and a report, as a pipeline leaves them; gives its id."""
    run = workspace.start_run(name, "run", {"seed": 3})
    given = {system: answers({"tuned": "zebra-champion"}.get(system, system), rows) for system in systems}
    score = {"value": 0.5, "low": 0.3, "high": 0.7, "n": rows}
    evaluation: dict[str, Any] = {"n": rows, "seed": 3, "answer_kind": "label", "comparisons": []}
    evaluation |= {system: {"accuracy": score, "cut": score, "seconds": 1.0} for system in systems}
    facts = ReportFacts(name, evaluation=evaluation)
    stored = workspace.put(
        "answers",
        lambda folder: store_answers(given, folder),
        manifest={"n": rows, "answer_kind": "label", "systems": list(systems)},
        producer=run.id,
    )
    page = workspace.put("report", lambda folder: write_pages(folder, facts), manifest={"name": name}, producer=run.id)
    stages = {
        "evaluate": {"answers": stored.hash, "evaluation": evaluation, "verdicts": [], "seconds": 1.0},
        "report": {"report": page.hash, "seconds": 1.0},
    }
    run.update_manifest(stages=stages)
    adapter = workspace.put("adapter", lambda folder: (folder / "w").write_text(name), manifest={}, producer=run.id)
    told: dict[str, Any] = {"base": "b", "base_hash": "ab", "template": {}, "recipe": {"seed": 3}}
    workspace.add_release(name, adapter=adapter.hash, dataset=adapter.hash, run=run.id, evaluation=evaluation, **told)
    run.finish("succeeded")
    return run.id
