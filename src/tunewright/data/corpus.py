"""From a recipe's documents to a stored dataset, streamed: memory does not grow with them.

The sources are read twice. The first pass cleans and looks: it counts, finds faults and leaks, and keeps eight bytes
for each document, by which the split is drawn. The second writes. Documents with one text (that of their first section,
but for white space and case) stay together.
"""

from __future__ import annotations

import hashlib
import random
from array import array
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import polars as pl

from tunewright.base.errors import DataError
from tunewright.base.events import Listener, Stage
from tunewright.base.files import hash_file
from tunewright.base.seeds import derive
from tunewright.data.clean import LOG, StepRecord, clean, surveys
from tunewright.data.dataset import PARTS, Dataset, Part, Shelf
from tunewright.data.documents import TEXT, Section, check_documents, document_of, read_documents
from tunewright.data.findings import HELD, SHOWN_EDITS, check_usable, findings, split_note
from tunewright.data.folding import text_key
from tunewright.data.frame import LINE, ROW_ID, SOURCE, StepConfig
from tunewright.data.leakage import Leaks, refuse_leaks
from tunewright.data.pieces import Pieces
from tunewright.data.readers import find_files, short_names
from tunewright.data.rows import Fault
from tunewright.data.split import check_test_rows, wanted_rows
from tunewright.data.storing import store_dataset
from tunewright.data.table import REFUSED, SourceFile
from tunewright.recipe.schema import Recipe, Source

_CHUNK_CHARACTERS = 1 << 21
_CHUNK_SECTIONS = 2000
COLUMNS: dict[str, Any] = {"id": pl.String, "source": pl.String, "line": pl.Int64, TEXT: pl.String}


class _TextFormat:
    """What cleaning steps need to know of documents; they are no conversations."""

    name = "text"
    needed: tuple[str, ...] = (TEXT,)
    pairs = False

    def sides(self, columns: Any) -> tuple[tuple[str, ...], tuple[str, ...]]:
        return (TEXT,), ()

    def makes(self, column: str) -> bool:
        return False


@dataclass
class _Seen:
    """What the first pass found in one part's sources.

    Args:
        draws: A number for each document, drawn from its text.
        rows: Documents met in each file, and of those refused.
        refused: Documents that cannot be used.
        records: What each step did.
        edits: How many edits there are.
        sample: Some of them, drawn with the seed.
        places: For each text key where it stands first; of held-out parts only.
    """

    draws: array[int] = field(default_factory=lambda: array("Q"))
    rows: dict[str, list[int]] = field(default_factory=dict)
    refused: list[dict[str, Any]] = field(default_factory=list)
    records: list[StepRecord] = field(default_factory=list)
    edits: int = 0
    sample: list[dict[str, Any]] = field(default_factory=list)
    places: dict[str, str] = field(default_factory=dict)

    @property
    def total(self) -> int:
        return sum(rows for rows, _ in self.rows.values())


def prepare_corpus(recipe: Recipe, workspace: Shelf, *, listener: Listener, producer: str) -> Dataset:
    """Makes the dataset of documents that a recipe describes; as `prepare`, which calls it.

    Raises:
        DataError: As `prepare`; and if a step compares rows with one another, which streamed ones are not.
    """
    listener(Stage("data", "started"))
    corpus = _Corpus(recipe, listener)
    corpus.look()
    edges = corpus.edges()
    leaks = corpus.leaks()
    content = corpus.manifest(edges, leaks)

    def write(folder: Path) -> None:
        corpus.write(folder, edges)

    return store_dataset(workspace, recipe, content, write, unit="documents", listener=listener, producer=producer)


