"""From cleaned columns to conversations, and what kind of answers they end in."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import polars as pl

from tunewright.base.errors import DataError
from tunewright.base.events import Listener, Stage, ignore
from tunewright.data.folding import text_key
from tunewright.data.formats import Format
from tunewright.data.frame import LINE, ROW_ID, SOURCE, TOOLS
from tunewright.data.rows import as_text
from tunewright.data.table import REFUSED
from tunewright.data.tool_rows import CALLS, RESULT_OF, calls_text
from tunewright.models.tool_calls import OPEN as CALL_OPENS

AnswerKind = Literal["label", "tags", "json", "text", "tool_call", "document"]

_CHUNK_ROWS = 20_000
_MOST_LABELS = 200
_LEAST_USES = 2
_LONGEST_LABEL_CHARACTERS = 100

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
    "prompt_key": pl.String,
}


def converse(
    frame: pl.DataFrame, format: Format, declared: str, *, listener: Listener = ignore
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Makes a conversation of each row.

    Args:
        frame: Cleaned rows.
        format: How columns become messages.
        declared: What the recipe says an answer is; with `json`, other answers are refused.
        listener: Hears how many rows are done.

    Returns:
        The examples (`id, source, line, messages, tools, answer, rejected, prompt_key`), and the rows refused. Rows
        whose prompts are the same but for white space and case share their `prompt_key`.
    """
    parts = [pl.DataFrame(schema=EXAMPLES)]
    refused: list[dict[str, Any]] = []
    done = 0
    for chunk in frame.iter_slices(_CHUNK_ROWS):
        rows = []
        for cells in chunk.iter_rows(named=True):
            place = {"source": cells[SOURCE], "line": cells[LINE]}
            try:
                rows.append({"id": cells[ROW_ID], **place, **_conversation(cells, format, declared)})
            except DataError as error:
                refused.append({"row_id": cells[ROW_ID], **place, "stage": "conversation", "reason": error.what})
        parts.append(pl.DataFrame(rows, schema=EXAMPLES))
        done += chunk.height
        listener(Stage("data", "progress", done=done, total=frame.height, unit="rows", note="making conversations"))
    return pl.concat(parts, rechunk=True), pl.DataFrame(refused, schema=REFUSED)


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
        "rejected": format.rejected(cells),
        "prompt_key": text_key(message.shown for message in messages[:last]),
    }


def answer_fields(answer: str) -> dict[str, str | None] | None:
    """The fields of an answer that is a JSON object, as text; None where it is none."""
    if not answer.lstrip().startswith("{"):
        return None
    try:
        value = json.loads(answer)
    except (ValueError, RecursionError):
        return None
    return {key: as_text(item) for key, item in value.items()} if isinstance(value, dict) else None


def answer_kind(answers: pl.Series, declared: str) -> AnswerKind:
    """What the answers are: as the recipe declares, else found out from all of them.

    `tool_call` when some of them call a tool; `json` when each is a JSON object; `label` when they are short and few
    (at most 200, used twice or more on average); else `text`.

    Raises:
        DataError: If labels are declared or found, and all rows have the same one.
    """
    kind = _found_kind(answers) if declared == "auto" else declared
    if kind == "label" and answers.n_unique() == 1:
        raise DataError(
            f"All {len(answers):,} rows have the same answer, '{answers[0]}'; there is nothing to tell apart",
            where="data.train",
            hint="A label set needs two labels or more; set data.answer to 'text' if one fixed answer is meant.",
        )
    if kind == "tags" and len({tag for answer in answers for tag in answer.split()}) == 1:
        raise DataError("All words have the same tag; there is nothing to tell apart", where="data.train")
    assert kind in ("label", "tags", "json", "text", "tool_call")
    return kind  # type: ignore[return-value]


def _found_kind(answers: pl.Series) -> AnswerKind:
    if answers.str.contains(CALL_OPENS, literal=True).any():
        return "tool_call"
    if all(answer_fields(answer) is not None for answer in answers):
        return "json"
    distinct = answers.unique()
    few = len(distinct) <= _MOST_LABELS and len(distinct) * _LEAST_USES <= len(answers)
    short = all(len(answer) <= _LONGEST_LABEL_CHARACTERS and "\n" not in answer for answer in distinct)
    return "label" if few and short else "text"


def strata(answers: pl.Series, kind: AnswerKind) -> list[str]:
    """What to keep in proportion when rows are held out: the label; for JSON its first field of few values."""
    if kind == "label":
        return answers.to_list()
    if kind == "json":
        fields = [answer_fields(answer) or {} for answer in answers]
        for name in fields[0] if fields else ():
            values = [str(field.get(name)) for field in fields]
            if _is_few(values):
                return values
    return [""] * len(answers)


def _is_few(values: Sequence[str]) -> bool:
    distinct = len(set(values))
    return 1 < distinct <= _MOST_LABELS and distinct * _LEAST_USES <= len(values)


def count_labels(answers: Iterable[str], kind: AnswerKind = "label") -> dict[str, int]:
    """How often each label stands there, sorted by label; of tags each word's."""
    found = answers if kind == "label" else (tag for answer in answers for tag in answer.split())
    return dict(sorted(Counter(found).items()))
