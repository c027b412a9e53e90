"""What the evaluation says, made ready for the page: verdict, key numbers, table, paired tests, confusions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tunewright.lifecycle.report import words
from tunewright.lifecycle.report.charts import Group, Mark
from tunewright.lifecycle.report.facts import ReportFacts

_SYSTEM_ORDER = ("base", "base_few_shot", "bag_of_words", "tuned")
_NOT_SYSTEMS = frozenset(
    {"comparisons", "differences", "confusion", "without_leaked", "findings", "slices", "challenger"}
)
_NOT_METRICS = frozenset({"cut", "seconds", "tokens", "n", "not_covered"})
_PRIMARY = ("record_exact_match", "accuracy", "tool_call", "exact_match", "macro_f1", "bits_per_byte")
_WORST_SHOWN = 10
_FEWEST_FIELDS = 2

Score = Mapping[str, Any]


def systems(evaluation: Mapping[str, Any]) -> dict[str, dict[str, Score]]:
    """Each measured system's metrics, `{system: {metric: score}}`, in the page's order.

    Scores without a number are left out.
    """
    found = [
        name
        for name, value in evaluation.items()
        if isinstance(value, Mapping) and name not in _NOT_SYSTEMS and _metrics(value)
    ]
    ordered = [name for name in _SYSTEM_ORDER if name in found]
    others = [name for name in found if name not in _SYSTEM_ORDER]
    return {name: _metrics(evaluation[name]) for name in [*ordered[:-1], *others, *ordered[-1:]]}


def metric_names(measured: Mapping[str, Mapping[str, Score]]) -> list[str]:
    """All metrics that any system has, the tuned model's first, in its order."""
    every = [*measured.get("tuned", {}), *(metric for scores in measured.values() for metric in scores)]
    return list(dict.fromkeys(every))


def is_share(metric: str, measured: Mapping[str, Mapping[str, Score]]) -> bool:
    """Whether a metric is a share in 0…1, to be shown as percent."""
    values = [scores[metric]["value"] for scores in measured.values() if metric in scores]
    return words.is_share(metric) and all(0 <= value <= 1 for value in values)


def verdict(facts: ReportFacts) -> dict[str, Any]:
    """`headline`, `state` (reached, missed, none) and one line for each condition of success."""
    conditions = [_condition(each) for each in facts.success]
    missed = sum(not each["passed"] for each in conditions)
    if not conditions:
        headline, state = "No bar was set", "none"
    elif missed:
        headline, state = f"Success not reached: {missed} of {_conditions(len(conditions))} missed", "missed"
    elif len(conditions) == 1:
        headline, state = "Success: the condition is met", "reached"
    else:
        headline, state = f"Success: all {_conditions(len(conditions))} met", "reached"
    return {"headline": headline, "state": state, "conditions": conditions}


def key_numbers(facts: ReportFacts) -> list[dict[str, Any]]:
    """For the metrics of success (or, without any, the first one that fits): base and tuned values, and sentences."""
    measured = systems(facts.evaluation)
    tuned = measured.get("tuned", {})
    wanted = [str(each.get("metric")) for each in facts.success if each.get("metric") in tuned]
    if not wanted:
        wanted = [metric for metric in (*_PRIMARY, *tuned) if metric in tuned][:1]
    comparisons = comparison_rows(facts.evaluation)
    return [_key_number(metric, measured, comparisons) for metric in dict.fromkeys(wanted)]


def table(evaluation: Mapping[str, Any]) -> dict[str, Any]:
    """The before/after table: `systems`, and a row per metric with one cell (or None) per system."""
    # The tuned model beside the base: on a phone these two columns are the ones that are seen at once.
    names = sorted(systems(evaluation), key=lambda name: {"base": 0, "tuned": 1}.get(name, 2))
    measured = {name: systems(evaluation)[name] for name in names}
    lines = [_table_line(metric, measured) for metric in metric_names(measured)]
    costs = []
    for key, label, form in (("cut", "Answers cut at the length limit", _cut), ("seconds", "Time to answer", _seconds)):
        cells = [form(evaluation[name].get(key)) for name in names]
        if any(cells):
            costs.append({"label": label, "key": key, "cells": cells})
    return {"systems": names, "lines": lines, "costs": costs, "n": evaluation.get("n")}


