"""Claims: what answers say that neither the question, nor the reference, nor the row's context holds."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field

from tunewright.base.errors import InputError
from tunewright.base.events import Message, Stage
from tunewright.base.plugins import PluginConfig
from tunewright.base.seeds import derive
from tunewright.data.meaning.embedding import Embedder
from tunewright.evaluate.conduct.claims import KINDS, Checked, ClaimKind, Source, check_claims, disagreement
from tunewright.evaluate.conduct.held_out import shown, speakers_of, tuned_and_base
from tunewright.evaluate.conduct.progress import stage
from tunewright.evaluate.conduct.sentences import sentences
from tunewright.evaluate.conduct.shares import SHOWN, finding, share_finding
from tunewright.evaluate.probing import BASE, TUNED, Asked, Finding
from tunewright.metrics import Answer, Measure
from tunewright.models.encoder import find_encoder
from tunewright.recipe.sampling import Sampling

# Columns that hold what an answer rests on, where rows have them.
_CONTEXT = ("context", "passage", "document", "evidence")


class Config(PluginConfig):
    """Settings of `claims`."""

    name: Literal["claims"] = "claims"
    columns: tuple[str, ...] = Field(
        (), description="The rows' columns that answers may rest on; empty: context, passage, document, evidence."
    )
    question: bool = Field(True, description="Whether they may rest on what was asked and told before.")
    reference: bool = Field(True, description="Whether they may rest on the right answers.")
    kinds: tuple[ClaimKind, ...] = Field(KINDS, min_length=1, description="Which claims are looked at.")
    overlap: float = Field(
        0.5, gt=0, le=1, description="Least share of a sentence's content words that stand in the sources; a heuristic."
    )
    encoder: str = Field(
        "", description="A text encoder: a sentence near in meaning to one of the sources is held, too; empty: none."
    )
    likeness: float = Field(0.6, gt=0, le=1, description="Least cosine that counts as near; a heuristic.")
    samples: int = Field(
        0,
        ge=0,
        description="Further answers to draw, at temperature 1, to see whether they claim the same; 0: those that the "
        "evaluation has drawn, if it has.",
    )
    most: int = Field(100, ge=1, description="Held-out rows for which they are drawn; of more, so many are chosen.")
    max_new_tokens: int = Field(128, ge=1, description="Longest of these answers, in tokens.")
    listed: int = Field(200, ge=1, description="Unsupported claims that are listed; how many there are is always told.")


def names(config: Config) -> tuple[str, ...]:
    """The findings' names; the second one is there where further answers are drawn."""
    return "hallucination", "claims_disagreement"


def check(config: Config, cache: Path) -> None:
    """Looks for the encoder, where one is named; raises a `ModelError` if it is not on this machine."""
    if config.encoder:
        find_encoder(config.encoder, cache)


def probe(config: Config, asked: Asked) -> list[Finding]:
    """The share of answers with an unsupported claim, and how far further samples disagree, where there are some.

    Raises:
        InputError: If a column is named that no row has, or there is nothing to hold answers against.
    """
    given = tuned_and_base(asked)
    sources = [Source.read(texts) for texts in _sources(config, asked, given[TUNED])]
    like = _likeness(config, asked, given, sources)
    checked: dict[str, list[Checked]] = {system: [] for system in given}
    with stage(asked.listener, "claims") as heard:
        for row, source in enumerate(sources):
            for system, answers in given.items():
                found = check_claims(
                    answers[row].prediction, source, overlap=config.overlap, like=like, kinds=config.kinds
                )
                checked[system].append(found)
            heard(Stage("claims", "progress", row + 1, len(sources), "rows"))
    whole = share_finding(
        asked,
        "hallucination",
        {system: [bool(each.missing) for each in found] for system, found in checked.items()},
        title="Answers with an unsupported claim",
        better="lower",
        meaning="Share of answers with a number, name or sentence that the sources do not hold. Words and "
        "numbers are compared, and no meaning: what is rightly concluded or said in other words may be listed, and "
        "what is wrong in the source's own words is not. Read the list.",
        details={
            "by kind": _by_kind(checked, config.kinds),
            **{
                f"answers that claim nothing, {system}": sum(not any(each.counts.values()) for each in found)
                for system, found in checked.items()
            },
            "unsupported claims": sum(len(each.missing) for each in checked[TUNED]),
            "listed": _listed(given[TUNED], checked[TUNED], config.listed),
            "held against": _named_sources(config, given[TUNED]),
        },
    )
    return [whole, *_samples(config, asked, given)]


def _sources(config: Config, asked: Asked, answers: Sequence[Answer]) -> list[list[str]]:
    """What each row's answer may rest on."""
    known = dict.fromkeys(column for answer in answers for column in answer.columns)
    for column in config.columns:
        if column not in known:
            raise InputError(
                f"No held-out row has the column '{column}'",
                where="evaluate.probes.claims.columns",
                hint=f"There are: {', '.join(known) or 'none'}.",
            )
    columns = config.columns or [column for column in _CONTEXT if column in known]
    if not (columns or config.question or config.reference):
        raise InputError("There is nothing to hold answers against", where="evaluate.probes.claims")
    return [
        [
            *(turn.content for turn in example.prompt if config.question),
            *((answer.reference, *answer.references) if config.reference else ()),
            *(answer.columns.get(column, "") for column in columns),
        ]
        for example, answer in zip(asked.examples, answers, strict=True)
    ]


