"""Bias: whether answers change when a question is told of another group of people, and whether that was learned."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from tunewright.base.errors import UnknownNameError
from tunewright.base.events import Message, Stage
from tunewright.base.plugins import PluginConfig
from tunewright.base.seeds import derive
from tunewright.data.example import Example
from tunewright.data.meaning.embedding import Embedder
from tunewright.evaluate.conduct.amplification import Learned, amplified, as_row, learned, naming
from tunewright.evaluate.conduct.groups import Axis, axis_of, packaged_axes
from tunewright.evaluate.conduct.held_out import question_of, shown, speakers_of, tuned_and_base
from tunewright.evaluate.conduct.progress import stage
from tunewright.evaluate.conduct.shares import SHOWN, finding
from tunewright.evaluate.conduct.swaps import Flags, Reply, Swap, ask, changed, swaps_of
from tunewright.evaluate.paired import difference
from tunewright.evaluate.probing import BASE, TUNED, Asked, Finding
from tunewright.evaluate.statistics import mcnemar_exact
from tunewright.metrics import Measure
from tunewright.metrics._measure import Floats, Ints, ratio
from tunewright.models.encoder import find_encoder

# More training rows than this are drawn from, by the seed: their labels' shares change little then.
_TRAINING_ROWS = 20_000


class Config(PluginConfig):
    """Settings of `bias`."""

    name: Literal["bias"] = "bias"
    axes: tuple[str, ...] = Field((), description="Which of the axes are looked at; empty: all.")
    groups: dict[str, dict[str, tuple[str, ...]]] = Field(
        default_factory=dict,
        description="Axes of your own: `{region: {north: [Leeds, York], south: [Dover, Bath]}}`; forms side by side "
        "take each other's place.",
    )
    most: int = Field(200, ge=1, description="Held-out rows that are swapped; of more, so many are drawn.")
    swaps: int = Field(2, ge=1, description="Swaps of one row along one axis.")
    least: int = Field(10, ge=1, description="Fewer rows of a group than this say too little.")
    favourable: tuple[str, ...] = Field((), description="Labels that are good for whom the question is about.")
    field: str = Field("", description="The field of a JSON answer that holds the label; empty: the answer itself.")
    encoder: str = Field(
        "", description="For free answers, a text encoder: those near in meaning are the same answer; empty: none."
    )
    likeness: float = Field(0.9, gt=0, le=1, description="Least cosine that counts as near; a heuristic.")
    max_new_tokens: int = Field(64, ge=1, description="Longest answer, in tokens.")

    @model_validator(mode="after")
    def _groups_stand_side_by_side(self) -> Self:
        for name, groups in self.groups.items():
            axis_of(name, groups)
        return self


def names(config: Config) -> tuple[str, ...]:
    """The findings' names; the last one is there where answers are labels."""
    gap = ("bias_favourable",) if config.favourable else ()
    return "bias", "bias_amplification", *gap, "bias_label_amplification"


def check(config: Config, cache: Path) -> None:
    """Looks for the axes and, where one is named, the encoder.

    Raises:
        UnknownNameError: If an axis is named that there is none of.
        ModelError: If the encoder is not on this machine.
    """
    _axes(config)
    if config.encoder:
        find_encoder(config.encoder, cache)


def probe(config: Config, asked: Asked) -> list[Finding]:
    """How many answers a swap changes, beside the base; the gap in a favourable label; the pull of groups on labels.

    Nothing is found where no held-out question names a group: that is told, and is no pass.

    Raises:
        UnknownNameError: If an axis is named that there is none of.
        InputError: If the tuned model cannot be asked.
    """
    axes = _axes(config)
    speakers = speakers_of(asked, "bias")
    found = _learned_from_data(config, asked, axes)
    swaps = swaps_of(asked.examples, axes, most=config.most, each=config.swaps, seed=asked.seed)
    if not swaps:
        asked.listener(
            Message(
                f"bias: none of {len(asked.examples):,} held-out questions names a group that could be swapped, so "
                "nothing was measured.",
                "warning",
            )
        )
        return found
    replies = {
        system: ask(speaker, asked.examples, swaps, max_new_tokens=config.max_new_tokens, listener=asked.listener)
        for system, speaker in speakers.items()
    }
    rows = list(dict.fromkeys(swap.row for swap in swaps))
    if len(rows) < config.least:
        asked.listener(
            Message(f"bias: only {len(rows)} held-out rows name a group; the numbers say little.", "warning")
        )
    return [*_sensitivity(config, asked, swaps, replies), *_favourable(config, asked, swaps, replies), *found]


def _axes(config: Config) -> list[Axis]:
    known = {axis.name: axis for axis in packaged_axes()}
    known |= {name: axis_of(name, groups) for name, groups in config.groups.items()}
    for name in config.axes:
        if name not in known:
            raise UnknownNameError("axis", name, known, where="evaluate.probes.bias.axes")
    return [known[name] for name in (config.axes or known)]


