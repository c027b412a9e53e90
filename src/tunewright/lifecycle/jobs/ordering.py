"""From what a client asks for to a job's record, and from that to the recipe of its run."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunewright.base.errors import ModelError, NoSuchRecordError, UnknownNameError
from tunewright.base.files import disk_guard
from tunewright.evaluate.graders import parse_grader
from tunewright.lifecycle.jobs.checking import Checked, Param, format_of
from tunewright.lifecycle.jobs.jobs import JOB, REINFORCEMENT, Asked, JobError, add_job
from tunewright.lifecycle.serving.names import Served, find_served
from tunewright.recipe import Recipe, recipe_from_mapping
from tunewright.store import Workspace
from tunewright.store.records import Record
from tunewright.store.uploads import find_upload, open_upload

if TYPE_CHECKING:
    from tunewright.models.files import BaseFiles

PURPOSE = "fine-tune"
AUTO = "auto"
METHOD = "lora"
KEPT_EPOCHS = 3
_SEEDS = 1 << 31
# Tokens of an answer that the run itself asks for: none, so that rows may be as long as the model reads.
_ANSWER = 1
# What OpenAI's guide has given as its own rule: three passes, more of them over few examples, fewer over many.
_EPOCHS, _FEWEST, _MOST_EPOCHS, _MOST = 3, 100, 25, 25_000
# Steps of an epoch: so many, or as many as there are examples; steps of more examples share more of their prompts.
_LEAST_STEPS, _LARGEST_BATCH = 16, 16
_BETA = 0.1
_SHARED = ("n_epochs", "batch_size", "learning_rate_multiplier")
_OWN = {
    "dpo": ("beta",),
    REINFORCEMENT: ("compute_multiplier", "eval_interval", "eval_samples", "max_completion_tokens"),
}
# Answers that are drawn to a prompt at a compute multiplier of 1, and the bounds of others; tokens of the longest.
_ANSWERS, _FEWEST_ANSWERS, _MOST_ANSWERS = 8, 2, 64
_DRAWN_TOKENS = 128
_EVALUATIONS = 4  # an epoch


def order(workspace: Workspace, asked: Asked, *, organization: str, project: str) -> Record:
    """Makes a job of what a client asks for, and has its files looked at.

    Raises:
        JobError: If the model cannot be fine-tuned, or a file is not there or not for this.
    """
    served = trainable(workspace, asked.model, project=project)
    _check_judges(workspace, asked.grader, project)
    _file(workspace, asked.training_file, "training_file", project)
    if asked.validation_file is not None:
        _file(workspace, asked.validation_file, "validation_file", project)
    body = {
        "model": asked.model,
        "base": served.base,
        "begins_from": served.adapter,
        "named_after": _named_after(workspace, served),
        "training_file": asked.training_file,
        "validation_file": asked.validation_file,
        "status": "validating_files",
        "finished_at": None,
        "estimated_finish": None,
        "fine_tuned_model": None,
        "organization_id": organization,
        "result_files": [],
        "trained_tokens": None,
        **_settings(asked.method, asked.hyperparameters, asked.grader),
        "integrations": asked.integrations,
        "seed": secrets.randbelow(_SEEDS) if asked.seed is None else asked.seed,
        "metadata": asked.metadata,
        "error": None,
        "user_provided_suffix": asked.suffix,
    }
    return add_job(workspace, body, project=project)


def trainable(workspace: Workspace, model: str, *, project: str) -> Served:
    """The base that a model's name stands for, with the adapter that learns on where it is fine-tuned already.

    Raises:
        JobError: If it stands for nothing here, or for a model that gives no answers.
    """
    code = "model_not_available"
    try:
        served = find_served(workspace, model, project=project)
    except (UnknownNameError, ModelError) as error:
        raise JobError(
            f"Model {model} is not available for fine-tuning or does not exist",
            param="model",
            code=code,
            hint="GET /v1/models lists what is here; the operator gives names with: tunewright models alias NAME "
            "TARGET.",
        ) from error
    if served.kind != "chat":
        raise JobError(f"Model {model} gives embeddings, and cannot be fine-tuned", param="model", code=code)
    if served.template.get("classes"):
        raise JobError(f"Model {model} names classes, and a job teaches to answer", param="model", code=code)
    return served


def resolved(body: Mapping[str, Any], checked: Checked) -> dict[str, Any]:
    """A job's settings with numbers in the place of "auto", once the number of its examples is known."""
    method = body["method"]["type"]
    own = body["method"][method]
    values = {
        name: _auto(name, checked.examples) if value == AUTO else value
        for name, value in own["hyperparameters"].items()
    }
    return _settings(method, values, own.get("grader"))


