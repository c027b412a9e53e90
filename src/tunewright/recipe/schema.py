"""What a recipe may say. Every field is frozen, checked, and described; units are in the names."""

from __future__ import annotations

import glob
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Field,
    GetJsonSchemaHandler,
    StringConstraints,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from tunewright.base.plugins import METHODS, OBJECTIVES, OPTIMISERS, STEPS
from tunewright.recipe.augment import Augment
from tunewright.recipe.balance import Balance, Mix, SplitBy, misfit
from tunewright.recipe.evaluate import Evaluate
from tunewright.recipe.gate import Condition, Gate
from tunewright.recipe.gate import misfit as gate_misfit
from tunewright.recipe.places import PAGES, fault_of, resolve_url, scheme_of
from tunewright.recipe.plugin import plugin_field
from tunewright.recipe.section import Section
from tunewright.recipe.undo import Undo


class FromCommandLine(str):
    """A value given with `--set`: a path in it is relative to the working directory, not to the recipe."""


def _resolve(value: Any, info: ValidationInfo) -> Any:
    if not isinstance(value, str):
        return value
    base = Path.cwd() if isinstance(value, FromCommandLine) else Path((info.context or {}).get("folder", "."))
    if scheme_of(value):
        return resolve_url(value, base)
    return str((base / Path(value).expanduser()).absolute())


# A path or a glob; absolute once the recipe is loaded.
DataPath = Annotated[str, BeforeValidator(_resolve)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]


class Source(Section):
    """Where rows come from, and how their fields are called here."""

    path: DataPath = Field(
        description="A file, a folder or a glob (JSONL, JSON, CSV, TSV, Parquet, Excel, text, Markdown, HTML, PDF, "
        "DOCX, e-mail; gzip, zstd and zip are unpacked), a list of web pages (.urls), or an address: a database with "
        "`query`, https://, hf://datasets/OWNER/NAME, s3:// and other stores."
    )
    query: str = Field("", description="What to ask a database: one SELECT.")
    sheet: str = Field("", description="The sheet of a workbook; empty: its only one.")
    columns: dict[str, str] = Field(
        default_factory=dict,
        description=(
            "New name: where it stands. A column, or a dotted path into nested values (`ticket.tags[0]`, "
            "`messages[-1].content`). Empty: the file's own columns."
        ),
    )
    weight: float = Field(
        1.0, gt=0, description="How often each of its rows is seen in an epoch; under data.train only."
    )

    @property
    def is_elsewhere(self) -> bool:
        """Whether the rows are to be collected first, from a database, the web or a store."""
        return bool(scheme_of(self.path)) or self.path.lower().endswith(PAGES)

    @model_validator(mode="after")
    def _place_fits(self) -> Source:
        if fault := fault_of(self.path, self.query):
            raise ValueError(fault)
        return self

    def files(self) -> list[Path]:
        """The files behind the path, sorted; empty if there are none."""
        if glob.has_magic(self.path) and not Path(self.path).exists():
            # Not Path.glob: that takes no absolute pattern.
            return sorted(Path(name) for name in glob.glob(self.path, recursive=True))  # noqa: PTH207
        return [Path(self.path)] if Path(self.path).exists() else []


def _sources(value: Any) -> Any:
    items = value if isinstance(value, list | tuple) else [value]
    return [{"path": item} if isinstance(item, str) else item for item in items]


class _SourcesJsonSchema:
    """Says that one path, one source, and a list of either will do."""

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        one = [{"type": "string"}, handler(schema)["items"]]
        return {"anyOf": [*one, {"type": "array", "items": {"anyOf": one}}]}


Sources = Annotated[tuple[Source, ...], BeforeValidator(_sources), _SourcesJsonSchema()]


class Template(Section):
    """How a row becomes a conversation. `{column}` stands for the row's value."""

    system: str = Field("", description="The system message; empty for none.")
    user: str = Field(description="The user's message, such as `{text}`.")
    assistant: str | dict[str, str] = Field(
        description="The answer to learn: a text such as `{label}`, or a mapping of JSON keys to columns, "
        "such as `{intent: intent, order_id: order}`; a missing value becomes null."
    )
    rejected: str | dict[str, str] | None = Field(
        None, description="A worse answer to the same, written like `assistant`; for objectives that compare two."
    )


