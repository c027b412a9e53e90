"""Why a model answered so: the words of the prompt that drove an answer, and the training rows that taught it."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from tunewright.base import events
from tunewright.base.errors import InputError
from tunewright.base.seeds import derive
from tunewright.data.example import Example
from tunewright.evaluate.conduct.held_out import question_of
from tunewright.evaluate.conduct.held_out import shown as shortened

if TYPE_CHECKING:
    from tunewright.evaluate.attribution import Attribution
    from tunewright.forest import Path
    from tunewright.models.chat import ChatFormat, ChatMessage

_LONGEST_SHOWN = 160  # characters of a text in a table
_BROKEN = "\ufffd"  # what half a character is decoded to


MEANING = (
    "Blue words made the answer more likely, orange ones less (integrated gradients, in nats). The gap is how far they "
    "are from adding up to what the prompt changes about the answer: 0 is exact, and above 0.05 an explanation should "
    "not be leaned on. Training rows are named by how alike their gradients over the adapter are: they show what "
    "taught such answers, and prove no cause."
)


@dataclass(frozen=True, slots=True)
class Word:
    """A word of the prompt, and the nats that it adds to the answer's log-probability."""

    text: str
    weight: float


@dataclass(frozen=True, slots=True)
class Taught:
    """A training row, where it came from, and the cosine of its gradient with the answer's."""

    id: str
    place: str
    question: str
    answer: str
    similarity: float

    def as_json(self) -> dict[str, Any]:
        """The row as reports and `--json` show it."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a model answered so.

    Args:
        question: The last turn of the user.
        answer: What the model wrote.
        words: The prompt's words, in order.
        attribution: The tokens' own shares, with their completeness.
        toward: Training rows that taught this answer, the most similar first.
        against: Training rows that taught otherwise, the most opposed first.
        rows: Training rows that were looked at.
        agreement: How far the screening of those can be trusted (`influence.Influences`).
    """

    question: str
    answer: str
    words: tuple[Word, ...]
    attribution: Attribution
    toward: tuple[Taught, ...]
    against: tuple[Taught, ...]
    rows: int
    agreement: float | None

    def as_json(self) -> dict[str, Any]:
        """The explanation as `--json` prints it."""
        found = self.attribution
        return {
            "question": self.question,
            "answer": self.answer,
            "words": [{"text": word.text, "weight": word.weight} for word in self.words],
            "logprob": found.logp,
            "neutral_logprob": found.neutral,
            "completeness_gap": found.gap,
            "complete": found.complete,
            "steps": found.steps,
            "training": {
                "toward": [row.as_json() for row in self.toward],
                "against": [row.as_json() for row in self.against],
                "rows": self.rows,
                "agreement": self.agreement,
            },
        }


def explain(
    model: Any,
    chat: ChatFormat,
    turns: Sequence[ChatMessage],
    answer: str,
    training: Sequence[Example],
    *,
    tools: Sequence[Any] = (),
    shown: int = 5,
    listener: events.Listener = events.ignore,
) -> Explanation:
    """Explains one answer of a tuned model.

    Args:
        model: With its adapter, adopted, in evaluation mode.
        chat: How it reads conversations.
        turns: The prompt.
        answer: What the model answered.
        training: The training rows that may have taught it (`choose_rows`).
        tools: Those that were told with the prompt.
        shown: Training rows to name on either side.
        listener: Hears a stage "influence".

    Raises:
        InputError: If the answer is empty.
        ModelError: If the model has no adapter or computes in a way of its own, or Captum is missing.
    """
    from tunewright.evaluate.attribution import attribute
    from tunewright.evaluate.influence import influences
    from tunewright.models.adapters import learned_weights
    from tunewright.models.chat import Turn

    if not answer.strip():
        raise InputError("An empty answer cannot be explained", where="explain")
    prompt = chat.prompt(turns, tools)
    rendered = chat.render([*turns, Turn("assistant", answer, 1.0)], tools)
    written = rendered.tokens[len(prompt) : len(prompt) + int(sum(rendered.learned))]
    specials = {*chat.tokenizer.all_special_ids, *chat.tokenizer.get_added_vocab().values()}
    attribution = attribute(model, prompt, written, neutral=_neutral(chat.tokenizer), kept=specials)
    weights = np.concatenate([np.zeros(len(prompt)), np.ones(len(written))])
    found = influences(
        model,
        _path([*prompt, *written], weights.tolist(), 0),
        [_training_path(chat, example, row) for row, example in enumerate(training)],
        learned_weights(model),
        shown=shown,
        listener=listener,
    )
    taught = partial(_taught, training)
    return Explanation(
        question=next((turn.content for turn in reversed(turns) if turn.role == "user"), ""),
        answer=answer,
        words=words_of(chat.tokenizer, prompt, attribution.shares),
        attribution=attribution,
        toward=tuple(taught(each.row, each.similarity) for each in found.toward),
        against=tuple(taught(each.row, each.similarity) for each in found.against),
        rows=found.rows,
        agreement=found.agreement,
    )


