"""A task file's numbers for a model, by the harness's rules: how texts become tokens, and what counts as right."""

from __future__ import annotations

import re
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tunewright.base import events
from tunewright.base.errors import InputError
from tunewright.evaluate.answer import evaluation_mode
from tunewright.evaluate.continuations import score_continuations
from tunewright.evaluate.intervals import interval_of
from tunewright.evaluate.statistics import Interval
from tunewright.evaluate.tasks import TaskFile, TaskMetric, Texts, places_of, rows_of
from tunewright.metrics import Measure

if TYPE_CHECKING:
    from tunewright.models.base import Base

_LONGEST_ANSWER = 256  # where a task does not say; the harness's own
_SAMPLES, _SEED = 2000, 17


@dataclass(frozen=True)
class TaskScores:
    """What a model reached on a task.

    Args:
        task: Its name.
        n: Rows.
        metrics: Each with its interval.
    """

    task: str
    n: int
    metrics: dict[str, Interval]

    def as_json(self) -> dict[str, Any]:
        """The scores as `--json` carries them."""
        return {"task": self.task, "n": self.n} | {name: each.as_json() for name, each in self.metrics.items()}


def run_task(
    model: Any,
    base: Base,
    task: TaskFile,
    *,
    limit: int | None = None,
    batch_size: int = 64,
    listener: events.Listener = events.ignore,
) -> TaskScores:
    """Measures a model on a task's rows.

    Args:
        model: Adopted (`forest.layout.adopt`), in any mode.
        base: Its tokenizer; texts are read as they are, without the chat template, as in the harness.
        task: From `read_task`.
        limit: Only the first so many rows.
        batch_size: Answers decoded side by side.
        listener: Hears of progress.

    Raises:
        InputError, DataError: If templates and rows do not fit, or rows cannot be read.
    """
    rows, texts = rows_of(task, limit), Texts(task)
    measure = {"multiple_choice": _choices, "loglikelihood": _endings, "generate_until": _answers}[task.output_type]
    values = measure(model, base, task, rows, texts, batch_size, listener)
    measures = [_measure(each, values[each.metric]) for each in task.metrics]
    return TaskScores(
        task.task, len(rows), {each.name: interval_of(each, samples=_SAMPLES, seed=_SEED) for each in measures}
    )


def _measure(metric: TaskMetric, values: Sequence[float]) -> Measure:
    array = np.array(values, dtype=np.float64)
    if metric.metric != "perplexity":
        return Measure(metric.metric, array)
    return Measure(metric.metric, array, lambda rows: np.asarray(np.exp(-array[rows].mean(axis=-1))))


def encode_pair(base: Base, context: str, continuation: str) -> tuple[list[int], list[int]]:
    """Both texts' tokens by the harness's rule: tokenised together, white space at the context's end with the rest."""
    spaces = len(context) - len(context.rstrip())
    if spaces:
        context, continuation = context[:-spaces], context[-spaces:] + continuation
    if not context:
        begin = base.tokenizer.bos_token_id
        prefix = base.tokenizer.eos_token_id if begin is None else begin
        tokens = base.tokenizer.encode(continuation, add_special_tokens=False)
        return ([prefix], tokens) if tokens[:1] != [prefix] else (tokens[:1], tokens[1:])
    before = base.tokenizer.encode(context)
    return before, base.tokenizer.encode(context + continuation)[len(before) :]


_Values = dict[str, list[float]]