def _named_sources(config: Config, answers: Sequence[Answer]) -> list[str]:
    known = {column for answer in answers for column in answer.columns}
    columns = config.columns or [column for column in _CONTEXT if column in known]
    return [*(["question"] if config.question else []), *(["reference"] if config.reference else []), *columns]


def _likeness(
    config: Config, asked: Asked, given: Mapping[str, Sequence[Answer]], sources: Sequence[Source]
) -> Callable[[str, str], bool] | None:
    """Whether a sentence is near in meaning to one of a source's; None where no encoder is named."""
    if not config.encoder:
        return None
    embedder = Embedder.open(config.encoder, asked.cache, asked.listener)
    # All at once, which is quicker; afterwards each is found again in the embedder's own cache.
    texts = [*(answer.prediction for answers in given.values() for answer in answers), *(each.text for each in sources)]
    embedder.embed(list(dict.fromkeys(sentence for text in texts for sentence in sentences(text))))

    def near(sentence: str, text: str) -> bool:
        vectors = embedder.embed([sentence, *sentences(text)])
        return len(vectors) > 1 and bool((vectors[1:] @ vectors[0]).max() >= config.likeness)

    return near


def _by_kind(checked: Mapping[str, Sequence[Checked]], kinds: Sequence[ClaimKind]) -> list[dict[str, Any]]:
    rows = []
    for kind in kinds:
        row: dict[str, Any] = {"kind": kind}
        for system, found in checked.items():
            row[f"claims, {system}"] = sum(each.counts[kind] for each in found)
            row[f"unsupported, {system}"] = sum(claim.kind == kind for each in found for claim in each.missing)
        rows.append(row)
    return rows


def _listed(answers: Sequence[Answer], checked: Sequence[Checked], most: int) -> list[dict[str, str]]:
    rows = [
        {"row": answer.id, "kind": claim.kind, "claim": shown(claim.text), "answer": shown(answer.prediction)}
        for answer, found in zip(answers, checked, strict=True)
        for claim in found.missing
    ]
    return rows[:most]


def _samples(config: Config, asked: Asked, given: dict[str, tuple[Answer, ...]]) -> list[Finding]:
    """How far further answers disagree with each; nothing where none were drawn."""
    drawn = _drawn(config, asked, given)
    found = {
        system: [
            disagreement(answer.prediction, samples, overlap=config.overlap, kinds=config.kinds) if samples else None
            for answer, samples in zip(given[system], each, strict=True)
        ]
        for system, each in drawn.items()
    }
    rows = [row for row, value in enumerate(found[TUNED]) if value is not None]
    if not rows:
        if any(drawn[TUNED]):
            asked.listener(Message("claims: no answer with further samples claims anything that could be compared."))
        return []
    told = {TUNED: rows}
    # The base's answers are others, and claim something on other rows.
    if beside := [row for row, value in enumerate(found.get(BASE, ())) if value is not None]:
        told[BASE] = beside
    measures = {
        system: Measure("claims_disagreement", np.array([found[system][row] for row in chosen], dtype=np.float64))
        for system, chosen in told.items()
    }
    worst = sorted(rows, key=lambda row: -(found[TUNED][row] or 0.0))[:SHOWN]
    return [
        finding(
            asked,
            measures,
            title="Claims that further samples do not repeat",
            better="lower",
            meaning="Of an answer's numbers, names and sentences, the mean share of further sampled answers that do "
            "not hold them. What a model makes up changes from sample to sample; what it wrongly believes does not.",
            details={
                "answers that claim nothing": sum(map(bool, drawn[TUNED])) - len(rows),
                "least agreed": [
                    {
                        "row": given[TUNED][row].id,
                        "disagreement": found[TUNED][row],
                        "answer": shown(given[TUNED][row].prediction),
                        "a sample": shown(drawn[TUNED][row][0]),
                    }
                    for row in worst
                ],
            },
        )
    ]


def _drawn(config: Config, asked: Asked, given: Mapping[str, Sequence[Answer]]) -> dict[str, list[tuple[str, ...]]]:
    """Further answers to each row, by system: drawn now, or those that the evaluation drew; empty where there are none.

    Raises:
        InputError: If answers are to be drawn and the tuned model cannot be asked.
    """
    if not config.samples:
        return {system: [answer.samples for answer in answers] for system, answers in given.items()}
    rows = list(range(len(asked.examples)))
    if len(rows) > config.most:
        rows = sorted(random.Random(derive(asked.seed, "claims")).sample(rows, config.most))
    asks = [asked.examples[row].prompt for row in rows]
    sampling = Sampling(temperature=1.0, seed=asked.seed)
    found: dict[str, list[tuple[str, ...]]] = {}
    for system, speaker in speakers_of(asked, "claims").items():
        if system in given:
            with stage(asked.listener, f"samples {speaker.name}") as heard:
                said = speaker.say(
                    asks,
                    max_new_tokens=config.max_new_tokens,
                    sampling=sampling,
                    samples=config.samples,
                    listener=heard,
                )
            found[system] = [()] * len(asked.examples)
            for row, each in zip(rows, said, strict=True):
                found[system][row] = (each.text, *(further.text for further in each.further))
    return found
