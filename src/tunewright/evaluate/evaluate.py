"""Systems side by side: each metric with its interval, paired tests, confusions, and the scores without leaked rows."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

import numpy as np

from tunewright.base.errors import InputError, did_you_mean
from tunewright.base.plugins import METRICS, PluginConfig
from tunewright.data.folding import fold
from tunewright.evaluate.answer import Answers
from tunewright.evaluate.bag_of_words import SYSTEM as BAG_OF_WORDS
from tunewright.evaluate.confusion import Confusion, field_confusions, label_confusion, tag_confusion
from tunewright.evaluate.intervals import Ints, cluster_numbers, interval_of, intervals_of
from tunewright.evaluate.paired import Difference, differences, holm
from tunewright.evaluate.probing import Finding
from tunewright.evaluate.slices import Slices, Slicing, slice_up
from tunewright.evaluate.statistics import Interval, mcnemar_exact
from tunewright.metrics import Answer, Measure, about, default_metrics
from tunewright.metrics._records import fields_of, read_record, read_references

TUNED, BASE = "tuned", "base"

AnswerKind = Literal["label", "tags", "json", "text", "tool_call", "document", "prompt"]

# The number that the whole evaluation turns on, by kind of answer.
MAIN_METRIC: dict[str, str] = {
    "json": "record_exact_match",
    "label": "accuracy",
    "tags": "entity_f1",
    "text": "exact_match",
    "tool_call": "tool_call",
    "document": "bits_per_byte",
    "prompt": "reward",
}

_FIELD_METRIC = "field_accuracy"
_TAKEN = (
    "n",
    "seed",
    "answer_kind",
    "comparisons",
    "differences",
    "confusion",
    "without_leaked",
    "findings",
    "slices",
    "challenger",
)
_TAKEN_IN_SYSTEM = ("cut", "seconds", "not_covered")


@dataclass(frozen=True, slots=True)
class SystemScores:
    """What one system reached.

    Args:
        metrics: Each metric with its interval.
        cut: Share of answers cut at the length limit, with its interval.
        cut_count: How many those are.
        seconds: Time taken to answer.
        not_covered: Fields that the system does not answer; it is measured on the others alone.
    """

    metrics: dict[str, Interval]
    cut: Interval
    cut_count: int
    seconds: float
    not_covered: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """`{<metric>: {value, low, high, n, seed, template}, cut: {…, count}, seconds}`, perhaps with `not_covered`."""
        scores: dict[str, Any] = {name: interval.as_json() for name, interval in self.metrics.items()}
        scores |= {"cut": self.cut.as_json() | {"count": self.cut_count}, "seconds": self.seconds}
        return scores | ({"not_covered": list(self.not_covered)} if self.not_covered else {})


@dataclass(frozen=True, slots=True)
class Comparison:
    """The exact McNemar test of two systems on one metric; `p_corrected` is after Holm's correction over all."""

    metric: str
    a: str
    b: str
    only_a: int
    only_b: int
    p: float
    p_corrected: float


@dataclass(frozen=True)
class Evaluation:
    """All that was measured on the held-out rows.

    Args:
        n: Number of rows.
        seed: The resamples' seed.
        answer_kind: `json`, `label`, `tags`, `text`, `tool_call` or `document`.
        systems: Each system's scores.
        comparisons: The tuned model against each other system.
        confusion: For labels and tags a `Confusion` per system; for JSON one per system and field with few values.
        leaked: Rows that stand in the training data too.
        without_leaked: Each system's metrics over the other rows; empty where there are no leaked rows, or no others.
        findings: What probes found out about the tuned model.
        differences: The tuned model less each other system on the main metric.
        slices: Where the tuned model is worse than elsewhere; None where nobody asked.
        challenger: The same on the challenger rows, which no run of the workspace ever learns; None: there are none.
    """

    n: int
    seed: int
    answer_kind: AnswerKind
    systems: dict[str, SystemScores]
    comparisons: list[Comparison]
    confusion: dict[str, Confusion | dict[str, Confusion]]
    leaked: int = 0
    without_leaked: dict[str, dict[str, Interval]] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    differences: tuple[Difference, ...] = ()
    slices: Slices | None = None
    challenger: Evaluation | None = None

    def as_json(self) -> dict[str, Any]:
        """The evaluation as reports, manifests and `--json` carry it: systems at the top level, by name."""
        value: dict[str, Any] = {"n": self.n, "seed": self.seed, "answer_kind": self.answer_kind}
        value |= {system: scores.as_json() for system, scores in self.systems.items()}
        value["comparisons"] = [asdict(comparison) for comparison in self.comparisons]
        value["differences"] = [each.as_json() for each in self.differences]
        if self.confusion:
            value["confusion"] = {
                system: confusion.as_json()
                if isinstance(confusion, Confusion)
                else {name: one.as_json() for name, one in confusion.items()}
                for system, confusion in self.confusion.items()
            }
        if self.leaked:
            value["without_leaked"] = {
                **{
                    system: {name: interval.as_json() for name, interval in metrics.items()}
                    for system, metrics in self.without_leaked.items()
                },
                "rows": self.leaked,
            }
        if self.slices:
            value["slices"] = self.slices.as_json()
        if self.findings:
            value["findings"] = {finding.name: finding.as_json() for finding in self.findings}
        if self.challenger:
            value["challenger"] = self.challenger.as_json()
        return value


