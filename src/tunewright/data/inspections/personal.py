"""Personal data: addresses, numbers of people and accounts, keys and passwords, by kind."""

from __future__ import annotations

from collections import Counter
from typing import Literal

from pydantic import Field

from tunewright.base.plugins import PluginConfig
from tunewright.data.quality.inspection import SHARE, WORST, Bars, Case, Inspection, counted, graded
from tunewright.data.quality.view import View
from tunewright.data.steps.redact import FINDERS, redact, tag

_PROGRESS_ROWS = 1000


class Config(PluginConfig):
    """Settings of `personal`."""

    name: Literal["personal"] = "personal"
    most: int = Field(20_000, ge=100, description="Rows looked at; of more, so many are drawn.")
    region: str | None = Field(
        None, pattern=r"^[A-Z]{2}$", description="Country whose national phone numbers are found."
    )
    act: float = Field(0.01, ge=0, le=1, description="From this share of rows on, redact before training.")


def inspect(view: View, config: Config) -> Inspection:
    """Counts what the finders of the step `redact` find in questions and answers; shows it redacted."""
    data = view.data
    rows, sampled = view.sample(data, config.most, what=config.name)
    places: Counter[str] = Counter()
    hit: Counter[str] = Counter()
    cases: list[tuple[int, Case]] = []
    for done, row in enumerate(rows.tolist()):
        if done % _PROGRESS_ROWS == 0:
            view.tell("personal", done, len(rows))
        found: Counter[str] = Counter()
        shown = []
        for text in (data.prompts[row], data.answers[row]):
            for kind, find in FINDERS.items():
                text, count = redact(text, find, tag(kind), config.region)
                found[kind] += count
            shown.append(text)
        found = +found
        if found:
            places += found
            hit.update(found.keys())
            told = ", ".join(f"{count} {kind.replace('_', ' ')}" for kind, count in found.most_common())
            cases.append((found.total(), data.case(row, told, " → ".join(text for text in shown if text))))
    share = len(cases) / len(rows)
    cases.sort(key=lambda item: -item[0])
    kinds = ", ".join(f"{count:,} {kind.replace('_', ' ')}" for kind, count in places.most_common(4))
    return Inspection(
        title="Personal data",
        value=share,
        unit=SHARE,
        verdict=graded(share, look=1e-12, act=config.act),
        found=f"{counted(len(cases), 'row')} with personal data{f': {kinds}' if kinds else ''}.",
        meaning="A model can repeat what it learned, word for word, to anyone who asks. Found by form and check "
        "digits; rows are shown redacted.",
        advice="Add the step redact to data.steps." if cases else "",
        numbers={"rows": len(cases), "places": dict(places), "rows_by_kind": dict(hit)},
        worst=tuple(case for _, case in cases[:WORST]),
        charts=(
            (
                Bars(
                    "Places by kind",
                    tuple((kind.replace("_", " "), float(n)) for kind, n in places.most_common()),
                    "places",
                ),
            )
            if places
            else ()
        ),
        sampled=sampled,
    )
