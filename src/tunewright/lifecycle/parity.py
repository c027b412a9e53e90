"""What was trained is what is measured and served: rendered prompts, tokens and log-probabilities, held together.

Rows are rendered and computed on every way that they take (`parity_ways`), and each way is held against training's.
Tokens must be the same, and log-probabilities agree to a bound: 1e-4 a token in float32, in bfloat16 what its rounding
explains (`bounds`).
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunewright.base.errors import GateFailedError, InputError
from tunewright.base.events import Listener, Message, Stage, ignore
from tunewright.base.quiet import quiet
from tunewright.base.seeds import derive
from tunewright.lifecycle import parity_ways as ways
from tunewright.lifecycle.answering import test_rows
from tunewright.lifecycle.job import Job, within
from tunewright.lifecycle.parity_ways import UNIT, Rows, Seen, Subject
from tunewright.models.families import head_of
from tunewright.recipe import Recipe, recipe_from_mapping
from tunewright.store import Workspace

if TYPE_CHECKING:
    from tunewright.data.dataset import Dataset
    from tunewright.data.example import Example
    from tunewright.evaluate import Finding

NAME = "parity"
_ROWS_OF_A_RUN = 3
_TRAINING, _EVALUATION, _SERVED, _PLAIN = "training", "evaluation", "served", "plain transformers"
_MERGED, _RELOADED, _MERGED_RELOADED = "merged", "adapter reloaded", "merged, reloaded"
_FLOAT32_BOUND = 1e-4
# Sums of a block onto the states that pass through; and roundings inside of it: norms, projections, rotations, softmax,
# mix and products 15, an adapter's two products in each of seven layers 14, the seven weights it is merged into 7.
_SUMS, _INSIDE = 2, 36
_SIGMAS = 4.0


@dataclass(frozen=True, slots=True)
class Way:
    """How far a way agrees with training.

    Args:
        rows: Rows that were compared.
        largest: The largest difference of a token's log-probability, in nats.
        allowed: What was allowed of that token.
    """

    rows: int
    largest: float
    allowed: float


@dataclass(frozen=True, slots=True)
class Parity:
    """What the check found.

    Args:
        rows: Rows that were looked at.
        tokens: Tokens of their reference answers, on each way.
        dtype: In which the model computes.
        ways: By name, those that were compared with training.
        left_out: By name, those that were not, and why.
        mismatch: The first disagreement, in a sentence; empty where there is none.
    """

    rows: int
    tokens: int
    dtype: str
    ways: Mapping[str, Way]
    left_out: Mapping[str, str]
    mismatch: str = ""

    @property
    def passed(self) -> bool:
        """Whether all ways agree."""
        return not self.mismatch

    def require(self) -> None:
        """Raises a `GateFailedError` if they do not."""
        if self.mismatch:
            raise GateFailedError(
                self.mismatch,
                where=NAME,
                hint="What is served would not be what was trained: put template, tokenizer, base and adapter back as "
                "they were, or train again.",
            )

    def as_json(self) -> dict[str, Any]:
        """The result as `--json` prints it."""
        return asdict(self) | {"passed": self.passed}

    def finding(self) -> Finding:
        """The result as reports and gates read it."""
        from tunewright.evaluate import Finding

        worst = max(self.ways.values(), key=lambda way: way.largest / way.allowed, default=Way(0, 0.0, 1.0))
        agree = (
            f"Prompts and tokens of {self.rows} held-out rows are the same on each way; log-probabilities differ by at "
            f"most {worst.largest:.1e} a token, where {worst.allowed:.1e} is allowed. 1 says that all agree."
        )
        numbers = [
            {"way": name, "rows": way.rows, "largest": f"{way.largest:.1e}", "allowed": f"{way.allowed:.1e}"}
            for name, way in self.ways.items()
        ]
        return Finding(
            name=NAME,
            title="Training, evaluation and serving agree",
            value=float(self.passed),
            n=self.rows,
            better="higher",
            meaning=self.mismatch or agree,
            details={"ways": numbers, **{f"not compared: {name}": why for name, why in self.left_out.items()}},
        )

    def verdicts(self) -> list[dict[str, Any]]:
        """What it adds to a run's verdicts: nothing, unless it fails."""
        failed = {"metric": NAME, "condition": "== 1", "value": 0.0, "passed": False}
        return [] if self.passed else [failed]