def evaluate(
    answers_by_system: Mapping[str, Answers],
    *,
    answer_kind: AnswerKind,
    seed: int,
    metrics: Sequence[PluginConfig] = (),
    samples: int = 2000,
    leaked: frozenset[str] = frozenset(),
    clusters: str = "",
    slicing: Slicing | None = None,
) -> Evaluation:
    """Measures systems that answered the same rows.

    Args:
        answers_by_system: Answers by the system's name; `tuned` is the one that the others are held against.
        answer_kind: What an answer is; decides the metrics, where none are given, and the main one.
        seed: The run's seed; equal seeds give equal intervals.
        metrics: Settings of the metrics; empty: those that fit the kind of answer.
        samples: Bootstrap resamples.
        leaked: Ids of rows that stand in the training data too.
        clusters: A column whose equal values mark rows that belong together; empty: each row stands for itself.
        slicing: What rows are looked at apart by; None: by nothing.

    Raises:
        InputError: If there are no systems, they did not answer the same rows, two metrics share a name, or rows lack
            the column of the clusters.
    """
    aligned = _align(answers_by_system)
    configs = list(metrics) or default_metrics(answer_kind)
    measures = {system: measures_of(answers, configs) for system, answers in aligned.items()}
    rows = next(iter(aligned.values())).answers
    leaked_here = leaked.intersection(answer.id for answer in rows)
    drawing: dict[str, Any] = {"samples": samples, "seed": seed}
    together = _clusters(rows, clusters)
    main = [MAIN_METRIC[answer_kind]]
    return Evaluation(
        n=len(rows),
        seed=seed,
        answer_kind=answer_kind,
        systems={
            system: _scores(answers, measures[system], {**drawing, "clusters": together})
            for system, answers in aligned.items()
        },
        # Bits and rewards are not right or wrong: there is nothing to count that the exact test could compare.
        comparisons=[] if answer_kind in ("document", "prompt") else _compare(measures, _compared(answer_kind, rows)),
        confusion=_confusions(aligned, answer_kind),
        leaked=len(leaked_here),
        without_leaked=_without(leaked_here, aligned, configs, drawing, clusters) if leaked_here else {},
        differences=tuple(differences(measures, first=TUNED, metrics=main, **drawing, clusters=together)),
        slices=_slices(aligned, measures, slicing, answer_kind, {**drawing, "clusters": together}) if slicing else None,
    )


def _slices(
    aligned: Mapping[str, Answers],
    measures: Mapping[str, Mapping[str, Measure]],
    slicing: Slicing,
    answer_kind: AnswerKind,
    drawing: Mapping[str, Any],
) -> Slices:
    """Where the tuned model (or the last system) is worse than elsewhere, and than the base (or the first system)."""
    system = TUNED if TUNED in measures else list(measures)[-1]
    others = [name for name in measures if name != system]
    main = MAIN_METRIC[answer_kind]
    metric = main if main in measures[system] else next(iter(measures[system]))
    known = about(metric)
    return slice_up(
        aligned[system].answers,
        measures,
        slicing,
        metric=metric,
        answer_kind=answer_kind,
        system=system,
        other=BASE if BASE in others else next(iter(others), ""),
        less_is_better=bool(known and known.less_is_better),
        **drawing,
    )


def score(answers: Answers, *, answer_kind: AnswerKind, metrics: Sequence[PluginConfig] = ()) -> dict[str, float]:
    """One system's plain scores, by metric, without intervals: quick enough to be asked for while training."""
    measures = measures_of(answers, list(metrics) or default_metrics(answer_kind))
    return {name: measure.value for name, measure in measures.items()}


def _align(answers_by_system: Mapping[str, Answers]) -> dict[str, Answers]:
    """All systems' answers in the order of the first one's rows."""
    if not answers_by_system:
        raise InputError("No system has answered", where="evaluate")
    if taken := [system for system in answers_by_system if system in _TAKEN]:
        raise InputError(f"A system cannot be called '{taken[0]}'", hint=f"Taken: {', '.join(_TAKEN)}.")
    first_name, first = next(iter(answers_by_system.items()))
    # The same answer, read from the same row; models may have cleaned it differently.
    references = {answer.id: fold(answer.reference) for answer in first.answers}
    aligned = {}
    for system, given in answers_by_system.items():
        by_id = {answer.id: answer for answer in given.answers}
        if len(by_id) < len(given.answers):
            raise InputError(f"{len(given.answers) - len(by_id)} rows are answered more than once", where=system)
        if {answer.id: fold(answer.reference) for answer in given.answers} != references:
            raise InputError(
                f"'{system}' ({len(by_id)} rows) did not answer the rows of '{first_name}' ({len(references)} rows)",
                where="evaluate",
                hint="Let every system answer the same held-out rows.",
            )
        aligned[system] = replace(given, answers=tuple(by_id[row] for row in references))
    return aligned


