"""Talking to a release: a message is cleaned, rendered and answered as the training rows were."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunewright.base.errors import InputError
from tunewright.base.events import Listener, ignore
from tunewright.base.quiet import quiet
from tunewright.data.class_rows import TEXT_PAIR
from tunewright.lifecycle.serving.loading import load_tuned
from tunewright.models.class_format import ClassFormat
from tunewright.recipe import Recipe, recipe_from_mapping
from tunewright.store import Release, Workspace

if TYPE_CHECKING:
    from tunewright.models.base import Base
    from tunewright.models.chat import ChatFormat, Turn
    from tunewright.models.tool_calls import ToolCall

# The column that is asked, by the name of a format that is not a list of messages.
_COLUMNS = {"prompt_completion": "prompt", "labelled": "text", "tagged": "tokens"}
# What a message is called where the recipe has no template with a column for it.
_MESSAGE = "message"


@dataclass(frozen=True)
class Reply:
    """An answer.

    Args:
        text: What the model wrote.
        stopped: Whether it ended by itself; False where it was cut at the length limit.
        tokens: Tokens written.
        prompt: The prompt as the model read it, markers included.
        tool_calls: The tools that it calls, where the release has such; None where a call cannot be read.
        probability: How sure a head of classes is of what it names, all of it together; None for what was written.
    """

    text: str
    stopped: bool
    tokens: int
    prompt: str
    tool_calls: tuple[ToolCall, ...] | None = ()
    probability: float | None = None


@dataclass(frozen=True)
class Specialist:
    """A release in memory, ready to answer.

    Args:
        release: The workspace's entry.
        recipe: The one it was made by.
        base: Tokenizer and chat format.
        model: The base with the adapter.
        chat: How rows are read: the base's chat format, or that of the release's classes.
    """

    release: Release
    recipe: Recipe
    base: Base
    model: Any
    chat: ChatFormat

    def answer(self, message: str) -> Reply:
        """Answers one message; each stands alone, as the training rows did.

        Raises:
            InputError: If the message is empty, or the template needs several columns and the message is no JSON
                object that has them.
        """
        from tunewright.generate import generate
        from tunewright.models.tool_calls import read_calls

        if self.release.template.get("documents"):
            return self._continue(message)
        turns = request(self.release.template, self.recipe, message)
        if isinstance(self.chat, ClassFormat):
            return self._name(self.chat, turns)
        limit = int(self.release.template["max_new_tokens"])
        chat, tools = self.chat, self.release.template.get("tools") or ()
        with quiet():
            given = generate(
                self.model, [chat.prompt(turns, tools)], max_new_tokens=limit, stop_ids=chat.stop_ids, batch_size=1
            )[0]
        text, shown = chat.decode(given.tokens), chat.text(turns, tools, open_end=True)
        return Reply(text, given.stopped, len(given.tokens), shown, read_calls(text) if tools else ())

    def _name(self, format: ClassFormat, turns: list[Turn]) -> Reply:
        """The class of a message, or of each of its words."""
        from tunewright.evaluate import predict_classes

        with quiet():
            (found,) = predict_classes(self.model, format, [turns], limit=self.base.files.context_length)
        shown = format.text(turns, open_end=True)
        return Reply(found.text, found.whole, 0, shown, probability=found.probability)

    def _continue(self, text: str) -> Reply:
        """What a model that was trained on documents writes behind the beginning of one."""
        from tunewright.generate import generate

        if not text.strip():
            raise InputError("The text to go on with is empty")
        plain = self.base.chat.plain
        prompt = [*plain.begin, *plain.tokens(text)]
        limit = int(self.release.template["max_new_tokens"])
        with quiet():
            (given,) = generate(
                self.model, [prompt], max_new_tokens=limit, stop_ids=frozenset([plain.end]), batch_size=1
            )
        return Reply(self.base.chat.decode(given.tokens), given.stopped, len(given.tokens), plain.show(prompt))


def load_release(
    label: str, *, workspace: str | Path | Workspace | None = None, listener: Listener = ignore
) -> Specialist:
    """Loads a release.

    Args:
        label: `name`, or `name@version`.
        workspace: An open workspace, its folder, or None: found as `Workspace.open` does.
        listener: Hears about a base model that must be fetched.

    Raises:
        UnknownNameError: If there is no such release.
        ModelError: If base, adapter and chat template are not those that belong together.
    """
    place = workspace if isinstance(workspace, Workspace) else Workspace.open(workspace, create=False)
    release = place.find_release(label)
    from tunewright.models.resolve import resolve

    recipe = recipe_from_mapping(release.recipe, where=f"recipe of {release.label}")
    with quiet():
        files = resolve(release.base, place.cache, listener)
    folder = place.artifact(release.adapter, "adapter").path
    loaded = load_tuned(files, folder, release.template, longest=recipe.longest, label=release.label)
    return Specialist(release, recipe, loaded.base, loaded.model, loaded.chat)


def talk(label: str, message: str, *, workspace: str | Path | Workspace | None = None) -> str:
    """A release's answer to one message; `load_release` once and `answer` often where there are several."""
    return load_release(label, workspace=workspace).answer(message).text