class _Corpus:
    """The documents of a recipe, gone through twice."""

    def __init__(self, recipe: Recipe, listener: Listener) -> None:
        self._recipe, self._data, self._listener = recipe, recipe.data, listener
        self._steps = cast(tuple[StepConfig, ...], recipe.data.steps)
        if recipe.data.leakage_ways or recipe.data.benchmarks:
            raise DataError(
                "Documents are held against held-out ones word for word alone",
                where="data.leakage_ways" if recipe.data.leakage_ways else "data.benchmarks",
                hint="Take it out, and look with: tunewright data inspect FILE --against OTHER --benchmark NAME=FILE.",
            )
        for step in self._steps:
            if surveys(step):
                raise DataError(
                    f"The step '{step.plugin}' compares rows with one another, and documents are streamed",
                    where="data.steps",
                    hint="Take it out; equal documents never stand on both sides of the split.",
                )
        self._sources: dict[Part, tuple[Source, ...]] = {
            part: getattr(self._data, part) for part in PARTS if getattr(self._data, part)
        }
        for each in self._sources.values():
            for source in each:
                check_documents(source)
        self._files: dict[Part, list[Path]] = {
            part: list(dict.fromkeys(file for source in each for file in find_files(source)))
            for part, each in self._sources.items()
        }
        self._names = short_names(file for files in self._files.values() for file in files)
        self._seen: dict[Part, _Seen] = {}
        self._leaking: list[tuple[Part, str, str, str]] = []  # held-out part, key, its place, the place in train

    def look(self) -> None:
        """The first pass; held-out sources first, so that their texts are known when train is read."""
        for part in sorted(self._sources, key=lambda part: part == "train"):
            seen = self._seen[part] = _Seen()
            document = ""
            for chunk in self._chunks(part, seen):
                for section in _sections(chunk):
                    if section.document == document:
                        continue
                    document = section.document
                    key = text_key([section.text])
                    seen.draws.append(_draw(self._recipe.seed, key))
                    place = f"{section.source}:{section.line}"
                    if part != "train":
                        seen.places.setdefault(key, place)
                    for held in HELD:
                        if held != part and key in self._places(held):
                            self._leaking.append((held, key, self._places(held)[key], place))
                note = f"reading {part}"
                self._listener(Stage("data", "progress", done=len(seen.draws), unit="documents", note=note))
            check_usable(part, seen.total, pl.DataFrame(seen.refused, schema=REFUSED), self._data.max_unusable_share)
            if not seen.draws:
                raise DataError("No document is left", where=f"data.{part}")
        for part in HELD:
            if self._data.leakage == "refuse":
                refuse_leaks(part, self.leaks()[part])

    def _places(self, part: Part) -> dict[str, str]:
        return self._seen[part].places if part in self._seen else {}

    def leaks(self) -> dict[Part, Leaks]:
        """Texts of held-out sources that also stand in what is learned; what is drawn from train cannot leak."""
        found: dict[Part, Leaks] = {}
        for part in HELD:
            own = [(key, f"{held} = {there}") for of, key, held, there in self._leaking if of == part]
            keys = frozenset(key for key, _ in own)
            found[part] = Leaks(keys, tuple(place for _, place in own), keys)
        return found

    def edges(self) -> dict[Part, tuple[int, int]]:
        """For each part that is taken out of train, the draws that belong to it: from the first, below the second."""
        draws = np.sort(np.array(self._seen["train"].draws, dtype=np.uint64))
        edges: dict[Part, tuple[int, int]] = {}
        at = first = 0
        for part in HELD:
            if part in self._sources:
                continue
            at += wanted_rows(getattr(self._data.split, part), len(draws))
            if at >= len(draws):
                raise DataError(
                    f"There are {len(draws):,} usable documents, and the split leaves none to train on",
                    where="data.split",
                    hint="Lower data.split.test and data.split.validation, or bring more documents.",
                )
            edges[part] = (first, int(draws[at]))
            first = int(draws[at])
        counts = self._counts(edges)
        check_test_rows(counts["test"], len(draws), self._data.split, given="test" in self._sources)
        return edges

    def _counts(self, edges: Mapping[Part, tuple[int, int]]) -> dict[Part, int]:
        draws = np.array(self._seen["train"].draws, dtype=np.uint64)
        counts: dict[Part, int] = {}
        for part in HELD:
            if part in edges:
                low, high = edges[part]
                counts[part] = int(((draws >= low) & (draws < high)).sum())
            else:
                counts[part] = len(self._seen[part].draws)
        taken = sum(counts[part] for part in edges)
        return {"train": len(draws) - taken, "validation": counts["validation"], "test": counts["test"]}

    def manifest(self, edges: Mapping[Part, tuple[int, int]], leaks: dict[Part, Leaks]) -> dict[str, Any]:
        """What was read, cleaned, split and found."""
        data, seen = self._data, self._seen
        sources = [
            asdict(SourceFile(name, hash_file(file), file.stat().st_size, *seen[part].rows[name])) | {"part": part}
            for part, files in self._files.items()
            for file in files
            for name in (self._names[file],)
        ]
        refused = pl.DataFrame([row for each in seen.values() for row in each.refused], schema=REFUSED)
        splits = self._counts(edges)
        dropped = self._dropped(edges)
        splits = {part: rows - dropped.get(part, 0) for part, rows in splits.items()}
        if not splits["train"]:
            raise DataError("Every training document also stands among the held-out ones", where="data.train")
        sample = pl.DataFrame([row for each in seen.values() for row in each.sample], schema=LOG).head(SHOWN_EDITS)
        return {
            "seed": self._recipe.seed,
            "format": "text",
            "template": None,
            "answer_kind": "document",
            "labels": [],
            "label_counts": {},
            "schema": {name: str(kind) for name, kind in COLUMNS.items()},
            "sources": [{"path": source.pop("name"), **source} for source in sources],
            "counts": {
                "read": sum(each.total for each in seen.values()),
                "usable": sum(len(each.draws) for each in seen.values()),
                "kept": sum(splits.values()),
            },
            "steps": [asdict(record) for record in self._records()],
            "step_settings": [step.model_dump() for step in data.steps],
            "splits": splits,
            "split_note": split_note([part for part in HELD if part in self._sources], what="documents"),
            **findings(
                sample,
                sum(each.edits for each in seen.values()),
                refused,
                dict[str, Leaks](leaks.items()),
                policy=data.leakage,
                dropped=sum(dropped.values()),
            ),
        }

    def _records(self) -> list[StepRecord]:
        total: list[StepRecord] = []
        for each in self._seen.values():
            total = [one + other for one, other in zip(total, each.records, strict=True)] if total else each.records
        return total

    def _dropped(self, edges: Mapping[Part, tuple[int, int]]) -> dict[Part, int]:
        """Leaking documents that leave a part."""
        if self._data.leakage != "drop":
            return {}
        gone: dict[Part, set[str]] = {}
        for _, key, _, there in self._leaking:
            gone.setdefault(self._home(_draw(self._recipe.seed, key), edges), set()).add(there)
        return {part: len(places) for part, places in gone.items()}

    def _home(self, draw: int, edges: Mapping[Part, tuple[int, int]]) -> Part:
        return next((part for part, (low, high) in edges.items() if low <= draw < high), "train")

    def write(self, folder: Path, edges: Mapping[Part, tuple[int, int]]) -> None:
        """The second pass: the parts, the edits and the refused documents."""
        leaks = self.leaks()
        drop = leaks["test"].keys | leaks["validation"].keys if self._data.leakage == "drop" else frozenset()
        shown = {part: leaks[part].keys if self._data.leakage == "report" else frozenset() for part in HELD}
        schema = pl.DataFrame(schema={**COLUMNS, "leaked": pl.Boolean}).to_arrow().schema
        import pyarrow.parquet as pq

        writers = {part: pq.ParquetWriter(folder / f"{part}.parquet", schema, compression="zstd") for part in PARTS}
        edits = pq.ParquetWriter(
            folder / "edits.parquet", pl.DataFrame(schema=LOG).to_arrow().schema, compression="zstd"
        )
        try:
            for part in self._sources:
                count, document, home, leaked = 0, "", part, False
                for chunk in self._chunks(part, _Seen(), edits):
                    rows: dict[Part, list[dict[str, Any]]] = {each: [] for each in PARTS}
                    for section in _sections(chunk):
                        if section.document != document:
                            document, count = section.document, count + 1
                            key = text_key([section.text])
                            home = self._home(_draw(self._recipe.seed, key), edges) if part == "train" else part
                            gone = part == "train" and key in drop
                            leaked = key in shown.get(home, ())
                        if not gone:
                            rows[home].append(asdict(section) | {"leaked": leaked})
                    for each, found in rows.items():
                        if found:
                            table = pl.DataFrame(found, schema={**COLUMNS, "leaked": pl.Boolean}).to_arrow()
                            writers[each].write_table(table.cast(schema))
                if count != len(self._seen[part].draws):
                    raise DataError(
                        "The sources changed while they were read", where=f"data.{part}", hint="Start again."
                    )
        finally:
            for writer in (*writers.values(), edits):
                writer.close()
        refused = [row for each in self._seen.values() for row in each.refused]
        pl.DataFrame(refused, schema=REFUSED).write_parquet(folder / "refused.parquet", compression="zstd")

    def _chunks(self, part: Part, seen: _Seen, edits: Any = None) -> Iterator[pl.DataFrame]:
        """Cleaned sections of a part, some at a time; what is found goes into `seen`, and edits to their writer."""
        waiting: list[Section] = []
        size = 0
        for source in self._sources[part]:
            for found in read_documents(source, self._names):
                rows = seen.rows.setdefault(found.file if isinstance(found, Fault) else found.source, [0, 0])
                if isinstance(found, Fault):
                    rows[0], rows[1] = rows[0] + 1, rows[1] + 1
                    seen.refused.append(_refusal(None, found.file, found.line, "read", found.reason))
                    continue
                rows[0] += found.id == found.document
                waiting.append(found)
                size += len(found.text)
                if size >= _CHUNK_CHARACTERS or len(waiting) >= _CHUNK_SECTIONS:
                    yield self._cleaned(waiting, part, seen, edits)
                    waiting, size = [], 0
        yield self._cleaned(waiting, part, seen, edits)

    def _cleaned(self, sections: list[Section], part: Part, seen: _Seen, edits: Any) -> pl.DataFrame:
        frame = pl.DataFrame(
            {
                ROW_ID: [each.id for each in sections],
                SOURCE: [each.source for each in sections],
                LINE: pl.Series([each.line for each in sections], dtype=pl.Int64),
                TEXT: [each.text for each in sections],
            },
            schema={ROW_ID: pl.String, SOURCE: pl.String, LINE: pl.Int64, TEXT: pl.String},
        )
        cleaned = clean(Pieces.of([frame]), self._steps, _TextFormat(), held_out=part != "train")
        left, log = cleaned.rows.whole(), cleaned.edits.whole()
        seen.refused += cleaned.refused.to_dicts()
        empty = pl.col(TEXT).str.strip_chars() == ""
        for row in left.filter(empty).iter_rows(named=True):
            reason = "nothing is left of the text after cleaning"
            seen.refused.append(_refusal(row[ROW_ID], row[SOURCE], row[LINE], "clean", reason))
        records = list(cleaned.records)
        seen.records = [a + b for a, b in zip(seen.records, records, strict=True)] if seen.records else records
        self._note_edits(log, seen)
        if edits is not None and log.height:
            edits.write_table(log.to_arrow().cast(edits.schema))
        return left.filter(~empty)

    def _note_edits(self, log: pl.DataFrame, seen: _Seen) -> None:
        """Counts edits, and keeps some: each is as likely as any other to be among them (Vitter 1985, algorithm R)."""
        dice = random.Random(derive(self._recipe.seed, f"edits/{seen.edits}"))
        for row in log.iter_rows(named=True):
            seen.edits += 1
            place = len(seen.sample) if len(seen.sample) < SHOWN_EDITS else dice.randrange(seen.edits)
            if place < SHOWN_EDITS:
                seen.sample[place : place + 1] = [row]


def _sections(chunk: pl.DataFrame) -> Iterator[Section]:
    return (Section(*row) for row in chunk.select(ROW_ID, SOURCE, LINE, TEXT).iter_rows())


def _refusal(row: str | None, source: str, line: int, stage: str, reason: str) -> dict[str, Any]:
    return {"row_id": row and document_of(row), "source": source, "line": line, "stage": stage, "reason": reason}


def _draw(seed: int, key: str) -> int:
    """A number below 2**64 that the seed and a text decide."""
    mark = f"{derive(seed, 'split')}/{key}".encode()
    return int.from_bytes(hashlib.blake2b(mark, digest_size=8).digest(), "big")
