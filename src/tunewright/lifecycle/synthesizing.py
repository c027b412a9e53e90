"""Synthesis from a recipe's training rows, cleaned and redacted as the recipe says; or from files as they stand.

Nothing that a recipe holds out is shown to the endpoint; and no new row may be a near copy of a held-out one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import Any, Literal

from tunewright.base.errors import DataError
from tunewright.base.events import Listener, Stage, ignore
from tunewright.base.seeds import derive
from tunewright.data import example as examples
from tunewright.data.dataset import CHALLENGER, PARTS, Dataset
from tunewright.data.documents import Section, check_documents, read_documents
from tunewright.data.readers import check_columns, find_files, read_rows, short_names
from tunewright.data.rows import Fault, Row, as_text
from tunewright.data.synthesis.copies import Copies
from tunewright.data.synthesis.grounding import THRESHOLD
from tunewright.data.synthesis.making import Made, Maker, make_rows
from tunewright.data.synthesis.questions import questions_about
from tunewright.data.synthesis.styles import Example, Likenesses
from tunewright.endpoints import Client, Endpoint, Usage
from tunewright.lifecycle.job import start, within
from tunewright.lifecycle.preparing import prepare
from tunewright.recipe.schema import Source
from tunewright.store import Workspace

NEAR = 0.8
_EXAMPLES = 2000


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be made.

    Args:
        kind: `qa`: question-answer pairs from documents; `rows`: rows in the style of given ones.
        rows: How many.
        column: Where the text of a document stands, in files of rows; empty: in `text`.
        against: Files of rows that new ones must not be near to, in any of their texts.
        grounding: Lowest share of an answer's content words that must stand in its passage.
        near: Jaccard similarity from which on two texts are near copies.
        judge: Whether the model is asked about each row that passed the other checks.
        seed: Decides what is asked.
    """

    kind: Literal["qa", "rows"]
    rows: int
    column: str = ""
    against: tuple[Path, ...] = ()
    grounding: float = THRESHOLD
    near: float = NEAR
    judge: bool = False
    seed: int = 17


@dataclass(frozen=True, slots=True)
class Synthesis:
    """What was made, and what it cost."""

    made: Made
    usage: Usage

    def as_json(self) -> dict[str, Any]:
        """What `--json` prints."""
        made = asdict(self.made) | {"output": str(self.made.output)}
        return made | {"usage": asdict(self.usage) | {"tokens": self.usage.tokens}}


def synthesize(
    target: Path,
    wanted: Wanted,
    endpoint: Endpoint,
    *,
    output: Path,
    workspace: str | Path | None = None,
    listener: Listener = ignore,
) -> Synthesis:
    """Lets a model behind an endpoint make rows.

    Args:
        target: A recipe (`.yaml`), whose training rows or documents are prepared first; or a file of rows or documents.
        wanted: What to make.
        endpoint: Who is asked.
        output: A new JSONL file.
        workspace: Where replies are kept, as `Workspace.open` takes it.
        listener: Hears how many rows there are.

    Raises:
        DataError: If the target cannot be used, the output is there already, or no row passed.
        EndpointError: If the endpoint fails for good; the same command goes on from there.
    """
    if output.exists():  # before anything is read, or asked
        raise DataError("This file is there already", where=str(output), hint="Name another with --output.")
    place = Workspace.open(workspace)
    copies = Copies(wanted.near)
    with Client(endpoint, place.cache / "endpoints") as client:
        listener(Stage("read", "started"))
        read = _from_recipe if target.suffix in (".yaml", ".yml") else _from_files
        maker = read(target, wanted, endpoint.model, copies, place, listener)
        copies.add(_texts(wanted.against))
        listener(Stage("read", "finished", note=f"{len(copies):,} texts to differ from" if len(copies) else ""))
        made = make_rows(
            maker, client, rows=wanted.rows, output=output, copies=copies, judge=wanted.judge, listener=listener
        )
        return Synthesis(made, client.usage)


