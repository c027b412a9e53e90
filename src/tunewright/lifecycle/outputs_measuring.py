"""Measuring what was answered already: by any system, in a file; or by a model, in the workspace. No model is run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tunewright.base.errors import InputError, WorkspaceError
from tunewright.base.events import Listener, Stage, ignore
from tunewright.base.files import hash_file
from tunewright.base.plugins import METRICS, PluginConfig
from tunewright.lifecycle.data_measuring import metric_configs
from tunewright.store import Stored, Workspace

if TYPE_CHECKING:
    from tunewright.evaluate import Interval, Oddities
    from tunewright.metrics import Answer, Measure

# What a file's one system is called that does not say its name.
OUTPUTS = "outputs"
_SEED = 17
_LOOKED_AT = 20_000  # rows by which the kind of the answers is told
_STAGE = "measure outputs"
_FIELD_METRIC = "field_accuracy"


@dataclass(frozen=True)
class OutputsAsked:
    """What is to be measured, as the user says it.

    Args:
        where: A file (JSONL, JSON, CSV, TSV, Parquet), or stored answers: an artifact's hash, a run, a release.
        references: A file with the right answers; empty: they stand beside the given ones.
        columns: Columns by the field that they are, of `evaluate.outputs.NAMED`; the others go by their usual names.
        metrics: Names; empty: those that fit the answers.
        kind: What an answer is; `auto` tells it by the first 20,000.
        seed: Of the intervals; None: that of the run that stored the answers, else 17.
        samples: Bootstrap resamples.
    """

    where: str
    references: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)
    metrics: tuple[str, ...] = ()
    kind: str = "auto"
    seed: int | None = None
    samples: int = 2000


@dataclass(frozen=True)
class Source:
    """Answers that can be gone through again and again.

    Args:
        facts: Where they come from, JSON-ready.
        systems: What is known of each system: `template`, `not_covered`.
        pieces: Gives one system's answers, some at a time.
        kind: What an answer is; `auto`: not known.
        seed: The run's that stored them; None: none did.
        has_references: Whether there is anything to hold them against.
    """

    facts: dict[str, Any]
    systems: dict[str, dict[str, Any]]
    pieces: Callable[[str], Iterator[Sequence[Answer]]]
    kind: str = "auto"
    seed: int | None = None
    has_references: bool = True


@dataclass(frozen=True)
class OutputsMeasured:
    """What was measured.

    Args:
        source: Where the answers come from, and what its columns were taken for.
        evaluation: As `evaluate.Evaluation.as_json()` has it, without comparisons: `n`, `seed`, `answer_kind`, systems.
        oddities: By system, `evaluate.Oddities.as_json()`.
        notes: What a person should know, a sentence each.
    """

    source: dict[str, Any]
    evaluation: dict[str, Any]
    oddities: dict[str, dict[str, Any]]
    notes: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """The result as `tunewright eval --outputs FILE --json` prints it."""
        return {"outputs": self.source, "evaluation": self.evaluation, "answers_are": self.oddities}


def measure_outputs(
    asked: OutputsAsked,
    *,
    workspace: str | Path | Workspace | None = None,
    processes: int = 1,
    listener: Listener = ignore,
) -> OutputsMeasured:
    """Measures stored answers, a few thousand in memory at a time.

    Args:
        asked: Which, and by what.
        workspace: Where answers are stored, and models; looked at only where `asked.where` is no file, or a metric
            needs a model.
        processes: Processes that share the work, as `metrics.measure_pieces` takes them.
        listener: Hears of the progress as a stage "measure outputs", counted in answers.

    Raises:
        InputError: If answers and references do not belong together, or nothing can be measured.
    """
    from tunewright.evaluate import Oddities
    from tunewright.evaluate.outputs import first_pieces
    from tunewright.metrics import default_metrics, measure_pieces, place

    configs = metric_configs(asked.metrics)
    if any(hasattr(config, "at") for config in configs):
        configs = place(configs, (workspace if isinstance(workspace, Workspace) else Workspace.open(workspace)).cache)
    source = open_source(asked, workspace)
    if not source.has_references and not (configs and all(map(_needs_none, configs))):
        raise InputError(
            "No column looks like the right answers, so there is nothing to hold the given ones against",
            where=asked.where,
            hint="Name the column with --reference, a file with --references, or metrics that need none.",
        )
    kind = asked.kind if asked.kind != "auto" else source.kind
    if kind == "auto":
        first = first_pieces(source.pieces(next(iter(source.systems))), _LOOKED_AT)
        kind = kind_of_source([answer.reference for answer in first])
    seed = next(seed for seed in (asked.seed, source.seed, _SEED) if seed is not None)
    drawing: dict[str, Any] = {"samples": asked.samples, "seed": seed}
    evaluation: dict[str, Any] = {"n": 0, "seed": seed, "answer_kind": kind}
    odd: dict[str, Oddities] = {}
    listener(Stage(_STAGE, "started"))
    for name, about in source.systems.items():
        odd[name] = Oddities(labels=kind == "label")
        cuts: list[float] = []
        pieces = _watched(source.pieces(name), odd[name], cuts, about["not_covered"])
        wanted = configs or default_metrics(kind)
        if about["not_covered"]:
            wanted = [config for config in wanted if config.plugin == _FIELD_METRIC]
        measures = measure_pieces(pieces, wanted, processes=processes, heard=partial(_told, listener))
        if not measures:
            named = ", ".join(config.plugin for config in wanted) or "none that fits"
            raise InputError(f"Nothing can be measured by the metrics asked for ({named})", where=asked.where)
        evaluation[name] = _scores(measures, cuts, drawing, about["template"])
        evaluation["n"] = max(evaluation["n"], odd[name].rows)
    listener(Stage(_STAGE, "finished"))
    notes = [f"{name}: {line}" if len(odd) > 1 else line for name, each in odd.items() for line in each.lines()]
    notes += _not_measured(asked.metrics, evaluation, list(source.systems))
    return OutputsMeasured(source.facts, evaluation, {name: each.as_json() for name, each in odd.items()}, tuple(notes))


def open_source(asked: OutputsAsked, workspace: str | Path | Workspace | None) -> Source:
    """The answers that a word names: a file's, or those that a workspace keeps.

    Raises:
        InputError: If there is no such file, and nothing is stored under the word.
    """
    path = Path(asked.where).expanduser()
    if path.is_file():
        return _of_file(path, asked)
    if path.suffix or "/" in asked.where:
        raise InputError("There is no such file", where=asked.where, hint="Check the path.")
    if asked.references or asked.columns:
        raise InputError("Stored answers have their references and columns", where=asked.where)
    place = workspace if isinstance(workspace, Workspace) else Workspace.open(workspace, create=False)
    return _of_artifact(stored_answers(asked.where, place), place)


def stored_answers(word: str, workspace: Workspace) -> Stored:
    """The answers that an artifact's hash, a run (its id or name) or a release names.

    Raises:
        WorkspaceError: If nothing is stored under the word.
    """
    if len(word) >= 4 and all(letter in "0123456789abcdef" for letter in word):
        found = [stored for stored in workspace.artifacts("answers") if stored.hash.startswith(word)]
        if found:
            return workspace.artifact(word, "answers")
    named = [run for run in workspace.runs() if run.id == word or (len(word) >= 4 and run.id.startswith(word))]
    if not named and any(release.name == word.partition("@")[0] for release in workspace.releases()):
        named = [workspace.find_run(workspace.find_release(word).run)]
    named = named or workspace.runs(name=word)
    for run in named:
        if answers := run.manifest.get("stages", {}).get("evaluate", {}).get("answers"):
            return workspace.artifact(answers, "answers")
    raise WorkspaceError(
        f"'{word}' is no file, and no answers are stored under it",
        where=str(workspace.root),
        hint="Name a file, the hash of stored answers, a run that has measured something, or a release.",
    )


def _of_file(path: Path, asked: OutputsAsked) -> Source:
    from tunewright.evaluate.outputs import open_outputs

    references = Path(asked.references).expanduser() if asked.references else None
    if references is not None and not references.is_file():
        raise InputError("There is no such file", where=asked.references, hint="Check the path.")
    outputs = open_outputs(path, asked.columns, references)
    facts: dict[str, Any] = {"path": str(path), "sha256": hash_file(path), "columns": dict(outputs.columns)}
    if references is not None:
        facts["references"] = {
            "path": str(references),
            "sha256": hash_file(references),
            "columns": dict(outputs.reference_columns),
        }
    own = {name or OUTPUTS: name for name in outputs.systems()}
    about: dict[str, Any] = {"template": "", "not_covered": []}
    return Source(
        facts,
        dict.fromkeys(own, about),
        lambda name: outputs.pieces(own[name]),
        has_references=outputs.has_references,
    )


def _of_artifact(stored: Stored, workspace: Workspace) -> Source:
    from tunewright.evaluate.stored import answer_pieces, stored_systems

    systems = {name: {"template": "", **about} for name, about in stored_systems(stored.path).items()}
    runs = {run.id: run for run in workspace.runs()}
    producer = runs.get(workspace.lineage(stored.hash, "answers").producer)
    return Source(
        {"artifact": stored.hash, "path": str(stored.path), "run": producer.id if producer else None},
        systems,
        lambda name: answer_pieces(stored.path, name),
        kind=stored.manifest.get("answer_kind", "auto"),
        seed=producer.recipe.get("seed") if producer else None,
    )


def _needs_none(config: PluginConfig) -> bool:
    """Whether a metric looks at the given answers alone; its file says so."""
    return getattr(METRICS.module(config.plugin), "NEEDS_REFERENCE", True) is False


def kind_of_source(references: Sequence[str]) -> str:
    """What answers seem to be, by some of the right ones."""
    import polars as pl

    from tunewright.data.answers import kind_of

    return kind_of([pl.Series(references, dtype=pl.String)])


def _watched(
    pieces: Iterator[Sequence[Answer]], odd: Oddities, cuts: list[float], not_covered: Sequence[str]
) -> Iterator[Sequence[Answer]]:
    """The pieces as the metrics see them, counted on their way."""
    from tunewright.evaluate.evaluate import only_covered

    for piece in odd.watch(pieces):
        cuts += [float(not answer.stopped) for answer in piece]
        yield [only_covered(answer, not_covered) for answer in piece] if not_covered else piece


def _scores(
    measures: Mapping[str, Measure], cuts: Sequence[float], drawing: Mapping[str, Any], template: str
) -> dict[str, Any]:
    from tunewright.evaluate.evaluate import stated
    from tunewright.evaluate.intervals import interval_of, intervals_of
    from tunewright.metrics import Measure

    found: dict[str, Interval] = intervals_of(measures, **drawing)
    cut = interval_of(Measure("cut", np.asarray(cuts)), **drawing)
    scores = stated({**found, "cut": cut}, drawing["seed"], template)
    value: dict[str, Any] = {name: interval.as_json() for name, interval in scores.items()}
    return value | {"cut": value["cut"] | {"count": int(sum(cuts))}}


def _not_measured(asked: Sequence[str], evaluation: Mapping[str, Any], systems: Sequence[str]) -> list[str]:
    """Metrics that were asked for and gave nothing, since the answers lack what they need."""
    there = {name for system in systems for name in evaluation[system]}
    lacking = [name for name in asked if not any(name == found or name in found for found in there)]
    return [f"Not measured: {', '.join(lacking)}. The answers lack what they need."] if lacking else []


def _told(listener: Listener, done: int) -> None:
    listener(Stage(_STAGE, "progress", done, 0, "answers"))
