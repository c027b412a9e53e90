"""Language: which languages the texts are in."""

from __future__ import annotations

from collections import Counter
from typing import Literal

from pydantic import Field

from tunewright.base.plugins import PluginConfig
from tunewright.data.languages import detect
from tunewright.data.quality.inspection import SHARE, WORST, Bars, Case, Inspection, counted, graded
from tunewright.data.quality.view import View

_SHOWN_LANGUAGES = 10


class Config(PluginConfig):
    """Settings of `language`."""

    name: Literal["language"] = "language"
    most: int = Field(20_000, ge=100, description="Rows looked at; of more, so many are drawn.")
    letters: int = Field(30, ge=1, description="A text with fewer letters is too short to tell.")
    sure: float = Field(0.9, ge=0, le=1, description="A guess that is less probable than this is not counted.")
    look: float = Field(0.005, ge=0, le=1, description="From this share of rows in further languages on, look.")


def inspect(view: View, config: Config) -> Inspection | None:
    """Counts languages by their ISO 639-1 codes. Short texts and unsure guesses are counted apart."""
    data = view.data
    rows, sampled = view.sample(data, config.most, what=config.name)
    counts: Counter[str] = Counter()
    found: list[tuple[int, str, float]] = []
    short = unsure = 0
    for row in rows.tolist():
        text = data.prompts[row]
        if sum(map(str.isalpha, text)) < config.letters:
            short += 1
            continue
        language, probability = detect(text)
        if probability < config.sure:
            unsure += 1
            continue
        counts[language] += 1
        found.append((row, language, probability))
    if not found:
        return None
    main, most = counts.most_common(1)[0]
    share = most / len(found)
    others = sorted((item for item in found if item[1] != main), key=lambda item: -item[2])
    return Inspection(
        title="Language",
        value=share,
        unit=SHARE,
        verdict=graded(1 - share, look=config.look, act=1.1),
        found=f"{100 * share:.1f}% of the texts that can be told are in '{main}'"
        + (f"; {counted(len(counts) - 1, 'further language')}." if len(counts) > 1 else "."),
        meaning="A model answers worst in the languages that it saw least of; a few rows in another language are often "
        "strays.",
        advice="Keep the languages that are meant with the step language, or bring more rows of the rare ones."
        if 1 - share >= config.look
        else "",
        numbers={"languages": dict(counts.most_common()), "too_short": short, "unsure": unsure},
        worst=tuple(
            Case(data.places[row], data.prompts[row], f"'{language}', {probability:.0%} sure")
            for row, language, probability in others[:WORST]
        ),
        charts=(
            Bars("Languages", tuple((name, float(count)) for name, count in counts.most_common(_SHOWN_LANGUAGES))),
        ),
        sampled=sampled,
    )
