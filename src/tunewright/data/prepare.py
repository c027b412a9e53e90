"""From a recipe's raw records to a stored dataset: read, clean, converse, split, look for leaks.

The same recipe and the same files always give the same bytes, and so the same hash.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol, cast

import polars as pl

from tunewright.base.errors import DataError, collect
from tunewright.base.events import Artifact, Listener, Message, Stage, ignore
from tunewright.base.files import write_text
from tunewright.base.seeds import derive
from tunewright.data.clean import LOG, Cleaned, clean
from tunewright.data.conversations import AnswerKind, answer_kind, converse, count_labels, strata
from tunewright.data.dataset import GENERAL, MANIFEST, PARTS, Dataset, Part, StoredPayload
from tunewright.data.formats import Format, choose_format
from tunewright.data.frame import RESERVED, StepConfig
from tunewright.data.leakage import Leaks, find_leaks, refuse_leaks
from tunewright.data.readers import check_columns, find_files, short_names
from tunewright.data.split import check_test_rows, split_rows
from tunewright.data.table import Table, distinct_ids, read_table
from tunewright.recipe.schema import Data, Recipe, Source

_SHOWN_EDITS = 20
_SHOWN_REASONS = 50
_SHOWN_PLACES = 5
_HELD: tuple[Part, ...] = ("test", "validation")


class Shelf(Protocol):
    """The part of a workspace that a dataset is put into."""

    def put(
        self,
        kind: str,
        fill: Callable[[Path], object],
        *,
        manifest: Mapping[str, Any],
        parents: Sequence[str] = (),
        producer: str = "",
    ) -> StoredPayload:
        """Stores what `fill` writes under the hash of its content."""
        ...


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
    content = _manifest(recipe, format, rows, parts, kind) | _findings(edits, refused, leaks, recipe)
    if general is not None:
        content["general"] = {"rows": general.height, "sources": [source.path for source in recipe.forgetting.data]}
    manifest = {"recipe": recipe.name, "goal": recipe.goal} | content

    def fill(folder: Path) -> None:
        for part, examples in parts.items():
            _write(examples, folder / f"{part}.parquet")
        if general is not None:
            _write(general, folder / f"{GENERAL}.parquet")
        _write(edits, folder / "edits.parquet")
        _write(refused, folder / "refused.parquet")
        # Without the recipe's name, which changes nothing in the data; keys in their order, which means something.
        write_text(folder / MANIFEST, json.dumps(content, indent=2, ensure_ascii=False) + "\n")

    dataset = Dataset.open(workspace.put("dataset", fill, manifest=manifest, producer=producer))
    for text, level in _messages(manifest):
        listener(Message(text, level))
    total = sum(manifest["splits"].values())
    listener(Stage("data", "finished", done=total, total=total, unit="rows"))
    listener(Artifact("dataset", dataset.hash, str(dataset.path)))
    return dataset


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
            f"Rows of the test also stand among the general rows: {', '.join(leaked[:_SHOWN_PLACES])}",
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
    _check_usable(part, table.total, table.refused, data.max_unusable_share)
    listener(Stage("data", "progress", total=table.frame.height, unit="rows", note=f"cleaning {part}"))
    cleaned = clean(table.frame, cast(tuple[StepConfig, ...], data.steps), format, held_out=part != "train")
    examples, misfits = converse(cleaned.frame, format, data.answer, listener=listener)
    refused = pl.concat([table.refused, cleaned.refused, misfits])
    _check_usable(part, table.total, refused, data.max_unusable_share)
    if not examples.height:
        raise DataError("No row is left", where=f"data.{part}", hint=_first_faults(refused))
    return _Rows(table, cleaned, examples, refused)


def _check_usable(part: Part, total: int, refused: pl.DataFrame, most: float) -> None:
    share = refused.height / total
    if share <= most:
        return
    raise DataError(
        f"{refused.height:,} of {total:,} rows cannot be used: {share:.1%}, and data.max_unusable_share is {most:.1%}",
        where=f"data.{part}",
        hint=f"Mend them, or raise data.max_unusable_share.\n{_first_faults(refused)}",
    )


def _first_faults(refused: pl.DataFrame) -> str:
    faults = [f"{source}:{line}: {reason}" for source, line, reason in _places(refused.head(_SHOWN_EDITS))]
    return collect(faults, total=refused.height)


def _places(refused: pl.DataFrame) -> list[tuple[str, int, str]]:
    return refused.select("source", "line", "reason").rows()


def _split(examples: dict[Part, pl.DataFrame], recipe: Recipe, kind: AnswerKind) -> dict[Part, pl.DataFrame]:
    """The three parts: files named in the recipe as they are, the others taken out of train."""
    settings, train = recipe.data.split, examples["train"]
    homes = pl.Series(
        split_rows(
            train["prompt_key"].to_list(),
            strata(train["answer"], kind),
            settings,
            parts=[part for part in _HELD if part not in examples],
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
        for part in _HELD:
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
    for part in _HELD:
        if part in rows:
            records = [one + other for one, other in zip(records, rows[part].cleaned.records, strict=True)]
    has_classes = kind in ("label", "tags")
    counted = {part: count_labels(rows["answer"], kind) for part, rows in parts.items()} if has_classes else {}
    given = [part for part in _HELD if part in rows]
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
        "split_note": _split_note(given),
    }


def _split_note(given: Sequence[Part]) -> str:
    files = f"Rows for {' and '.join(given)} come from files of their own. " if given else ""
    drawn = [part for part in _HELD if part not in given]
    if not drawn:
        return files.strip()
    return (
        f"{files}Rows for {' and '.join(drawn)} were drawn from train with the seed, in proportion to the answers; "
        "texts that are the same but for white space and case stay together."
    )


def _findings(edits: pl.DataFrame, refused: pl.DataFrame, leaks: dict[Part, Leaks], recipe: Recipe) -> dict[str, Any]:
    """What was changed, refused and leaked, with examples."""
    shown = edits.sample(min(_SHOWN_EDITS, edits.height), seed=derive(recipe.seed, "edits") % 2**32)
    reasons = (
        refused.with_columns(pl.concat_str("source", pl.lit(":"), pl.col("line").cast(pl.String)).alias("place"))
        .group_by("reason", maintain_order=True)
        .agg(pl.len().alias("count"), pl.col("place").head(_SHOWN_PLACES).alias("places"))
        .sort("count", descending=True, maintain_order=True)
    )
    told = reasons.head(_SHOWN_REASONS).to_dicts()
    if reasons.height > _SHOWN_REASONS:
        rest = reasons.slice(_SHOWN_REASONS)
        told.append({"reason": "other reasons (see refused.parquet)", "count": int(rest["count"].sum()), "places": []})
    return {
        "edit_count": edits.height,
        "edits": shown.select(pl.col("row_id").alias("row"), "step", "field", "before", "after", "reason").to_dicts(),
        "refused_count": refused.height,
        "refused": told,
        "leakage": {
            "policy": recipe.data.leakage,
            "rows": len(leaks["test"].ids),
            "validation_rows": len(leaks["validation"].ids),
            "dropped": int((edits["step"] == "leakage").sum()),
            "examples": [*leaks["test"].places[:_SHOWN_PLACES]],
        },
    }


def _messages(manifest: dict[str, Any]) -> list[tuple[str, Any]]:
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
    leakage = manifest["leakage"]
    if leakage["rows"]:
        text = f"{leakage['rows']:,} test rows also stand in the training data but for white space and case"
        did = f"; {leakage['dropped']:,} rows left it." if leakage["policy"] == "drop" else "; both scores are shown."
        messages.append((text + did, "warning"))
    return messages


def _write(frame: pl.DataFrame, path: Path) -> None:
    frame.write_parquet(path, compression="zstd", row_group_size=50_000, statistics=True)