def comparison_rows(evaluation: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The paired tests, each with its plain sentence, always told from the tuned model's side."""
    found = []
    for each in evaluation.get("comparisons") or ():
        a, b, only_a, only_b = each["a"], each["b"], each["only_a"], each["only_b"]
        if b == "tuned":
            a, b, only_a, only_b = b, a, only_b, only_a
        metric, p = each["metric"], each["p"]
        found.append(
            {
                "metric": metric,
                "a": a,
                "b": b,
                "only_a": only_a,
                "only_b": only_b,
                "p": words.p_value(p),
                "corrected": words.p_value(each.get("p_corrected", p)),
                "sentence": _paired_sentence((a, b), (only_a, only_b), p),
            }
        )
    return found


def interval_groups(facts: ReportFacts) -> list[Group]:
    """What the dot chart shows: all metrics that are shares, but for fields that only the bars need to show."""
    measured = systems(facts.evaluation)
    in_success = {each.get("metric") for each in facts.success}
    beside = {metric for name, scores in measured.items() if name == "bag_of_words" for metric in scores}
    shown = [
        metric
        for metric in metric_names(measured)
        if is_share(metric, measured)
        and (not words.field_of(metric) or metric in in_success | beside or not field_groups(facts))
    ]
    return [_group(metric, words.metric_name(metric), measured, list(measured)) for metric in shown]


def field_groups(facts: ReportFacts) -> list[Group]:
    """What the bars show: each field's accuracy, base against tuned; empty for fewer than two fields."""
    measured = systems(facts.evaluation)
    chosen = [name for name in ("base", "base_few_shot", "tuned") if name in measured]
    fields = [metric for metric in metric_names(measured) if words.field_of(metric) and is_share(metric, measured)]
    if len(fields) < _FEWEST_FIELDS:
        return []
    return [_group(metric, words.field_of(metric), measured, chosen) for metric in fields]


def confusions(evaluation: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The tuned model's matrices, the one with most wrong rows first.

    Each has `of` (a field, or empty), `labels`, `counts`, `rows`, `wrong`, the `worst` pairs and how many `pairs`
    there are.
    """
    found = [_confusion(of, matrix) for of, matrix in _matrices(evaluation.get("confusion"))]
    return sorted(found, key=lambda each: -each["wrong"])


def _confusion(of: str, matrix: Mapping[str, Any]) -> dict[str, Any]:
    labels = [str(label) for label in matrix["labels"]]
    counts = [[int(found) for found in row] for row in matrix["counts"]]
    while labels and len(labels) == len(counts) and labels[-1] == "(other)" and not sum(counts[-1]):
        labels, counts = labels[:-1], counts[:-1]  # no row expects it: it is a column only
    errors = [
        (found, row, column)
        for row, line in enumerate(counts)
        for column, found in enumerate(line)
        if found and column != row
    ]
    worst = [
        {
            "expected": labels[row],
            "answered": labels[column] if column < len(labels) else "none of the labels",
            "count": found,
            "of": sum(counts[row]),
        }
        for found, row, column in sorted(errors, key=lambda error: (-error[0], error[1], error[2]))
    ]
    return {
        "of": of,
        "labels": labels,
        "counts": counts,
        "rows": sum(map(sum, counts)),
        "wrong": sum(error[0] for error in errors),
        "worst": worst[:_WORST_SHOWN],
        "pairs": len(worst),
    }


def leakage_rows(evaluation: Mapping[str, Any]) -> dict[str, Any] | None:
    """The tuned model's scores over all test rows and without the leaked ones, or None where there is no such pair."""
    without = evaluation.get("without_leaked")
    if not isinstance(without, Mapping):
        return None
    all_rows, clean = systems(evaluation).get("tuned", {}), systems(without).get("tuned", {})
    shared = [metric for metric in all_rows if metric in clean]
    if not shared:
        return None
    both = {"all": all_rows, "clean": clean}
    lines = [
        {
            "name": words.metric_name(metric),
            "with": _cell(all_rows[metric], share=is_share(metric, both)),
            "without": _cell(clean[metric], share=is_share(metric, both)),
        }
        for metric in shared
    ]
    return {"lines": lines, "n": evaluation.get("n"), "n_clean": without.get("n", clean[shared[0]].get("n"))}


def _metrics(system: Mapping[str, Any]) -> dict[str, Score]:
    return {
        metric: score
        for metric, score in system.items()
        if metric not in _NOT_METRICS and isinstance(score, Mapping) and words.number(score.get("value")) is not None
    }


def _conditions(n: int) -> str:
    return f"{n} condition{'' if n == 1 else 's'}"


def _condition(each: Mapping[str, Any]) -> dict[str, Any]:
    metric, text, value = str(each.get("metric", "")), str(each.get("condition", "")), words.number(each.get("value"))
    parsed = words.parse_condition(text)
    line = {
        "metric": metric,
        "name": words.metric_name(metric),
        "bar": text,
        "reached": "not measured" if value is None else words.plain(value),
        "distance": "",
        "passed": bool(each.get("passed")),
    }
    if parsed:
        sign, bar = parsed
        share = words.is_share(metric) and 0 <= bar <= 1 and (value is None or 0 <= value <= 1)
        line["bar"] = words.bar_words(sign, bar, share=share)
        if value is not None:
            line["reached"] = words.value_beside_bar(value, bar, share=share)
            line["distance"] = words.distance(value, bar, share=share)
    return line


def _key_number(
    metric: str, measured: Mapping[str, Mapping[str, Score]], comparisons: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    share = is_share(metric, measured)
    tuned, base = measured["tuned"][metric], measured.get("base", {}).get(metric)
    sentences = []
    sentences += [
        each["sentence"]
        for each in comparisons
        if each["metric"] == metric and (each["a"], each["b"]) == ("tuned", "base")
    ]
    beside = [
        _beside(_in_sentence(name), scores[metric]["value"], tuned["value"], metric, share=share)
        for name, scores in measured.items()
        if name not in ("base", "tuned") and metric in scores
    ]
    if beside:
        sentences.append(f"For comparison: {'; '.join(beside)}.")
    return {
        "metric": metric,
        "name": words.metric_name(metric),
        "meaning": words.metric_meaning(metric),
        "base": words.score(base["value"], share=share) if base else "",
        "tuned": words.score(tuned["value"], share=share),
        "intervals": [
            f"{label} {words.interval(each['low'], each['high'], share=share)}"
            for label, each in (("base", base), ("tuned", tuned))
            if each and _spread(each)
        ],
        "n": tuned.get("n"),
        "sentences": sentences,
    }


def _beside(name: str, value: float, tuned: float, metric: str, *, share: bool) -> str:
    """A clause on another system, which says so plainly where that system is the better one."""
    text = f"{name} {words.score(value, share=share)}"
    if value == tuned:
        return f"{text}, the same"
    better = value < tuned if words.less_is_better(metric) else value > tuned
    return f"{text}, better than the tuned model" if better else text


def _paired_sentence(names: tuple[str, str], only: tuple[int, int], p: float) -> str:
    a, b = (_in_sentence(name) for name in names)
    if only == (0, 0):
        return f"The {a} and the {b} are right and wrong on the same rows."
    return (
        f"The {a} is right where the {b} is wrong on {words.rows(only[0])}, the other way round on "
        f"{words.count(only[1])}; {words.chance(p)}."
    )


def _in_sentence(system: str) -> str:
    known = {
        "base": "base",
        "tuned": "tuned model",
        "base_few_shot": "base with worked examples",
        "bag_of_words": "bag-of-words classifier",
    }
    return known.get(system, words.system_name(system).lower())


def _table_line(metric: str, measured: Mapping[str, Mapping[str, Score]]) -> dict[str, Any]:
    share = is_share(metric, measured)
    cells = [_cell(scores[metric], share=share) if metric in scores else None for scores in measured.values()]
    values = [(scores[metric]["value"], name) for name, scores in measured.items() if metric in scores]
    best = (min if words.less_is_better(metric) else max)(values)[0]
    for cell, scores in zip(cells, measured.values(), strict=True):
        if cell:
            cell["best"] = len(values) > 1 and scores[metric]["value"] == best
    return {
        "metric": metric,
        "name": words.metric_name(metric),
        "meaning": words.metric_meaning(metric),
        "less_is_better": words.less_is_better(metric),
        "cells": cells,
        "n": _common_n(metric, measured),
    }


def _common_n(metric: str, measured: Mapping[str, Mapping[str, Score]]) -> str:
    every = {words.number(scores[metric].get("n")) for scores in measured.values() if metric in scores}
    return "–".join(words.count(n) for n in sorted(n for n in every if n is not None))


def _cell(score: Score, *, share: bool) -> dict[str, Any]:
    return {
        "value": words.score(score["value"], share=share),
        "interval": words.interval(score["low"], score["high"], share=share) if _spread(score) else "",
        "n": score.get("n"),
        "best": False,
    }


def _spread(score: Score) -> bool:
    return words.number(score.get("low")) is not None and words.number(score.get("high")) is not None


def _group(metric: str, label: str, measured: Mapping[str, Mapping[str, Score]], names: Sequence[str]) -> Group:
    return Group(label, [_mark(name, measured[name][metric]) for name in names if metric in measured[name]])


def _mark(system: str, score: Score) -> Mark:
    low, high = words.number(score.get("low")), words.number(score.get("high"))
    style = f"s-{system}" if system in words.SYSTEM_NAMES else "s-other"
    return Mark(words.system_name(system), style, float(score["value"]), low, high)


def _matrices(found: Any, of: str = "") -> list[tuple[str, Mapping[str, Any]]]:
    """Matrices given directly, or by field, or under the tuned model's name; each with its field's name."""
    if not isinstance(found, Mapping):
        return []
    if "labels" in found and "counts" in found:
        return [(of, found)] if found["labels"] else []
    if "tuned" in found:
        return _matrices(found["tuned"])
    if set(found) & set(_SYSTEM_ORDER):
        return []  # only other systems' matrices
    return [pair for name, each in found.items() for pair in _matrices(each, str(name))]


def _cut(value: Any) -> str:
    found = words.number(value.get("count") if isinstance(value, Mapping) else value)
    return "" if found is None else words.count(found)


def _seconds(value: Any) -> str:
    found = words.number(value)
    return "" if found is None else words.duration(found)
