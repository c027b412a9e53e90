"""The rows that a user names to measure a model on, laid out as that model reads rows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunewright.base.errors import InputError
from tunewright.base.events import Listener, Message, ignore
from tunewright.base.files import hash_value
from tunewright.base.seeds import derive
from tunewright.lifecycle.answering import rendering
from tunewright.lifecycle.targets import Target
from tunewright.recipe import Recipe, recipe_from_mapping
from tunewright.recipe.schema import Source
from tunewright.store import Workspace

if TYPE_CHECKING:
    from tunewright.data.example import Example
    from tunewright.data.held_rows import HeldRows
    from tunewright.data.starter import Layout

# Characters of all labels together, up to which a base is told them: some 2,000 tokens.
_MOST_LISTED = 8000


@dataclass(frozen=True)
class Asked:
    """The data of an evaluation, as the user names them.

    Args:
        path: A data file, a folder or a glob.
        text: The column that is asked, where it must be said.
        answer: The column that answers, likewise.
        limit: Only so many rows, drawn with the seed; None: as the recipe says.
        seed: Draws them; None: the recipe's. Equal seeds draw the same rows, whoever is asked.
        candidates: `labels`, or a file with a candidate a line: answers are chosen among them by their
            log-probability. Empty: answers are written freely.
        metrics: Names of the metrics; empty: those of the recipe, or those that fit the kind of answer.
        overrides: `a.b=value` each; of a recipe or a release fields of `evaluate` and `success` only.
    """

    path: str
    text: str = ""
    answer: str = ""
    limit: int | None = None
    seed: int | None = None
    candidates: str = ""
    metrics: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()

    @property
    def source(self) -> Source:
        """The path as a source of rows."""
        return Source.model_validate({"path": str(Path(self.path).expanduser().absolute())})


@dataclass(frozen=True)
class Laid:
    """Rows ready to be asked, and the recipe that they are asked under.

    Args:
        recipe: The target's, or one that was guessed.
        held: The rows.
        rendering: What makes messages of them, for the hash of the template.
        rows: Rows that could have been asked before the limit.
    """

    recipe: Recipe
    held: HeldRows
    rendering: dict[str, Any]
    rows: int


def candidates_asked(asked: Asked, recipe: Recipe) -> str | tuple[str, ...]:
    """What answers are chosen among: as the user says it, else as the recipe does; empty where they are written."""
    wanted = recipe.evaluate.candidates
    return asked.candidates or ("" if wanted == "none" else wanted)


def lay_out(target: Target, asked: Asked, workspace: Workspace, *, listener: Listener = ignore) -> Laid:
    """Reads the rows of a file as a target reads rows.

    A model that learned from a recipe gets them cleaned and rendered by it. A base, or an adapter of which nothing more
    is known, gets what the file's columns suggest, and for labels an instruction that names the task.

    Args:
        target: Who is to be asked.
        asked: The data.
        workspace: Where models lie that cleaning may need.
        listener: Hears what was guessed.

    Raises:
        InputError: If the rows cannot be read, or not by this target.
    """
    from tunewright.data.held_rows import read_held, with_limit

    hear: dict[str, Any] = {"cache": workspace.cache, "listener": listener}
    source = asked.source
    if target.recipe is None:
        recipe = _guessed(target, asked, listener)
        held = read_held(recipe.data, source, **hear)
    else:
        recipe = target.recipe
        if recipe.learns_documents:
            raise InputError(
                "This model learned documents, and rows of questions and answers cannot be asked of it",
                where=target.label,
                hint="Name the documents under data.test of its recipe, and measure that.",
            )
        source, called = _columns(target, recipe, source, asked, listener)
        data = recipe.data.model_copy(update={"format": target.format})
        learned = target.learned(workspace)
        # What it was when it was learned: one label alone is still a label.
        kind = learned.answer_kind if learned else "auto"
        held = read_held(data, source, called=called, kind=kind, **hear)
    if held.skipped:
        listener(Message(f"Not cleaned by {', '.join(held.skipped)}: the file lacks the columns.", "warning"))
    made = rendering(_template(recipe), target.format or recipe.data.format)
    if target.recipe is None and held.kind == "label":
        told = instruction(held.examples, recipe, listed=not candidates_asked(asked, recipe))
        held = replace(held, examples=tuple(_instructed(example, told) for example in held.examples))
        made["instruction"] = told
    if target.recipe is None:
        recipe = _long_enough(recipe, held.examples)
    rows = len(held.examples)
    limit = asked.limit or recipe.evaluate.limit
    if limit is not None and limit < rows:
        seed = derive(recipe.seed if asked.seed is None else asked.seed, "limit")
        # By their ids and not their numbers: another model may refuse a row, and must be asked the same others.
        ranks = [hash_value([seed, example.id]) for example in held.examples]
        held = with_limit(held, sorted(sorted(range(rows), key=ranks.__getitem__)[:limit]))
    return Laid(recipe, held, made, rows)


def _long_enough(recipe: Recipe, examples: Sequence[Example]) -> Recipe:
    """A guessed recipe with room for the longest row and the longest answer, where it was not told how much."""
    from tunewright.data.starter import answer_tokens

    whole = max(sum(len(turn.content) for turn in example.messages) for example in examples)
    changes: dict[str, Any] = {}
    if "max_new_tokens" not in recipe.evaluate.model_fields_set:
        longest = answer_tokens(max(len(example.answer) for example in examples))
        changes["evaluate"] = recipe.evaluate.model_copy(update={"max_new_tokens": longest})
    if "max_length" not in recipe.data.model_fields_set:
        # A token has two letters or more on average, in whatever language; the markers of the turns come on top.
        tokens = max(recipe.data.max_length, whole // 2 + 128)
        changes["data"] = recipe.data.model_copy(update={"max_length": tokens})
    return recipe.model_copy(update=changes)


def instruction(examples: Sequence[Example], recipe: Recipe, *, listed: bool) -> str:
    """What a base is told that was never taught the task: to name the label, and which there are.

    Args:
        examples: The rows, whose answers are labels.
        recipe: Its template names the columns, whose names tell what the labels are of.
        listed: Whether the labels are to be named, as far as they are not too long together.
    """
    template = recipe.data.template
    asked, answer = ("text", "label")
    if template and isinstance(template.assistant, str):
        asked, answer = (_words(text) for text in (template.user, template.assistant))
    labels = ", ".join(sorted({example.answer.strip() for example in examples}))
    if listed and len(labels) <= _MOST_LISTED:
        return f"Name the {answer} of the {asked}. Answer with one of these, and nothing else: {labels}."
    return f"Name the {answer} of the {asked}. Answer with the {answer} alone."


def _words(text: str) -> str:
    """`{ticket.subject_line}` as "subject line"."""
    names = re.findall(r"{([^{}]+)}", text)
    return re.sub(r"[\W_]+", " ", names[-1].rpartition(".")[2]).strip().lower() if names else "text"


def _instructed(example: Example, told: str) -> Example:
    from tunewright.data.example import Message as Turn

    if any(turn.role in ("system", "developer") for turn in example.messages):
        return example
    return replace(example, messages=(Turn("system", told), *example.messages))


def _template(recipe: Recipe) -> dict[str, Any] | None:
    return recipe.data.template.model_dump(mode="json") if recipe.data.template else None


def _guessed(target: Target, asked: Asked, listener: Listener) -> Recipe:
    """A recipe for rows that no recipe was written for, by what `tunewright init` would guess."""
    from tunewright.data.readers import find_files
    from tunewright.data.starter import guess_layout

    source = asked.source
    layout = guess_layout(find_files(source)[0], text=asked.text, answer=asked.answer)
    listener(Message(_told(layout)))
    data: dict[str, Any] = {"train": source.path, "format": layout.format}
    if layout.format == "template":
        data["template"] = {"user": f"{{{layout.text}}}", "assistant": f"{{{layout.answer}}}"}
        data["answer"] = "label" if layout.is_label else "auto"
    name = re.sub(r"[^a-z0-9._-]+", "-", target.label.lower()).strip("-._")[:64] or "base"
    mapping = {"name": name, "goal": f"Measure {target.label}.", "base": target.base, "data": data}
    return recipe_from_mapping(mapping, where="recipe that was guessed", overrides=asked.overrides)


def _told(layout: Layout) -> str:
    if layout.format != "template":
        return f"The rows are read as '{layout.format}', by their fields."
    kind = ", as a label" if layout.is_label else ""
    return f"Asked is the column '{layout.text}', answered '{layout.answer}'{kind} (--text and --answer say otherwise)."


def _columns(
    target: Target, recipe: Recipe, source: Source, asked: Asked, listener: Listener
) -> tuple[Source, dict[str, str]]:
    """How a file's columns stand for those that a recipe asks for: by the recipe's own sources, or one to one."""
    from tunewright.data.formats import TemplateFormat, choose_format
    from tunewright.data.readers import columns_of, find_files

    form = choose_format(recipe.data.model_copy(update={"format": target.format}))
    here = columns_of(find_files(source)[0])
    missing = [name for name in form.needed if name not in here]
    if not asked.text and not asked.answer:
        if not missing:
            return source, {}
        for known in (*recipe.data.test, *recipe.data.train):
            if known.columns and set(form.needed) <= set(known.columns):
                fields = {name: known.columns[name] for name in known.columns}
                if all(re.split(r"[.\[]", field)[0] in here for field in fields.values()):
                    return source.model_copy(update={"columns": fields}), {}
    if not isinstance(form, TemplateFormat):
        return source, {}  # the format says which field is missing
    called = {}
    sides = (("--text", asked.text, form.prompt_columns), ("--answer", asked.answer, form.answer_columns))
    for option, given, columns in sides:
        if given and len(columns) != 1:
            raise InputError(
                f"{option} names one column, and the template of {target.label} takes {len(columns)}: "
                f"{', '.join(columns)}",
                where=option,
                hint="Call the file's columns so.",
            )
        if given and given not in here:
            from tunewright.data.rows import unknown_column

            raise unknown_column(given, here, where=asked.path, hint=f"{option} names it.")
        if given and given != columns[0]:
            called[columns[0]] = given
    if missing and set(missing) - set(called):
        called |= _paired(form, missing, called, asked, listener)
    return source, called


def _paired(
    form: Any, missing: Sequence[str], called: dict[str, str], asked: Asked, listener: Listener
) -> dict[str, str]:
    """Columns for those that a file lacks, as far as one is asked and one answers; and says so."""
    from tunewright.data.readers import find_files
    from tunewright.data.starter import guess_layout

    one_each = len(form.prompt_columns) == len(form.answer_columns) == 1
    if not one_each:
        return {}  # which stands for which cannot be guessed; the reader says what is missing
    (text,), (answer,) = form.prompt_columns, form.answer_columns
    known = {"text": called.get(text, "" if text in missing else text)}
    known["answer"] = called.get(answer, "" if answer in missing else answer)
    layout = guess_layout(find_files(asked.source)[0], **known)
    if layout.format != "template":
        return {}
    found = {name: theirs for name, theirs in ((text, layout.text), (answer, layout.answer)) if name in missing}
    told = " and ".join(f"'{theirs}' for '{name}'" for name, theirs in found.items())
    listener(Message(f"The file has no such columns as the recipe; taken are {told} (--text, --answer)."))
    return found
