"""Length: how long the questions and answers are, and which lie far from the rest."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from pydantic import Field

from tunewright.base.plugins import PluginConfig
from tunewright.data.minhash import Integers
from tunewright.data.quality.inspection import WORST, Bars, Inspection, counted, graded
from tunewright.data.quality.numbers import far_out, histogram, quantiles
from tunewright.data.quality.view import View


class Config(PluginConfig):
    """Settings of `length`."""

    name: Literal["length"] = "length"
    look: float = Field(0.01, ge=0, le=1, description="From this share of rows of unusual length on, look.")
    act: float = Field(0.1, ge=0, le=1, description="From this share on, they need a decision.")


def inspect(view: View, config: Config) -> Inspection:
    """Words and characters of prompts and answers; words are what white space parts."""
    data = view.data
    asked, answered = _words(data.prompts), _words(data.answers)
    characters = np.fromiter(map(len, data.prompts), np.int64, len(data))
    far = far_out(characters)
    outliers = int((far != 0).sum())
    numbers: dict[str, Any] = {
        "prompt_words": quantiles(asked),
        "prompt_characters": quantiles(characters),
        "outliers": {"rows": outliers, "short": int((far < 0).sum()), "long": int((far > 0).sum())},
    }
    charts = [Bars("Words in a question" if data.answer_columns else "Words in a text", histogram(asked))]
    if view.kind in ("text", "json", "tool_call"):
        lengths = np.fromiter(map(len, data.answers), np.int64, len(data))
        numbers |= {"answer_words": quantiles(answered), "answer_characters": quantiles(lengths)}
        charts.append(Bars("Words in an answer", histogram(answered)))
    order = np.argsort(-np.abs(far), kind="stable")[: min(WORST, outliers)].tolist()
    middle = numbers["prompt_words"].get("p50", 0.0)
    return Inspection(
        title="Length",
        value=middle,
        unit="words",
        verdict=graded(outliers / len(data), look=config.look, act=config.act),
        found=f"Half of the texts have {middle:,.0f} words or fewer, the longest {int(asked.max()):,}; "
        f"{counted(outliers, 'row')} lie far from the rest.",
        meaning="What is much longer or shorter than the rest is often a broken record: two joined, or one cut. Long "
        "rows decide how much memory training takes.",
        advice="Look at these rows, and set bounds with the step length." if outliers else "",
        numbers=numbers,
        worst=tuple(
            data.case(row, f"{counted(int(characters[row]), 'character')}, {'longer' if far[row] > 0 else 'shorter'}")
            for row in order
        ),
        charts=tuple(charts),
    )


def _words(texts: list[str]) -> Integers:
    return np.fromiter((len(text.split()) for text in texts), np.int64, len(texts))
