"""From a recipe's raw records to a stored dataset: read, clean, converse, split, look for leaks.

The same recipe and the same files always give the same bytes, and so the same hash.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, cast

import polars as pl

from tunewright.base.errors import DataError
from tunewright.base.events import Listener, Stage, ignore
from tunewright.base.seeds import derive
from tunewright.data.clean import LOG, Cleaned, clean
from tunewright.data.conversations import AnswerKind, answer_kind, converse, count_labels, strata
from tunewright.data.corpus import prepare_corpus
from tunewright.data.dataset import GENERAL, PARTS, Dataset, Part, Shelf
from tunewright.data.findings import (
    HELD,
    SHOWN_EDITS,
    SHOWN_PLACES,
    check_usable,
    findings,
    first_faults,
    split_note,
)
from tunewright.data.formats import Format, choose_format
from tunewright.data.frame import RESERVED, StepConfig
from tunewright.data.leakage import Leaks, find_leaks, refuse_leaks
from tunewright.data.readers import check_columns, find_files, short_names
from tunewright.data.split import check_test_rows, split_rows
from tunewright.data.storing import store_dataset
from tunewright.data.table import Table, distinct_ids, read_table
from tunewright.recipe.schema import Data, Recipe, Source


@dataclass(frozen=True, slots=True)
class _Rows:
    """The rows of one part on their way."""

    table: Table
    cleaned: Cleaned
    examples: pl.DataFrame
    refused: pl.DataFrame


def prepare(recipe: Recipe, workspace: Shelf, *, listener: Listener = ignore, producer: str = "") -> Dataset:
    """Makes the dataset that a recipe describes, and stores it.

    Args:
        recipe: What to read, and what to do with it.
        workspace: Where the artifact goes.
        listener: Hears how far it is, and what was found.
        producer: The run that makes it.

    Raises:
        DataError: If files, columns or rows are wrong, too many rows cannot be used, too few are held out, or test
            rows stand in train and the recipe refuses that. Nothing is stored then.
    """
    if recipe.learns_documents:
        return prepare_corpus(recipe, workspace, listener=listener, producer=producer)
    listener(Stage("data", "started"))
    format = choose_format(recipe.data)
    if format.name == "tagged":
        recipe = recipe.model_copy(update={"data": recipe.data.model_copy(update={"answer": "tags"})})
    read = _read(recipe.data, format, listener)
    rows = {part: _make_examples(part, table, recipe.data, format, listener) for part, table in read.items()}
    answers = pl.concat([part.examples["answer"] for part in rows.values()])
    kind = answer_kind(answers, recipe.data.answer)
    parts = _split({part: each.examples for part, each in rows.items()}, recipe, kind)
    general = _general(recipe, parts["test"], listener)
    parts, leaks, dropped = _settle_leaks(parts, recipe.data)
    edits = pl.concat([*(each.cleaned.edits for each in rows.values()), dropped])
    refused = pl.concat([each.refused for each in rows.values()])
    shown = edits.sample(min(SHOWN_EDITS, edits.height), seed=derive(recipe.seed, "edits") % 2**32)
    gone, policy = int((edits["step"] == "leakage").sum()), recipe.data.leakage
    content = _manifest(recipe, format, rows, parts, kind)
    content |= findings(shown, edits.height, refused, leaks, policy=policy, dropped=gone)
    if general is not None:
        content["general"] = {"rows": general.height, "sources": [source.path for source in recipe.forgetting.data]}

    def write(folder: Path) -> None:
        for part, examples in parts.items():
            _write(examples, folder / f"{part}.parquet")
        if general is not None:
            _write(general, folder / f"{GENERAL}.parquet")
        _write(edits, folder / "edits.parquet")
        _write(refused, folder / "refused.parquet")

    return store_dataset(workspace, recipe, content, write, unit="rows", listener=listener, producer=producer)


def _general(recipe: Recipe, test: pl.DataFrame, listener: Listener) -> pl.DataFrame | None:
    """The general rows of `forgetting.data`, in whatever format they are recognised by; none if there are no such.

    Raises:
        DataError: If they cannot be used, or hold rows of the test.
    """
    if not recipe.forgetting.data:
        return None
    data = Data(train=recipe.forgetting.data, max_unusable_share=recipe.data.max_unusable_share)
    format = choose_format(data)
    examples = _make_examples("train", _read(data, format, listener)["train"], data, format, listener).examples
    if leaked := find_leaks(test, examples).places:
        raise DataError(
            f"Rows of the test also stand among the general rows: {', '.join(leaked[:SHOWN_PLACES])}",
            where="forgetting.data",
            hint="Take them out: a model that learned them cannot be measured by them.",
        )
    return examples.drop("prompt_key")


def _read(data: Data, format: Format, listener: Listener) -> dict[Part, Table]:
    """The rows of each part that has files of its own; all columns are looked for before any row is read."""
    sources: dict[Part, tuple[Source, ...]] = {part: getattr(data, part) for part in PARTS if getattr(data, part)}
    steps = cast(tuple[StepConfig, ...], data.steps)
    wanted = dict.fromkeys(column for step in steps for column in step.needed())
    carried = tuple(column for column in wanted if column not in format.needed and not format.makes(column))
    for name in carried:
        if name in RESERVED:
            raise DataError(f"The column name '{name}' is used inside", where="data.steps", hint="Rename it.")
    files = [file for each in sources.values() for source in each for file in find_files(source)]
    for each in sources.values():
        for source in each:
            origin = "data.template asks for it." if data.template else f"The format '{format.name}' needs it."
            check_columns(source, format.needed, hint=origin)
            check_columns(source, carried, hint="A step asks for it.")
    names = short_names(files)
    tables = {part: read_table(each, format, carried, names=names, listener=listener) for part, each in sources.items()}
    frames = distinct_ids([table.frame for table in tables.values()])
    return {part: replace(tables[part], frame=frame) for part, frame in zip(tables, frames, strict=True)}


def _make_examples(part: Part, table: Table, data: Data, format: Format, listener: Listener) -> _Rows:
    """Cleans the rows of a part and makes conversations of them; stops where too many cannot be used."""
    check_usable(part, table.total, table.refused, data.max_unusable_share)
    listener(Stage("data", "progress", total=table.frame.height, unit="rows", note=f"cleaning {part}"))
    cleaned = clean(table.frame, cast(tuple[StepConfig, ...], data.steps), format, held_out=part != "train")
    examples, misfits = converse(cleaned.frame, format, data.answer, listener=listener)
    refused = pl.concat([table.refused, cleaned.refused, misfits])
    check_usable(part, table.total, refused, data.max_unusable_share)
    if not examples.height:
        raise DataError("No row is left", where=f"data.{part}", hint=first_faults(refused))
    return _Rows(table, cleaned, examples, refused)


def _split(examples: dict[Part, pl.DataFrame], recipe: Recipe, kind: AnswerKind) -> dict[Part, pl.DataFrame]:
    """The three parts: files named in the recipe as they are, the others taken out of train."""
    settings, train = recipe.data.split, examples["train"]
    homes = pl.Series(
        split_rows(
            train["prompt_key"].to_list(),
            strata(train["answer"], kind),
            settings,
            parts=[part for part in HELD if part not in examples],
            seed=recipe.seed,
        ),
        dtype=pl.String,
    )
    parts: dict[Part, pl.DataFrame] = {
        part: examples[part] if part != "train" and part in examples else train.filter(homes == part) for part in PARTS
    }
    check_test_rows(parts["test"].height, train.height, settings, given="test" in examples)
    return parts


def _settle_leaks(
    parts: dict[Part, pl.DataFrame], data: Data
) -> tuple[dict[Part, pl.DataFrame], dict[Part, Leaks], pl.DataFrame]:
    """Looks for held-out texts in what the model learns from or is chosen by, and does what the recipe says.

    Returns:
        The parts, `leaked` a column of each; what was found; the log of rows dropped.
    """
    # Validation rows choose the best checkpoint, so a test text must not stand among them either.
    leaks: dict[Part, Leaks] = {
        "test": find_leaks(parts["test"], pl.concat([parts["train"], parts["validation"]])),
        "validation": find_leaks(parts["validation"], parts["train"]),
    }
    logs = [pl.DataFrame(schema=LOG)]
    if data.leakage == "refuse":
        for part in HELD:
            refuse_leaks(part, leaks[part])
    elif data.leakage == "drop":
        banned: dict[Part, frozenset[str]] = {
            "train": leaks["test"].keys | leaks["validation"].keys,
            "validation": leaks["test"].keys,
        }
        for part, keys in banned.items():
            gone = pl.col("prompt_key").is_in(sorted(keys))
            logs.append(_leak_log(parts[part].filter(gone)))
            parts = parts | {part: parts[part].filter(~gone)}
        if not parts["train"].height:
            raise DataError("Every training row also stands among the held-out rows", where="data.train")
    flagged: dict[Part, pl.DataFrame] = {}
    for part, examples in parts.items():
        ids = leaks[part].ids if part in leaks and data.leakage == "report" else frozenset()
        flagged[part] = examples.with_columns(pl.col("id").is_in(sorted(ids)).alias("leaked")).drop("prompt_key")
    return flagged, leaks, pl.concat(logs)


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


def _manifest(
    recipe: Recipe, format: Format, rows: dict[Part, _Rows], parts: dict[Part, pl.DataFrame], kind: AnswerKind
) -> dict[str, Any]:
    """What was read, cleaned and split."""
    files = [asdict(file) | {"part": part} for part, each in rows.items() for file in each.table.files]
    records = list(rows["train"].cleaned.records)
    for part in HELD:
        if part in rows:
            records = [one + other for one, other in zip(records, rows[part].cleaned.records, strict=True)]
    has_classes = kind in ("label", "tags")
    counted = {part: count_labels(rows["answer"], kind) for part, rows in parts.items()} if has_classes else {}
    given = [part for part in HELD if part in rows]
    return {
        "seed": recipe.seed,
        "format": format.name,
        "template": recipe.data.template.model_dump() if recipe.data.template else None,
        "answer_kind": kind,
        "labels": sorted(set().union(*counted.values())),
        "label_counts": counted,
        "schema": {name: str(dtype) for name, dtype in parts["train"].schema.items()},
        "sources": [{"path": file.pop("name"), **file} for file in files],
        "counts": {
            "read": sum(each.table.total for each in rows.values()),
            "recognised": sum(each.table.frame.height for each in rows.values()),
            "clean": sum(each.cleaned.frame.height for each in rows.values()),
            "usable": sum(each.examples.height for each in rows.values()),
            "kept": sum(examples.height for examples in parts.values()),
        },
        "steps": [asdict(record) for record in records],
        "step_settings": [step.model_dump() for step in recipe.data.steps],
        "splits": {part: examples.height for part, examples in parts.items()},
        "split_note": split_note(given),
    }


def _write(frame: pl.DataFrame, path: Path) -> None:
    frame.write_parquet(path, compression="zstd", row_group_size=50_000, statistics=True)