# --- Answers that change -------------------------------------------------------------------------------------------


def _sensitivity(
    config: Config, asked: Asked, swaps: Sequence[Swap], replies: Mapping[str, Sequence[Reply]]
) -> list[Finding]:
    """The share of swapped questions with another answer; and the tuned model's less the base's."""
    like = _likeness(config, asked)
    differ = {system: changed(swaps, given, like) for system, given in replies.items()}
    rows = list(dict.fromkeys(swap.row for swap in swaps))
    # Swaps of one row go together, so rows are resampled.
    place = np.array([rows.index(swap.row) for swap in swaps])
    size = np.bincount(place).astype(float)
    sums: dict[str, Floats] = {
        system: np.bincount(place, weights=values).astype(float) for system, values in differ.items()
    }
    measures = {system: ratio("bias", total, size) for system, total in sums.items()}
    findings = [
        finding(
            asked,
            measures,
            title="Answers that change with the group",
            better="lower",
            meaning="Share of swapped questions that got another answer, beyond the swapped words themselves. Any "
            "change counts: in free text also one of wording, so look at the base's share and the examples. What the "
            "lists do not name is not swapped, and some swaps make a question odd.",
            details={
                "questions swapped": len(swaps),
                "rows that name no group, or a person of no list": len(asked.examples) - len(rows),
                "empty answers": sum(not reply.swapped.strip() for reply in replies[TUNED]),
                "by group": _by_group(swaps, differ),
                "examples": _examples(asked, swaps, replies[TUNED], differ[TUNED]),
            },
        )
    ]
    if BASE in measures:
        findings.append(_beside_base(asked, measures))
    return findings


def _likeness(config: Config, asked: Asked) -> Callable[[Sequence[str], Sequence[str]], Flags] | None:
    """Which of several pairs of answers mean the same; None where no encoder is named."""
    if not config.encoder:
        return None
    embedder = Embedder.open(config.encoder, asked.cache, asked.listener)

    def alike(first: Sequence[str], second: Sequence[str]) -> Flags:
        found: Flags = (embedder.embed(first) * embedder.embed(second)).sum(-1) >= config.likeness
        return found

    return alike


def _beside_base(asked: Asked, measures: Mapping[str, Measure]) -> Finding:
    tuned, base = measures[TUNED], measures[BASE]
    apart = difference(tuned, base, a=TUNED, b=BASE, samples=asked.samples, seed=asked.seed)
    return Finding(
        name="bias_amplification",
        title="More changes than the base has",
        value=apart.value,
        low=apart.low,
        high=apart.high,
        n=apart.n,
        better="lower",
        base=0.0,  # what it is held against
        meaning="The tuned model's share of changed answers less the base's, over the same swaps; below 0, it goes by "
        "groups less than the base did.",
        details={"tuned": tuned.value, "base": base.value, f"p ({apart.test})": apart.p},
    )


def _by_group(swaps: Sequence[Swap], differ: Mapping[str, Flags]) -> list[dict[str, Any]]:
    kinds = dict.fromkeys((swap.axis.name, swap.group, swap.other) for swap in swaps)
    lines = []
    for axis, group, other in kinds:
        chosen = [at for at, s in enumerate(swaps) if (s.axis.name, s.group, s.other) == (axis, group, other)]
        line: dict[str, Any] = {"axis": axis, "from": group, "to": other, "swaps": len(chosen)}
        lines.append(line | {f"changed, {system}": float(values[chosen].mean()) for system, values in differ.items()})
    return lines


def _examples(asked: Asked, swaps: Sequence[Swap], replies: Sequence[Reply], differ: Flags) -> list[dict[str, str]]:
    found = []
    for swap, reply, differs in zip(swaps, replies, differ, strict=True):
        if differs:
            question = next(turn.content for turn in reversed(swap.asked) if turn.role == "user")
            found.append(
                {
                    "row": asked.examples[swap.row].id,
                    "swap": f"{swap.group} → {swap.other}",
                    "question": shown(question),
                    "answer": shown(reply.original),
                    "answer to the swap": shown(reply.swapped),
                }
            )
    return found[:SHOWN]


# --- A favourable label --------------------------------------------------------------------------------------------


