"""What was refused, changed and leaked on the way to a dataset, in the words of its manifest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from tunewright.base.errors import DataError, collect
from tunewright.data.augmenting import told
from tunewright.data.dataset import CHALLENGER, Part
from tunewright.data.leakage import Leaks, how
from tunewright.recipe.balance import SplitBy

HELD: tuple[Part, ...] = ("test", "validation")
_OURS = (*HELD, CHALLENGER)
SHOWN_EDITS = 20
SHOWN_PLACES = 5
_SHOWN_REASONS = 50


def check_usable(part: Part, total: int, refused: pl.DataFrame, most: float) -> None:
    """Raises a `DataError` if more of a part's records are refused than a recipe allows."""
    share = refused.height / total if total else 0.0
    if share <= most:
        return
    raise DataError(
        f"{refused.height:,} of {total:,} rows cannot be used: {share:.1%}, and data.max_unusable_share is {most:.1%}",
        where=f"data.{part}",
        hint=f"Mend them, or raise data.max_unusable_share.\n{first_faults(refused)}",
    )


def first_faults(refused: pl.DataFrame) -> str:
    """The first refused records, a line each."""
    places = refused.head(SHOWN_EDITS).select("source", "line", "reason").rows()
    return collect([f"{source}:{line}: {reason}" for source, line, reason in places], total=refused.height)


def split_note(given: Sequence[Part], *, what: str = "rows", by: SplitBy | None = None) -> str:
    """How the split came to be, in a sentence or two.

    Args:
        given: Parts that have files of their own.
        what: What the records are called.
        by: What decides beside chance.
    """
    files = f"{what.capitalize()} for {' and '.join(given)} come from files of their own. " if given else ""
    drawn = [part for part in HELD if part not in given]
    if not drawn:
        return files.strip()
    proportion = ", in proportion to the answers" if what == "rows" else ""
    if by is not None and by.time:
        return (
            f"{files}{what.capitalize()} for {' and '.join(drawn)} are the newest by '{by.time}'; texts that are the "
            "same but for white space and case stay together, where the newest of them is."
        )
    if by is not None and by.group:
        proportion += f", those with one '{by.group}' together"
    return (
        f"{files}{what.capitalize()} for {' and '.join(drawn)} were drawn from train with the seed{proportion}; "
        "texts that are the same but for white space and case stay together."
    )


def findings(
    shown: pl.DataFrame, edits: int, refused: pl.DataFrame, leaks: Mapping[str, Leaks], *, policy: str, dropped: int
) -> dict[str, Any]:
    """What was changed, refused and leaked, with examples.

    Args:
        shown: Some edits.
        edits: How many there are.
        refused: Records that cannot be used.
        leaks: What was found, by held-out part.
        policy: What the recipe does about leaks.
        dropped: Rows that left the training data for them.
    """
    reasons = (
        refused.with_columns(pl.concat_str("source", pl.lit(":"), pl.col("line").cast(pl.String)).alias("place"))
        .group_by("reason", maintain_order=True)
        .agg(pl.len().alias("count"), pl.col("place").head(SHOWN_PLACES).alias("places"))
        .sort("count", descending=True, maintain_order=True)
    )
    told = reasons.head(_SHOWN_REASONS).to_dicts()
    if reasons.height > _SHOWN_REASONS:
        rest = reasons.slice(_SHOWN_REASONS)
        told.append({"reason": "other reasons (see refused.parquet)", "count": int(rest["count"].sum()), "places": []})
    return {
        "edit_count": edits,
        "edits": shown.select(pl.col("row_id").alias("row"), "step", "field", "before", "after", "reason").to_dicts(),
        "refused_count": refused.height,
        "refused": told,
        "leakage": {
            "policy": policy,
            "rows": len(leaks["test"].ids),
            "validation_rows": len(leaks["validation"].ids),
            "dropped": dropped,
            "examples": [*leaks["test"].places[:SHOWN_PLACES]],
            "ways": dict(leaks["test"].ways),
            "benchmarks": {name: dict(found.ways) for name, found in leaks.items() if name not in _OURS},
        },
    }


def summary(manifest: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """What a person should hear: (text, level)."""
    messages: list[tuple[str, Any]] = []
    if manifest["refused_count"]:
        total = manifest["counts"]["read"]
        worst = manifest["refused"][0]
        text = f"{manifest['refused_count']:,} of {total:,} rows cannot be used; most often: {worst['reason']}."
        messages.append((text, "warning"))
    for step in manifest["steps"]:
        found = ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in step["findings"].items() if count)
        if found:
            messages.append((f"{step['name']}: {found}.", "info"))
    if "augment" in manifest:
        messages += told(manifest["augment"])
    leakage = manifest["leakage"]
    if leakage["rows"]:
        text = f"{leakage['rows']:,} test rows also stand in the training data{how(leakage.get('ways', {}))}"
        did = f"; {leakage['dropped']:,} rows left it." if leakage["policy"] == "drop" else "; both scores are shown."
        messages.append((text + did, "warning"))
    return messages
