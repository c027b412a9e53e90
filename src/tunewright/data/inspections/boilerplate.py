"""Boilerplate: sentences and lines that many texts share, and markup that no person wrote."""

from __future__ import annotations

import re
from collections import Counter
from typing import Literal

from pydantic import Field

from tunewright.base.plugins import PluginConfig
from tunewright.data.near import words_of
from tunewright.data.quality.inspection import SHARE, WORST, Bars, Inspection, counted, graded
from tunewright.data.quality.view import View

_PART = re.compile(r"(?<=[.!?])\s+|\n+")
_MARKUP = re.compile(r"</?[a-zA-Z][a-zA-Z0-9]*(?:\s[^<>]*)?/?>|&(?:[a-z]{2,8}|#\d{1,6}|#x[0-9a-fA-F]{1,5});")
_SHOWN = 10
_SHOWN_CHARACTERS = 60


class Config(PluginConfig):
    """Settings of `boilerplate`."""

    name: Literal["boilerplate"] = "boilerplate"
    most: int = Field(100_000, ge=100, description="Rows looked at; of more, so many are drawn.")
    words: int = Field(3, ge=1, description="A sentence or line with fewer words than this is never boilerplate.")
    least: int = Field(5, ge=2, description="Texts that must share it, at least.")
    share: float = Field(0.002, ge=0, le=1, description="Share of the texts that must share it, at least.")
    look: float = Field(0.02, ge=0, le=1, description="From this share of rows with boilerplate or markup on, look.")
    act: float = Field(0.25, ge=0, le=1, description="From this share on, take it out.")


def inspect(view: View, config: Config) -> Inspection | None:
    """Counts sentences and lines, compared after reduction to words, that stand in many texts of more than one.

    A text that is one sentence is no boilerplate, however often it comes: it is a copy.
    """
    data = view.data
    rows, sampled = view.sample(data, config.most, what=config.name)
    parts: dict[int, set[str]] = {}
    shown: dict[str, str] = {}
    for row in rows.tolist():
        pieces = [piece for piece in _PART.split(data.prompts[row]) if piece.strip()]
        if len(pieces) < 2:
            continue
        reduced = {words_of(piece): piece for piece in pieces}
        parts[row] = {words for words in reduced if words.count(" ") + 1 >= config.words}
        for words in parts[row]:
            shown.setdefault(words, reduced[words].strip())
    counts = Counter(words for each in parts.values() for words in each)
    least = max(config.least, config.share * len(rows))
    common = {words: count for words, count in counts.items() if count >= least}
    repeated = [row for row, each in parts.items() if any(words in common for words in each)]
    marked = [row for row in rows.tolist() if _MARKUP.search(data.prompts[row])]
    share = len({*repeated, *marked}) / len(rows)
    most = sorted(common.items(), key=lambda item: (-item[1], item[0]))[:_SHOWN]
    return Inspection(
        title="Boilerplate",
        value=share,
        unit=SHARE,
        verdict=graded(share, look=config.look, act=config.act),
        found=f"{counted(len(common), 'sentence')} of many texts ({counted(len(repeated), 'row')}); "
        f"{counted(len(marked), 'row')} with markup.",
        meaning="Greetings, signatures, disclaimers and tags take up the model's length limit and teach it nothing; "
        "where they go with a label, it learns to go by them.",
        advice="Take them out with the steps boilerplate and markup." if share >= config.look else "",
        numbers={
            "rows": len({*repeated, *marked}),
            "sentences": [{"text": shown[words], "rows": count} for words, count in most],
            "repeated_rows": len(repeated),
            "markup_rows": len(marked),
        },
        worst=(
            *(
                data.case(
                    next(row for row, each in parts.items() if words in each), f"{count:,} texts have “{shown[words]}”"
                )
                for words, count in most[: WORST // 2]
            ),
            *(data.case(row, f"markup: {_first_tag(data.prompts[row])}") for row in marked[: WORST // 2]),
        ),
        charts=(
            (Bars("Sentences that come back", tuple((_short(shown[words]), float(count)) for words, count in most)),)
            if most
            else ()
        ),
        sampled=sampled,
    )


def _first_tag(text: str) -> str:
    found = _MARKUP.search(text)
    return found[0] if found else ""


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[: _SHOWN_CHARACTERS - 1]}…"