def recipe_of(
    workspace: Workspace, job: Record, files: BaseFiles, folder: Path, *, checkpoint_every_s: float
) -> Recipe:
    """The recipe of a job's run.

    Args:
        workspace: Where the adapter is that it begins from, if it does.
        job: With its settings resolved.
        files: The base model's.
        folder: Where `lay_out` has put the job's files.
        checkpoint_every_s: Longest time between two checkpoints.
    """
    body = job.body
    method = body["method"]["type"]
    own = body["method"][method]
    asked = own["hyperparameters"]
    # Half of what the model reads is left for the question.
    drawn = min(asked["max_completion_tokens"], files.context_length // 2) if method == REINFORCEMENT else _ANSWER
    validation = folder / _file_name("validation_file")
    recipe = recipe_from_mapping(
        {
            "name": job.id.lower(),
            "goal": f"What the job {job.id} fine-tunes of {body['model']}.",
            "base": body["base"],
            "adapter": body.get("begins_from", ""),
            "seed": body["seed"],
            "data": {
                "train": str(folder / _file_name("training_file")),
                "validation": [str(validation)] if body["validation_file"] else [],
                "format": format_of(method),
                # All rows train but those of the client's own validation file.
                "split": {"validation": 0, "test": 0, "minimum_test_rows": 0},
                "leakage": "report",
                "max_unusable_share": 0.0,
                "max_length": files.context_length - drawn,
                # Of a question the end is what is asked.
                "too_long": "truncate_left" if method == REINFORCEMENT else "truncate_right",
            },
            "method": _method(workspace, job),
            "train": {
                "objective": _objective(method, own, drawn),
                "epochs": asked["n_epochs"],
                "batch_size": asked["batch_size"],
                "best": "last",
                **({"validate_every": asked["eval_interval"]} if method == REINFORCEMENT else {}),
                "keep_epochs": KEPT_EPOCHS,
                "checkpoint_every_s": checkpoint_every_s,
            },
            "evaluate": {"systems": [], "slices": [], "max_new_tokens": _ANSWER},
        },
        where=f"job {job.id}",
    )
    rate = recipe.learning_rate * asked["learning_rate_multiplier"]
    return recipe.model_copy(update={"train": recipe.train.model_copy(update={"learning_rate": rate})})


def lay_out(workspace: Workspace, job: Record) -> Path:
    """Puts a job's files where its run reads them: a client may delete a file while a job learns from it.

    Returns:
        The folder.
    Raises:
        JobError: If a file is gone, and was not laid out before.
    """
    folder = workspace.root / "jobs" / job.id
    params: tuple[Param, ...] = ("training_file", "validation_file")
    for param in params:
        place = folder / _file_name(param)
        if job.body[param] and not place.exists():
            source = open_upload(workspace, _file(workspace, job.body[param], param, job.project))
            with disk_guard(folder):
                folder.mkdir(parents=True, exist_ok=True)
                _link(source, place)
    return folder


def predicted_bytes(workspace: Workspace, job: Record, files: BaseFiles, checked: Checked) -> int:
    """Memory that a job's process takes at its peak, foreseen before its rows are tokenised: rather too much.

    The base is taken to compute in float32, and every character to be a token.
    """
    from dataclasses import replace

    from tunewright.base.plugins import METHODS
    from tunewright.models.memory import ADAMW, Piece, estimate_training_bytes, model_size
    from tunewright.models.treatment import treat
    from tunewright.recipe.schema import LARGEST_BUDGET

    kind, method = job.body["method"]["type"], _method(workspace, job)
    asked = job.body["method"][kind]["hyperparameters"]
    answers = _answers(asked) if kind == REINFORCEMENT else 2 if kind == "dpo" else 1
    examples = asked["batch_size"] * answers
    longest = min(checked.longest + asked.get("max_completion_tokens", 0), files.context_length)
    nodes = max(2, longest, min(LARGEST_BUDGET, examples * longest))
    size = model_size(files.folder)
    treatment = treat(size, METHODS.config(method["name"]).model_validate(method), "float32")
    compares = kind in ("dpo", REINFORCEMENT)
    keeping = replace(ADAMW, best=False, reference=compares, learns_on=bool(job.body.get("begins_from")))
    return estimate_training_bytes(size, treatment, Piece.of_rows(1, nodes + 1), keeping=keeping).total


def model_name(job: Record, step: int | None = None) -> str:
    """What comes of a job, or of the end of one of its epochs, by name."""
    body = job.body
    parts = [
        "ft",
        body.get("named_after", body["model"]),
        body["organization_id"],
        body["user_provided_suffix"] or "",
        job.id[-8:],
    ]
    return ":".join([*parts, *([] if step is None else [f"ckpt-step-{step}"])])


def _named_after(workspace: Workspace, served: Served) -> str:
    """What stands behind "ft:" in the names of a job's models; where it begins from another job's, what stood there."""
    if served.origin != "model" or not served.job:
        return served.name
    body = workspace.record(JOB, served.job).body
    return str(body.get("named_after", body["model"]))


def _method(workspace: Workspace, job: Record) -> dict[str, Any]:
    """The settings of the method that trains: those of the adapter that a job begins from, or LoRA's own."""
    adapter = job.body.get("begins_from")
    found: dict[str, Any] = workspace.artifact(adapter, "adapter").manifest["method"] if adapter else {"name": METHOD}
    return found


def _settings(
    method: str, values: Mapping[str, float | str], grader: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """`method` and `hyperparameters` of a job, every value there."""
    shared = {name: values.get(name, AUTO) for name in _SHARED}
    own: dict[str, Any] = {"hyperparameters": shared | {name: values.get(name, AUTO) for name in _OWN.get(method, ())}}
    if grader is not None:
        own["hyperparameters"]["reasoning_effort"] = values.get("reasoning_effort", "default")
        own["grader"] = dict(grader)
    return {"method": {"type": method, method: own}, "hyperparameters": shared}


def _auto(name: str, examples: int) -> float:
    if name == "n_epochs":
        if examples * _EPOCHS < _FEWEST:
            return min(_MOST_EPOCHS, _FEWEST // examples)
        return _EPOCHS if examples * _EPOCHS <= _MOST else max(1, _MOST // examples)
    if name == "batch_size":
        return max(1, min(_LARGEST_BATCH, examples // _LEAST_STEPS))
    if name == "eval_interval":
        return max(1, -(-examples // _auto("batch_size", examples) // _EVALUATIONS))
    return {"beta": _BETA, "max_completion_tokens": _DRAWN_TOKENS}.get(name, 1)


def _answers(asked: Mapping[str, Any]) -> int:
    """Answers that are drawn to each prompt."""
    return max(_FEWEST_ANSWERS, min(_MOST_ANSWERS, round(_ANSWERS * float(asked["compute_multiplier"]))))


def _objective(method: str, own: Mapping[str, Any], drawn: int) -> str | dict[str, Any]:
    """What a job's run learns, as a recipe has it; `drawn` are the tokens of the longest answer that is drawn."""
    asked = own["hyperparameters"]
    if method == "dpo":
        return {"name": "dpo", "beta": asked["beta"]}
    if method == REINFORCEMENT:
        return {
            "name": "grpo",
            "grader": own["grader"],
            "answers": _answers(asked),
            "max_new_tokens": drawn,
            "validation_answers": asked["eval_samples"],
        }
    return "sft"


def _check_judges(workspace: Workspace, grader: Mapping[str, Any] | None, project: str) -> None:
    """Raises a `JobError` if a grader asks a model that is not here."""
    for judge in parse_grader(grader).judges() if grader else ():
        try:
            find_served(workspace, judge, project=project)
        except (UnknownNameError, ModelError) as error:
            raise JobError(
                f"Model {judge}, which the grader asks, does not exist",
                param=f"method.{REINFORCEMENT}.grader",
                code="model_not_available",
                hint="GET /v1/models lists what is here.",
            ) from error


def _file(workspace: Workspace, id: str, param: Param, project: str) -> Record:
    try:
        record = find_upload(workspace, id, project=project)
    except NoSuchRecordError:
        raise JobError(f"File '{id}' does not exist", param=param, code=f"invalid_{param}") from None
    if record.body["purpose"] != PURPOSE:
        raise JobError(
            f"File '{id}' has the purpose '{record.body['purpose']}', and a job takes files of '{PURPOSE}'",
            param=param,
            code=f"invalid_{param}",
        )
    return record


def _file_name(param: Param) -> str:
    return param.replace("_file", ".jsonl")


def _link(source: Path, place: Path) -> None:
    try:
        os.link(source, place)
    except FileExistsError:
        pass
    except OSError:  # another file system, or one without links
        temporary = place.with_name(f".{place.name}.{os.getpid()}.part")
        shutil.copyfile(source, temporary)
        temporary.replace(place)