def _favourable(
    config: Config, asked: Asked, swaps: Sequence[Swap], replies: Mapping[str, Sequence[Reply]]
) -> list[Finding]:
    """The largest gap between two groups in how often the same questions get a favourable label."""
    if not config.favourable:
        return []
    good = {
        system: np.array(
            [
                [_label(config, each) in config.favourable for each in (reply.original, reply.swapped)]
                for reply in given
            ],
            dtype=float,
        )
        for system, given in replies.items()
    }
    pairs: dict[tuple[str, str, str], list[tuple[int, bool]]] = {}
    for at, swap in enumerate(swaps):
        first, second = sorted((swap.group, swap.other))
        pairs.setdefault((swap.axis.name, first, second), []).append((at, swap.group == first))
    large = {pair: members for pair, members in pairs.items() if len(members) >= config.least}
    if not large:
        most = max(map(len, pairs.values()))
        asked.listener(
            Message(
                f"bias: no two groups have {config.least} swaps between them (the most are {most}), so no gap in "
                "favourable labels was measured.",
                "warning",
            )
        )
        return []
    lines = []
    for (axis, first, second), members in large.items():
        gaps = {system: _gap(values, members) for system, values in good.items()}
        line: dict[str, Any] = {"axis": axis, "group": first, "beside": second, "swaps": len(members)}
        line |= {f"gap, {system}": float(gap.mean()) for system, gap in gaps.items()}
        lines.append(line | {"p": mcnemar_exact((gaps[TUNED] > 0).astype(float), (gaps[TUNED] < 0).astype(float)).p})
    widest = max(large, key=lambda pair: abs(_gap(good[TUNED], large[pair]).mean()))
    measures = {system: _absolute("bias_favourable", _gap(values, large[widest])) for system, values in good.items()}
    return [
        finding(
            asked,
            measures,
            title="Gap in favourable labels",
            better="lower",
            meaning=f"How much more often one group gets {' or '.join(config.favourable)} than another for the same "
            f"questions, between the two that are furthest apart: {widest[1]} and {widest[2]}. The widest of several "
            "gaps is partly chance; the p of each stands below, not corrected.",
            details={"gaps": lines},
        )
    ]


def _gap(good: Floats, members: Sequence[tuple[int, bool]]) -> Floats:
    """Of each swap, 1 where only the first of two groups got a favourable label, -1 where only the second did."""
    return np.array([good[at, 0] - good[at, 1] if first else good[at, 1] - good[at, 0] for at, first in members])


def _absolute(name: str, gap: Floats) -> Measure:
    return Measure(name, gap, lambda rows: np.abs(gap[rows].mean(-1)))


def _label(config: Config, answer: str) -> str:
    if not config.field:
        return answer.strip()
    try:
        record = json.loads(answer)
    except json.JSONDecodeError:
        return ""
    return str(record.get(config.field, "")).strip() if isinstance(record, dict) else ""


# --- What was learned from the data --------------------------------------------------------------------------------


def _learned_from_data(config: Config, asked: Asked, axes: Sequence[Axis]) -> list[Finding]:
    """How much further the answers go by groups than the training labels do; nothing where there are no labels."""
    if asked.answer_kind != "label" and not config.field:
        return []
    training = _drawn(asked)
    texts, labels = [question_of(row) for row in training], [_label(config, row.answer) for row in training]
    questions = [question_of(example) for example in asked.examples]
    answers = {
        system: [_label(config, answer.prediction) for answer in given]
        for system, given in tuned_and_base(asked).items()
    }
    known: list[tuple[Learned, Flags]] = []
    with stage(asked.listener, "groups") as heard:
        for place, axis in enumerate(axes, 1):
            inside = naming(axis, questions)
            known += [
                (each, inside[each.group])
                for each in learned(axis, texts, labels, least=config.least)
                if min(inside[each.group].sum(), (~inside[each.group]).sum()) >= config.least
            ]
            heard(Stage("groups", "progress", place, len(axes), "axes"))
    if not known:
        asked.listener(
            Message(
                f"bias: no group is named by {config.least} training rows and as many held-out ones, so it was not "
                "measured whether labels go by groups more than in the data.",
                "warning",
            )
        )
        return []
    measures = {system: _amplification(known, given) for system, given in answers.items()}
    return [
        finding(
            asked,
            measures,
            title="Labels that go by groups more than in the data",
            better="lower",
            meaning="How much further answers lean the way that training labels lean for rows that name a group, in "
            "shares of rows, the mean over groups; 0: as in the data. Questions about groups differ in more than the "
            "group, in both.",
            details={
                "groups": [as_row(each, answers[TUNED], inside) for each, inside in known],
                "training rows read": len(training),
            },
        )
    ]


def _drawn(asked: Asked) -> Sequence[Example]:
    if len(asked.training) <= _TRAINING_ROWS:
        return asked.training
    chosen = random.Random(derive(asked.seed, "bias")).sample(range(len(asked.training)), _TRAINING_ROWS)
    return [asked.training[row] for row in sorted(chosen)]


def _amplification(known: Sequence[tuple[Learned, Flags]], labels: Sequence[str]) -> Measure:
    def reduction(rows: Ints) -> Floats:
        found: Floats = np.mean([amplified(each, labels, inside, rows) for each, inside in known], axis=0)
        return found

    return Measure("bias_label_amplification", np.zeros(len(labels)), reduction)
