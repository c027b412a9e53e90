"""From cleaned columns to conversations."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from tunewright.base.errors import DataError
from tunewright.base.events import Listener, Stage, ignore
from tunewright.data.answers import answer_fields
from tunewright.data.example import Message
from tunewright.data.folding import text_key
from tunewright.data.formats import ANSWER, Format
from tunewright.data.frame import ITEM, LINE, RESERVED, ROW_ID, SOURCE, TOOLS
from tunewright.data.pieces import Pieces
from tunewright.data.table import REFUSED
from tunewright.data.tool_rows import CALLS, RESULT_OF, calls_text

_CHUNK_ROWS = 20_000

EXAMPLES: dict[str, Any] = {
    "id": pl.String,
    "source": pl.String,
    "line": pl.Int64,
    "messages": pl.List(
        pl.Struct(
            {
                "role": pl.String,
                "content": pl.String,
                "weight": pl.Float64,
                CALLS: pl.String,
                RESULT_OF: pl.String,
            }
        )
    ),
    "tools": pl.String,
    "answer": pl.String,
    "rejected": pl.String,
    "columns": pl.String,
    "item": pl.String,
    "prompt_key": pl.String,
    "split_by": pl.String,
}


def converse(
    rows: Pieces, format: Format, declared: str, *, split_by: str = "", listener: Listener = ignore
) -> tuple[Pieces, pl.DataFrame]:
    """Makes a conversation of each row.

    Args:
        rows: Cleaned rows; they are given up.
        format: How columns become messages.
        declared: What the recipe says an answer is; with `json`, other answers are refused.
        split_by: The column that rows are split by; empty: none.
        listener: Hears how many rows are done.

    Returns:
        The examples (`id, source, line, messages, tools, answer, rejected, columns, item, prompt_key, split_by`), and
        the rows refused. Rows whose prompts are the same but for white space and case share their `prompt_key`.
    """
    examples = Pieces.of([pl.DataFrame(schema=EXAMPLES)])
    refused = [pl.DataFrame(schema=REFUSED)]
    done = 0
    for chunk in (chunk for piece in rows for chunk in piece.iter_slices(_CHUNK_ROWS)):
        good, bad = [], []
        for cells in chunk.iter_rows(named=True):
            place = {"source": cells[SOURCE], "line": cells[LINE]}
            try:
                example = {"id": cells[ROW_ID], **place, **_conversation(cells, format, declared)}
                good.append({**example, "split_by": cells.get(split_by)})
            except DataError as error:
                bad.append({"row_id": cells[ROW_ID], **place, "stage": "conversation", "reason": error.what})
        examples.add(pl.DataFrame(good, schema=EXAMPLES))
        refused.append(pl.DataFrame(bad, schema=REFUSED))
        done += chunk.height
        listener(Stage("data", "progress", done=done, total=rows.height, unit="rows", note="making conversations"))
    rows.discard()
    return examples, pl.concat(refused)


def _conversation(cells: dict[str, Any], format: Format, declared: str) -> dict[str, Any]:
    messages = format.messages(cells)
    last = max(index for index, message in enumerate(messages) if message.role == "assistant")
    answer = messages[last].shown
    if declared == "json" and answer_fields(answer) is None:
        raise DataError("the answer is not a JSON object")
    if declared == "tags":
        words, tags = len(messages[last - 1].content.split()), len(answer.split())
        if words != tags:
            raise DataError(f"there are {words:,} words and {tags:,} tags")
    return {
        "messages": [
            {
                "role": m.role,
                "content": m.content,
                "weight": m.weight,
                CALLS: calls_text(m.tool_calls),
                RESULT_OF: m.tool_call_id,
            }
            for m in messages
        ],
        "tools": cells.get(TOOLS) or "",
        "answer": answer,
        "rejected": (rejected := format.rejected(cells)),
        "columns": _other_cells(cells, format, messages, rejected),
        "item": _item(cells, format, messages[:last], answer),
        "prompt_key": text_key(message.shown for message in messages[:last]),
    }


def _item(cells: Mapping[str, Any], format: Format, asked: Sequence[Message], answer: str) -> str:
    """What graders read of a row, as a JSON object: its record, and its `answer`. Empty where no record was kept.

    Texts are as they were cleaned, and so is what is asked: in place of the lists that the format takes apart stand
    its `messages`. A field of the record that is called `answer` is the record's own.
    """
    if not cells.get(ITEM):
        return ""
    record: dict[str, Any] = json.loads(cells[ITEM])
    # A conversation's last answer is flattened under a name that the record may have for something else.
    others = (*RESERVED, ANSWER) if format.makes(ANSWER) else RESERVED
    if taken_apart := [name for name in format.needed if isinstance(record.get(name), list | dict)]:
        record = {name: value for name, value in record.items() if name not in taken_apart}
        record["messages"] = [{"role": message.role, "content": message.content} for message in asked]
    for name, value in record.items():
        cleaned = cells.get(name)
        if isinstance(value, str) and cleaned is not None and name not in others:
            record[name] = cleaned
    return json.dumps({ANSWER: answer, **record}, ensure_ascii=False)


def _other_cells(cells: dict[str, Any], format: Format, messages: Sequence[Message], rejected: str | None) -> str:
    """The cells that are no whole message, as a JSON object; empty where there are none.

    Most rows say in their messages all there is, and a prepared dataset must not hold its texts twice.
    """
    said = {rejected, *(message.content for message in messages)}
    others = {
        name: text
        for name, text in cells.items()
        if text is not None and text not in said and name not in RESERVED and not format.makes(name)
    }
    return json.dumps(others, ensure_ascii=False) if others else ""