class Split(Section):
    """Which rows are held out. Counts of one or more are rows; below one, a share of them."""

    validation: float = Field(0.05, ge=0, description="Rows or share that training watches and never learns.")
    test: float = Field(0.1, ge=0, description="Rows or share held out for the evaluation.")
    minimum_test_rows: int = Field(200, ge=0, description="Fewer held-out rows than this is an error.")
    by: SplitBy = Field(default_factory=SplitBy)


class Data(Section):
    """From raw records to examples."""

    train: Sources = Field(min_length=1, description="One path, or a list of paths or sources.")
    validation: Sources = Field((), description="Rows for validation; empty: taken out of train.")
    test: Sources = Field((), description="Rows for the evaluation; empty: taken out of train.")
    challenger: Sources = Field((), description="Rows measured apart, which no run of this workspace ever learns from.")
    format: Literal[
        "auto",
        "template",
        "chat",
        "prompts",
        "prompt_completion",
        "kto",
        "instruction",
        "sharegpt",
        "preference",
        "openai_preference",
        "labelled",
        "tagged",
        "text",
    ] = Field(
        "auto",
        description="What a row looks like; auto recognises it by its fields, or uses the template. Objectives that "
        "learn from plain documents take `text` only: rows with a field of that name, and .txt and .md files. "
        "`prompts` are conversations that end with a question, for objectives that draw answers.",
    )
    template: Template | None = Field(None, description="Makes conversations of any columns.")
    answer: Literal["auto", "label", "tags", "json", "text", "tool_call"] = Field(
        "auto", description="What an answer is, which decides how it is measured."
    )
    steps: tuple[plugin_field(STEPS), ...] = Field((), description="Cleaning steps, in order.")  # type: ignore[valid-type]
    undo: tuple[Undo, ...] = Field((), description="Edits of steps that are taken back (`tunewright data undo`).")
    split: Split = Field(default_factory=Split)
    parts_of: str = Field(
        "",
        description="A dataset's hash: its rows keep the part they have there, and others are learned from.",
    )
    balance: Balance = Field(default_factory=Balance)
    mix: Mix = Field(default_factory=Mix)
    augment: Augment = Field(default_factory=Augment)
    leakage: Literal["refuse", "report", "drop"] = Field(
        "refuse",
        description="When test rows stand in train but for white space and case: refuse to go on, report both "
        "scores, or drop those rows from train.",
    )
    leakage_ways: tuple[Literal["near", "ngram", "meaning"], ...] = Field(
        (),
        description="In which ways texts are compared for that beside word for word: nearly (Jaccard similarity of "
        "0.85), by a shared run of 8 to 13 words, by what they mean (cosine of 0.95; needs the text encoder).",
    )
    benchmarks: dict[str, Sources] = Field(
        default_factory=dict,
        description="Named test sets of others that must not be learned either: a name, and where its rows are.",
    )
    max_unusable_share: Share = Field(0.2, description="Stop when more of the rows than this cannot be used.")
    max_length: int = Field(512, ge=8, description="Longest example, in tokens.")
    too_long: Literal["drop", "error", "truncate_left", "truncate_right", "split"] = Field(
        "drop",
        description="What to do with longer ones: leave them out, refuse, drop their oldest turns and tokens (the "
        "system message stays if it can), drop their end, or make several rows of each. All are counted.",
    )

    @property
    def weighs_sources(self) -> bool:
        """Whether the rows of some source are seen more often than those of others."""
        return self.mix.temperature != 1 or any(source.weight != 1 for source in self.train)

    @model_validator(mode="after")
    def _weights_where_they_count(self) -> Data:
        for name in ("validation", "test", "challenger"):
            if any(source.weight != 1 for source in getattr(self, name)):
                raise ValueError(f"a source under data.{name} has a weight, and held-out rows are each seen once")
        return self

    @model_validator(mode="after")
    def _benchmarks_have_names_of_their_own(self) -> Data:
        for name, sources in self.benchmarks.items():
            if name in ("train", "validation", "test", "challenger") or not sources:
                raise ValueError(f"data.benchmarks.{name}: give a name of its own, and where its rows are")
        return self

    @model_validator(mode="after")
    def _sealed_first(self) -> Data:
        seals = [getattr(step, "seals", False) for step in self.steps]
        for before, (step, sealed) in enumerate(zip(self.steps, seals, strict=True)):
            if sealed and not all(seals[:before]):
                raise ValueError(
                    f"data.steps: '{step.plugin}' seals what stood there before, and the log of the step in front of "
                    "it would keep that readable: put it first, or set its ledger to keep"
                )
        return self

    @model_validator(mode="after")
    def _undone_steps_are_there(self) -> Data:
        names = [step.plugin for step in self.steps]
        for undo in self.undo:
            if undo.step and undo.step not in names:
                raise ValueError(
                    f"undo names the step '{undo.step}', which data.steps has not; it has {', '.join(names) or 'none'}"
                )
        return self


