"""The gate between what is learned and what is measured: held-out and benchmark texts that also stand in train."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path

import numpy as np
import polars as pl

from tunewright.base.errors import DataError
from tunewright.base.events import Listener, ignore
from tunewright.data.clean import LOG
from tunewright.data.dataset import CHALLENGER, Part
from tunewright.data.formats import Format
from tunewright.data.leakage import PLACE, Leaks, find_leaks, refuse_leaks
from tunewright.data.likeness import Match, matcher, same_words
from tunewright.data.pieces import Chosen, Pieces
from tunewright.data.quality.reading import read_sources, shape_of_others
from tunewright.data.questions import asked
from tunewright.data.readers import find_files, short_names
from tunewright.recipe.schema import Data

_ASKED = {"id": pl.String, "prompt_key": pl.String, "place": pl.String, "text": pl.String}


def settle_leaks(
    parts: dict[Part, Chosen], data: Data, format: Format, *, cache: Path | None = None, listener: Listener = ignore
) -> tuple[dict[Part, Chosen], dict[str, Leaks], Pieces]:
    """Looks for held-out texts in what the model learns from or is chosen by, and does what the recipe says.

    Args:
        parts: The examples of each part.
        data: Says in which ways texts are compared (`leakage_ways`), with which benchmarks beside the held-out rows,
            and what to do (`leakage`).
        format: How a row becomes a conversation, so that a benchmark's rows are read likewise.
        cache: The workspace's cache, where the text encoder is looked for.
        listener: Hears how far the encoder is.

    Returns:
        The parts; what was found, by held-out part and by benchmark; the log of rows dropped.

    Raises:
        DataError: If there are leaks and the recipe refuses them, or dropping them leaves nothing to learn.
    """
    matches: dict[str, Match] = {way: matcher(way, cache=cache, listener=listener) for way in data.leakage_ways}
    # Validation rows choose the best checkpoint, so a test text must not stand among them either.
    learned = (parts["train"], parts["validation"])
    leaks: dict[str, Leaks] = {
        "test": _find(parts["test"], learned, matches),
        "validation": _find(parts["validation"], learned[:1], matches),
    }
    if CHALLENGER in parts:
        leaks[CHALLENGER] = _find(parts[CHALLENGER], learned, matches)
    for name in data.benchmarks:
        leaks[name] = _find_benchmark(_benchmark(name, data, format, listener), learned, matches)
    log = Pieces.of([pl.DataFrame(schema=LOG)])
    if data.leakage == "refuse":
        for name, found in leaks.items():
            refuse_leaks(name, found)
    elif data.leakage == "report" and CHALLENGER in leaks:
        refuse_leaks(CHALLENGER, leaks[CHALLENGER])  # it is what no run ever learns: there is nothing to report
    elif data.leakage == "drop":
        everywhere = frozenset[str]().union(*(found.keys for name, found in leaks.items() if name != "validation"))
        banned: dict[Part, frozenset[str]] = {
            "train": everywhere | leaks["validation"].keys,
            "validation": everywhere,
        }
        for part, keys in banned.items():
            left, gone = parts[part].without(keys)
            for piece in gone:
                log.add(_leak_log(piece))
            parts = parts | {part: left}
        if not parts["train"].height:
            raise DataError("Every training row also stands among the held-out rows", where="data.train")
    return parts, leaks, log


def _find(held: Chosen, seen: Sequence[Chosen], matches: Mapping[str, Match]) -> Leaks:
    """The held-out rows that stand in `seen`, in one way after another; a row counts in the first that finds it."""
    leaks = find_leaks(held, chain.from_iterable(seen))
    if not matches:
        return leaks
    ours, theirs = _asked(held), _asked(chain.from_iterable(seen))
    cut = _without_constant(pl.concat([ours["text"], theirs["text"]]))
    return _more(leaks, ours.with_columns(cut), theirs.with_columns(cut), matches)


def _find_benchmark(rows: pl.DataFrame, seen: Sequence[Chosen], matches: Mapping[str, Match]) -> Leaks:
    """The rows of a benchmark that stand in `seen`; whatever template those are in."""
    theirs = _asked(chain.from_iterable(seen))
    cut = theirs.with_columns(_without_constant(theirs["text"]))
    return _more(Leaks(frozenset(), (), frozenset()), rows, cut, {"exact": same_words, **matches})


def _more(leaks: Leaks, ours: pl.DataFrame, theirs: pl.DataFrame, matches: Mapping[str, Match]) -> Leaks:
    for way, match in matches.items():
        left = ours.filter(~pl.col("id").is_in(sorted(leaks.ids)))
        found = match(left["text"].to_list(), theirs["text"].to_list())
        hits = np.flatnonzero(found >= 0)
        pairs = zip(left["place"].gather(hits), theirs["place"].gather(found[hits]), strict=True)
        # Every learned text that is like a held-out one, not only the first.
        like = match(theirs["text"].to_list(), left["text"].to_list()) >= 0
        leaks = replace(
            leaks,
            ids=leaks.ids | frozenset(left["id"].gather(hits)),
            places=(*leaks.places, *(f"{one} ~ {other} ({way})" for one, other in pairs)),
            keys=leaks.keys | frozenset(theirs["prompt_key"].filter(pl.Series(like))),
            ways={**leaks.ways, way: len(hits)},
        )
    return leaks


def _asked(frames: Iterable[pl.DataFrame]) -> pl.DataFrame:
    """What each row's users say before the last answer."""
    rows = [pl.DataFrame(schema=_ASKED)]
    for frame in frames:
        texts = [asked(record, {}) for record in frame.select("messages").iter_rows(named=True)]
        rows.append(
            frame.select("id", "prompt_key", PLACE.alias("place")).with_columns(
                pl.Series("text", texts, dtype=pl.String)
            )
        )
    return pl.concat(rows)


def _without_constant(texts: pl.Series) -> pl.Expr:
    """Cuts the words that a template puts around all of some texts, which would make every pair look alike."""
    text = pl.col("text")
    if texts.n_unique() < 2:
        return text
    turned = texts.str.reverse()
    before = _common(str(texts.min()), str(texts.max()))
    after = _common(str(turned.min()), str(turned.max()))
    # Whole words only: what is common beyond them is so by chance.
    first, last = (len(common) - len(re.split(r"\s", common)[-1]) for common in (before, after))
    return text.str.slice(first).str.head(-last) if last else text.str.slice(first)


def _common(one: str, other: str) -> str:
    """What both begin with."""
    same = next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    return one[:same]


def _benchmark(name: str, data: Data, format: Format, listener: Listener) -> pl.DataFrame:
    """A benchmark's rows, as far as leaks are looked for."""
    sources = data.benchmarks[name]
    names = short_names(file for source in sources for file in find_files(source))
    shape = shape_of_others(sources, format)
    rows = read_sources(sources, shape, name=name, names=names, listener=listener)
    return pl.DataFrame(
        {
            "id": [f"{name}/{number}" for number in range(len(rows))],
            "prompt_key": [""] * len(rows),
            "place": rows.places,
            "text": rows.prompts,
        },
        schema=_ASKED,
    )


def _leak_log(gone: pl.DataFrame) -> pl.DataFrame:
    return gone.select(
        pl.col("id").alias("row_id"),
        pl.lit("leakage").alias("step"),
        pl.lit(None, pl.String).alias("field"),
        pl.struct("messages").struct.json_encode().alias("before"),
        pl.lit(None, pl.String).alias("after"),
        pl.lit("also stands among the held-out rows").alias("reason"),
        "source",
        "line",
    )
