"""A first recipe for a file, fitted to what stands in its columns, to be read and changed by a person.

It guesses, and says in comments what it guessed and why, so that a wrong guess costs one edit. What it writes runs as
it stands.
"""

from __future__ import annotations

import difflib
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from tunewright.base.errors import DataError, collect
from tunewright.data.columns import (
    NOT_ASKED,
    TEXT_NAMES,
    Column,
    columns_in,
    contacts,
    date_order,
    pick_answer,
    pick_label,
    pick_sides,
    pick_text,
)
from tunewright.data.folding import fold
from tunewright.data.formats import Format, TemplateFormat, choose_format
from tunewright.data.readers import read_file
from tunewright.data.rows import Fault, unknown_column
from tunewright.recipe.schema import Data, Split, Template

HEAD_ROWS = 5000
_USUAL_LENGTHS = (512, 1024, 2048, 4096, 8192)  # tokens
# Characters in a token, on the safe side: plain English has more than four, code and numbers fewer.
_CHARACTERS_A_TOKEN = 2.5
_MARKER_TOKENS = 100  # the chat template's markers and the system prompt
_SHORT = 100  # characters; addresses in longer texts are no column of addresses
_CONTACTS = {"email": "e-mail addresses", "phone": "telephone numbers"}


@dataclass(frozen=True)
class Head:
    """The beginning of a file.

    Args:
        path: The file.
        rows: Its first rows.
        faults: What could not be read among them.
        more: Whether the file goes on.
    """

    path: Path
    rows: tuple[dict[str, Any], ...]
    faults: tuple[str, ...]
    more: bool

    @property
    def whole(self) -> bool:
        """Whether this is all of the file."""
        return not self.more


def starter(path: Path, *, folder: Path | None = None) -> str:
    """A commented recipe for a data file.

    Args:
        path: JSONL, JSON, CSV, TSV or Parquet.
        folder: Where the recipe will stand; the file's path is written relative to it. None: the path is absolute.

    Returns:
        YAML text that `load_recipe` takes and that runs as it stands.

    Raises:
        DataError: If the file is missing, empty or unreadable, or has nothing to ask and to answer.
    """
    head = _read_head(path)
    place = _written_path(path, folder)
    format = _known_format(path)
    lines = _conversation_recipe(head, format) if format else _columns_recipe(head)
    return "\n".join([*_title(head, place), *lines]) + "\n"


@dataclass(frozen=True)
class Layout:
    """How a file's rows seem to be laid out.

    Args:
        format: A known format's name, or `template`.
        text: The column that is asked; empty where a format says so.
        answer: The column that answers; likewise.
        is_label: Whether the answers are labels; of a format it is left open.
    """

    format: str
    text: str = ""
    answer: str = ""
    is_label: bool = False


def guess_layout(path: Path, *, text: str = "", answer: str = "") -> Layout:
    """How the rows of a data file seem to be laid out, by what `starter` guesses.

    Args:
        path: As `starter` takes it.
        text: The column that is asked, where it is known.
        answer: The column that answers, where it is known.

    Raises:
        DataError: If the file is missing, empty or unreadable, has no such column, or nothing to ask and to answer.
    """
    head = _read_head(path)
    if not text and not answer and (format := _known_format(path)):
        return Layout(format.name)
    columns = {column.name: column for column in columns_in(head.rows)}
    for name in (text, answer):
        if name and name not in columns:
            raise unknown_column(name, columns, where=str(path))
    if text and answer:
        asked, answered = columns[text], columns[answer]
        return Layout("template", text, answer, pick_label([asked, answered], asked) is answered)
    if text or answer:
        left = [column for column in columns.values() if column.name != answer]
        found = columns[text] if text else pick_text(left)
        answers = [columns[answer]] if answer else left
        label = pick_label(answers, found) if found else None
        free = pick_answer(answers, found) if found else None
        given = columns[answer] if answer else label or free
        if found is None or given is None:
            raise _no_sides(head, list(columns.values()))
        return Layout("template", found.name, given.name, given is label)
    asked, answered, is_label = _guess(head, list(columns.values()))
    return Layout("template", asked.name, answered.name, is_label)


