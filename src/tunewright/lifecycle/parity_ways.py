"""The ways on which a row meets the model: in training, measured, served, and as others compute it."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tunewright.base.files import hash_value, read_json
from tunewright.base.plugins import METHODS
from tunewright.base.quiet import quiet
from tunewright.models.catalog import ENCODER_DECODER
from tunewright.recipe import Recipe

if TYPE_CHECKING:
    from torch import Tensor

    from tunewright.data.example import Example
    from tunewright.models.base import Base, Dtype
    from tunewright.models.chat import ChatFormat
    from tunewright.models.files import BaseFiles

# bfloat16 keeps 8 bits: a number is off by at most this share of itself.
UNIT = 2.0**-8
_ANSWER_TOKENS = 8  # of a row's own answer, as far as it is compared
_ADAPTER, _MERGED = "adapter", "merged"


@dataclass(frozen=True)
class Subject:
    """A trained model, and how it is asked.

    Args:
        name: What messages call it.
        files: Its base.
        dtype: In which it computes.
        device: Where.
        adapter: The folder of its adapter.
        recipe: It was made by.
        template: How requests are rendered, as its release carries it (`release.prompt_template`).
        cache: Where tables of tokens are kept.
    """

    name: str
    files: BaseFiles
    dtype: Dtype
    device: str
    adapter: Path
    recipe: Recipe
    template: Mapping[str, Any]
    cache: Path

    def load_base(self) -> Base:
        """The base, freshly loaded, with its own attention."""
        from tunewright.models.base import load_base

        return load_base(self.files, dtype=self.dtype, device=self.device)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Seen:
    """A row as it was met on one way.

    Args:
        prompt: Tokens before the reference answer.
        answer: Tokens of the reference answer, its end token included.
        logps: Log-probability of each of those, in nats; empty where only tokens were looked at.
        text: The rendered prompt; None where only its tokens are known.
        given: Tokens of the model's own answer; None where it was not asked for one.
        noise: In bfloat16, for each of the reference's tokens, what a nudge of one unit to what is read moves log-
            probabilities by, and its largest logit (see `parity.bounds`). Of the plain computation only.
    """

    prompt: list[int]
    answer: list[int]
    logps: list[float]
    text: str | None = None
    given: list[int] | None = None
    noise: tuple[tuple[float, float], ...] = ()


Rows = dict[str, Seen]  # by the example's id


def in_training(subject: Subject, chat: ChatFormat, examples: Sequence[Example]) -> Rows:
    """Rows as the loop reads them: rendered as when it was trained, from a table of tokens; without log-probabilities.

    Rows that training would leave out or cut, and those of which it learns nothing, are left out.
    """
    from tunewright.data.tokens import tokenize

    trained = _as_trained(chat, subject.template)
    data = subject.recipe.data
    table = tokenize(
        examples,
        trained,
        key=hash_value(["parity", [example.as_json() for example in examples]]),
        cache=subject.cache,
        max_length=data.max_length,
        too_long="drop",
    )
    found = {}
    for place, row_id in enumerate(table.ids):
        row = table.row(place)
        learned = np.flatnonzero(row.weights > 0)
        if len(learned):
            # Of several answers the last one: the stretch of learned tokens that ends the row's learning.
            breaks = np.flatnonzero(np.diff(learned) > 1)
            start, end = int(learned[breaks[-1] + 1] if len(breaks) else learned[0]), int(learned[-1]) + 1
            found[row_id] = Seen(row.tokens[:start].tolist(), row.tokens[start:end].tolist(), [])
    return found


def _as_trained(chat: ChatFormat, template: Mapping[str, Any]) -> ChatFormat:
    """The chat format with the template that training rendered with, where it is another one by now."""
    if not template["chat_template"] or chat.template == template["chat_template"]:
        return chat
    tokenizer = copy.deepcopy(chat.tokenizer)
    tokenizer.chat_template = template["chat_template"]
    return type(chat)(tokenizer)


def computed_by_forest(model: Any, rows: Rows) -> Rows:
    """The same rows with log-probabilities as training computes them: all in one forest."""
    from tunewright.generate.draft import Asked
    from tunewright.generate.references import reference_logprobs

    asked = [Asked(place, seen.prompt, seen.answer, []) for place, seen in enumerate(rows.values())]
    found = reference_logprobs(model, asked)
    return {row: replace(seen, logps=logps) for (row, seen), logps in zip(rows.items(), found, strict=True)}


def in_evaluation(model: Any, base: Base, examples: Sequence[Example]) -> Rows:
    """Rows as the evaluation renders, answers and scores them, side by side."""
    from tunewright.evaluate.answer import reference_tokens

    prompts = [base.chat.prompt(example.prompt, example.tools) for example in examples]
    answers = [
        reference_tokens(base, prompt, example.prompt, example)
        for prompt, example in zip(prompts, examples, strict=True)
    ]
    texts = [base.chat.text(example.prompt, example.tools, open_end=True) for example in examples]
    given = _generate(model, base.chat, prompts, answers, batch_size=len(examples))
    return {
        example.id: Seen(prompt, answer, logps, text, tokens)
        for example, prompt, answer, text, (tokens, logps) in zip(examples, prompts, answers, texts, given, strict=True)
    }


def when_served(model: Any, base: Base, subject: Subject, examples: Sequence[Example], rows: Rows) -> Rows:
    """Rows as a release is asked them: a message is cleaned and rendered, and answered alone.

    Rows that are no single message, or whose cells are not known any more, are left out.

    Args:
        rows: The same in the evaluation, for the references.
    """
    from tunewright.lifecycle.talk import request

    found = {}
    tools = subject.template.get("tools") or ()
    for example in examples:
        message = message_of(subject.template, example)
        if message is None or list(map(dict, example.tools)) != list(tools):
            continue
        turns = request(subject.template, subject.recipe, message)
        prompt, answer = base.chat.prompt(turns, tools), rows[example.id].answer
        ((tokens, logps),) = _generate(model, base.chat, [prompt], [answer], batch_size=1)
        found[example.id] = Seen(prompt, answer, logps, base.chat.text(turns, tools, open_end=True), tokens)
    return found


def message_of(template: Mapping[str, Any], example: Example) -> str | None:
    """What a user would send to be asked an example; None where that is no single message, or is not known."""
    import json

    from tunewright.data.formats import TemplateFormat
    from tunewright.recipe.schema import Template

    turns = [message for message in example.prompt if message.role not in ("system", "developer")]
    if len(turns) != 1 or turns[0].role != "user":
        return None
    if template["template"] is None:
        told = next((message.content for message in example.prompt if message.role in ("system", "developer")), "")
        # A release carries a system message where all rows share one.
        return None if told and not template["system"] else turns[0].content
    form = TemplateFormat(Template.model_validate(template["template"]))
    if template["template"]["user"] == f"{{{form.prompt_columns[0]}}}" and len(form.prompt_columns) == 1:
        return turns[0].content
    cells: Mapping[str, str] = getattr(example, "columns", {})
    if any(column not in cells for column in form.prompt_columns):
        return None
    asked = {column: cells[column] for column in form.prompt_columns}
    return next(iter(asked.values())) if len(asked) == 1 else json.dumps(asked, ensure_ascii=False)


def _generate(
    model: Any, chat: ChatFormat, prompts: list[list[int]], answers: list[list[int]], batch_size: int
) -> list[tuple[list[int], list[float]]]:
    """The model's own answers to prompts, and the log-probabilities of the references."""
    from tunewright.generate import generate

    given = generate(
        model,
        prompts,
        references=answers,
        max_new_tokens=_ANSWER_TOKENS,
        stop_ids=chat.stop_ids,
        batch_size=batch_size,
    )
    return [(each.tokens, each.reference_logprobs or []) for each in given]