def measures_of(answers: Answers, configs: Sequence[PluginConfig]) -> dict[str, Measure]:
    """A system's measures by name; a system that leaves fields out is measured on the fields it answers."""
    given = answers.answers
    if answers.not_covered:
        given = tuple(only_covered(answer, answers.not_covered) for answer in given)
        configs = [config for config in configs if config.plugin == _FIELD_METRIC]
    measures: dict[str, Measure] = {}
    for config in configs:
        found: list[Measure] = METRICS.call(config.plugin, "measure", config, given)
        for measure in found:
            if measure.name in measures or measure.name in _TAKEN_IN_SYSTEM:
                raise InputError(f"Two metrics are called '{measure.name}'", where="evaluate.metrics")
            measures[measure.name] = measure
    return measures


def only_covered(answer: Answer, not_covered: Sequence[str]) -> Answer:
    """An answer whose reference has those fields alone that its system answers."""
    record = read_record(answer.reference) or {}
    covered = {name: value for name, value in record.items() if name not in not_covered}
    return replace(answer, reference=json.dumps(covered, ensure_ascii=False))


def _clusters(rows: Sequence[Answer], column: str) -> Ints | None:
    """The number of each row's cluster, by a column of the rows."""
    if not column:
        return None
    if lacking := [answer.id for answer in rows if column not in answer.columns]:
        known = dict.fromkeys(name for answer in rows for name in answer.columns)
        raise InputError(
            f"{len(lacking):,} of {len(rows):,} rows have no column '{column}'",
            where="evaluate.clusters",
            hint=f"{did_you_mean(column, known)}Columns: {', '.join(known) or 'none'}.",
        )
    return cluster_numbers([answer.columns[column] for answer in rows])


def _scores(answers: Answers, measures: Mapping[str, Measure], drawing: Mapping[str, Any]) -> SystemScores:
    cut = Measure("cut", np.array([not answer.stopped for answer in answers.answers], dtype=np.float64))
    return SystemScores(
        metrics=stated(intervals_of(measures, **drawing), drawing["seed"], answers.template),
        cut=stated({"cut": interval_of(cut, **drawing)}, drawing["seed"], answers.template)["cut"],
        cut_count=answers.cut,
        seconds=answers.seconds,
        not_covered=answers.not_covered,
    )


def stated(intervals: Mapping[str, Interval], seed: int, template: str) -> dict[str, Interval]:
    """Intervals that say what they are of: the seed, and the hash of the template."""
    return {name: replace(interval, seed=seed, template=template) for name, interval in intervals.items()}


def _compared(answer_kind: AnswerKind, rows: Sequence[Answer]) -> tuple[str, list[str]]:
    """The main metric, and the metrics of single fields."""
    fields = fields_of(read_references(rows, where="evaluate")) if answer_kind == "json" else []
    return MAIN_METRIC[answer_kind], [f"{name}_accuracy" for name in fields]


def _compare(measures: Mapping[str, Mapping[str, Measure]], compared: tuple[str, list[str]]) -> list[Comparison]:
    """The tuned model against each other system on the main metric, and on fields against the bag of words."""
    main, of_fields = compared
    tuned = measures.get(TUNED, {})
    found = []
    for system, theirs in measures.items():
        if system == TUNED:
            continue
        for name in (main, *(of_fields if system == BAG_OF_WORDS else ())):
            if name in tuned and name in theirs:
                paired = mcnemar_exact(tuned[name].values, theirs[name].values)
                found.append((name, system, paired))
    ps = holm([paired.p for _, _, paired in found])
    return [
        Comparison(name, TUNED, system, paired.only_a, paired.only_b, paired.p, p)
        for (name, system, paired), p in zip(found, ps, strict=True)
    ]


def _confusions(aligned: Mapping[str, Answers], answer_kind: AnswerKind) -> dict[str, Confusion | dict[str, Confusion]]:
    if answer_kind == "label":
        return {system: label_confusion(given.answers) for system, given in aligned.items()}
    if answer_kind == "tags":
        return {system: tag_confusion(given.answers) for system, given in aligned.items()}
    if answer_kind == "json":
        return {system: field_confusions(given.answers, given.not_covered) for system, given in aligned.items()}
    return {}


def _without(
    leaked: frozenset[str],
    aligned: Mapping[str, Answers],
    configs: Sequence[PluginConfig],
    drawing: Mapping[str, Any],
    clusters: str,
) -> dict[str, dict[str, Interval]]:
    scores = {}
    for system, given in aligned.items():
        kept = replace(given, answers=tuple(answer for answer in given.answers if answer.id not in leaked))
        if kept.answers:
            measures, together = measures_of(kept, configs), _clusters(kept.answers, clusters)
            found = intervals_of(measures, **drawing, clusters=together)
            scores[system] = stated(found, drawing["seed"], given.template)
    return scores