def request(template: Mapping[str, Any], recipe: Recipe, message: str) -> list[Turn]:
    """The turns that a message becomes: cleaned by the recipe's steps, put into its template.

    Args:
        template: What the release carries.
        recipe: Its recipe, for the steps.
        message: The user's text; a JSON object where the template has several columns.
    """
    from tunewright.models.chat import Turn

    if not message.strip():
        raise InputError("The message is empty")
    if template["template"] is None:
        system = template["system"]
        if pair := _pair(template, message):
            first, second = _cleaned(pair, recipe).values()
            return [Turn("user", first), Turn("user", second)]
        in_list = f"messages[{1 if system else 0}].content"
        place = _COLUMNS.get(template.get("format", recipe.data.format), in_list)
        user = _cleaned({place: message}, recipe)[place]
    else:
        from tunewright.data.formats import TemplateFormat
        from tunewright.recipe.schema import Template

        form = TemplateFormat(Template.model_validate(template["template"]))
        cells = _cleaned(_cells(message, form.prompt_columns), recipe)
        system, user = form.system.fill(cells), form.user.fill(cells)
    told = [Turn("system", system)] if system.strip() else []
    return [*told, Turn("user", user)]


def _pair(template: Mapping[str, Any], message: str) -> dict[str, str]:
    """The two texts of a message that is a JSON object with both, where pairs are labelled; else empty."""
    if template.get("format") != "labelled" or not message.lstrip().startswith("{"):
        return {}
    try:
        given = json.loads(message)
    except ValueError:
        return {}
    is_pair = isinstance(given, dict) and set(given) == {"text", TEXT_PAIR}
    return {name: str(given[name]) for name in ("text", TEXT_PAIR)} if is_pair else {}


def _cells(message: str, columns: Sequence[str]) -> dict[str, str]:
    """The template's columns: the whole message for one, the keys of a JSON object for several."""
    if len(columns) == 1:
        return {columns[0]: message}
    try:
        given = json.loads(message)
    except ValueError:
        given = None
    if not isinstance(given, dict) or any(column not in given for column in columns):
        example = json.dumps(dict.fromkeys(columns, "…"), ensure_ascii=False)
        raise InputError(
            "The template needs several columns, so the message must be a JSON object", hint=f"As in: {example}."
        )
    return {column: "" if given[column] is None else str(given[column]) for column in columns}


def _cleaned(cells: Mapping[str, str], recipe: Recipe) -> dict[str, str]:
    """The cells after the recipe's steps, as far as those work on these columns. A step that drops rows drops none."""
    import polars as pl

    from tunewright.data.clean import clean_frame
    from tunewright.data.frame import LINE, ROW_ID, SOURCE, ColumnsConfig, StepConfig

    columns = tuple(cells)
    reserved = {ROW_ID: ["0"], SOURCE: [_MESSAGE], LINE: [1]}
    frame = pl.DataFrame({**reserved, **{name: [text] for name, text in cells.items()}})
    for step in recipe.data.steps:
        if not isinstance(step, StepConfig) or not step.held_out:  # one that compares training rows
            continue
        bound = step.bind(columns, ())
        if isinstance(bound, ColumnsConfig):
            bound = bound.model_copy(update={"columns": tuple(name for name in bound.columns if name in columns)})
        if not bound.needed() or not set(bound.needed()) <= set(columns):
            continue
        cleaned = clean_frame(frame, bound).frame
        frame = cleaned if cleaned.height else frame
    return {name: frame[name][0] or "" for name in columns}