def choose_rows(training: Sequence[Example], most: int, seed: int) -> list[Example]:
    """Training rows to look at: all, or as many as asked for, drawn with the seed."""
    if len(training) <= most:
        return list(training)
    drawn = random.Random(derive(seed, "explain")).sample(range(len(training)), most)
    return [training[row] for row in sorted(drawn)]


def words_of(tokenizer: Any, tokens: Sequence[int], weights: Sequence[float]) -> tuple[Word, ...]:
    """Tokens put together to words, each with the sum of its tokens' weights; their texts make up the prompt again.

    A word begins at a token that begins with white space, or behind one that ends with it; half characters wait for
    their other half.
    """
    special = set(tokenizer.all_special_ids)
    words: list[Word] = []
    held: list[int] = []
    weight = 0.0
    fresh = True
    for token, share in zip(tokens, weights, strict=True):
        held.append(token)
        weight += share
        text = str(tokenizer.decode(held, skip_special_tokens=False))
        if _BROKEN in text and token not in special:
            continue
        if words and not fresh and token not in special and text[:1].strip():
            words[-1] = Word(words[-1].text + text, words[-1].weight + weight)
        else:
            words.append(Word(text, weight))
        fresh = token in special or not text[-1:].strip()
        held, weight = [], 0.0
    return (*words, *([Word(str(tokenizer.decode(held)), weight)] if held else []))


def details_of(found: Sequence[Explanation]) -> dict[str, Any]:
    """Explanations as a page shows them: for each answer its words with their weights, and a table of rows."""
    details: dict[str, Any] = {}
    for number, each in enumerate(found, start=1):
        details[f"{number}. {shortened(each.question, _LONGEST_SHOWN)} → {shortened(each.answer, _LONGEST_SHOWN)}"] = [
            {"text": word.text, "weight": word.weight} for word in each.words
        ]
        details[f"{number}. Training rows behind it"] = [
            _line(row, side) for side, rows in (("for", each.toward), ("against", each.against)) for row in rows
        ]
    return details


def _line(row: Taught, side: str) -> dict[str, Any]:
    return {
        "row": row.place,
        "speaks": side,
        "similarity": round(row.similarity, 3),
        "question": shortened(row.question, _LONGEST_SHOWN),
        "answer": shortened(row.answer, _LONGEST_SHOWN),
    }


def _neutral(tokenizer: Any) -> int:
    """The token that says nothing: padding, or else the one that ends a text."""
    for token in (tokenizer.pad_token_id, tokenizer.eos_token_id, tokenizer.unk_token_id):
        if token is not None:
            return int(token)
    raise InputError("This tokenizer has no token that stands for nothing", where="explain")


def _training_path(chat: ChatFormat, example: Example, row: int) -> Path:
    rendered = chat.render(example.messages, example.tools)
    return _path(rendered.tokens, rendered.learned, row)


def _path(tokens: Sequence[int], weights: Sequence[float], row: int) -> Path:
    from tunewright.forest import Path

    return Path(np.array(tokens, dtype=np.int32), np.array(weights, dtype=np.float32), group=row, row=row)


def _taught(training: Sequence[Example], row: int, similarity: float) -> Taught:
    example = training[row]
    place = f"{example.source}:{example.line}"
    return Taught(example.id, place, question_of(example), example.answer, similarity)