def answer_tokens(longest: int) -> int:
    """Tokens that the longest answer may take, of so many characters, on the safe side."""
    return max(32, min(1024, round(longest / _CHARACTERS_A_TOKEN / 8 + 1) * 8))


def _read_head(path: Path) -> Head:
    if not path.exists():
        siblings = [file.name for file in path.parent.iterdir()] if path.parent.is_dir() else []
        close = difflib.get_close_matches(path.name, siblings, n=1)
        hint = f"Did you mean '{path.with_name(close[0])}'?" if close else "Check the path."
        raise DataError("This file does not exist", where=str(path), hint=hint)
    if path.is_dir():
        raise DataError("This is a folder, and not a file", where=str(path), hint="Name one of the files in it.")
    rows: list[dict[str, Any]] = []
    faults: list[str] = []
    read = read_file(path)
    for item in islice(read, HEAD_ROWS):
        if isinstance(item, Fault):
            faults.append(str(item))
        else:
            rows.append(item.values)
    if not rows:
        told = f" of {len(faults)} could be read\n{collect(faults)}\n" if faults else ", only a header, is there"
        raise DataError(f"No row{told}", where=str(path), hint="Check the file.")
    return Head(path, tuple(rows), tuple(faults), more=next(read, None) is not None)


def _written_path(path: Path, folder: Path | None) -> str:
    full = path.absolute()
    if folder is None:
        return str(full)
    relative = os.path.relpath(full, folder.absolute())
    return str(full) if relative.startswith(f"..{os.sep}..") else relative


def _known_format(path: Path) -> Format | None:
    """The format that the file's fields show; None: plain columns, which need a template."""
    try:
        found = choose_format(Data.model_validate({"train": str(path.absolute())}))
    except DataError:
        return None  # the file was read before, so what is wrong can only be that no format fits
    # A template shows what of a label's row can be changed.
    return None if found.name == "labelled" else found


@dataclass(frozen=True)
class _Sample:
    """What the head's rows amount to as questions and answers.

    Args:
        usable: Different questions that have one answer, or pairs of answers to choose from.
        unusable_share: Share of the rows that lack a side, contradict another row, or could not be read.
        longest: Characters of question and answer together that 99 % of the rows do not exceed.
        longest_answer: Characters of the longest answer.
    """

    usable: int
    unusable_share: float
    longest: int
    longest_answer: int


def _sample(head: Head, format: Format) -> _Sample:
    pairs = [(asked, answered) for asked, answered in (_pair(row, format) for row in head.rows) if asked and answered]
    answers: dict[str, set[str]] = {}
    for asked, answered in pairs:
        answers.setdefault(fold(asked), set()).add(fold(answered))
    # Several pairs of answers to one question contradict nothing.
    good = [pair for pair in pairs if format.pairs or len(answers[fold(pair[0])]) == 1]
    sizes = sorted(len(asked) + len(answered) for asked, answered in good) or [0]
    return _Sample(
        usable=sum(format.pairs or len(found) == 1 for found in answers.values()),
        unusable_share=1 - len(good) / (len(head.rows) + len(head.faults)),
        longest=sizes[min(len(sizes) - 1, int(0.99 * len(sizes)))],
        longest_answer=max((len(answered) for _, answered in good), default=0),
    )


def _pair(row: Mapping[str, Any], format: Format) -> tuple[str, str]:
    """The texts of a row's question and answer (of two, the longer); both empty if the row does not fit the format."""
    try:
        flat = format.flatten(row)
    except DataError:
        return "", ""
    asked, answered = format.sides(tuple(flat))
    question, answer = ("\n".join(flat[name] or "" for name in names).strip() for names in (asked, answered))
    return question, max((flat[name] or "" for name in answered), key=len) if format.pairs else answer


# --- What is written -----------------------------------------------------------------------------------------------