def computed_plainly(model: Any, rows: Rows, *, seq2seq: bool) -> Rows:
    """The same rows one at a time through the model's own forward pass and attention."""
    import torch

    found = {}
    with torch.no_grad():
        for row, seen in rows.items():
            logits = _plain_logits(model, seen, seq2seq=seq2seq)
            logps = _logps(logits, seen)
            noise: tuple[tuple[float, float], ...] = ()
            if next(model.parameters()).dtype == torch.bfloat16:
                nudged = _logps(_plain_logits(model, seen, seq2seq=seq2seq, nudge=UNIT), seen)
                moved = float(np.sqrt(np.mean(np.square(np.subtract(nudged, logps)))))
                largest = logits.abs().amax(-1).tolist()
                spread = logits.std(-1).tolist()
                noise = tuple((max(moved, UNIT * one), most) for one, most in zip(spread, largest, strict=True))
            found[row] = replace(seen, logps=logps, noise=noise)
    return found


def _logps(logits: Tensor, seen: Seen) -> list[float]:
    logp = logits.log_softmax(-1)
    return [float(logp[place, token]) for place, token in enumerate(seen.answer)]


def _plain_logits(model: Any, seen: Seen, *, seq2seq: bool, nudge: float = 0.0) -> Tensor:
    """Logits that predict the reference answer, float64, shape (T, V).

    Args:
        nudge: By how much of themselves, in standard deviations, the embeddings read are moved at random.
    """
    import torch

    device = next(model.parameters()).device
    read = seen.prompt[:-1] if seq2seq else [*seen.prompt, *seen.answer[:-1]]
    told: dict[str, Any] = {"input_ids": torch.tensor([read], device=device)}
    if nudge:
        embedded = model.get_input_embeddings()(told.pop("input_ids"))
        noise = torch.randn(embedded.shape, generator=torch.Generator().manual_seed(0))
        told = {"inputs_embeds": embedded * (1 + nudge * noise.to(embedded))}
    told |= {"labels": torch.tensor([seen.answer], device=device)} if seq2seq else {"use_cache": False}
    logits: Tensor = model(**told).logits[0][-len(seen.answer) :].double()
    return logits


