"""What clients send to fine-tune: checked here, field by field."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, StringConstraints, WithJsonSchema
from pydantic_core import PydanticCustomError

AUTO = "auto"

MOST_PAIRS = 16
_LONGEST_ID = 256


def _number(low: float, high: float | None, *, whole: bool = False, open_low: bool = False) -> Any:
    """A field's type: "auto", or a number between two bounds; null is "auto", too."""
    kind = "a whole number" if whole else "a number"
    above = f"above {low:g}" if open_low else f"from {low:g}"
    bounds = f"{above} to {high:g}" if high is not None else above

    def check(value: Any) -> Any:
        if value is None or value == AUTO:
            return AUTO
        fits = isinstance(value, int | float) and not isinstance(value, bool)
        fits = fits and (low < value if open_low else low <= value) and value < float("inf")
        fits = fits and (high is None or value <= high) and (not whole or value == int(value))
        if not fits:
            told = {"kind": kind, "bounds": bounds}
            raise PydanticCustomError("hyperparameter", "must be {kind} {bounds}, or 'auto'", told)
        return int(value) if whole else float(value)

    number: dict[str, Any] = {"type": "integer" if whole else "number"}
    number["exclusiveMinimum" if open_low else "minimum"] = low
    if high is not None:
        number["maximum"] = high
    schema = {"anyOf": [{"const": AUTO}, number, {"type": "null"}], "default": AUTO}
    return Annotated[float | int | str, BeforeValidator(check), WithJsonSchema(schema)]


class Hyperparameters(BaseModel):
    """Numbers, or "auto". OpenAI's clients send those of one method; `beta` is DPO's."""

    n_epochs: _number(1, 50, whole=True) = AUTO  # type: ignore[valid-type]
    batch_size: _number(1, 256, whole=True) = AUTO  # type: ignore[valid-type]
    learning_rate_multiplier: _number(0, None, open_low=True) = AUTO  # type: ignore[valid-type]
    beta: _number(0, 2, open_low=True) = AUTO  # type: ignore[valid-type]

    def given(self) -> dict[str, float | str]:
        """The values that are not left to us."""
        values: dict[str, float | str] = self.model_dump()
        return {name: value for name, value in values.items() if value != AUTO}


class ReinforcementHyperparameters(Hyperparameters):
    """Those of reinforcement; `reasoning_effort` is kept, and says nothing to models that answer at once.

    `max_completion_tokens` is not OpenAI's: the longest answer that is drawn, on which most of a step's time depends.
    """

    compute_multiplier: _number(0, 10, open_low=True) = AUTO  # type: ignore[valid-type]
    eval_interval: _number(1, None, whole=True) = AUTO  # type: ignore[valid-type]
    eval_samples: _number(1, 10, whole=True) = AUTO  # type: ignore[valid-type]
    max_completion_tokens: _number(1, 4096, whole=True) = AUTO  # type: ignore[valid-type]
    reasoning_effort: Literal["default", "low", "medium", "high"] = "default"


class MethodSettings(BaseModel):
    """Settings of one method."""

    hyperparameters: Hyperparameters | None = None


class ReinforcementSettings(BaseModel):
    """Settings of reinforcement; the grader is read by `evaluate.graders.parse_grader`, where the method is named."""

    hyperparameters: ReinforcementHyperparameters | None = None
    grader: dict[str, Any] | None = None
    response_format: dict[str, Any] | None = None


class Method(BaseModel):
    """How to learn. Settings of methods other than the one that is named are not looked at."""

    type: Literal["supervised", "dpo", "reinforcement"]
    supervised: MethodSettings | None = None
    dpo: MethodSettings | None = None
    reinforcement: ReinforcementSettings | None = None


class Wandb(BaseModel):
    """Weights and Biases' settings."""

    project: str = Field(min_length=1)
    entity: str | None = None
    name: str | None = None
    tags: list[str] | None = None


class Integration(BaseModel):
    """Another service."""

    type: Literal["wandb"]
    wandb: Wandb


def _sized(value: dict[str, str]) -> dict[str, str]:
    if len(value) > MOST_PAIRS:
        raise PydanticCustomError("metadata", "must have {most} pairs at most", {"most": MOST_PAIRS})
    return value


MetadataKey = Annotated[str, StringConstraints(min_length=1, max_length=64)]
MetadataValue = Annotated[str, StringConstraints(max_length=512)]
FileId = Annotated[str, StringConstraints(min_length=1, max_length=_LONGEST_ID)]
# Its parts are put between colons, so that names can be taken apart again.
Suffix = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]*$")]


class CreateJob(BaseModel):
    """The body of POST /v1/fine_tuning/jobs."""

    model: str = Field(min_length=1, max_length=_LONGEST_ID)
    training_file: FileId
    validation_file: FileId | None = None
    method: Method | None = None
    hyperparameters: Hyperparameters | None = None
    suffix: Suffix | None = None
    seed: int | None = Field(None, ge=0, lt=1 << 31, strict=True)
    metadata: Annotated[dict[MetadataKey, MetadataValue], AfterValidator(_sized)] | None = None
    integrations: list[Integration] | None = None


class CreatePermissions(BaseModel):
    """The body of POST /v1/fine_tuning/checkpoints/NAME/permissions."""

    project_ids: list[Annotated[str, StringConstraints(min_length=1, max_length=_LONGEST_ID)]] = Field(
        min_length=1, max_length=1000
    )
