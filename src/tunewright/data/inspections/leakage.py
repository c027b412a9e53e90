"""Leakage: held-out rows and benchmarks whose texts also stand in the data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from tunewright.base.plugins import PluginConfig
from tunewright.data.minhash import Integers
from tunewright.data.near import NEAR, nearest
from tunewright.data.quality.inspection import SHARE, WORST, Bars, Case, Inspection, Verdict
from tunewright.data.quality.ngrams import overlaps, run_length
from tunewright.data.quality.view import Rows, View

WAYS = ("exact", "near", "ngram")


class Config(PluginConfig):
    """Settings of `leakage`."""

    name: Literal["leakage"] = "leakage"
    n: int = Field(0, ge=0, description="Words in a run that must not be shared; 0: by the texts' lengths, 8 to 13.")


@dataclass(frozen=True, slots=True)
class _Found:
    """What of some rows stands in the data. Of each way and row: the first row of the data, or -1; shape (rows,)."""

    rows: Rows
    exact: Integers
    near: Integers
    ngram: Integers
    similarity: npt.NDArray[np.float64]
    n: int
    too_short: int
    not_all_compared: int

    @property
    def any(self) -> npt.NDArray[np.bool_]:
        """Whether a row was found in one way or another."""
        return (self.exact >= 0) | (self.near >= 0) | (self.ngram >= 0)

    def as_json(self) -> dict[str, Any]:
        """The counts of each way."""
        counts = {way: _count(getattr(self, way), len(self.rows)) for way in WAYS}
        counts["near"] |= {"threshold": NEAR, "not_all_compared": self.not_all_compared}
        counts["ngram"] |= {"n": self.n, "too_short": self.too_short}
        return {**counts, "any": _count(np.where(self.any, 0, -1), len(self.rows)), "of": len(self.rows)}


def inspect(view: View, config: Config) -> Inspection | None:
    """Looks for held-out rows in the data: word for word, nearly, and by long runs of words.

    A row that is found word for word is not counted again among the others.
    """
    if not view.held_out and not view.benchmarks:
        return None
    held = [_find(view, rows, config.n) for rows in view.held_out]
    known = [_find(view, rows, config.n) for rows in view.benchmarks]
    each = held or known
    total = sum(len(found.rows) for found in each)
    counts = {way: sum(int((getattr(found, way) >= 0).sum()) for found in each) for way in WAYS}
    exact = sum(int((found.exact >= 0).sum()) for found in (*held, *known))
    verdict: Verdict = "act" if exact else "look" if any(found.any.any() for found in (*held, *known)) else "good"
    what = "held-out rows" if held else "rows of the benchmarks"
    return Inspection(
        title="Leakage",
        value=(counts["exact"] + counts["near"]) / total,
        unit=SHARE,
        verdict=verdict,
        found=f"Of {total:,} {what}, {counts['exact']:,} stand in the data word for word and {counts['near']:,} "
        f"nearly; {counts['ngram']:,} share a run of {_lengths(each)} words with it." + (_told(known) if held else ""),
        meaning="A model may know such rows by heart, and its score on them says nothing about new ones. A shared run "
        "of words is a hint only: among rows on one subject it may be a turn of phrase.",
        advice=""
        if verdict == "good"
        else "Take these rows out of the data or of the held-out file (data.leakage: drop), "
        "or have both scores reported (data.leakage: report).",
        numbers=_numbers(held, known),
        worst=_worst(view, [*held, *known]),
        charts=_charts([*held, *known]),
    )


def _told(known: list[_Found]) -> str:
    """A sentence on the benchmarks, where the numbers before it are of held-out rows."""
    each = (f"{found.rows.name} {int(((found.exact >= 0) | (found.near >= 0)).sum()):,}" for found in known)
    return f" Of benchmarks there stand in it: {', '.join(each)}." if known else ""


def _lengths(each: list[_Found]) -> str:
    return " or ".join(str(n) for n in sorted({found.n for found in each}))


def _find(view: View, rows: Rows, asked: int) -> _Found:
    view.tell(f"leakage: {rows.name}")
    texts, words = view.texts, rows.words
    exact = _first_rows(view, np.array([texts.position.get(text, -1) for text in words], dtype=np.int64))
    new = np.flatnonzero(exact < 0)
    unknown = [words[row] for row in new.tolist()]
    near = nearest(unknown, texts.distinct, threshold=NEAR)
    n = asked or run_length(words)
    runs = overlaps(unknown, texts.distinct, n)
    nearly, by_runs = np.full((2, len(rows)), -1, dtype=np.int64)
    similarity = np.zeros(len(rows))
    nearly[new], by_runs[new] = _first_rows(view, near.kept_by), _first_rows(view, runs.found_in)
    similarity[new] = near.similarity
    return _Found(rows, exact, nearly, by_runs, similarity, n, runs.too_short, near.crowded)


def _first_rows(view: View, texts: Integers) -> Integers:
    """The first row of each text of the data; -1 stays."""
    if not len(view.texts.first):
        return texts
    first: Integers = np.where(texts >= 0, view.texts.first[np.maximum(texts, 0)], -1)
    return first


def _count(found: Integers, total: int) -> dict[str, Any]:
    rows = int((found >= 0).sum())
    return {"rows": rows, "share": rows / total}


def _numbers(held: list[_Found], known: list[_Found]) -> dict[str, Any]:
    """The sums over the held-out files (or over the benchmarks alone), and each file's own."""
    each = held or known
    total = sum(len(found.rows) for found in each)
    sums: dict[str, Any] = {}
    for way in (*WAYS, "any"):
        parts = [found.as_json()[way] for found in each]
        rows = sum(part["rows"] for part in parts)
        sums[way] = {"rows": rows, "share": rows / total}
        for name in ("not_all_compared", "too_short"):
            if name in parts[0]:
                sums[way][name] = sum(part[name] for part in parts)
        if len({part.get("n") for part in parts}) == 1 and "n" in parts[0]:
            sums[way]["n"] = parts[0]["n"]
    sums["near"]["threshold"] = NEAR
    return {
        **sums,
        "held_out": {found.rows.name: found.as_json() for found in held},
        "benchmarks": {found.rows.name: found.as_json() for found in known},
    }


def _worst(view: View, each: list[_Found]) -> tuple[Case, ...]:
    """Rows of every way and file in turn."""
    lists: list[list[Case]] = []
    for found in each:
        order = np.argsort(-found.similarity, kind="stable").tolist()
        for way, told in (("exact", "also at"), ("near", "nearly at"), ("ngram", "shares a run of words with")):
            where: Integers = getattr(found, way)
            rows = [row for row in order if where[row] >= 0][:WORST]
            lists.append([found.rows.case(row, _why(view, told, int(where[row]))) for row in rows])
    in_turn = (cases[place] for place in range(WORST) for cases in lists if place < len(cases))
    return tuple(case for case, _ in zip(in_turn, range(WORST), strict=False))


def _why(view: View, told: str, row: int) -> str:
    return f"{told} {view.data.places[row]}: {view.data.prompts[row]}"


def _charts(each: list[_Found]) -> tuple[Bars, ...]:
    names = {"exact": "word for word", "near": "nearly", "ngram": "a long run of words"}
    bars = [
        (f"{found.rows.name}: {names[way]}" if len(each) > 1 else names[way], float((getattr(found, way) >= 0).sum()))
        for found in each
        for way in WAYS
    ]
    return (Bars("Held-out rows that stand in the data", tuple(bars)),)