# Larger pieces than this are no quicker on a processor (docs/performance.md).
LARGEST_BUDGET = 2048


class Train(Section):
    """How the adapter learns."""

    objective: plugin_field(OBJECTIVES, "sft") = Field("sft", validate_default=True)  # type: ignore[valid-type]
    epochs: float = Field(1.0, gt=0, description="Passes over the training rows.")
    batch_size: int = Field(16, ge=1, description="Examples in one optimiser step.")
    optimiser: plugin_field(OPTIMISERS, "adamw") = Field("adamw", validate_default=True)  # type: ignore[valid-type]
    learning_rate: float | None = Field(None, gt=0, description="At its peak. Empty: what suits method and objective.")
    schedule: Literal["cosine", "linear", "constant", "wsd"] = Field(
        "cosine", description="How the rate falls; wsd holds its peak and falls at the end (warm-up, stable, decay)."
    )
    warmup_share: Share = Field(0.05, description="Share of the steps in which the rate rises to its peak.")
    decay_share: Share = Field(0.1, description="Share of the steps in which it falls, where the schedule is wsd.")
    final_rate_share: Share = Field(0.0, description="What is left of the rate in the end.")
    weight_decay: float = Field(0.0, ge=0)
    label_smoothing: float = Field(
        0.0, ge=0, lt=1, description="Share of each target's weight that is spread evenly over the vocabulary."
    )
    neftune_alpha: float = Field(
        0.0, ge=0, description="Uniform noise on the embeddings, over the root of length times width; try 5."
    )
    clip_norm: float = Field(1.0, gt=0, description="Longest gradient, over all trainable weights together.")
    dtype: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="auto: bfloat16 where the processor computes in it, else float32."
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="Where the model computes; auto: on CUDA where there is a card."
    )
    backend: Literal["auto", "segments", "flex", "dense", "unshared"] = Field(
        "auto",
        description="How forests are computed: segments on a processor, flex on CUDA, unshared row by row; dense is "
        "slow, and checks the others. auto tries the model, and says which it takes.",
    )
    compile: Literal["auto", "on", "off"] = Field(
        "auto",
        description="Blocks through torch.compile. auto: in runs long enough to win it back, where a trial on the "
        "run's own steps shows that it is faster.",
    )
    node_budget: Annotated[int, Field(ge=8)] | Literal["auto"] = Field(
        "auto",
        description="Forest nodes in one micro-batch, virtual tokens among them: bounds memory. auto: 2048, "
        "or as many as fit into free memory.",
    )
    checkpointing: Literal["none", "layers", "auto"] = Field(
        "auto",
        description="Compute blocks again in the backward pass, to keep less: for all blocks, or where else "
        "pieces would not fit (auto).",
    )
    offload: Literal["none", "optimiser", "activations"] = Field(
        "none", description="On a card: what lies in main memory meanwhile; slower, and needs less of the card's."
    )
    validate_every: float = Field(
        0.25, gt=0, description="Validate each so many epochs (below one) or steps (from one up)."
    )
    best: str = Field(
        "loss",
        min_length=1,
        description="What chooses the best weights and stops early: `loss`, or a metric of the validation rows. "
        "`last`: nothing does; they are those after the last step.",
    )
    patience: int = Field(3, ge=1, description="Stop early after so many validations without a better one.")
    checkpoint_every_s: float = Field(60.0, gt=0, description="Longest time between two checkpoints, in seconds.")
    keep_epochs: int = Field(0, ge=0, description="Keep the adapter as it is at the end of each of the last epochs.")
    processes: int = Field(1, ge=1, le=64, description="Processes on this machine that share each step's work.")
    sharding: Literal["none", "full"] = Field(
        "none", description="What each of them holds of the base's layers: all of it, or a share (FSDP2)."
    )

    @property
    def draws(self) -> bool:
        """Whether the model learns from answers that it draws in the run itself."""
        return bool(getattr(self.objective, "draws", False))

    @property
    def chosen_by(self) -> str:
        """What chooses the best weights: `best`; where answers are drawn, their mean reward in the loss's place."""
        return "reward" if self.draws and self.best == "loss" else self.best

    @property
    def best_score(self) -> str:
        """The metric that chooses the best weights; empty where the loss does, the reward, or nothing."""
        return "" if self.best in ("loss", "last") else self.best

    @property
    def piece_nodes(self) -> int:
        """Most nodes of a piece: `node_budget`; where that is auto and no run has settled it, what auto begins with."""
        return LARGEST_BUDGET if self.node_budget == "auto" else self.node_budget

    @model_validator(mode="after")
    def _schedule_fits(self) -> Train:
        if self.schedule == "wsd" and self.warmup_share + self.decay_share > 1:
            raise ValueError("train.warmup_share and train.decay_share are more than the whole: lower one of them")
        return self


