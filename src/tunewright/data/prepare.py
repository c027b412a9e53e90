"""From a recipe's raw records to a stored dataset: read, clean, converse, split, look for leaks.

The same recipe and the same files always give the same bytes, and so the same hash.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any, cast

import polars as pl

from tunewright.base.errors import DataError, did_you_mean
from tunewright.base.events import Listener, Stage, ignore
from tunewright.base.seeds import derive
from tunewright.data.answers import AnswerKind, answer_kind, count_labels, strata
from tunewright.data.augmentations._protocol import Kit
from tunewright.data.augmenting import AUGMENTED, Augmented, Try, augment_parts
from tunewright.data.challengers import bar_challengers, keep_challengers
from tunewright.data.clean import LOG, Cleaned, clean
from tunewright.data.conversations import EXAMPLES, converse
from tunewright.data.corpus import prepare_corpus
from tunewright.data.dataset import CHALLENGER, GENERAL, PARTS, Dataset, Part, Shelf
from tunewright.data.earlier_parts import EarlierParts, earlier_parts
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
from tunewright.data.gate import settle_leaks
from tunewright.data.held_out import SPLIT_BY, find_homes
from tunewright.data.leakage import Leaks, find_leaks
from tunewright.data.pieces import Chosen, Pieces, coded, write_parquet
from tunewright.data.readers import check_columns, find_files, short_names
from tunewright.data.split import HOMES, check_test_rows
from tunewright.data.storing import store_dataset
from tunewright.data.table import Table, distinct_ids, read_table
from tunewright.recipe.schema import Data, Recipe, Source

# What `evaluate.slices` may name beside columns.
NO_COLUMNS = ("class", "question_length", "answer_length", "language", "topic", "source")
_STORED = {name: kind for name, kind in EXAMPLES.items() if name not in ("prompt_key", SPLIT_BY, "item")} | {
    "leaked": pl.Boolean
}


@dataclass(frozen=True, slots=True)
class _Rows:
    """The rows of one part on their way."""

    table: Table
    cleaned: Cleaned
    examples: Pieces
    refused: pl.DataFrame


def prepare(
    recipe: Recipe,
    workspace: Shelf,
    *,
    listener: Listener = ignore,
    producer: str = "",
    cache: Path | None = None,
    trial: Try | None = None,
) -> Dataset:
    """Makes the dataset that a recipe describes, and stores it.

    Args:
        recipe: What to read, and what to do with it.
        workspace: Where the artifact goes.
        listener: Hears how far it is, and what was found.
        producer: The run that makes it.
        cache: The workspace's cache, where models lie that steps and augmenting may need.
        trial: Tries augmented rows out, where the recipe asks for some.

    Raises:
        DataError: If files, columns or rows are wrong, too many rows cannot be used, too few are held out, or test
            rows stand in train and the recipe refuses that. Nothing is stored then.
    """
    if recipe.learns_documents:
        return prepare_corpus(recipe, workspace, listener=listener, producer=producer)
    listener(Stage("data", "started"))
    recipe = _placed(recipe, cache, listener)
    earlier = earlier_parts(recipe.data.parts_of, workspace)
    format = choose_format(recipe.data)
    if declared := {"tagged": "tags", "prompts": "prompt"}.get(format.name):
        recipe = recipe.model_copy(update={"data": recipe.data.model_copy(update={"answer": declared})})
    rows = _examples(recipe.data, format, listener, looked_at(recipe), keeps_items=recipe.train.draws)
    kind = answer_kind(_all_answers(rows), recipe.data.answer)
    parts = _split({part: each.examples for part, each in rows.items()}, recipe, kind, earlier)
    general = _general(recipe, parts, listener)
    parts, leaks, dropped = settle_leaks(parts, recipe.data, format, cache=cache, listener=listener)
    parts, barred = bar_challengers(parts, workspace, listener)
    kit = Kit(recipe.seed, cache, listener)
    made = augment_parts(parts, recipe.data, kind, kit, trial) if recipe.data.augment.by else None
    if made is not None:
        parts["train"] = Chosen.all_of(Pieces.of(chain(parts["train"], made.rows)))
    edits = [*(each.cleaned.edits for each in rows.values()), dropped, barred, *([made.log] if made else [])]
    refused = pl.concat([each.refused for each in rows.values()])
    schema = _STORED | ({"item": pl.String} if recipe.train.draws else {})
    content = _manifest(recipe, format, rows, parts, kind, schema)
    count = sum(each.height for each in edits)
    content |= findings(
        _shown(edits, recipe.seed), count, refused, leaks, policy=recipe.data.leakage, dropped=dropped.height
    )
    _note(content, recipe, earlier, made, general)
    content |= {"challenger_dropped": barred.height} if barred.height else {}

    def write(folder: Path) -> None:
        _write_parts(folder, parts, leaks, recipe, schema)
        if general is not None:
            named = [name for name in _STORED if name != "leaked"]
            write_parquet((piece.select(named) for piece in general), folder / f"{GENERAL}.parquet")
        if made is not None:
            write_parquet([made.origins], folder / f"{AUGMENTED}.parquet")
        write_parquet(chain.from_iterable(edits), folder / "edits.parquet", schema=LOG)
        write_parquet([refused], folder / "refused.parquet")

    parents = [earlier.dataset] if earlier else []
    dataset = store_dataset(
        workspace, recipe, content, write, unit="rows", listener=listener, producer=producer, parents=parents
    )
    return keep_challengers(parts.get(CHALLENGER), dataset, workspace, producer=producer)


def _write_parts(
    folder: Path, parts: Mapping[Part, Chosen], leaks: Mapping[str, Leaks], recipe: Recipe, schema: Mapping[str, Any]
) -> None:
    """Writes the examples of each part."""
    for part, chosen in parts.items():
        shown = leaks[part].ids if part in leaks and recipe.data.leakage == "report" else frozenset()
        # What is learned needs no further cells; what is measured is looked at by them.
        pieces = (piece.with_columns(columns=pl.lit("")) if part == "train" else piece for piece in chosen)
        stored = (_flagged(piece, shown).select(list(schema)) for piece in pieces)
        write_parquet(stored, folder / f"{part}.parquet", schema=schema)


def _note(
    content: dict[str, Any],
    recipe: Recipe,
    earlier: EarlierParts | None,
    made: Augmented | None,
    general: Pieces | None,
) -> None:
    """Puts into the manifest what only some recipes ask for."""
    if recipe.data.undo:
        content["undo"] = [each.model_dump(exclude_defaults=True) for each in recipe.data.undo]
    if earlier:
        content["parts_of"] = earlier.dataset
    if made is not None:
        content["augment"] = made.report
        content["counts"]["kept"] -= made.rows.height
    if general is not None:
        content["general"] = {"rows": general.height, "sources": [source.path for source in recipe.forgetting.data]}


def _placed(recipe: Recipe, cache: Path | None, listener: Listener) -> Recipe:
    """The recipe, its steps told where models lie."""
    steps = tuple(step.at(cache, listener) for step in cast(tuple[StepConfig, ...], recipe.data.steps))
    return recipe.model_copy(update={"data": recipe.data.model_copy(update={"steps": steps})})


def looked_at(recipe: Recipe) -> tuple[str, ...]:
    """The columns that the evaluation tells held-out rows apart by."""
    named = (*recipe.evaluate.slices, recipe.evaluate.clusters)
    return tuple(dict.fromkeys(name for name in named if name and name not in NO_COLUMNS))


def _examples(
    data: Data, format: Format, listener: Listener, looked: Sequence[str] = (), *, keeps_items: bool = False
) -> dict[Part, _Rows]:
    """The examples of each part that has files of its own, training rows first."""
    rows: dict[Part, _Rows] = {}
    for part, table in _read(data, format, listener, looked, keeps_items=keeps_items).items():
        known = rows["train"].cleaned.known if "train" in rows else ()
        rows[part] = _make_examples(part, table, data, format, known, listener)
    return rows


def _all_answers(rows: Mapping[Part, _Rows]) -> Iterator[pl.Series]:
    """The answers that say what kind they are of: those of challenger rows are measured as the others are."""
    return chain.from_iterable(_answers(each.examples) for part, each in rows.items() if part != CHALLENGER)


def _answers(rows: Iterable[pl.DataFrame]) -> Iterator[pl.Series]:
    return (piece["answer"] for piece in rows)


def _shown(edits: Sequence[Pieces], seed: int) -> pl.DataFrame:
    """Some edits, each as likely as any other."""
    total = sum(each.height for each in edits)
    numbers = pl.int_range(total, eager=True).sample(min(SHOWN_EDITS, total), seed=derive(seed, "edits") % 2**32)
    parts, start = [pl.DataFrame(schema=LOG)], 0
    for each in edits:
        parts.append(each.take(number - start for number in numbers if start <= number < start + each.height))
        start += each.height
    return pl.concat(parts)


def _general(recipe: Recipe, parts: Mapping[Part, Chosen], listener: Listener) -> Pieces | None:
    """The general rows of `forgetting.data`, in whatever format they are recognised by; none if there are no such.

    Raises:
        DataError: If they cannot be used, or hold rows of the test.
    """
    if not recipe.forgetting.data:
        return None
    data = Data(train=recipe.forgetting.data, max_unusable_share=recipe.data.max_unusable_share)
    examples = _examples(data, choose_format(data), listener)["train"].examples
    measured = chain.from_iterable(parts[part] for part in ("test", CHALLENGER) if part in parts)
    if leaked := find_leaks(measured, examples).places:
        raise DataError(
            f"Rows of the test also stand among the general rows: {', '.join(leaked[:SHOWN_PLACES])}",
            where="forgetting.data",
            hint="Take them out: a model that learned them cannot be measured by them.",
        )
    return examples


def _read(
    data: Data, format: Format, listener: Listener, looked: Sequence[str] = (), *, keeps_items: bool
) -> dict[Part, Table]:
    """The rows of each part that has files of its own; all columns are looked for before any row is read."""
    named = (*PARTS, CHALLENGER)
    sources: dict[Part, tuple[Source, ...]] = {part: getattr(data, part) for part in named if getattr(data, part)}
    steps = cast(tuple[StepConfig, ...], data.steps)
    wanted = dict.fromkeys(column for step in steps for column in step.needed())
    carried = _further(wanted, format)
    by = _further([data.split.by.column] if data.split.by.column else [], format)
    looked = _further(looked, format)
    held: Part = "test" if data.test else "train"
    for name in (*carried, *by, *looked):
        if name in RESERVED:
            raise DataError(f"The column name '{name}' is used inside", where="data", hint="Rename it.")
    files = [file for each in sources.values() for source in each for file in find_files(source)]
    for each in sources.values():
        for source in each:
            origin = "data.template asks for it." if data.template else f"The format '{format.name}' needs it."
            check_columns(source, format.needed, hint=origin)
            check_columns(source, carried, hint="A step asks for it.")
    for source in sources["train"]:
        check_columns(source, by, hint="data.split.by names it.")
    for source in sources[held]:
        for name in looked:
            meant = did_you_mean(name, NO_COLUMNS)
            check_columns(source, [name], hint=f"{meant}evaluate.slices or evaluate.clusters names it.")
    names = short_names(files)
    further: dict[Part, tuple[str, ...]] = {"train": (*carried, *by)}
    further[held] = (*further.get(held, carried), *looked)
    tables = {
        part: read_table(
            each,
            format,
            tuple(dict.fromkeys(further.get(part, carried))),
            names=names,
            listener=listener,
            keeps_items=keeps_items,
        )
        for part, each in sources.items()
    }
    told_apart = distinct_ids([table.rows for table in tables.values()])
    return {part: replace(tables[part], rows=rows) for part, rows in zip(tables, told_apart, strict=True)}


def _further(columns: Iterable[str], format: Format) -> tuple[str, ...]:
    """The columns that a format does not bring by itself."""
    return tuple(column for column in columns if column not in format.needed and not format.makes(column))


def _make_examples(
    part: Part, table: Table, data: Data, format: Format, known: Sequence[Any], listener: Listener
) -> _Rows:
    """Cleans the rows of a part and makes conversations of them; stops where too many cannot be used."""
    check_usable(part, table.total, table.refused, data.max_unusable_share)

    def progress(done: int, steps: str) -> None:
        note = f"cleaning {part}: {steps}"
        listener(Stage("data", "progress", done=done, total=table.read, unit="rows", note=note))

    steps = cast(tuple[StepConfig, ...], data.steps)
    cleaned = clean(table.rows, steps, format, held_out=part != "train", known=known, undo=data.undo, progress=progress)
    by = data.split.by.column if part == "train" else ""
    examples, misfits = converse(cleaned.rows, format, data.answer, split_by=by, listener=listener)
    refused = pl.concat([table.refused, cleaned.refused, misfits])
    check_usable(part, table.total, refused, data.max_unusable_share)
    if not examples.height:
        raise DataError("No row is left", where=f"data.{part}", hint=first_faults(refused))
    return _Rows(table, cleaned, examples, refused)


def _split(
    examples: dict[Part, Pieces], recipe: Recipe, kind: AnswerKind, earlier: EarlierParts | None
) -> dict[Part, Chosen]:
    """The three parts: files named in the recipe as they are, the others taken out of train."""
    settings, train = recipe.data.split, examples["train"]
    drawn = [part for part in HELD if part not in examples]
    if earlier:
        homes = earlier.of(coded(train, "id"), coded(train, "prompt_key"))
    else:
        groups, _ = strata(list(_answers(train)), kind)
        homes = find_homes(train, groups, settings, parts=drawn, seed=recipe.seed)
    parts: dict[Part, Chosen] = {
        part: Chosen.all_of(examples[part])
        if part != "train" and part in examples
        else Chosen(train, homes == HOMES.index(part))
        for part in PARTS
    }
    if CHALLENGER in examples:
        parts[CHALLENGER] = Chosen.all_of(examples[CHALLENGER])
    check_test_rows(parts["test"].height, train.height, settings, given="test" in examples)
    return parts


def _flagged(piece: pl.DataFrame, leaked: frozenset[str]) -> pl.DataFrame:
    """Examples that say whether they stand in the training data, too."""
    return piece.with_columns(pl.col("id").is_in(sorted(leaked)).alias("leaked"))


def _manifest(
    recipe: Recipe,
    format: Format,
    rows: dict[Part, _Rows],
    parts: dict[Part, Chosen],
    kind: AnswerKind,
    schema: Mapping[str, Any],
) -> dict[str, Any]:
    """What was read, cleaned and split."""
    files = [asdict(file) | {"part": part} for part, each in rows.items() for file in each.table.files]
    records = list(rows["train"].cleaned.records)
    for part in (*HELD, CHALLENGER):
        if part in rows:
            records = [one + other for one, other in zip(records, rows[part].cleaned.records, strict=True)]
    has_classes = kind in ("label", "tags")
    counted = {part: count_labels(_answers(rows), kind) for part, rows in parts.items()} if has_classes else {}
    given = [part for part in HELD if part in rows]
    return {
        "seed": recipe.seed,
        "format": format.name,
        "template": recipe.data.template.model_dump() if recipe.data.template else None,
        "answer_kind": kind,
        "labels": sorted(set().union(*counted.values())),
        "label_counts": counted,
        "schema": {name: str(kind) for name, kind in pl.DataFrame(schema=schema).schema.items()},
        "sources": [{"path": file.pop("name"), **file} for file in files],
        "counts": {
            "read": sum(each.table.total for each in rows.values()),
            "recognised": sum(each.table.read for each in rows.values()),
            "clean": sum(each.cleaned.rows.height for each in rows.values()),
            "usable": sum(each.examples.height for each in rows.values()),
            "kept": sum(examples.height for examples in parts.values()),
        },
        "steps": [asdict(record) for record in records],
        "step_settings": [step.model_dump() for step in recipe.data.steps],
        "splits": {part: examples.height for part, examples in parts.items()},
        "split_note": split_note(given, by=recipe.data.split.by),
    }
