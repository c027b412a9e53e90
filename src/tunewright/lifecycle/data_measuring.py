"""Measuring any model on any file: its rows are asked, the answers measured, and both are kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunewright.base.errors import InputError, ModelError
from tunewright.base.events import Listener, Message, Stage, ignore
from tunewright.base.files import write_json
from tunewright.base.plugins import PluginConfig
from tunewright.base.quiet import quiet
from tunewright.lifecycle.answering import BASE, TUNED
from tunewright.lifecycle.held_data import Asked, Laid, candidates_asked, lay_out
from tunewright.lifecycle.job import Job, StageDone, start, within
from tunewright.lifecycle.slicing import slicing_of
from tunewright.lifecycle.targets import Target, find_target
from tunewright.store import Workspace

if TYPE_CHECKING:
    from tunewright.evaluate import Answers
    from tunewright.store import Stored

_SHOWN_PLACES = 5
LABELS = "labels"


@dataclass(frozen=True)
class OnData:
    """What a model reached on a file.

    Args:
        target: Who was asked.
        data: The file: `path`, `sha256`, `rows`, `asked`, `refused`, and so on.
        evaluation: `evaluate.Evaluation.as_json()`; the one system is `tuned`, or `base`.
        oddities: `evaluate.Oddities.as_json()`.
        notes: What a person should know of the answers, a sentence each.
        answers: The artifact with the answers.
        run: The run's id.
        workspace: The workspace's folder.
    """

    target: Target
    data: dict[str, Any]
    evaluation: dict[str, Any]
    oddities: dict[str, Any]
    notes: tuple[str, ...]
    answers: Stored
    run: str
    workspace: Path

    @property
    def system(self) -> str:
        """What the evaluation calls the one who was asked."""
        return system_of(self.target)

    def as_json(self) -> dict[str, Any]:
        """The result as `tunewright eval TARGET --data FILE --json` prints it."""
        return {
            "target": self.target.as_json() | {"system": self.system},
            "data": self.data,
            "evaluation": self.evaluation,
            "answers_are": self.oddities,
            "answers": self.answers.hash,
            "run": self.run,
            "workspace": str(self.workspace),
        }


def measure_on(
    word: str,
    asked: Asked,
    *,
    base: str = "",
    workspace: str | Path | Workspace | None = None,
    listener: Listener = ignore,
    stage_done: StageDone = lambda name, result: None,
) -> OnData:
    """Lets a model answer the rows of a file, measures the answers, and keeps both in the workspace.

    Args:
        word: A recipe, a release, a base model or an adapter's folder (`targets.find_target`).
        asked: The file, and how it is to be asked.
        base: The base of an adapter's folder that does not name one.
        workspace: An open workspace, its folder, or None: found as `Workspace.open` does, and made if need be.
        listener: Hears what was guessed, and of the progress.
        stage_done: Called with the stage's name and result as it ends.

    Raises:
        InputError: If target, file, columns, candidates or metrics are wrong.
    """
    metric_configs(asked.metrics)  # a wrong name is refused before any row is read
    place = workspace if isinstance(workspace, Workspace) else Workspace.open(workspace)
    target = find_target(word, place, overrides=asked.overrides, base=base)
    with quiet():
        laid = lay_out(target, asked, place, listener=listener)
    among = find_candidates(candidates_asked(asked, laid.recipe), laid, target, place)
    leaked = _leaked(target, laid, place, listener)
    with start(laid.recipe, workspace=place, listener=listener, kind="eval", stage_done=stage_done) as job:

        def work() -> tuple[OnData, dict[str, Any]]:
            with quiet():
                answers = ask(job, target, laid, system=system_of(target), candidates=among)
            found = _measured(job, target, laid, asked, answers, leaked)
            record = {"answers": found.answers.hash, "evaluation": found.evaluation, "verdicts": []}
            return found, record | {"data": found.data}

        def load(record: Mapping[str, Any]) -> OnData:
            raise InputError("A measurement on a file is not resumed", hint="Measure again.")

        return job.stage("evaluate", work, load)


def _measured(job: Job, target: Target, laid: Laid, asked: Asked, answers: Answers, leaked: frozenset[str]) -> OnData:
    """Measures answers, and stores them."""
    from tunewright.evaluate import Oddities, evaluate, store_answers
    from tunewright.metrics import place

    held, recipe = laid.held, laid.recipe
    evaluation = evaluate(
        {answers.system: answers},
        answer_kind=held.kind,
        seed=recipe.seed,
        metrics=place(metric_configs(asked.metrics) or recipe.evaluate.metrics, job.workspace.cache),
        samples=recipe.evaluate.bootstrap_samples,
        leaked=leaked,
        clusters=recipe.evaluate.clusters,
        slicing=slicing_of(job, target.learned(job.workspace)),
    ).as_json()
    odd = Oddities(labels=held.kind == "label")
    odd.add(answers.answers)
    data = _facts(asked, laid, leaked)
    write_json(job.run.folder / "evaluation.json", evaluation)
    said = {"n": evaluation["n"], "answer_kind": held.kind, "systems": [answers.system]}
    stored = job.put(
        "answers",
        lambda folder: store_answers({answers.system: answers}, folder),
        manifest={**said, "target": target.as_json(), "data": data},
        parents=list(target.parents),
    )
    workspace = job.workspace.root
    return OnData(target, data, evaluation, odd.as_json(), tuple(odd.lines()), stored, job.run.id, workspace)


def metric_configs(names: Sequence[str]) -> list[PluginConfig]:
    """Metrics by their names, with their default settings.

    Raises:
        UnknownNameError: If there is no such metric.
        InputError: If one cannot do without settings.
    """
    from tunewright.metrics import configs_of

    return configs_of(names)


def system_of(target: Target) -> str:
    """What evaluations call a target: `base`, or `tuned` for whatever has an adapter."""
    return BASE if target.adapter is None else TUNED


def ask(job: Job, target: Target, laid: Laid, *, system: str, candidates: Sequence[str] = ()) -> Answers:
    """A target's answers to rows, in a run of their own.

    Raises:
        ModelError: If base and adapter do not belong together, or the base cannot answer.
        InputError: If rows are longer than the model reads.
    """
    from tunewright.evaluate import answer_classes, answer_examples
    from tunewright.evaluate.candidates import answer_with_candidates
    from tunewright.models.adapters import classes_of, load_adapter
    from tunewright.models.base import chat_format
    from tunewright.models.catalog import ENCODER
    from tunewright.models.class_format import ClassFormat, with_classes

    files, examples = job.base_files(), laid.held.examples
    head, classes = next(iter(classes_of(target.adapter).items()), ("", [])) if target.adapter else ("", [])
    if files.kind == ENCODER and not head:
        raise ModelError("An encoder writes no text, and has no classes yet", where=target.label)
    chat = with_classes(chat_format(files), head, classes)
    if target.fingerprint and chat.fingerprint != target.fingerprint:
        raise ModelError(
            "The base's chat template or tokenizer is not the one that this model was trained with",
            where=f"{target.label} on {files.name}",
            hint="Put the base model back as it was, or train again.",
        )
    limit = laid.recipe.evaluate.max_new_tokens
    if not head:
        _check_lengths([len(chat.prompt(e.prompt, e.tools)) for e in examples], limit, laid, files.context_length)
    base = job.load_base()
    model = load_adapter(base, target.adapter) if target.adapter else base.model
    told: dict[str, Any] = {"system": system, "rendering": laid.rendering}
    told["listener"] = within(job.tell, {"generate": f"answer {system}", "choose": f"answer {system}"})
    job.tell(Stage(f"answer {system}", "started", 0, len(examples), "answers"))
    if isinstance(chat, ClassFormat):
        if candidates:
            raise InputError("A head of classes chooses by itself", where=target.label, hint="Leave --candidates out.")
        given = answer_classes(model, chat, examples, limit=files.context_length, **told)
    elif candidates:
        given = answer_with_candidates(model, base, examples, candidates, **told)
    else:
        how = laid.recipe.evaluate
        told |= {"sampling": how.sampling.seeded(laid.recipe.seed), "samples": how.samples}
        given = answer_examples(model, base, examples, max_new_tokens=limit, batch_size=how.batch_size, **told)
    job.tell(Stage(f"answer {system}", "finished", len(examples), len(examples), "answers"))
    return given


def _check_lengths(lengths: Sequence[int], limit: int, laid: Laid, context: int) -> None:
    long = [row for row, length in enumerate(lengths) if length + limit > context]
    if not long:
        return
    places = [f"{laid.held.examples[row].source}:{laid.held.examples[row].line}" for row in long[:_SHOWN_PLACES]]
    raise InputError(
        f"{len(long):,} rows are too long: with {limit:,} tokens of answer they exceed the {context:,} that the model "
        f"reads ({', '.join(places)}{' …' if len(long) > len(places) else ''})",
        where="--data",
        hint="Take them out, or lower evaluate.max_new_tokens with --set.",
    )


def find_candidates(given: str | tuple[str, ...], laid: Laid, target: Target, workspace: Workspace) -> tuple[str, ...]:
    """The answers to choose among, sorted: all labels of the data and of the training rows, those of a file, or those
    that are given.

    Raises:
        InputError: If the answers are no labels, or there are fewer than two candidates.
    """
    if not given:
        return ()
    if given == LABELS:
        if laid.held.kind != "label":
            raise InputError(
                f"The answers of these rows are of the kind '{laid.held.kind}', and are no labels to choose among",
                where="--candidates labels",
                hint="Name a file with a candidate a line, or leave --candidates out.",
            )
        learned = target.learned(workspace)
        found = {*(example.answer.strip() for example in laid.held.examples), *(learned.labels if learned else ())}
    elif isinstance(given, tuple):
        found = set(given)
    else:
        found = set(read_candidates(given))
    if len(found) < 2:
        raise InputError(f"There are {len(found)} candidates, and to choose takes two", where="--candidates")
    return tuple(sorted(found))


def read_candidates(path: str) -> list[str]:
    """The candidates of a file, one a line.

    Raises:
        InputError: If it cannot be read.
    """
    try:
        lines = Path(path).expanduser().read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"The candidates cannot be read ({error})",
            where=path,
            hint="Name a text file in UTF-8 with a candidate a line, or write: --candidates labels.",
        ) from error
    return [line.strip() for line in lines if line.strip()]


def _leaked(target: Target, laid: Laid, workspace: Workspace, listener: Listener) -> frozenset[str]:
    """Ids of the rows whose prompt the target has learned from."""
    from tunewright.data.folding import text_key

    learned = target.learned(workspace)
    if learned is None:
        return frozenset()
    keys = set(laid.held.keys)
    seen: set[str] = set()
    for example in learned.each("train"):
        key = text_key(turn.shown for turn in example.prompt)
        if key in keys:
            seen.add(key)
    found = [example.id for example, key in zip(laid.held.examples, laid.held.keys, strict=True) if key in seen]
    if found:
        text = f"{len(found):,} of {len(laid.held.keys):,} rows stand in the training data too; both scores are shown."
        listener(Message(text, "warning"))
    return frozenset(found)


def _facts(asked: Asked, laid: Laid, leaked: frozenset[str]) -> dict[str, Any]:
    """What an evaluation says of its data."""
    held = laid.held
    reasons = held.refused.group_by("reason").len("rows").sort("rows", "reason", descending=[True, False])
    return {
        "path": asked.path,
        "files": [{"name": file.name, "sha256": file.sha256, "rows": file.rows} for file in held.files],
        "rows": held.read,
        "usable": laid.rows,
        "asked": len(held.examples),
        "refused": {"rows": held.refused.height, "reasons": dict(reasons.head(20).iter_rows())},
        "in_training": len(leaked),
    }