class Forgetting(Section):
    """What keeps the model from losing what the base could."""

    data: Sources = Field((), description="General rows, one path or a list, for `replay` and `ewc`.")
    replay: float = Field(0.0, ge=0, lt=1, description="Share of the examples learned from that are general rows.")
    l2: float = Field(
        0.0, ge=0, description="Weight of half the squared distance of the trained weights from where they started."
    )
    ewc: float = Field(
        0.0,
        ge=0,
        description="The same with each weight's distance weighed by its Fisher information on the general rows.",
    )
    fisher_rows: int = Field(128, ge=1, description="General rows on which ewc estimates the information.")

    @model_validator(mode="after")
    def _data_where_needed(self) -> Forgetting:
        asked = [name for name in ("replay", "ewc") if getattr(self, name)]
        if asked and not self.data:
            raise ValueError(f"forgetting.{asked[0]} needs general rows: name their file under forgetting.data")
        if self.data and not asked:
            raise ValueError("nothing uses forgetting.data: set forgetting.replay or forgetting.ewc, or take it out")
        return self


_NAME = r"^[a-z0-9][a-z0-9._-]{0,63}$"


def _name(value: Any) -> Any:
    if not isinstance(value, str) or not re.match(_NAME, value):
        raise ValueError("a name is 1 to 64 lower case letters, digits, dots, dashes and underscores")
    return value


# The pattern is checked twice: once with a message for people, once for the JSON Schema.
Name = Annotated[str, StringConstraints(pattern=_NAME), BeforeValidator(_name)]


