"""Forgetting: what the tuned model lost of the base's language, knowledge and manner of answering."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from tunewright.base.errors import DataError, InputError, collect
from tunewright.base.plugins import PluginConfig
from tunewright.data.documents import Section, read_documents
from tunewright.data.example import Message
from tunewright.data.near import words_of
from tunewright.data.readers import find_files, short_names
from tunewright.data.rows import Fault
from tunewright.evaluate.conduct.divergence import divergence
from tunewright.evaluate.conduct.held_out import shown, speakers_of
from tunewright.evaluate.conduct.packaged import packaged
from tunewright.evaluate.conduct.progress import stage
from tunewright.evaluate.conduct.refusals import is_refusal
from tunewright.evaluate.conduct.sentences import sentences
from tunewright.evaluate.conduct.shares import SHOWN, ends_of, resampled
from tunewright.evaluate.conduct.tasks import NODE_BUDGET, Scored, Task, packaged_tasks, read_tasks, score_tasks
from tunewright.evaluate.documents import score_documents
from tunewright.evaluate.intervals import wilson
from tunewright.evaluate.probing import BASE, TUNED, Asked, Finding
from tunewright.evaluate.speaker import LocalSpeaker, Said
from tunewright.evaluate.statistics import mcnemar_exact
from tunewright.metrics import Answer, Measure
from tunewright.metrics._measure import Floats, Ints, ratio
from tunewright.recipe.schema import Sources

_WINDOW = 512
_CAUSAL = "causal-lm"


class Config(PluginConfig):
    """Settings of `forgetting`."""

    name: Literal["forgetting"] = "forgetting"
    data: Sources = Field((), description="Texts of your own that must still be read well: rows with `text`, or files.")
    tasks: Sources = Field(
        (), description="Questions of your own: rows with `question` or `beginning`, `candidates` and `answer`."
    )
    packaged: bool = Field(True, description="Whether the texts and questions that come with tunewright count, too.")
    max_new_tokens: int = Field(48, ge=1, description="Longest answer to a general prompt, in tokens.")

    @model_validator(mode="after")
    def _something_is_read(self) -> Self:
        if not self.packaged and not (self.data and self.tasks):
            raise ValueError("without the packaged texts, name files of your own under 'data' and 'tasks'")
        return self


@dataclass(frozen=True)
class _Part:
    """One of the three things that can be lost: its measure, and its finding."""

    measure: Measure
    finding: Finding


def names(config: Config) -> tuple[str, ...]:
    """The findings' names."""
    return "forgetting", "forgetting_language", "forgetting_tasks", "forgetting_chat"


def check(config: Config, cache: Path) -> None:
    """Reads one's own texts and tasks.

    Raises:
        DataError: If a file is missing, or one of its rows cannot be used.
    """
    for _ in _texts(config):
        pass
    read_tasks(config.tasks)


def probe(config: Config, asked: Asked) -> list[Finding]:
    """What was lost as a whole, and of language, tasks and chat.

    `forgetting` is the mean of the three losses, each taken as 0 where something was gained.

    Raises:
        InputError: If the tuned model or its base cannot be asked, or gives no probabilities.
    """
    base, tuned = _both(asked)
    parts = [
        _language(config, asked, base, tuned),
        _tasks(config, asked, base, tuned),
        _chat(config, asked, base, tuned),
    ]
    drawn = [np.maximum(resampled(part.measure, asked.samples, asked.seed), 0.0) for part in parts]
    low, high = ends_of(np.mean(drawn, axis=0))
    whole = Finding(
        name="forgetting",
        title="Forgotten in all",
        value=float(np.mean([max(part.measure.value, 0.0) for part in parts])),
        low=low,
        high=high,
        n=sum(part.finding.n for part in parts),
        better="lower",
        base=0.0,
        meaning="The mean of what was lost of general language, general tasks and the base's way of answering, each "
        "from 0 (nothing) to 1. A model that was taught a new manner of answering has lost the old one: look at the "
        "three. What neither the packaged texts nor yours are about, it does not see.",
        details={"parts": [{"part": part.finding.title, "lost": part.finding.value} for part in parts]},
    )
    return [whole, *(part.finding for part in parts)]


def _both(asked: Asked) -> tuple[LocalSpeaker, LocalSpeaker]:
    found = speakers_of(asked, "forgetting")
    if BASE not in found:
        raise InputError(
            "What was forgotten is seen beside the base, and the base cannot be asked",
            where="evaluate.probes.forgetting",
            hint="Take the probe out, or name the base as the other system.",
        )
    base, tuned = found[BASE], found[TUNED]
    if not isinstance(base, LocalSpeaker) or not isinstance(tuned, LocalSpeaker):
        raise InputError(
            "'forgetting' reads a model's probabilities, and an endpoint gives words alone",
            where="evaluate.probes.forgetting",
            hint="Evaluate models of this workspace, or take the probe out.",
        )
    for speaker in (base, tuned):
        if speaker.base.files.kind != _CAUSAL:
            raise InputError(
                f"'forgetting' reads plain texts from left to right, and '{speaker.name}' is no causal model",
                where="evaluate.probes.forgetting",
                hint="Take the probe out.",
            )
    return base, tuned