def _from_recipe(
    target: Path, wanted: Wanted, model: str, copies: Copies, place: Workspace, listener: Listener
) -> Maker:
    """What to ask about a recipe's training rows."""
    with start(target, workspace=place, listener=within(listener, {}), kind="prepare") as job:
        dataset = prepare(job)
    if (dataset.answer_kind == "document") != (wanted.kind == "qa"):
        other = "documents: --kind qa asks about them" if wanted.kind == "rows" else "conversations: use --kind rows"
        raise DataError(f"This recipe's rows are {other}", where=str(target))
    if wanted.kind == "qa":
        return _questions(lambda: dataset.sections("train"), wanted, model)
    shown = list(_sampled(_conversations(dataset, "train"), wanted.seed))
    if not shown:
        raise DataError("No training row is one question and one answer", where=str(target))
    system = next(dataset.each("train")).messages[0]
    told = system.content if system.role == "system" else ""
    maker = Likenesses(shown, rows=wanted.rows, model=model, system=told, as_chat=True, seed=wanted.seed)
    for part in (*PARTS, *([CHALLENGER] if dataset.has_challenger else [])):
        copies.add(maker.style.text(each.fields) for each in _conversations(dataset, part))
    return maker


def _conversations(dataset: Dataset, part: Any) -> Iterator[Example]:
    """The rows of a part that are one question and one answer."""
    for row in dataset.each(part):
        turns = [message for message in row.messages if message.role != "system"]
        if [turn.role for turn in turns] == ["user", "assistant"] and not row.tools:
            yield Example(_fields(turns), f"{row.source}:{row.line}")


def _fields(turns: Sequence[examples.Message]) -> dict[str, Any]:
    return {turn.role: turn.content for turn in turns}


def _from_files(
    target: Path, wanted: Wanted, model: str, copies: Copies, place: Workspace, listener: Listener
) -> Maker:
    """What to ask about files as they stand."""
    source = Source(path=str(target.absolute()), columns={"text": wanted.column} if wanted.column else {})
    if wanted.kind == "qa":
        check_documents(source)
        names = short_names(find_files(source))
        return _questions(lambda: read_documents(source, names), wanted, model)
    check_columns(source)
    maker = Likenesses(list(_sampled(_rows(source), wanted.seed)), rows=wanted.rows, model=model, seed=wanted.seed)
    copies.add(maker.style.text(each.fields) for each in _rows(source))
    return maker


def _questions(read: Callable[[], Iterable[Section | Fault]], wanted: Wanted, model: str) -> Maker:
    return questions_about(read, rows=wanted.rows, model=model, threshold=wanted.grounding, seed=wanted.seed)


def _rows(source: Source) -> Iterator[Example]:
    """The rows of a file; empty cells are null, and values that JSON has no form for are text."""
    for row in read_rows(source):
        if isinstance(row, Row):
            yield Example({name: _plain(value) for name, value in row.values.items()}, f"{row.file}:{row.line}")


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return value if value.strip() else None
    return value if value is None or isinstance(value, bool | int | float | list | dict) else as_text(value)


def _sampled(rows: Iterable[Example], seed: int) -> list[Example]:
    """At most 2,000 rows, each as likely as any other (algorithm R, Vitter 1985)."""
    dice = Random(derive(seed, "examples"))
    chosen: list[Example] = []
    for number, row in enumerate(rows):
        if number < _EXAMPLES:
            chosen.append(row)
        elif (place := dice.randrange(number + 1)) < _EXAMPLES:
            chosen[place] = row
    return chosen


def _texts(files: Sequence[Path]) -> Iterator[str]:
    """Every text in every row of some files."""
    for file in files:
        for row in read_rows(Source(path=str(file.absolute()))):
            if isinstance(row, Row):
                yield from _strings(row.values)


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list | tuple):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _strings(item)
