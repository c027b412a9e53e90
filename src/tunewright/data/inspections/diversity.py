"""Diversity: how much the rows differ in their wording."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from tunewright.base.plugins import PluginConfig
from tunewright.data.quality.inspection import SHARE, Bars, Case, Inspection, graded
from tunewright.data.quality.view import View

_WINDOW_WORDS = 50
_OPENING_WORDS = 3
_SHOWN_OPENINGS = 10


class Config(PluginConfig):
    """Settings of `diversity`."""

    name: Literal["diversity"] = "diversity"
    most: int = Field(20_000, ge=100, description="Rows looked at; of more, so many are drawn.")
    look: float = Field(6.0, gt=1, description="From this compression ratio on, look: prose of one subject has 2 to 5.")
    act: float = Field(12.0, gt=1, description="From this ratio on, most of the text is repetition.")


def inspect(view: View, config: Config) -> Inspection | None:
    """Compression ratio, distinct n-grams, type-token ratio in a moving window, and the most common openings.

    The ratio of the text's bytes to their size when deflated is the measure that follows people's sense of repetition
    best and hardly depends on how much text there is (Shaib et al., "Standardizing the Measurement of Text Diversity",
    2024, https://arxiv.org/abs/2403.00553). Distinct-n (Li et al., 2016) is the share of n-grams that are different,
    and falls as text grows. The type-token ratio is the mean over windows of 50 words (MATTR; Covington and McFall,
    2010), which does not.
    """
    rows, sampled = view.sample(view.data, config.most, what=config.name)
    chosen = [int(row) for row in rows if view.data.words[row]]
    texts = [view.data.words[row].split(" ") for row in chosen]
    words = [word for text in texts for word in text]
    if len(words) < _WINDOW_WORDS:
        return None
    whole = "\n".join(view.data.words[row] for row in chosen).encode("utf-8", "surrogatepass")
    ratio = len(whole) / len(zlib.compress(whole, 9))
    distinct = {n: _distinct(texts, n) for n in (1, 2, 3)}
    openings = Counter(" ".join(text[:_OPENING_WORDS]) for text in texts)
    common = openings.most_common(_SHOWN_OPENINGS)
    first = {" ".join(text[:_OPENING_WORDS]): row for text, row in reversed(list(zip(texts, chosen, strict=True)))}
    share = common[0][1] / len(texts)
    return Inspection(
        title="Diversity",
        value=ratio,
        unit="times smaller when packed",
        verdict=graded(ratio, look=config.look, act=config.act),
        found=f"The texts pack {ratio:.1f} times smaller; {100 * share:.1f}% begin with “{common[0][0]}”.",
        meaning="Rows that say the same in the same words teach little more than one of them, and a model that learned "
        "few wordings fails on others. Prose on one subject packs 2 to 5 times smaller.",
        advice="Bring rows from other people, sources or times; thin out templates and near copies."
        if ratio >= config.look
        else "",
        numbers={
            "compression_ratio": ratio,
            **{f"distinct_{n}": value for n, value in distinct.items()},
            "type_token_ratio": type_token_ratio(words),
            "vocabulary": len(set(words)),
            "words": len(words),
            "openings": dict(common),
        },
        worst=tuple(
            Case(view.data.places[first[words_]], view.data.prompts[first[words_]], f"{count:,} texts begin like it")
            for words_, count in common[:4]
            if count > 1
        ),
        charts=(
            Bars("The most common first words", tuple((name, count / len(texts)) for name, count in common), SHARE),
        ),
        sampled=sampled,
    )


def type_token_ratio(words: Sequence[str], window: int = _WINDOW_WORDS) -> float:
    """Mean share of different words over all windows of so many words; there are at least as many words."""
    inside = Counter(words[:window])
    total, count = len(inside), 1
    for leaving, entering in zip(words, words[window:], strict=False):
        inside[entering] += 1
        inside[leaving] -= 1
        if not inside[leaving]:
            del inside[leaving]
        total, count = total + len(inside), count + 1
    return total / count / window


def _distinct(texts: Sequence[Sequence[str]], n: int) -> float:
    """Different n-grams for each n-gram there is; 0 where there is none."""
    seen: set[tuple[str, ...]] = set()
    total = 0
    for text in texts:
        grams = list(zip(*(text[offset:] for offset in range(n)), strict=False))
        total += len(grams)
        seen.update(grams)
    return len(seen) / total if total else 0.0
