"""Examples made on the spot."""

from __future__ import annotations

import json
import random
from typing import Any

from tunewright.data.example import Example, Message

WORDS = {
    "refund": ["money back", "refund please", "return my payment"],
    "delivery": ["where is my parcel", "late delivery", "package lost"],
    "login": ["cannot sign in", "password forgotten", "locked account"],
}


def example(row: int | str, question: str, answer: str, system: str = "Sort the message.") -> Example:
    """A conversation of one question and one answer."""
    messages = (Message("system", system), Message("user", question), Message("assistant", answer))
    return Example(f"row{row}", messages, {}, "made.jsonl", 1)


def labelled(n: int, seed: int) -> list[Example]:
    """Questions whose words give their label away."""
    draw = random.Random(seed)
    labels = [draw.choice(list(WORDS)) for _ in range(n)]
    return [
        example(f"{seed}-{row}", f"Hello, {draw.choice(WORDS[label])}, order {draw.randint(1000, 9999)}", label)
        for row, label in enumerate(labels)
    ]


def recorded(n: int, seed: int) -> list[Example]:
    """The same as records: an intent that can be told from the words, whether it is urgent, and an order number."""
    draw = random.Random(seed)
    made = []
    for row, plain in enumerate(labelled(n, seed)):
        urgent = draw.random() < 0.5
        record: dict[str, Any] = {
            "intent": plain.answer,
            "order": draw.randint(1, 10**9),
            "urgent": True if urgent else None,
        }
        question = plain.messages[1].content + (", at once!" if urgent else "")
        made.append(example(f"{seed}-{row}", question, json.dumps(record)))
    return made
