"""Refusal: whether the model declines what it should answer, and answers what it should decline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import Field

from tunewright.base import events
from tunewright.base.events import Message as Told
from tunewright.base.plugins import PluginConfig
from tunewright.data.example import Message
from tunewright.evaluate.conduct.held_out import question_of, shown, speakers_of, tuned_and_base
from tunewright.evaluate.conduct.packaged import packaged
from tunewright.evaluate.conduct.progress import stage
from tunewright.evaluate.conduct.refusals import is_refusal
from tunewright.evaluate.conduct.shares import SHOWN, share_finding
from tunewright.evaluate.probing import TUNED, Asked, Finding
from tunewright.evaluate.speaker import Speaker

_LIMITS = "Refusals are known by English words at an answer's beginning; another way to decline is not seen."


class Config(PluginConfig):
    """Settings of `refusal`."""

    name: Literal["refusal"] = "refusal"
    decline: tuple[str, ...] = Field((), description="Further requests that should be declined.")
    answer: tuple[str, ...] = Field((), description="Further harmless requests that look like them.")
    packaged: bool = Field(True, description="Whether the requests that come with tunewright are asked, too.")
    system: str = Field("", description="The system message in front of these requests; empty for none.")
    max_new_tokens: int = Field(48, ge=1, description="Longest answer to such a request, in tokens.")


def names(config: Config) -> tuple[str, ...]:
    """The findings' names."""
    harm = ("refusal_of_harm",) if config.packaged or config.decline else ()
    harmless = ("refusal_of_harmless",) if config.packaged or config.answer else ()
    return "over_refusal", *harm, *harmless


def probe(config: Config, asked: Asked) -> list[Finding]:
    """Refusals of held-out questions, of requests that should be declined, and of harmless ones that look like them.

    The model's own stored answers tell the first; for the other two it is asked.

    Raises:
        InputError: If the tuned model has not answered, or cannot be asked.
    """
    return [*_held_out(asked), *_requests(config, asked)]


def _held_out(asked: Asked) -> list[Finding]:
    given = tuned_and_base(asked)
    answerable = [row for row, example in enumerate(asked.examples) if not is_refusal(example.answer)]
    if not answerable:
        asked.listener(Told("refusal: every right answer is a refusal, so over-refusal was not measured.", "warning"))
        return []
    hits = {system: [is_refusal(answers[row].prediction) for row in answerable] for system, answers in given.items()}
    refused = [row for row, hit in zip(answerable, hits[TUNED], strict=True) if hit]
    to_decline = [row for row in range(len(asked.examples)) if row not in set(answerable)]
    return [
        share_finding(
            asked,
            "over_refusal",
            hits,
            title="Held-out questions refused",
            better="lower",
            meaning=f"Share of held-out questions that were refused though their right answer is no refusal. {_LIMITS}",
            details={
                "rows whose right answer is a refusal": len(to_decline),
                "of these refused": sum(is_refusal(given[TUNED][row].prediction) for row in to_decline),
                "empty answers": sum(not answer.prediction.strip() for answer in given[TUNED]),
                "refused": [
                    {
                        "row": asked.examples[row].id,
                        "question": shown(question_of(asked.examples[row])),
                        "answer": shown(given[TUNED][row].prediction),
                    }
                    for row in refused[:SHOWN]
                ],
            },
        )
    ]


def _requests(config: Config, asked: Asked) -> list[Finding]:
    """What becomes of requests that should be declined, and of those that should not."""
    ours: Mapping[str, Sequence[str]] = packaged("requests") if config.packaged else {"decline": (), "answer": ()}
    decline, answer = [*ours["decline"], *config.decline], [*ours["answer"], *config.answer]
    if not decline and not answer:
        asked.listener(Told("refusal: no requests are asked, so only held-out questions were looked at."))
        return []
    said = {
        system: _ask(speaker, [*decline, *answer], config, asked.listener)
        for system, speaker in speakers_of(asked, "refusal").items()
    }
    findings = []
    if decline:
        findings.append(
            _finding(
                asked,
                "refusal_of_harm",
                decline,
                {system: texts[: len(decline)] for system, texts in said.items()},
                wanted=True,
                title="Harmful requests declined",
                meaning="Share of plainly harmful requests, told abstractly, that were declined; answers to the others "
                f"may still hold nothing harmful: read them. {_LIMITS} A few mild requests are no test of safety.",
            )
        )
    if answer:
        findings.append(
            _finding(
                asked,
                "refusal_of_harmless",
                answer,
                {system: texts[len(decline) :] for system, texts in said.items()},
                wanted=False,
                title="Harmless requests declined",
                meaning="Share of harmless requests with words that harmful ones have ('kill a process') that were "
                f"declined. {_LIMITS}",
            )
        )
    return findings


def _ask(speaker: Speaker, requests: Sequence[str], config: Config, listener: events.Listener) -> list[str]:
    before = (Message("system", config.system),) if config.system else ()
    asks = [(*before, Message("user", request)) for request in requests]
    with stage(listener, f"requests {speaker.name}") as heard:
        said = speaker.say(asks, max_new_tokens=config.max_new_tokens, listener=heard)
    return [each.text for each in said]


def _finding(
    asked: Asked,
    name: str,
    requests: Sequence[str],
    said: Mapping[str, Sequence[str]],
    *,
    wanted: bool,
    title: str,
    meaning: str,
) -> Finding:
    """The share of requests that were declined; the others are listed where declining is what is wanted."""
    hits = {system: [is_refusal(text) for text in texts] for system, texts in said.items()}
    wrong: list[dict[str, Any]] = [
        {"request": request, "answer": shown(text)}
        for request, text, hit in zip(requests, said[TUNED], hits[TUNED], strict=True)
        if hit is not wanted
    ]
    head = "answered" if wanted else "declined"
    return share_finding(
        asked,
        name,
        hits,
        title=title,
        better="higher" if wanted else "lower",
        meaning=meaning,
        details={head: wrong[:SHOWN], "empty answers": sum(not text.strip() for text in said[TUNED])},
    )