def _title(head: Head, place: str) -> list[str]:
    name = re.sub(r"[^a-z0-9._-]+", "-", head.path.stem.lower()).lstrip("-._")[:64].rstrip("-._") or "my-model"
    rows = f"{len(head.rows):,} rows" if head.whole else f"the first {len(head.rows):,} rows"
    lines = [
        f"# A first recipe for {_one_line(head.path.name)}, guessed from {rows}.",
        "# Read it, change what is wrong, and start it with: tunewright run FILE.yaml",
    ]
    if head.faults:
        lines.append(f"# {len(head.faults):,} records could not be read, such as {_one_line(head.faults[0])}")
    return [
        *lines,
        f"name: {_quoted(name)} # the release's name",
        "goal: Say in a sentence what the model is for.",
        "# success: # what counts as success, once you know what to ask for",
        '#   exact_match: ">= 0.9"',
        "# gate: # what decides release: missed, there is none (docs/evaluation.md)",
        "#   vs_base: significant",
        "",
        "# base: smollm2-135m-instruct # another catalogue name, hub id, folder or GGUF file",
        "data:",
        f"  train: {_quoted(place)}",
        "  # test: held-out.csv # rows of your own to measure on; without it they are taken out of train",
    ]


def _columns_recipe(head: Head) -> list[str]:
    columns = columns_in(head.rows)
    text, answer, is_label = _guess(head, columns)
    format = TemplateFormat(Template(user=f"{{{text.name}}}", assistant=f"{{{answer.name}}}"))
    sample = _sample(head, format)
    why = "by its name" if text.is_called(TEXT_NAMES) else "the longest text"
    so_far = "" if head.whole else " so far"
    kind, told = ("label", f"{answer.distinct:,} different values{so_far}") if is_label else ("text", "free text")
    return [
        "  template:",
        f"    system: Answer {'with the label only' if is_label else 'the request'}.",
        f"    user: {_quoted(f'{{{text.name}}}')} # {why}; {text.mean_length:,.0f} characters on average",
        f"    assistant: {_quoted(f'{{{answer.name}}}')} # {told}",
        *_several_answers(columns, text, answer),
        f"  answer: {kind} # decides how the answers are measured: label, json or text",
        *_steps(text, answer, is_label=is_label),
        *_other_columns([column for column in columns if column not in (text, answer)]),
        *_split(head, sample.usable),
        *_limits(sample),
        "",
        *_training(sample),
    ]


def _guess(head: Head, columns: Sequence[Column]) -> tuple[Column, Column, bool]:
    """The column that is asked, the one that answers, and whether the answers are labels."""
    text, answer, is_label = pick_sides(columns)
    if text is None or answer is None:
        raise _no_sides(head, columns)
    return text, answer, is_label


def _no_sides(head: Head, columns: Sequence[Column]) -> DataError:
    names = ", ".join(f"{column.name} ({column.distinct:,} different)" for column in columns) or "none"
    return DataError(
        "No two columns look like a question and its answer",
        where=str(head.path),
        hint=f"An answer must differ from row to row, and be no number or date. Columns: {names}.",
    )


def _several_answers(columns: Sequence[Column], text: Column, answer: Column) -> list[str]:
    fields = [c for c in columns if c is not text and c.distinct >= 2 and not c.is_called(NOT_ASKED)]
    if answer not in fields or len(fields) < 2:
        return []
    keys = ", ".join(f"{_key(column.name)}: {_quoted(column.name)}" for column in fields[:5])
    return ["    # Several columns at once, as JSON (and `answer: json` below):", f"    # assistant: {{ {keys} }}"]


def _key(name: str) -> str:
    return re.sub(r"\W+", "_", name.rpartition(".")[2].lower()).strip("_") or "value"


def _steps(text: Column, answer: Column, *, is_label: bool) -> list[str]:
    lines = ["  steps: # in order; each change is logged", "    - unicode"]
    if is_label:
        # Free answers may be code or verse, whose white space counts.
        lines.append("    - whitespace")
    lines += [
        "    - name: require # rows without a text or an answer are set aside",
        f"      columns: [{_quoted(text.name)}, {_quoted(answer.name)}]",
    ]
    if found := contacts(text):
        told = " and ".join(f"{count:,} {_CONTACTS[kind]}" for kind, count in found.items())
        lines += [
            f"    - name: redact # {told} found",
            f"      columns: [{_quoted(text.name)}]",
            f"      kinds: [{', '.join(found)}]",
        ]
    return [*lines, "    - exact_duplicates # also drops equal texts with different answers"]