def by_others(subject: Subject, rows: Rows) -> Rows:
    """Rows through transformers and PEFT alone, on a base that was never prepared for forests."""
    base = subject.load_base()
    return computed_plainly(_with_adapter(base, subject.adapter), rows, seq2seq=subject.files.kind == ENCODER_DECODER)


def _with_adapter(base: Base, folder: Path) -> Any:
    """A base with an adapter as PEFT itself loads it; of a method that PEFT does not have, as ours does."""
    from tunewright.models.adapters import MANIFEST, load_adapter

    manifest = read_json(folder / MANIFEST)
    prepared = hasattr(METHODS.module(manifest["method"]["name"]), "prepare")
    if prepared or not (folder / "adapter_config.json").exists():
        return load_adapter(base, folder)
    from peft import PeftModel

    with quiet():
        return PeftModel.from_pretrained(base.model, str(folder), is_trainable=False).eval()


def mergeable(model: Any) -> bool:
    """Whether an adapter can be added into its base's weights."""
    from tunewright.models.methods._peft import is_quantised

    settings = getattr(model, "active_peft_config", None)
    return settings is not None and not settings.is_prompt_learning and not is_quantised(model)


def merged(model: Any, stock: str) -> Any:
    """The base with its adapter added into its weights, on its own attention; the model itself is used up."""
    with quiet():
        whole = model.merge_and_unload()
    whole.set_attn_implementation(stock)
    return whole.eval()


class SavedAgain:
    """A trained model written once more into a folder, to be loaded anew; for as long as it is open."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self._place = tempfile.TemporaryDirectory(prefix="tunewright-parity-")
        self.folder = Path(self._place.name)

    def __enter__(self) -> SavedAgain:
        return self

    def __exit__(self, *error: object) -> None:
        self._place.cleanup()

    def keep_adapter(self, model: Any, chat: ChatFormat) -> None:
        """Writes the adapter."""
        from tunewright.models.adapters import MANIFEST, save_adapter

        (self.folder / _ADAPTER).mkdir()
        method = read_json(self._subject.adapter / MANIFEST)["method"]
        save_adapter(
            model,
            self.folder / _ADAPTER,
            method=METHODS.config(method["name"]).model_validate(method),
            base=self._subject.files,
            chat_fingerprint=chat.fingerprint,
        )

    def keep_merged(self, whole: Any, chat: ChatFormat) -> None:
        """Writes a merged model with its tokenizer."""
        with quiet():
            whole.save_pretrained(self.folder / _MERGED)
            chat.tokenizer.save_pretrained(self.folder / _MERGED)

    def with_adapter(self, rows: Rows) -> Rows:
        """Rows by the adapter that was written, on a fresh base."""
        from tunewright.forest.layout import adopt
        from tunewright.models.adapters import load_adapter

        base = self._subject.load_base()
        recipe = self._subject.recipe
        adopt(base.model, recipe.train.backend, longest=recipe.longest)
        return computed_by_forest(load_adapter(base, self.folder / _ADAPTER), rows)

    def whole(self, examples: Sequence[Example], rows: Rows) -> Rows:
        """Rows by the merged model that was written, rendered by the tokenizer beside it."""
        subject = replace(self._subject, files=replace(self._subject.files, folder=self.folder / _MERGED))
        base = subject.load_base()
        prompts = {each.id: base.chat.prompt(each.prompt, each.tools) for each in examples if each.id in rows}
        again = {row: replace(seen, prompt=prompts[row]) for row, seen in rows.items()}
        return computed_plainly(base.model, again, seq2seq=subject.files.kind == ENCODER_DECODER)
