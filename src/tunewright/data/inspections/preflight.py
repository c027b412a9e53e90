"""Fit: how the rows suit the recipe's model, in its tokens: what is cut, what is learned, and whether it can stop."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from tunewright.base.errors import InputError
from tunewright.base.plugins import PluginConfig
from tunewright.data.quality.inspection import SHARE, WORST, Bars, Case, Inspection, NotRun, Verdict
from tunewright.data.quality.view import View


class Config(PluginConfig):
    """Settings of `preflight`."""

    name: Literal["preflight"] = "preflight"
    act: float = Field(0.05, ge=0, le=1, description="From this share of rows over the limit on, raise it.")


def inspect(view: View, config: Config) -> Inspection | NotRun | None:
    """The look before training (`data/preflight.py`): the rows as the recipe's steps leave them."""
    if view.preflight is None:
        return None
    try:
        found = view.preflight()
    except InputError as error:
        where = f"{error.where}: " if error.where else ""
        return NotRun(f"{where}{error.what}", error.hint)
    told: dict[str, Any] = {key: value for key, value in found.as_json().items() if key not in ("previews", "warnings")}
    cut = told["truncated_share"]
    stops = found.end_share == 1.0 or bool(found.classes)
    verdict: Verdict = "good"
    if cut >= config.act or not stops or found.usable <= 0:
        verdict = "act"
    elif cut or found.no_target or found.warnings:
        verdict = "look"
    base = view.recipe.base if view.recipe else ""
    return Inspection(
        title="Fit to the model",
        value=cut,
        unit=SHARE,
        verdict=verdict,
        found=f"Of {found.examples:,} examples, {found.too_long + found.truncated + found.split:,} are longer than "
        f"{found.max_length:,} tokens of {base}, {found.no_target:,} have nothing to learn; "
        + (
            "every answer's end is learned."
            if stops
            else f"only {found.end_share:.0%} of the answers' ends are learned."
        ),
        meaning="What is over the limit is cut or left out, as data.too_long says; a model that never learns an "
        "answer's end does not stop. " + " ".join(found.warnings),
        advice=""
        if verdict == "good"
        else "Raise data.max_length, or choose what data.too_long does; see the sentences above.",
        numbers={**told, "warnings": list(found.warnings)},
        worst=_worst(found.refused_places),
        charts=(
            (
                Bars(
                    "Tokens in an example", tuple((name, float(size)) for name, size in found.lengths.items()), "tokens"
                ),
            )
            if found.lengths
            else ()
        ),
    )


def _worst(places: tuple[str, ...]) -> tuple[Case, ...]:
    """The first refused records; each place reads `file:line: reason`."""
    split = (place.split(": ", 1) for place in places[:WORST])
    return tuple(Case(place, "", reason) for place, reason in split)
