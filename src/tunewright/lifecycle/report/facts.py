"""What a report is made of: plain values only, so that any finished run can be reported, whatever made it.

Every part but the name may be left empty: the page then leaves that section's numbers out and says so. Unknown keys are
ignored; missing keys are left out of the page.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class ReportFacts:
    """The facts of one run, JSON-ready: dicts, lists, numbers, strings, None.

    Shares are numbers in 0…1 (the page shows percent), times are seconds, memory is bytes, hashes are full hex strings
    (the page shortens them and keeps the full text beside).
    """

    name: str
    """The release's name, as in the recipe."""

    created_at: str = ""
    """When the run ended, ISO 8601, such as `2026-03-01T14:05:00+00:00`."""

    goal: str = ""
    """The recipe's goal, word for word."""

    release: str = ""
    """How the release is called, `name@3`; empty where none was made."""

    recipe_yaml: str = ""
    """The recipe as it ran, `--set` values included."""

    success: Sequence[Mapping[str, Any]] = ()
    """One mapping per condition of the recipe's `success`, in its order:

    - `metric`: the metric's name, as in `evaluation["tuned"]`
    - `condition`: the bar as written, `">= 0.9"`
    - `value`: what the tuned model reached, or None where it was not measured
    - `passed`: bool
    """

    gate: Sequence[Mapping[str, Any]] = ()
    """One mapping per bar of the recipe's `gate`, as `evaluate.Ruling.as_json()` has it: `what`, `bar`, `value`,
    `passed`, `by`, `note`. A missed one keeps a model from release."""

    despite: str = ""
    """Why a person has released it although the gate was missed; empty where nobody did."""

    run: str = ""
    """The run's id."""

    dataset: Mapping[str, Any] = field(default_factory=dict)
    """The dataset artifact's manifest:

    - `hash`: the dataset's hash
    - `answer_kind`: `"json"`, `"label"` or `"text"`
    - `sources`: list of `{"path": str, "rows": int, "refused": int, "sha256": str, "bytes": int}`, one per file;
      `rows` counts the rows read, the refused ones among them; `part` (optional) says what it was given as
    - `counts`: rows left after each stage, in order: `{"read": 2013, "usable": 2001, "clean": 1930, "kept": 1930}`
      (any stage names; shown as they come)
    - `steps`: list of `{"name": str, "rows_in": int, "rows_out": int, "changed": int, "dropped": int,
      "findings": {str: int}}` in order of running; `changed` counts cells, `findings` names what was found
      (`{"EMAIL": 210, "PHONE": 88}` for redaction, `{"clusters": 12}` for duplicates)
    - `edits`: a few of the step log's rows, drawn with the seed: list of `{"row": str, "step": str, "field": str,
      "before": str, "after": str, "reason": str}`; `after` None: the row was dropped
    - `refused`: list of `{"reason": str, "count": int, "places": [str, …]}`, places as `file:line`, some suffice;
      or a mapping reason → count
    - `splits`: `{"train": 1700, "validation": 60, "test": 200}`, in rows
    - `split_note`: optional sentence: how the split was drawn (duplicates kept together, a group column, given files)
    - `leakage`: `{"policy": "report" | "refuse" | "drop", "rows": int, "examples": [str, …]}`: test rows that stand in
      train but for white space and case
    """

    preflight: Mapping[str, Any] = field(default_factory=dict)
    """What the look before training found:

    - `rows`: rows read; `refused`: of those, refused; `usable`: left
    - `lengths`: token counts of whole examples, `{"min": 61, "p50": 92, "p95": 120, "p99": 141, "max": 160}`, any
      quantiles
    - `learned_lengths`: the same for the tokens that are learned (optional)
    - `max_length`: the recipe's bound, in tokens
    - `truncated_share`: share of examples cut or dropped for their length
    - `no_target`: examples without a token to learn
    - `end_trained`: bool: the token that ends an answer is learned
    - `end_share`: share of the examples in which it is (optional)
    - `warnings`: list of sentences
    - `previews`: a few rendered rows, list of `{"place": str, "spans": [[text, learned], …],
      "rejected": str}`
    """

    train_curve: Sequence[tuple[int, float]] = ()
    """`(step, loss)` at each optimiser step, nats per learned token; thin it yourself only above 5,000 points."""

    validation_curve: Sequence[tuple[int, float]] = ()
    """`(step, loss)` at each validation."""

    curves_are_rewards: bool = False
    """Whether the two curves hold mean rewards in the losses' place, as where answers are drawn."""

    learning_rates: Sequence[tuple[int, float]] = ()
    """`(step, rate)`; drawn as a small curve below the losses."""

    best_step: int | None = None
    """The step whose adapter was kept; None: the last one."""

    training: Mapping[str, Any] = field(default_factory=dict)
    """Plain words and numbers about the training, shown as given, in order:
    `{"Base model": "smollm2-135m-instruct", "Method": "LoRA, rank 16", "Examples seen": 10003}`."""

    evaluation: Mapping[str, Any] = field(default_factory=dict)
    """`evaluate.Evaluation.as_json()`:

    - `n`, `seed`, `answer_kind`
    - one mapping per system among `base`, `base_few_shot`, `tuned`, `bag_of_words` (others are shown under their own
      name): `{metric: {"value", "low", "high", "n"}, "cut": {…, "count": int} or int, "seconds": float}`. Metrics are
      shares in 0…1 but for those named `perplexity` (or ending so) and `loss`, where less is better. A metric called
      `<field>_accuracy` is one field's accuracy
    - `comparisons`: list of `{"metric", "a", "b", "only_a", "only_b", "p"}`: `only_a` counts rows where system `a` is
      right and `b` is wrong, `p` is McNemar's exact two-sided p
    - `confusion`: `{"labels": [str, …], "counts": [[int, …], …]}`: rows are the expected labels, columns the tuned
      model's answers; a last label `(other)`, or a last column more than there are labels, counts answers that are no
      label. Or a mapping field → such a matrix, or a mapping system → either of them, of which `tuned` is drawn
    - `without_leaked`: as the systems above, over the test rows that do not stand in train, with its own `n`
    - `findings`: name → `evaluate.Finding.as_json()`
    """

    diagnosis: str = ""
    """Whether the curves show over- or underfitting, by which numbers, and what to change."""

    examples: Sequence[Mapping[str, Any]] = ()
    """Ten test rows or so, chosen with the seed, improved ones and ones still wrong alike: `{"prompt": str,
    "reference": str, "before": str, "after": str, "before_ok": bool, "after_ok": bool}`. Texts may hold anything, HTML
    included. `prompt` is the user's message without the system prompt."""

    timings: Sequence[tuple[str, float]] = ()
    """`(stage, seconds)`, in order of running."""

    peak_memory_bytes: int | None = None
    """The largest resident memory of the process, in bytes."""

    environment: Mapping[str, Any] = field(default_factory=dict)
    """`versions` (package → version), `processor`, `cores`, `memory_bytes`, `system`, `python`, `dtype`, `seed`,
    `threads`; each optional, others are shown under their own name."""

    lineage: Sequence[tuple[str, str]] = ()
    """`(what, hash)` from the sources on: `("source tickets.csv", "9f…")`, `("dataset", "…")`, `("base model", "…")`,
    `("run", "…")`, `("adapter", "…")`, `("release", "support-desk@1")`."""