def check_parity(
    subject: Subject, examples: Sequence[Example], *, thorough: bool = True, listener: Listener = ignore
) -> Parity:
    """Compares the ways of a trained model on some held-out rows; stops at the first disagreement.

    Args:
        subject: The model.
        examples: The rows.
        thorough: Also write adapter and merged model to disk and load them again, which takes room for both.
        listener: Hears of progress as a stage "parity", counted in ways.

    Raises:
        InputError: If none of the rows is one that training would have learned from.
    """
    check = _Check(subject, examples, listener, thorough)
    with quiet():
        try:
            check.run()
        except _DifferentError as found:
            return replace(check.result(), mismatch=str(found))
    return check.result()


class _DifferentError(Exception):
    """Two ways disagree."""


class _Check:
    """The check while it runs."""

    def __init__(self, subject: Subject, examples: Sequence[Example], listener: Listener, thorough: bool) -> None:
        self._subject, self._examples, self._listener, self._thorough = subject, examples, listener, thorough
        self._training: Rows = {}
        self._plain: Rows = {}
        self._ways: dict[str, Way] = {}
        self._left_out: dict[str, str] = {}
        self._decode: Callable[[int], str] = str

    def result(self) -> Parity:
        """What was found so far."""
        tokens = sum(len(seen.answer) for seen in self._training.values())
        return Parity(len(self._training), tokens, self._subject.dtype, self._ways, self._left_out)

    def run(self) -> None:
        """Takes the ways one after the other, with one model in memory at a time."""
        from tunewright.forest.layout import adopt
        from tunewright.models.adapters import load_adapter

        subject, recipe = self._subject, self._subject.recipe
        base = subject.load_base()
        tokenizer = base.tokenizer
        self._decode = lambda token: repr(tokenizer.decode([token]))
        rows = ways.in_training(subject, base.chat, self._examples)
        if not rows:
            raise InputError(
                "None of the held-out rows is one that training would have learned from",
                where=subject.name,
                hint="See data.max_length, and the weights of the answers.",
            )
        examples = [example for example in self._examples if example.id in rows]
        choice = adopt(base.model, recipe.train.backend, longest=recipe.longest)
        model = load_adapter(base, subject.adapter)
        self._training = ways.computed_by_forest(model, rows)
        evaluated = ways.in_evaluation(model, base, examples)
        self._compare_tokens(_EVALUATION, evaluated)
        served = ways.when_served(model, base, subject, examples, evaluated)
        self._compare_tokens(_SERVED, served)
        self._compare_texts(evaluated, served)
        with ways.SavedAgain(subject) as again:
            if self._thorough:
                again.keep_adapter(model, base.chat)
            whole = self._merge(model, choice.stock)
            if whole is not None and self._thorough:
                again.keep_merged(whole, base.chat)
            del model, whole, base
            self._plain = ways.by_others(subject, self._training)
            self._compare_logps(_PLAIN, self._plain)
            self._compare_logps(_EVALUATION, evaluated)
            self._compare_logps(_SERVED, served, why="no held-out row is a single message that is rendered as served")
            self._compare_answers(evaluated, served)
            self._compare_logps(_MERGED, self._merged, why="this method's adapter cannot be added into the weights")
            if self._thorough:
                self._compare_logps(_RELOADED, again.with_adapter(self._training))
            if self._thorough and self._merged:
                loaded = again.whole(examples, self._training)
                self._compare_tokens(_MERGED_RELOADED, loaded)
                self._compare_logps(_MERGED_RELOADED, loaded)

    def _merge(self, model: Any, stock: str) -> Any:
        """The merged model, once its rows are computed; None where the method does not allow it."""
        from tunewright.models.catalog import ENCODER_DECODER

        self._merged: Rows = {}
        if not ways.mergeable(model):
            return None
        whole = ways.merged(model, stock)
        seq2seq = self._subject.files.kind == ENCODER_DECODER
        self._merged = ways.computed_plainly(whole, self._training, seq2seq=seq2seq)
        return whole

    def _compare_tokens(self, way: str, rows: Rows) -> None:
        """Raises where a way has other tokens than training; names the first."""
        for row, seen in rows.items():
            expected = self._training[row]
            for what, ours, theirs in (
                ("prompt", expected.prompt, seen.prompt),
                ("answer", expected.answer, seen.answer),
            ):
                self._compare_one(row, way, what, ours, theirs)

    def _compare_one(self, row: str, way: str, what: str, ours: Sequence[int], theirs: Sequence[int]) -> None:
        if list(ours) == list(theirs):
            return
        pairs = enumerate(zip(ours, theirs, strict=False))
        place = next((place for place, (one, other) in pairs if one != other), min(len(ours), len(theirs)))
        shown = [
            f"token {tokens[place]} ({self._decode(tokens[place])})" if place < len(tokens) else "no further token"
            for tokens in (ours, theirs)
        ]
        against = _EVALUATION if what == "model's own answer" else _TRAINING
        raise _DifferentError(
            f"Row {row}: the {what} differs at its token number {place + 1}: {shown[0]} in {against}, and "
            f"{shown[1]} on the way '{way}'"
        )

    def _compare_texts(self, evaluated: Rows, served: Rows) -> None:
        """Raises where the same tokens were rendered from another text."""
        for row, seen in served.items():
            if seen.text != evaluated[row].text:
                raise _DifferentError(
                    f"Row {row}: the rendered prompt is {evaluated[row].text!r} in {_EVALUATION}, and {seen.text!r} on "
                    f"the way '{_SERVED}'"
                )

    def _compare_answers(self, evaluated: Rows, served: Rows) -> None:
        """Raises where the model answers otherwise alone; in bfloat16 rounding may decide between two tokens."""
        for row, seen in served.items():
            if self._subject.dtype == "float32":
                given = evaluated[row].given or [], seen.given or []
                self._compare_one(row, _SERVED, "model's own answer", *given)

    def _compare_logps(self, way: str, rows: Rows, why: str = "") -> None:
        """Notes how far a way's log-probabilities are from training's; raises beyond the bound."""
        self._listener(Stage(NAME, "progress", len(self._ways) + 1, 0, f"ways ({way})"))
        if not rows:
            self._left_out[way] = why
            return
        worst = Way(len(rows), 0.0, math.inf)
        for row, seen in rows.items():
            allowed = bounds(self._plain[row], self._subject.dtype, self._layers)
            expected = self._training[row]
            found = zip(expected.answer, expected.logps, seen.logps, allowed, strict=True)
            for place, (token, ours, theirs, bound) in enumerate(found):
                difference = abs(ours - theirs)
                if not difference <= bound:  # also where one is no number
                    raise _DifferentError(
                        f"Row {row}: token number {place + 1} of the answer, {self._decode(token)}, has the "
                        f"log-probability {ours:.5f} in {_TRAINING} and {theirs:.5f} on the way '{way}': "
                        f"{difference:.1e} apart, and {bound:.1e} is allowed in {self._subject.dtype}"
                    )
                if difference / bound >= worst.largest / worst.allowed:
                    worst = Way(len(rows), difference, bound)
        self._ways[way] = worst

    @cached_property
    def _layers(self) -> int:
        from transformers import AutoConfig

        config = AutoConfig.from_pretrained(self._subject.files.folder).get_text_config()
        # An encoder-decoder's states pass through both.
        return int(config.num_hidden_layers) + int(getattr(config, "num_decoder_layers", None) or 0)