class Recipe(Section):
    """The whole of it: what to make, from what, how, and what counts as success."""

    name: Name = Field(description="The release's name: lower case, digits, dot, dash, underscore.")
    goal: str = Field(min_length=1, description="What the model is for, in a sentence.")
    success: dict[str, Condition] = Field(
        default_factory=dict, description='What counts as success: a metric of the tuned model and a bar, ">= 0.9".'
    )
    gate: Gate = Field(
        default_factory=dict,
        description="What decides release: a number of the tuned model (a metric, `accuracy.low`, a probe's finding, "
        '`slice.language=de.accuracy`) and a bar, ">= 0.85"; or `vs_base: significant`, `vs_champion: not_worse`.',
    )
    base: str = Field("smollm2-135m-instruct", description="A catalogue name, a hub id, a folder or a GGUF file.")
    adapter: str = Field(
        "",
        description="The adapter that learns on: a release's, a fine-tuned model's, or one's hash; empty: a fresh one.",
    )
    seed: int = Field(17, ge=0)
    data: Data
    method: plugin_field(METHODS, "lora") = Field("lora", validate_default=True)  # type: ignore[valid-type]
    train: Train = Field(default_factory=Train)
    forgetting: Forgetting = Field(default_factory=Forgetting)
    evaluate: Evaluate = Field(default_factory=Evaluate)

    @property
    def longest(self) -> int:
        """Tokens of the longest row that is read, its answer included; position scalings are held to it."""
        drawn = int(getattr(self.train.objective, "max_new_tokens", 0))
        return self.data.max_length + max(self.evaluate.max_new_tokens, drawn)

    @property
    def learning_rate(self) -> float:
        """The learning rate at its peak: `train.learning_rate`, or else the method's own, for this objective."""
        if self.train.learning_rate is not None:
            return self.train.learning_rate
        rate: float = METHODS.module(self.method.plugin).LEARNING_RATE
        return rate * float(getattr(self.train.objective, "rate_share", 1.0))

    @property
    def learns_documents(self) -> bool:
        """Whether the rows are plain documents, and no conversations."""
        return bool(getattr(self.train.objective, "documents", False))

    @field_validator("base", mode="before")
    @classmethod
    def _base_path(cls, value: Any, info: ValidationInfo) -> Any:
        # A value that looks like a path is one, relative to the recipe; anything else is a name.
        looks_like_path = isinstance(value, str) and re.search(r"^(\.{1,2}/|/|~)|\.gguf$", value)
        return _resolve(value, info) if looks_like_path else value

    @model_validator(mode="after")
    def _replay_fits(self) -> Recipe:
        objective = self.train.objective
        if self.forgetting.replay and objective.pairs:
            raise ValueError(
                f"forgetting.replay mixes in rows with one answer, and '{objective.plugin}' learns from pairs: "
                "set forgetting.replay to 0, or train.objective to sft"
            )
        if self.forgetting.replay and objective.draws:
            raise ValueError(
                f"forgetting.replay mixes in rows that no grader knows, and '{objective.plugin}' learns from graded "
                "answers: set forgetting.replay to 0, and hold the model to its start by forgetting.l2 or ewc"
            )
        return self

    @model_validator(mode="after")
    def _general_rows_fit(self) -> Recipe:
        objective = self.train.objective
        if self.forgetting.data and objective.head:
            raise ValueError(
                f"forgetting.data names rows with free answers, and '{objective.plugin}' learns classes: "
                "take it out, or set train.objective to sft"
            )
        return self

    @model_validator(mode="after")
    def _documents_fit(self) -> Recipe:
        name, data = self.train.objective.plugin, self.data
        if not self.learns_documents:
            if data.format == "text":
                raise ValueError(f"data.format is text, and '{name}' learns from answers: set train.objective to cpt")
            return self
        if data.format not in ("auto", "text") or data.template:
            raise ValueError(
                f"'{name}' learns from plain documents: take data.template out, and set data.format to text"
            )
        if self.data.undo or self.data.parts_of:
            raise ValueError(f"'{name}' streams documents, and cannot take edits back: change data.steps instead")
        if data.balance.is_set or data.weighs_sources or data.split.by.column or data.augment.by or data.challenger:
            raise ValueError(
                f"'{name}' learns from blocks of several documents: take data.balance, data.mix, data.augment, "
                "data.split.by, data.challenger and the sources' weights out"
            )
        if self.forgetting.data:
            raise ValueError(f"'{name}' learns from documents alone: name general ones under data.train, too")
        if self.train.best_score:
            raise ValueError(f"'{name}' answers nothing, so its best weights are chosen by train.best: loss")
        return self

    @model_validator(mode="after")
    def _gate_fits(self) -> Recipe:
        if found := gate_misfit(self.gate, self.evaluate.systems):
            raise ValueError(found)
        return self

    @model_validator(mode="after")
    def _balance_fits(self) -> Recipe:
        if found := misfit(self.data.balance, self.train.objective):
            raise ValueError(found)
        return self

    @model_validator(mode="after")
    def _template_where_needed(self) -> Recipe:
        if self.data.format == "template" and self.data.template is None:
            raise ValueError("data.format is 'template', and data.template is missing")
        return self
