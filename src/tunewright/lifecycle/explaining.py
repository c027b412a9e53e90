"""Why a release answers as it does: for a message, or for some of its held-out rows."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunewright.base.errors import InputError
from tunewright.base.events import Listener, Stage, ignore
from tunewright.base.quiet import quiet
from tunewright.base.seeds import derive
from tunewright.data.dataset import Dataset
from tunewright.lifecycle.talk import Specialist, load_release, request
from tunewright.models.chat import ChatMessage
from tunewright.models.class_format import ClassFormat
from tunewright.store import Workspace

if TYPE_CHECKING:
    from tunewright.evaluate.explaining import Explanation

Asked = tuple[Sequence[ChatMessage], Sequence[Any]]  # turns, and the tools told with them


def explain_release(
    label: str,
    *,
    message: str = "",
    rows: int = 2,
    training_rows: int = 1000,
    shown: int = 5,
    workspace: str | Path | Workspace | None = None,
    listener: Listener = ignore,
) -> list[Explanation]:
    """Explains answers of a release: which words of the prompt drove them, and which training rows taught them.

    Args:
        label: `name`, or `name@version`.
        message: What to ask it; empty: some of its held-out rows are asked.
        rows: How many of those, drawn with the recipe's seed.
        training_rows: Training rows that are looked at, drawn with the seed where there are more.
        shown: Training rows to name on either side.
        workspace: An open workspace, its folder, or None: found as `Workspace.open` does.
        listener: Hears stages "explain" and "influence".

    Raises:
        UnknownNameError: If there is no such release.
        InputError: If the release does not write answers, or an answer is empty.
        ModelError: If the model has no adapter or computes in a way of its own, or Captum is missing.
    """
    from tunewright.evaluate.explaining import choose_rows, explain

    place = workspace if isinstance(workspace, Workspace) else Workspace.open(workspace, create=False)
    specialist = load_release(label, workspace=place, listener=listener)
    if isinstance(specialist.chat, ClassFormat) or specialist.release.template.get("documents"):
        raise InputError("Only answers that are written can be explained, and this release writes none", where=label)
    dataset = Dataset.open(place.artifact(specialist.release.dataset, "dataset"))
    seed = specialist.recipe.seed
    training = choose_rows(dataset.examples("train"), training_rows, seed)
    found = []
    asked = [_message(specialist, message)] if message else _rows(dataset, rows, seed)
    for number, (turns, tools) in enumerate(asked):
        listener(Stage("explain", "progress", number, len(asked), "answers"))
        with quiet():
            answer = _answer(specialist, turns, tools)
            found.append(
                explain(
                    specialist.model,
                    specialist.chat,
                    turns,
                    answer,
                    training,
                    tools=tools,
                    shown=shown,
                    listener=listener,
                )
            )
    listener(Stage("explain", "progress", len(asked), len(asked), "answers"))
    return found


def _message(specialist: Specialist, message: str) -> Asked:
    template = specialist.release.template
    return request(template, specialist.recipe, message), template.get("tools") or ()


def _rows(dataset: Dataset, rows: int, seed: int) -> list[Asked]:
    """Prompts of held-out rows, drawn with the seed."""
    held_out = dataset.examples("test")
    drawn = random.Random(derive(seed, "explain")).sample(range(len(held_out)), min(rows, len(held_out)))
    return [(held_out[row].prompt, held_out[row].tools) for row in sorted(drawn)]


def _answer(specialist: Specialist, turns: Sequence[ChatMessage], tools: Sequence[Any]) -> str:
    from tunewright.generate import generate

    chat = specialist.chat
    (given,) = generate(
        specialist.model,
        [chat.prompt(turns, tools)],
        max_new_tokens=int(specialist.release.template["max_new_tokens"]),
        stop_ids=chat.stop_ids,
        batch_size=1,
    )
    text = chat.decode(given.tokens)
    if not text.strip():
        question = next((turn.content for turn in reversed(turns) if turn.role == "user"), "")
        raise InputError("The model answers nothing, so there is nothing to explain", where=repr(question[:60]))
    return text