def bounds(seen: Seen, dtype: str, layers: int) -> list[float]:
    """How far apart two computations of each answer token's log-probability may be, in nats.

    In float32 1e-4. In bfloat16 two computations that round in another order differ by what follows. A rounding is off
    by at most u = 2^-8 of its number, evenly spread, so with a deviation of u / √3; independent ones add up in squares.
    Each block's 2 sums round all of the states. Its 36 other roundings touch what it adds alone, and all blocks
    together add about one length of the states, so they count as one. Through L blocks that is (2 L + 36) / 3
    nudges of deviation u to the states. How much one such nudge moves log-probabilities is measured on the row itself,
    where it does most: at what is read (and taken as no less than u times the deviation of the logits, which is what it
    does to states that have gone through). Two computations are each off so, independently: √2, and 4 deviations are
    allowed. To that comes the rounding of the logits themselves, u times the largest, in each of the two.

    Args:
        seen: As plain transformers computed it, with its `noise`.
        dtype: In which the model computes.
        layers: Its blocks.
    """
    if dtype == "float32":
        return [_FLOAT32_BOUND] * len(seen.logps)
    nudges = math.sqrt((_SUMS * layers + _INSIDE) / 3)
    return [_SIGMAS * math.sqrt(2) * nudges * moved + 2 * UNIT * largest for moved, largest in seen.noise]


