"""The look before training: what was read and refused, how long the examples are, and what exactly will be learned."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tunewright.base.errors import SHOWN_FAULTS, DataError, collect
from tunewright.base.seeds import derive
from tunewright.data.dataset import PARTS, Dataset
from tunewright.data.example import Example, Message
from tunewright.data.fitting import PIECE
from tunewright.data.tokens import TokenRow, TokenTable
from tunewright.models.chat import ChatFormat, Tools, Turn
from tunewright.models.text_format import ANSWER_START
from tunewright.recipe.schema import Recipe

PREVIEWS = 3
_QUANTILES = {"min": 0.0, "p25": 0.25, "p50": 0.5, "p75": 0.75, "p95": 0.95, "p99": 0.99, "max": 1.0}


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of a rendered conversation, and whether it is learned or only read."""

    text: str
    learned: bool


@dataclass(frozen=True, slots=True)
class Preview:
    """One training row as the model sees it, markers included.

    Args:
        id: The example's id.
        place: `file:line` of the record.
        spans: The whole text, cut wherever learning starts or ends.
        rejected: The answer that was found worse, behind the same prompt; empty where there is none.
    """

    id: str
    place: str
    spans: tuple[Span, ...]
    rejected: str = ""


@dataclass(frozen=True)
class Preflight:
    """What the look before training found. Lengths are in tokens; of an example with two answers, both count.

    Args:
        rows: Records met in the files that training uses; files named for the test are looked at by the evaluation.
        refused: Of those, the ones that could not be used, by a reader, a step or a format.
        refused_places: The first of them, as `file:line: reason`.
        examples: Rows for training and validation, before the limit on their length.
        lengths: Their quantiles: `min`, `p25`, `p50`, `p75`, `p95`, `p99`, `max`; empty if there are no examples.
        learned_lengths: The same for the tokens that are learned, over the examples within the limit.
        max_length: The limit.
        too_long: Examples over the limit, which are left out.
        no_target: Examples within the limit that have no token to learn.
        end_share: Share of the examples with learned tokens whose last learned token ends an answer.
        learned_share: Share of all tokens that are learned.
        warnings: Sentences that a person should read.
        previews: A few training rows, drawn with the seed.
        pairs: Examples within the limit that have a rejected answer beside the chosen one.
        truncated: Examples over the limit that were cut.
        split: Examples over the limit that became several rows.
        split_rows: How many rows those are.
        lost: Cut examples that lost tokens which should have been learned.
        only_read: Learned answers that are only read, since the base learns a conversation's last one.
        classes: What a head of classes tells apart; 0 where tokens are learned. It has no end to learn.
        drawn: Tokens of the longest answer, where answers are drawn and none of the rows' own is learned; else 0.
    """

    rows: int
    refused: int
    refused_places: tuple[str, ...]
    examples: int
    lengths: dict[str, int]
    learned_lengths: dict[str, int]
    max_length: int
    too_long: int
    no_target: int
    end_share: float
    learned_share: float
    warnings: tuple[str, ...]
    previews: tuple[Preview, ...]
    pairs: int = 0
    truncated: int = 0
    split: int = 0
    split_rows: int = 0
    lost: int = 0
    only_read: int = 0
    classes: int = 0
    drawn: int = 0

    @property
    def usable(self) -> int:
        """Examples to learn from and to validate with."""
        return self.examples - self.too_long - self.no_target

    @property
    def unusable_share(self) -> float:
        """Share of the records that were refused, are too long, or have nothing to learn."""
        return (self.refused + self.too_long + self.no_target) / max(1, self.rows)

    def as_json(self) -> dict[str, Any]:
        """All of it as JSON, with the shares worked out; `from_json` reads it back."""
        return {
            **dataclasses.asdict(self),
            "refused_places": list(self.refused_places),
            "warnings": list(self.warnings),
            "previews": [{**dataclasses.asdict(each), "spans": _as_lists(each.spans)} for each in self.previews],
            "usable": self.usable,
            "unusable_share": self.unusable_share,
            "truncated_share": (self.too_long + self.truncated + self.split) / max(1, self.examples),
            "end_trained": self.end_share == 1.0 or bool(self.classes or self.drawn),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Reads back what `as_json` gave."""
        known = {field.name: value[field.name] for field in dataclasses.fields(cls) if field.name in value}
        previews = tuple(
            Preview(**{**each, "spans": tuple(Span(text, bool(learned)) for text, learned in each["spans"])})
            for each in value["previews"]
        )
        places, warnings = tuple(value["refused_places"]), tuple(value["warnings"])
        return cls(**{**known, "refused_places": places, "warnings": warnings, "previews": previews})


def preflight(
    dataset: Dataset, tables: Mapping[str, TokenTable], chat: ChatFormat, recipe: Recipe, *, previews: int = PREVIEWS
) -> Preflight:
    """Looks at a dataset and its tokens; changes nothing and refuses nothing (`check_preflight` does).

    Args:
        dataset: The prepared rows.
        tables: The tokens of the parts that training uses, `train` and perhaps `validation`.
        chat: What rendered them.
        recipe: Its limits and its seed.
        previews: How many training rows to show.
    """
    each = list(tables.values())
    too_long = [length for table in each for length in table.too_long.values()]
    lengths = np.concatenate([*map(_lengths_before, each), np.array(too_long, dtype=np.int64)])
    learned = np.concatenate([_learned(table) for table in each])
    answering = [] if recipe.learns_documents else [table for table in each if not table.classes]
    ends = [end for table in answering for end in _ends(table, chat.stop_ids)]
    within = sum(int(np.diff(one.starts).sum()) for table in each for one in table.sequences)
    sources = [source for source in dataset.manifest["sources"] if source["part"] != "test"]
    refused = _refused(dataset, [source["path"] for source in sources])
    split, split_rows = (sum(map(count, each)) for count in (_split, _split_rows))
    found = Preflight(
        rows=sum(source["rows"] for source in sources),
        refused=len(refused),
        refused_places=tuple(refused[:SHOWN_FAULTS]),
        examples=len(lengths) - split_rows + split,
        lengths=_quantiles(lengths),
        learned_lengths=_quantiles(learned),
        max_length=recipe.data.max_length,
        too_long=len(too_long),
        no_target=int((learned == 0).sum()),
        end_share=1.0 if recipe.learns_documents else sum(ends) / len(ends) if ends else 0.0,
        learned_share=float(learned.sum() / within) if within else 0.0,
        warnings=(),
        previews=preview_blocks(tables["train"], chat, n=previews, seed=recipe.seed)
        if recipe.learns_documents
        else preview(dataset.each("train"), tables["train"], chat, n=previews, seed=recipe.seed),
        pairs=sum(int((np.diff(table.rejected.starts) > 0).sum()) for table in each if table.rejected),
        truncated=sum(len(table.fitting.truncated) for table in each),
        split=split,
        split_rows=split_rows,
        lost=sum(len(table.fitting.lost) for table in each),
        only_read=0 if chat.learns_every_answer else _only_read(dataset, chat, set(tables)),
        classes=len(tables["train"].classes),
    )
    if recipe.train.draws:
        found = _asked(found, recipe.train.objective.max_new_tokens)
    return dataclasses.replace(found, warnings=_warnings(found, recipe))


def _asked(found: Preflight, longest: int) -> Preflight:
    """What was found of rows whose own answers are not learned: of these the questions are shown."""
    previews = tuple(dataclasses.replace(shown, spans=_question(shown.spans), rejected="") for shown in found.previews)
    return dataclasses.replace(found, drawn=longest, learned_lengths={}, learned_share=0.0, previews=previews)


def _question(spans: Sequence[Span]) -> tuple[Span, ...]:
    """What stands in front of the last answer, nothing of it learned."""
    last = max((place for place, span in enumerate(spans) if span.learned), default=len(spans))
    return tuple(Span(span.text, False) for span in spans[:last])


def _lengths_before(table: TokenTable) -> NDArray[np.int64]:
    """The rows' lengths, of those that were cut as they were before."""
    cut = table.fitting.truncated
    lengths = table.lengths
    if cut:
        lengths = np.array([cut.get(row, length) for row, length in zip(table.ids, lengths, strict=True)], np.int64)
    return lengths


def _learned(table: TokenTable) -> NDArray[np.int64]:
    """Learned tokens of each row, with all its answers."""
    each = (table.row(index).sequences for index in range(len(table)))
    return np.fromiter((sum(np.count_nonzero(one.weights) for one in row) for row in each), np.int64, len(table))


def _split(table: TokenTable) -> int:
    return len(table.fitting.split)


def _split_rows(table: TokenTable) -> int:
    return sum(table.fitting.split.values())


def check_preflight(found: Preflight, recipe: Recipe) -> None:
    """Stops before hours are spent on data that are no good.

    Raises:
        DataError: If more of the rows are unusable than the recipe allows, no row has a token to learn, the token
            that ends an answer is never learned, or rows have one answer where the objective compares two.
    """
    alone = found.examples - found.too_long - found.pairs
    if alone and _compares(recipe):
        raise DataError(
            f"{alone:,} of {found.examples:,} examples have no rejected answer, and the objective "
            f"'{recipe.train.objective.plugin}' learns from pairs",
            where="data.train",
            hint="Bring rows with the fields prompt, chosen and rejected, name the worse answer under "
            "data.template.rejected, or set train.objective to sft.",
        )
    if found.unusable_share > recipe.data.max_unusable_share:
        raise DataError(
            f"{found.unusable_share:.1%} of {found.rows:,} rows cannot be used, and data.max_unusable_share is "
            f"{recipe.data.max_unusable_share:.1%}: {found.refused:,} refused, {found.too_long:,} longer than "
            f"{found.max_length:,} tokens, {found.no_target:,} without a token to learn",
            where="data",
            hint="Mend the rows, raise data.max_length, or raise data.max_unusable_share if this is as it should be."
            + (f"\n{collect(found.refused_places, total=found.refused)}" if found.refused else ""),
        )
    if found.usable <= 0:
        raise DataError(
            f"No row has a token to learn: of {found.examples:,} examples, {found.too_long:,} are longer than "
            f"{found.max_length:,} tokens, and in {found.no_target:,} nothing is learned",
            where="data",
            hint="Raise data.max_length, and check that the assistant's messages have weight 1 and are not empty.",
        )
    if found.end_share == 0.0 and not found.classes:
        raise DataError(
            "The token that ends an answer is never learned, so the model would not know when to stop",
            where="base",
            hint="The base's chat template must put the tokenizer's end token behind an answer: mend its "
            "chat_template.jinja, or use an instruction-tuned base.",
        )


def preview(
    examples: Iterable[Example], table: TokenTable, chat: ChatFormat, *, n: int = PREVIEWS, seed: int = 0
) -> tuple[Preview, ...]:
    """Some rows as the model sees them, what is learned told apart by the table's own weights.

    Args:
        examples: The rows that the table was made of; further ones do no harm.
        table: Their tokens.
        chat: What rendered them.
        n: How many to show; fewer if there are fewer.
        seed: Decides which; they keep the table's order.
    """
    dice = random.Random(derive(seed, "preview"))
    drawn = sorted(dice.sample(range(len(table)), min(n, len(table))))
    wanted = {table.ids[index].partition(PIECE)[0] for index in drawn}
    by_id = {example.id: example for example in examples if example.id in wanted} if drawn else {}
    shown = []
    for index in drawn:
        whole, _, number = table.ids[index].partition(PIECE)
        example, row = by_id[whole], table.row(index)
        if whole in table.fitting.split or whole in table.fitting.truncated:
            piece = f", piece {number}" if number else ""
            shown.append(Preview(table.ids[index], f"{example.source}:{example.line}{piece}", _token_spans(row, chat)))
            continue
        rejected = _spans(example.rejected_messages, example.tools, row.rejected, chat) if row.rejected else ()
        shown.append(
            Preview(
                example.id,
                f"{example.source}:{example.line}",
                _spans(example.messages, example.tools, row, chat),
                "".join(span.text for span in rejected if span.learned),
            )
        )
    return tuple(shown)


def preview_blocks(table: TokenTable, chat: ChatFormat, *, n: int = PREVIEWS, seed: int = 0) -> tuple[Preview, ...]:
    """Some blocks of documents as the model sees them; as `preview`, which shows conversations."""
    dice = random.Random(derive(seed, "preview"))
    drawn = sorted(dice.sample(range(len(table)), min(n, len(table))))
    return tuple(Preview(table.ids[row], table.ids[row], _token_spans(table.row(row), chat)) for row in drawn)


def _token_spans(row: TokenRow, chat: ChatFormat) -> tuple[Span, ...]:
    """A part of a rendered text, by its tokens alone."""
    edges = np.flatnonzero(np.diff(row.weights != 0)) + 1
    parts = zip(np.split(row.tokens, edges), np.split(row.weights, edges), strict=True)
    return tuple(
        Span(chat.plain.show(tokens[tokens != ANSWER_START].tolist()), bool(weights[0])) for tokens, weights in parts
    )


def _spans(messages: Sequence[Message], tools: Tools, row: TokenRow, chat: ChatFormat) -> tuple[Span, ...]:
    """The rendered text, cut where the learned tokens stand; behind it the classes, where such are learned."""
    if row.classes:
        return Span(chat.text(messages, tools), False), Span(f" → {messages[-1].content}", True)
    marker = _end_marker(chat)
    whole = _without_tail(chat.text(messages, tools), marker)
    answers = chat.answers(messages)
    spans: list[Span] = []
    at = 0
    for index, (start, stop) in zip(answers, _learned_runs(row.weights), strict=False):
        begin = len(chat.text(messages[:index], tools, open_end=True))
        shown = chat.decode(row.tokens[start:stop].tolist())
        # Some tokenizers do not give back every space; then the end marker tells where the answer ends.
        end = begin + len(shown) if whole.startswith(shown, begin) else max(begin, whole.find(marker, begin))
        if int(row.tokens[stop - 1]) in chat.stop_ids and whole.startswith(marker, end):
            end += len(marker)
        spans += [Span(whole[at:begin], False), Span(whole[begin:end], True)]
        at = end
    return tuple(span for span in (*spans, Span(whole[at:], False)) if span.text)


def _without_tail(text: str, marker: str) -> str:
    """The text up to a final end marker: the line break that templates put behind it is not rendered."""
    short = text.rstrip()
    return short if marker and short.endswith(marker) else text


def _learned_runs(weights: NDArray[np.float32]) -> list[tuple[int, int]]:
    """(first, one past the last) of each run of learned tokens."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], weights != 0, [0]]).astype(np.int8)))
    return [(int(start), int(stop)) for start, stop in zip(edges[::2], edges[1::2], strict=True)]


def _end_marker(chat: ChatFormat) -> str:
    """What the chat template puts behind an answer."""
    question = [Turn("user", "?")]
    answer = chat.text([*question, Turn("assistant", "x")])[len(chat.text(question, open_end=True)) :]
    return answer.partition("x")[2].strip()


def _ends(table: TokenTable, stop_ids: frozenset[int]) -> Iterator[bool]:
    """Whether each last learned token ends an answer; of a split row, only that of its last piece is asked for."""
    for index in range(len(table)):
        whole = table.ids[index].partition(PIECE)[0]
        following = table.ids[index + 1].partition(PIECE)[0] if index + 1 < len(table) else ""
        if whole in table.fitting.split and following == whole:
            continue
        for one in table.row(index).sequences:
            learned = np.flatnonzero(one.weights)
            if len(learned):
                yield int(one.tokens[learned[-1]]) in stop_ids


def _only_read(dataset: Dataset, chat: ChatFormat, parts: set[str]) -> int:
    """Answers of some parts that have a weight, and are not learned."""
    examples = (example for part in PARTS if part in parts for example in dataset.each(part))
    return sum(
        sum(bool(message.weight) for message in example.messages) - len(chat.answers(example.messages))
        for example in examples
    )


def _compares(recipe: Recipe) -> bool:
    """Whether the objective learns from pairs of answers."""
    return bool(getattr(recipe.train.objective, "pairs", False))


def _quantiles(values: NDArray[np.int64]) -> dict[str, int]:
    """The smallest value that each share of the values does not exceed."""
    if not len(values):
        return {}
    found = np.quantile(values, list(_QUANTILES.values()), method="inverted_cdf")
    return {name: int(value) for name, value in zip(_QUANTILES, found, strict=True)}


def _refused(dataset: Dataset, files: Sequence[str]) -> list[str]:
    """Each refused record of these files, as `file:line: reason`."""
    refused = pl.read_parquet(dataset.path / "refused.parquet").filter(pl.col("source").is_in(list(files)))
    return [f"{file}:{line}: {reason}" for file, line, reason in refused["source", "line", "reason"].iter_rows()]


def _warnings(found: Preflight, recipe: Recipe) -> tuple[str, ...]:
    told = []
    if found.too_long:
        share = found.too_long / found.examples
        told.append(
            f"{found.too_long:,} of {found.examples:,} examples ({share:.1%}) are longer than data.max_length, "
            f"{found.max_length:,} tokens, and are left out; the longest has {found.lengths['max']:,}."
        )
    if found.truncated:
        told.append(
            f"{found.truncated:,} of {found.examples:,} examples are longer than data.max_length, {found.max_length:,} "
            f"tokens, and were cut ({recipe.data.too_long})."
        )
    if found.lost:
        told.append(
            f"{found.lost:,} of the cut examples lost a part of their answers, which should have been learned; raise "
            "data.max_length, or set data.too_long to split."
        )
    if found.split:
        told.append(
            f"{found.split:,} of {found.examples:,} examples are longer than data.max_length, {found.max_length:,} "
            f"tokens, and became {found.split_rows:,} rows."
        )
    if found.no_target:
        told.append(f"{found.no_target:,} examples have no token to learn.")
    if found.only_read:
        told.append(
            f"{found.only_read:,} learned answers are only read: an encoder-decoder learns the last answer of a "
            "conversation. Give each answer a row of its own to learn from all of them."
        )
    if 0.0 < found.end_share < 1.0:
        told.append(
            f"Only {found.end_share:.1%} of the examples teach the token that ends an answer; the model may not know "
            "when to stop."
        )
    if found.pairs and not _compares(recipe):
        told.append(
            f"{found.pairs:,} examples have a rejected answer, and the objective '{recipe.train.objective.plugin}' "
            "learns from the chosen ones alone; set train.objective to dpo to learn from both."
        )
    return tuple(told)


def _as_lists(spans: Sequence[Span]) -> list[list[Any]]:
    return [[span.text, span.learned] for span in spans]