def _other_columns(columns: Sequence[Column]) -> list[str]:
    """Comments on columns that the conversation leaves out and that hold something of note."""
    lines = []
    for column in columns:
        if column.is_date:
            order = date_order(column)
            lines += [
                f"    # {_one_line(column.name)} holds dates. If it becomes part of the answer:",
                "    # - name: iso_dates",
                f"    #   columns: [{_quoted(column.name)}]",
                f"    #   order: {order or 'dmy # or mdy: the values do not tell'}",
            ]
        elif column.mean_length < _SHORT and (found := contacts(column)):
            told = " and ".join(_CONTACTS[kind] for kind in found)
            lines.append(f"    # {_one_line(column.name)} holds {told}; the model never sees it.")
    return lines


def _split(head: Head, usable: int) -> list[str]:
    """How many rows to hold out: the usual share where that is enough, else what a small file can spare."""
    usual = Split()
    if usable * usual.test >= usual.minimum_test_rows * 1.1:
        return ["  split: { validation: 0.05, test: 0.1 } # shares; counts from 1 on are rows"]
    if usable >= 4 * usual.minimum_test_rows:
        return [f"  split: {{ validation: 0.05, test: {usual.minimum_test_rows} }} # counts from 1 on are rows"]
    held = max(1, usable // 4)
    return [
        f"  # Only {usable:,} different rows{'' if head.whole else ' seen'}: few are held out, so intervals are wide.",
        f"  split: {{ validation: {max(1, usable // 20)}, test: {held}, minimum_test_rows: {max(1, held // 2)} }}",
    ]


def _limits(sample: _Sample) -> list[str]:
    lines = []
    if sample.unusable_share + 0.05 > Data.model_fields["max_unusable_share"].default:
        share = min(1.0, round(sample.unusable_share + 0.1, 2))
        told = f"{sample.unusable_share:.0%} lack a text or an answer, or contradict others: is that right?"
        lines.append(f"  max_unusable_share: {share} # {told}")
    tokens = sample.longest / _CHARACTERS_A_TOKEN + _MARKER_TOKENS
    length = next((usual for usual in _USUAL_LENGTHS if tokens <= usual), _USUAL_LENGTHS[-1])
    return [*lines, f"  max_length: {length} # tokens; longer rows are left out, and counted"]


def _training(sample: _Sample, *, pairs: bool = False) -> list[str]:
    how = ["  learning_rate: 1.0e-3"]
    if pairs:  # the recipe names no rate, and so takes one that suits the objective
        how = ["  objective: dpo # learns to prefer the chosen answer to the rejected one"]
    return [
        "method: { name: lora, rank: 16 }",
        "train:",
        "  epochs: 1 # passes over the rows; try 3 where there are few",
        "  batch_size: 16",
        *how,
        "evaluate:",
        f"  max_new_tokens: {answer_tokens(sample.longest_answer)} # longest answer",
        "  # probes: [forgetting] # what it lost beside its base; others: claims, bias, refusal, toxicity",
    ]


def _conversation_recipe(head: Head, format: Format) -> list[str]:
    sample = _sample(head, format)
    if not sample.usable:
        raise DataError(
            f"No row is a whole conversation of the format '{format.name}'",
            where=str(head.path),
            hint="Each needs a question and an answer that are not empty.",
        )
    return [
        f"  format: {format.name} # recognised by its fields",
        "  # answer: text # what an answer is: label, json or text; found out where it is left out",
        "  steps: # in order; each change is logged",
        "    - unicode",
        f"    - exact_duplicates{'' if format.pairs else ' # also drops equal questions with different answers'}",
        *_split(head, sample.usable),
        *_limits(sample),
        "",
        *_training(sample, pairs=format.pairs),
    ]


def _quoted(text: str) -> str:
    """The text as a YAML scalar in double quotes; JSON's escapes are YAML's too."""
    return json.dumps(text)


def _one_line(text: str) -> str:
    """The text fit for a comment."""
    return "".join(character if character.isprintable() else " " for character in text)