# --- Language ------------------------------------------------------------------------------------------------------


def _language(config: Config, asked: Asked, base: LocalSpeaker, tuned: LocalSpeaker) -> _Part:
    read = list(_texts(config))
    given = [_read(speaker, read, asked) for speaker in (base, tuned)]
    before, after = (np.array([[each.nats, each.tokens] for each in answers], dtype=np.float64) for answers in given)
    # A long text is read in several sections, and counts once.
    begin = {section.document: section for section in reversed(read)}
    texts = [begin[answer.id] for answer in given[0]]
    measure = ratio("forgetting_language", after[:, 0] - before[:, 0], after[:, 1], _share_lost)
    kinds = [text.source for text in texts]
    worst = np.argsort(-measure.values, kind="stable")[:SHOWN].tolist()
    return _part(
        asked,
        measure,
        title="Forgotten language",
        meaning="How much less probable general texts became to the model, a token (geometric mean); below 0, more "
        "probable. Perplexities stand below; those of models with other tokenisers do not compare.",
        details={
            "perplexity of the tuned model": _perplexity(after),
            "perplexity of the base": _perplexity(before),
            "tokens": int(after[:, 1].sum()),
            "by kind": [_kind_of_text(kind, kinds, before, after) for kind in dict.fromkeys(kinds)],
            "texts that lost most": [
                {"kind": kinds[row], "lost a token": float(measure.values[row]), "text": shown(texts[row].text)}
                for row in worst
                if measure.values[row] > 0
            ],
        },
    )


def _texts(config: Config) -> Iterator[Section]:
    """The packaged texts, their kind in place of a file, and one's own; raises a DataError where one cannot be used."""
    if config.packaged:
        for kind, texts in packaged("general_texts").items():
            for number, text in enumerate(texts, 1):
                yield Section(f"{kind} {number}", kind, number, text.strip())
    called = short_names([file for source in config.data for file in find_files(source)])
    faults = []
    for source in config.data:
        for section in read_documents(source, called):
            if isinstance(section, Fault):
                faults.append(str(section))
            else:
                yield section
    if faults:
        raise DataError(
            f"{len(faults)} texts cannot be used\n{collect(faults)}\n",
            where="evaluate.probes.forgetting.data",
            hint="Mend these rows, or take them out.",
        )


def _read(speaker: LocalSpeaker, read: Sequence[Section], asked: Asked) -> tuple[Answer, ...]:
    """Each document with its negative log-likelihood and its tokens."""
    with stage(asked.listener, f"read {speaker.name}") as heard, speaker.model() as model:
        return score_documents(
            model,
            speaker.base,
            read,
            max_length=min(_WINDOW, speaker.base.files.context_length),
            node_budget=NODE_BUDGET,
            system=speaker.name,
            listener=heard,
        ).answers


def _share_lost(nats: Floats) -> Floats:
    """How much less probable a token became, for nats that it takes more: 1 - exp(-nats)."""
    share: Floats = -np.expm1(-nats)
    return share


def _perplexity(nats: Floats) -> float:
    total, tokens = nats.sum(0)
    return float(math.exp(total / tokens))


def _kind_of_text(kind: str, kinds: Sequence[str], before: Floats, after: Floats) -> dict[str, Any]:
    chosen = [row for row, each in enumerate(kinds) if each == kind]
    return {
        "kind": kind,
        "texts": len(chosen),
        "base": _perplexity(before[chosen]),
        "tuned": _perplexity(after[chosen]),
    }


# --- Tasks ---------------------------------------------------------------------------------------------------------


