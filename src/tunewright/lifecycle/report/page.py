"""The page: facts made ready by the other modules, put into the templates beside this file."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from markupsafe import Markup, escape

from tunewright.lifecycle.report import answers, charts, findings, gate, material, scores, slices, sure, words
from tunewright.lifecycle.report.facts import ReportFacts

if TYPE_CHECKING:
    from jinja2 import Environment

_WIDE_PX = 996
_WIDE_PAIR_PX = 478
_NARROW_PX = 358  # a phone of 390 px less the page's margins


def render_report(facts: ReportFacts) -> str:
    """One run's report: a whole HTML document that needs no other file, no script and no network.

    Whatever is absent from the facts is absent from the page, and the page says so. All texts are escaped.
    """
    from tunewright import __version__

    loss = _loss(facts)
    view: dict[str, Any] = {
        "facts": facts,
        "version": __version__,
        "created": words.moment(facts.created_at) if facts.created_at else "",
        "verdict": scores.verdict(facts),
        "gate": gate.section(facts.gate, release=facts.release, despite=facts.despite),
        "keys": scores.key_numbers(facts),
        "sources": material.sources(facts.dataset),
        "stages": material.stages(facts.dataset),
        "steps": material.steps(facts.dataset),
        "edits": material.edits(facts.dataset),
        "refused": material.refused(facts.dataset),
        "split": material.split(facts.dataset),
        "split_note": str(facts.dataset.get("split_note") or ""),
        "leakage": material.leakage(facts.dataset),
        "leaked_scores": scores.leakage_rows(facts.evaluation),
        "preflight": material.preflight(facts.preflight),
        "loss": loss,
        "loss_caption": _loss_caption(facts),
        "intervals": _intervals(facts),
        "table": scores.table(facts.evaluation),
        "comparisons": scores.comparison_rows(facts.evaluation),
        "sure": sure.sentences(facts.evaluation),
        "fields": _fields(facts),
        "confusions": _confusions(facts),
        "slices": slices.section(facts.evaluation),
        "challenger": scores.table(facts.evaluation["challenger"]) if "challenger" in facts.evaluation else None,
        "findings": findings.lines(facts.evaluation),
        "examples": answers.pairs(facts.examples),
        "tally": answers.tally(facts.examples),
        "timings": material.timings(facts.timings),
        "total_time": words.duration(sum(seconds for _, seconds in facts.timings)),
        "environment": material.environment(facts.environment),
        "versions": dict(facts.environment.get("versions") or {}),
        "commands": _commands(facts),
    }
    view["contents"] = _contents(
        errors=bool(view["fields"] or view["confusions"]),
        challenger=bool(view["challenger"]),
        slices=bool(view["slices"]),
        findings=bool(view["findings"]),
    )
    return fill("page.html.j2", view)


def fill(template: str, view: Mapping[str, Any]) -> str:
    """A whole page from one of the templates beside this file; every text that goes into it is escaped."""
    page = templates().get_template(template).render(view).strip() + "\n"
    # Half a surrogate pair, which a model may well write, cannot be saved as UTF-8: it is shown by its number.
    return page.encode("utf-8", "backslashreplace").decode("utf-8")


@functools.cache
def templates() -> Environment:
    """The templates beside this file; every text that goes into one is escaped."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    made = Environment(
        loader=PackageLoader("tunewright.lifecycle", "report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "count": words.count,
        "size": words.size,
        "system_name": words.system_name,
        "metric_name": words.metric_name,
        "spaced": lambda text: str(text).replace("_", " "),
        "breakable": _breakable,
    }
    return made


def _breakable(text: str) -> Markup:
    """A label that may be broken behind its underscores, so that long ones fit a phone."""
    return Markup("_<wbr>").join(escape(part) for part in text.split("_"))


def _contents(*, errors: bool, challenger: bool, slices: bool, findings: bool) -> list[tuple[str, str]]:
    return [
        ("sources", "Sources"),
        ("cleaning", "Cleaning"),
        ("refused", "Refused"),
        ("split", "Split"),
        ("training", "Training"),
        ("scores", "Scores"),
        *([("errors", "Errors")] if errors else []),
        ("answers", "Answers"),
        *([("challenger", "Challenger set")] if challenger else []),
        *([("slices", "Slices")] if slices else []),
        *([("findings", "Findings")] if findings else []),
        ("recipe", "Recipe"),
        ("cost", "Cost"),
        ("lineage", "Lineage"),
        ("reproduce", "Reproduce"),
    ]


def _loss(facts: ReportFacts) -> dict[str, Markup] | None:
    curves = charts.Curves(
        charts.finite(facts.train_curve),
        charts.finite(facts.validation_curve),
        charts.finite(facts.learning_rates),
        facts.best_step,
        facts.curves_are_rewards,
    )
    if not curves.train and not curves.validation:
        return None
    return {
        "wide": charts.loss_chart(curves, width=_WIDE_PX, name="loss-wide"),
        "narrow": charts.loss_chart(curves, width=_NARROW_PX, name="loss-narrow"),
    }


def _loss_caption(facts: ReportFacts) -> str:
    parts = []
    lost = len(facts.train_curve) - len(charts.finite(facts.train_curve))
    if facts.train_curve:
        each = "mean reward of the answers drawn in each step" if facts.curves_are_rewards else "loss of each step"
        parts.append(f"The faint line is the {each}, the strong one its moving average.")
    if not facts.validation_curve:
        parts.append(f"No validation {'reward' if facts.curves_are_rewards else 'loss'} was measured.")
    if lost:
        parts.append(f"{words.count(lost)} losses were no finite number and are not drawn.")
    return " ".join(parts)


def _intervals(facts: ReportFacts) -> dict[str, Markup] | None:
    groups = scores.interval_groups(facts)
    if not groups:
        return None
    return {
        "wide": charts.interval_chart(groups, width=_WIDE_PX, name="intervals-wide"),
        "narrow": charts.interval_chart(groups, width=_NARROW_PX, name="intervals-narrow"),
    }


def _fields(facts: ReportFacts) -> dict[str, Markup] | None:
    groups = scores.field_groups(facts)
    if not groups:
        return None
    return {
        "wide": charts.bar_chart(groups, width=_WIDE_PX, name="fields-wide"),
        "narrow": charts.bar_chart(groups, width=_NARROW_PX, name="fields-narrow"),
    }


def _confusions(facts: ReportFacts) -> list[dict[str, Any]]:
    return [
        {
            **found,
            "drawn": {
                form: charts.confusion_chart(
                    found["labels"], found["counts"], width=width, name=f"confusion-{at}-{form}"
                )
                for form, width in (("wide", _WIDE_PAIR_PX), ("narrow", _NARROW_PX))
            },
        }
        for at, found in enumerate(scores.confusions(facts.evaluation))
    ]


def _commands(facts: ReportFacts) -> str:
    if not facts.release and facts.gate:
        return f'tunewright run recipe.yaml\ntunewright models release {facts.run} --despite "why"'
    lines = ["tunewright run recipe.yaml", f"tunewright models show {facts.release or facts.name}"]
    return "\n".join([*lines, f"tunewright chat {facts.release or facts.name}"])
