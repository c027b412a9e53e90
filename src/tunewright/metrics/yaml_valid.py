"""Share of answers that are one YAML document holding a mapping or a list, with no key twice.

Nearly every sentence is YAML too, a plain scalar, so scalars count as valid only where that is asked for. Read by YAML
1.1's safe rules: tags that would make objects of a program's own are not valid here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import Field

from tunewright.base.plugins import PluginConfig
from tunewright.metrics._about import About
from tunewright.metrics._answer import Answer, require_answers
from tunewright.metrics._measure import Measure, share

_MERGE = "tag:yaml.org,2002:merge"

NEEDS_REFERENCE = False
ABOUT = {"yaml_valid": About("Valid YAML", "the answer can be read as YAML")}


class Config(PluginConfig):
    """Settings of YAML validity."""

    name: Literal["yaml_valid"] = "yaml_valid"
    scalars: bool = Field(False, description="Whether a plain text or number counts as well.")


def measure(config: Config, answers: Sequence[Answer]) -> list[Measure]:
    """1 where the answer is one YAML document, else 0; reduced to the mean."""
    require_answers(config.name, answers)
    return [share(config.name, [_is_yaml(answer.prediction, config.scalars) for answer in answers])]


def _is_yaml(text: str, scalars: bool) -> bool:
    import yaml

    class UniqueKeys(yaml.SafeLoader):
        """Refuses a key that stands twice in one mapping; YAML 1.2 does, and PyYAML takes the last one."""

        def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
            keys = [self.construct_object(key, deep=True) for key, _ in node.value if key.tag != _MERGE]
            if len(set(keys)) < len(keys):
                raise yaml.YAMLError("a key stands twice")
            return super().construct_mapping(node, deep)

    try:
        value = yaml.load(text, UniqueKeys)  # noqa: S506 - a safe loader's own child
    except (
        yaml.YAMLError,
        ValueError,
        TypeError,
        RecursionError,
    ):  # the latter: dates that are none, keys that are lists
        return False
    return isinstance(value, dict | list) or (scalars and value is not None)