def _tasks(config: Config, asked: Asked, base: LocalSpeaker, tuned: LocalSpeaker) -> _Part:
    tasks = [*(packaged_tasks() if config.packaged else ()), *read_tasks(config.tasks)]
    before, after = (_score(speaker, tasks, asked) for speaker in (base, tuned))
    hit_before, hit_after = (np.array([each.hit for each in scored], dtype=float) for scored in (before, after))

    def reduction(rows: Ints) -> Floats:
        right_before, right_after = hit_before[rows].sum(-1), hit_after[rows].sum(-1)
        # Beside the larger of the two, so that a gain is bounded as a loss is; where both are 0, nothing was lost.
        share: Floats = (right_before - right_after) / np.maximum(np.maximum(right_before, right_after), 1.0)
        return share

    paired = mcnemar_exact(hit_after, hit_before)
    lost = [row for row in range(len(tasks)) if before[row].hit and not after[row].hit]
    part = _part(
        asked,
        Measure("forgetting_tasks", hit_before - hit_after, reduction),
        title="Forgotten tasks",
        meaning="Which share of the general questions that the base gets right was lost, net of those that were won; "
        "below 0, more were won. The most probable of the candidates counts, without a chat template. The packaged "
        "questions are easy and few: they see a collapse, and no fine differences.",
        details={
            "right, tuned model": float(hit_after.mean()),
            "right, base": float(hit_before.mean()),
            "won": paired.only_a,
            "lost": paired.only_b,
            "p (exact McNemar test)": paired.p,
            "by kind": [
                _kind_of_task(kind, tasks, hit_before, hit_after) for kind in dict.fromkeys(t.kind for t in tasks)
            ],
            "questions lost": [_lost(tasks[row], after[row]) for row in lost[:SHOWN]],
        },
    )
    if len(lost) or paired.only_a:
        return part
    # None changed, so every resample is 0; but so many questions are no proof that none ever would.
    width = wilson(0, len(tasks))[1]
    return _Part(part.measure, replace(part.finding, low=-width, high=width))


def _score(speaker: LocalSpeaker, tasks: Sequence[Task], asked: Asked) -> list[Scored]:
    with stage(asked.listener, f"tasks {speaker.name}") as heard:
        return score_tasks(speaker, tasks, heard)


def _kind_of_task(kind: str, tasks: Sequence[Task], before: Floats, after: Floats) -> dict[str, Any]:
    chosen = [row for row, task in enumerate(tasks) if task.kind == kind]
    return {
        "kind": kind,
        "questions": len(chosen),
        "base": float(before[chosen].mean()),
        "tuned": float(after[chosen].mean()),
    }


def _lost(task: Task, scored: Scored) -> dict[str, Any]:
    return {"kind": task.kind, "question": task.asked, "right": task.candidates[task.right], "now": scored.chosen}


# --- Chat ----------------------------------------------------------------------------------------------------------


def _chat(config: Config, asked: Asked, base: LocalSpeaker, tuned: LocalSpeaker) -> _Part:
    prompts: list[str] = packaged("general_prompts")
    before, after = (_answers(speaker, prompts, config.max_new_tokens, asked) for speaker in (base, tuned))
    with stage(asked.listener, "compare") as heard:
        found = divergence(base, tuned, prompts, before, heard)
    each = found.nats / found.tokens
    same = [_opening(first.text) == _opening(second.text) for first, second in zip(before, after, strict=True)]
    return _part(
        asked,
        ratio("forgetting_chat", found.nats, found.tokens, _share_lost),
        title="Forgotten ways of answering",
        meaning="How much less probable the base's own answers to general prompts became, a token: 1 - exp(-KL) of the "
        "whole next-token distributions. It rises with every new manner of answering, whether that was meant or not; "
        "it says how far the model went, and not whether it became worse.",
        details={
            "KL of the tuned model from the base, nats a token": float(found.nats.sum() / found.tokens.sum()),
            "same first sentence": float(np.mean(same)),
            "refused, tuned model": sum(is_refusal(said.text) for said in after),
            "refused, base": sum(is_refusal(said.text) for said in before),
            "prompts that changed most": [
                {
                    "prompt": prompts[row],
                    "nats a token": float(each[row]),
                    "base": shown(before[row].text),
                    "tuned": shown(after[row].text),
                }
                for row in np.argsort(-each, kind="stable")[:SHOWN].tolist()
            ],
        },
    )


def _answers(speaker: LocalSpeaker, prompts: Sequence[str], most: int, asked: Asked) -> list[Said]:
    with stage(asked.listener, f"chat {speaker.name}") as heard:
        asks = [(Message("user", prompt),) for prompt in prompts]
        return speaker.say(asks, max_new_tokens=most, listener=heard)


def _opening(text: str) -> str:
    found = sentences(text)
    return words_of(found[0]) if found else ""


def _part(asked: Asked, measure: Measure, *, title: str, meaning: str, details: Mapping[str, Any]) -> _Part:
    low, high = ends_of(resampled(measure, asked.samples, asked.seed))
    # The base is what all of it is held against, and has lost nothing of itself.
    finding = Finding(
        name=measure.name,
        title=title,
        value=measure.value,
        low=low,
        high=high,
        n=len(measure.values),
        better="lower",
        base=0.0,
        meaning=meaning,
        details=details,
    )
    return _Part(measure, finding)