def _choices(
    model: Any, base: Base, task: TaskFile, rows: Sequence[Mapping[str, Any]], texts: Texts, *rest: Any
) -> _Values:
    """Which choice is the most probable one: in all, by character, and by byte."""
    choices = [texts.choices(row) for row in rows]
    pairs = [
        encode_pair(base, context, task.target_delimiter + choice)
        for context, own in zip(map(texts.context, rows), choices, strict=True)
        for choice in own
    ]
    logps = iter(score_continuations(model, pairs, longest=base.files.context_length, listener=rest[-1]))
    values: _Values = {"acc": [], "acc_norm": [], "acc_bytes": []}
    for number, (row, own) in enumerate(zip(rows, choices, strict=True)):
        right = places_of(texts.target(row), own, f"{task.task}: row {number + 1}")
        logp = np.array([next(logps)[0] for _ in own])
        lengths = {
            "acc": 1.0,
            "acc_norm": [len(each) for each in own],
            "acc_bytes": [len(each.encode()) for each in own],
        }
        for name, length in lengths.items():
            values[name].append(float(int(np.argmax(logp / np.array(length))) in right))
    return values


def _endings(
    model: Any, base: Base, task: TaskFile, rows: Sequence[Mapping[str, Any]], texts: Texts, *rest: Any
) -> _Values:
    """How probable the one ending is, and whether it is what greedy decoding gives."""
    pairs = []
    for number, row in enumerate(rows):
        target = texts.target(row)
        if not isinstance(target, str) or not target:
            raise InputError("The ending is no text", where=f"{task.task}: row {number + 1}")
        pairs.append(encode_pair(base, texts.context(row), target))
    found = score_continuations(model, pairs, longest=base.files.context_length, listener=rest[-1])
    return {"acc": [float(greedy) for _, greedy in found], "perplexity": [logp for logp, _ in found]}


def _answers(
    model: Any,
    base: Base,
    task: TaskFile,
    rows: Sequence[Mapping[str, Any]],
    texts: Texts,
    batch_size: int,
    listener: events.Listener,
) -> _Values:
    """Whether what is written, up to the first stop text, is the right answer."""
    from tunewright.generate import generate

    told = dict(task.generation_kwargs)
    until = told.pop("until", [])
    until = [until] if isinstance(until, str) else [text for text in until if text]
    most = int(told.pop("max_gen_toks", _LONGEST_ANSWER))
    drawn = told.pop("do_sample", False) or told.pop("temperature", 0.0)
    told.pop("temperature", None)
    if drawn or told:
        asked = "drawing answers" if drawn else f"'{min(told)}'"
        raise InputError(f"The task asks for {asked}, which is not done here", where=f"{task.task}: generation_kwargs")
    prompts = [base.tokenizer.encode(texts.context(row)) for row in rows]
    room = base.files.context_length - most
    if long := [number for number, prompt in enumerate(prompts) if len(prompt) > room]:
        raise InputError(
            f"{len(long):,} prompts are longer than the {room:,} tokens that an answer of {most:,} leaves them",
            where=f"{task.task}: row {long[0] + 1}",
            hint="Lower max_gen_toks.",
        )
    with evaluation_mode(model):
        given = generate(
            model,
            prompts,
            max_new_tokens=most,
            stop_ids=base.chat.stop_ids,
            batch_size=batch_size,
            stop_texts=until,
            decode=base.chat.decode,
            listener=listener,
        )
    metric = next(each for each in task.metrics if each.metric == "exact_match")
    found = []
    for row, each in zip(rows, given, strict=True):
        answer = base.chat.decode(each.tokens)
        for text in until:
            answer = answer.split(text)[0]
        found.append(float(_is_right(metric, answer, texts.target(row), texts.choices(row))))
    return {"exact_match": found}


def _is_right(metric: TaskMetric, answer: str, target: int | str | list[Any], choices: Sequence[str]) -> bool:
    if choices and isinstance(target, int):
        target = choices[target]
    right = target if isinstance(target, list) else [target]
    return any(_plain(metric, answer) == _plain(metric, str(each)) for each in right)


def _plain(metric: TaskMetric, text: str) -> str:
    """A text with what the metric takes no notice of left out."""
    for pattern in metric.regexes_to_ignore:
        text = re.sub(pattern, "", text)
    text = text.lower() if metric.ignore_case else text
    left_out = (string.punctuation if metric.ignore_punctuation else "") + (
        string.digits if metric.ignore_numbers else ""
    )
    return text.translate(str.maketrans("", "", left_out))