def fits(recipe: Recipe) -> str:
    """Why a recipe's model has no answers in tokens that could be compared; empty where it has."""
    if head_of(recipe.train.objective):
        return "it names classes, and writes no answers"
    return "it goes on with documents, and answers nothing" if recipe.learns_documents else ""


def parity_of_run(job: Job, dataset: Dataset, adapter: Path) -> Parity | None:
    """The check on a few held-out rows at the end of a run; None where there is nothing to check, which is told."""
    from tunewright.lifecycle.release import prompt_template

    if why := fits(job.recipe):
        job.tell(Message(f"That training and serving agree was not checked for this model: {why}."))
        return None
    environment = job.environment()
    subject = Subject(
        job.recipe.name,
        job.base_files(),
        environment["dtype"],
        environment.get("device", "cpu"),
        adapter,
        job.recipe,
        prompt_template(job, dataset),
        job.workspace.cache,
    )
    rows = _drawn(test_rows(job.recipe, dataset), _ROWS_OF_A_RUN, job.recipe.seed)
    return check_parity(subject, rows, thorough=False, listener=within(job.tell, {NAME: "evaluate"}))


def parity_of_release(
    label: str, *, rows: int = 16, workspace: str | Path | Workspace | None = None, listener: Listener = ignore
) -> Parity:
    """The whole check of a release.

    Args:
        label: `name`, or `name@version`.
        rows: Held-out rows, drawn with the recipe's seed.
        workspace: An open workspace, its folder, or None: found as `Workspace.open` does.
        listener: Hears of progress.

    Raises:
        UnknownNameError: If there is no such release.
        InputError: If it gives no answers in tokens.
    """
    from tunewright.data.dataset import Dataset
    from tunewright.models.device import pick_device
    from tunewright.models.resolve import resolve

    place = workspace if isinstance(workspace, Workspace) else Workspace.open(workspace, create=False)
    release = place.find_release(label)
    recipe = recipe_from_mapping(release.recipe, where=f"recipe of {release.label}")
    if why := fits(recipe):
        raise InputError(f"There are no answers to compare: {why}", where=release.label)
    subject = Subject(
        release.label,
        resolve(release.base, place.cache, listener),
        release.template["dtype"],
        pick_device(),
        place.artifact(release.adapter, "adapter").path,
        recipe,
        release.template,
        place.cache,
    )
    dataset = Dataset.open(place.artifact(release.dataset, "dataset"))
    return check_parity(subject, _drawn(test_rows(recipe, dataset), rows, recipe.seed), listener=listener)


def _drawn(examples: Sequence[Example], count: int, seed: int) -> list[Example]:
    order = random.Random(derive(seed, NAME)).sample(range(len(examples)), min(count, len(examples)))
    return [examples[row] for row in sorted(order)]
