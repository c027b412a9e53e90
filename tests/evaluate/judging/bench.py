"""Answers to judge, and judges that do as they are told."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tunewright.data.example import Example, Message
from tunewright.evaluate import Answers
from tunewright.evaluate.judging.settings import Bench
from tunewright.metrics import Answer

_PIECE = re.compile(r"<<<BEGIN (.+?) ([0-9a-f]{16})>>>\n(.*?)\n<<<END \1 \2>>>", re.DOTALL)


def bench(cache: Path, *, context: str = "", **answers: Sequence[str]) -> Bench:
    """A bench on which each system gave these answers to as many questions."""
    given = {
        system: Answers(
            system,
            tuple(
                Answer(f"row{row}", "", text, columns={"context": context} if context else {})
                for row, text in enumerate(texts)
            ),
            seconds=1.0,
        )
        for system, texts in answers.items()
    }
    rows = len(next(iter(answers.values())))
    examples = [
        Example(
            f"row{row}", (Message("user", f"Question {row}?"), Message("assistant", "-")), {}, "made.jsonl", row + 1
        )
        for row in range(rows)
    ]
    return Bench(given, examples, seed=5, samples=200, cache=cache)


def pieces(body: dict[str, Any]) -> dict[str, str]:
    """What a request shows inside its fences, by name."""
    return {name: text for name, _, text in _PIECE.findall(body["messages"][1]["content"])}


def outside(body: dict[str, Any]) -> str:
    """What a request says outside of its fences: all that a judge may obey."""
    return _PIECE.sub("", body["messages"][1]["content"])


def grading(score: Callable[[str], Any]) -> Callable[[dict[str, Any]], str]:
    """A judge whose score follows from the answer alone."""
    return lambda body: json.dumps({"reason": "So it is.", "score": score(pieces(body)["ANSWER"])})
