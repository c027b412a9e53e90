"""The model card: what a release is, what it was made of, how good it is, and where it stops being any good."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tunewright.lifecycle import beginning
from tunewright.lifecycle.job import Job
from tunewright.lifecycle.quantising import gap_of
from tunewright.lifecycle.report import gate, words
from tunewright.models.families import head_of

if TYPE_CHECKING:
    from tunewright.data.dataset import Dataset
    from tunewright.lifecycle.measuring import Measured
    from tunewright.lifecycle.training import Adapter

_SYSTEMS = ("tuned", "base", "base_few_shot", "bag_of_words")
# What model hubs call it, by the head that was trained.
_TASKS = {"": "text-generation", "label": "text-classification", "tag": "token-classification"}
_NO_METRICS = ("cut", "seconds", "not_covered")


def model_card(job: Job, dataset: Dataset, measured: Measured, adapter: Adapter, *, despite: str = "") -> str:
    """The card in Markdown, with the front matter that model hubs read."""
    recipe, files, gap = job.recipe, job.base_files(), gap_of(job)
    library = "peft" if (adapter.stored.path / "adapter_config.json").exists() else "tunewright"
    splits = ", ".join(f"{dataset.manifest['splits'][split]:,} {split}" for split in ("train", "validation", "test"))
    return "\n".join(
        [
            "---",
            f"license: {files.licence}",
            f"base_model: {files.name}",
            f"library_name: {library}",
            f"tags: [tunewright, {_TASKS[head_of(recipe.train.objective)]}]",
            "---",
            "",
            f"# {recipe.name}",
            "",
            recipe.goal,
            "",
            "## What it is",
            "",
            f"- Adapter ({recipe.method.model_dump()['name']}) for **{files.name}**, weights `{files.weights_hash}`, "
            f"from {files.source}; licence of the base: {files.licence}.",
            *([f"- It began from {start}, and learned on."] if (start := beginning.told(job.run)) else []),
            *([f"- The base was quantised: {gap}. Where this adapter is used, quantise it alike."] if gap else []),
            f"- Trained on dataset `{dataset.hash}`: {splits} rows. Their licence is their owner's; it is not "
            "stated here.",
            f"- Run `{job.run.id}`, seed {recipe.seed}, computed in {job.environment()['dtype']}.",
            "",
            "## How good it is",
            "",
            f"Measured on {measured.evaluation['n']:,} held-out rows, with 95 % bootstrap intervals.",
            "",
            *_score_table(measured.evaluation),
            "",
            *_comparisons(measured.evaluation),
            *_success(measured),
            *_gate(measured, despite),
            "## Limits",
            "",
            *_limits(measured.evaluation),
            "",
            "## How to use it",
            "",
            "```sh",
            f"tunewright chat {recipe.name}",
            "```",
            "",
            "The release carries the prompt template it was trained with; whoever loads the adapter without tunewright "
            "must render requests the same way (`template.json`).",
            "",
        ]
    )


def _score_table(evaluation: Mapping[str, Any]) -> list[str]:
    systems = [system for system in _SYSTEMS if system in evaluation]
    metrics = [name for name in evaluation["tuned"] if name not in _NO_METRICS]
    head = ["Metric", *(words.system_name(system) for system in systems)]
    rows = [[words.metric_name(name), *(_cell(name, evaluation[s].get(name)) for s in systems)] for name in metrics]
    return [f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *rows]]


def _cell(metric: str, score: Mapping[str, Any] | None) -> str:
    if score is None:
        return "–"
    share = words.is_share(metric)
    return f"{words.score(score['value'], share=share)} ({words.interval(score['low'], score['high'], share=share)})"


def _comparisons(evaluation: Mapping[str, Any]) -> list[str]:
    lines = [
        f"- {words.metric_name(c['metric'])}: {c['only_a']:,} rows only the tuned model has right, {c['only_b']:,} "
        f"only {words.system_name(c['b'])} ({words.p_value(c['p'])}, exact McNemar test)."
        for c in evaluation["comparisons"]
    ]
    return [*lines, ""] if lines else []


def _success(measured: Measured) -> list[str]:
    if not measured.verdicts:
        return []
    lines = [
        f"- {words.metric_name(v['metric'])} {v['condition']}: {v['value']:.4f}, "
        f"{'met' if v['passed'] else '**missed**'}."
        for v in measured.verdicts
    ]
    return ["What the recipe calls success:", "", *lines, ""]


def _gate(measured: Measured, despite: str) -> list[str]:
    if not measured.gate:
        return []
    lines = [f"- {gate.line(ruling)}." for ruling in measured.gate]
    reason = [f"**It was released although the gate was missed**: {despite}", ""] if despite else []
    return ["What the gate asked for:", "", *lines, "", *reason]


def _limits(evaluation: Mapping[str, Any]) -> list[str]:
    cut = evaluation["tuned"]["cut"]["count"]
    leaked = evaluation.get("without_leaked", {}).get("rows", 0)
    lines = [
        "- It was measured on rows like those it was trained on. On other texts, other languages or later times, "
        "nothing is known about it: measure again.",
        "- It may be wrong with full confidence. Where a wrong answer costs something, let a person look.",
        f"- {cut:,} of its answers were cut off at the length limit.",
    ]
    if leaked:
        lines.append(
            f"- {leaked:,} test rows stand in the training data too; the scores without them are stored beside."
        )
    return lines
