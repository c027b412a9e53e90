"""A fleet that has vLLM compute: bases, and the LoRA adapters on them. What vLLM cannot take, our own engine does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from tunewright.generate.serving.engine import Engine
from tunewright.generate.serving.vllm import VllmEngine
from tunewright.generate.serving.vllm_process import VllmSettings, find_vllm, weightless_base
from tunewright.lifecycle.serving.fleet import Fleet, _Held
from tunewright.lifecycle.serving.needs import Needs
from tunewright.store import Workspace

_LOGS = "logs"
_SHARE = 0.8


class VllmFleet(Fleet):
    """The models of a server that hands inference to vLLM. May be used from any thread.

    vLLM takes most of a card for itself, so one base at a time is in memory; another one is loaded in its place as soon
    as nobody is using it.

    Args:
        workspace: Where names lead; vLLM writes to its folder `logs`.
        arguments: Further ones of `vllm serve`.
        options: As `Fleet` takes them.

    Raises:
        MissingExtraError: If vLLM is not installed.
    """

    def __init__(self, workspace: Workspace, *, arguments: Sequence[str] = (), **options: Any) -> None:
        find_vllm()
        super().__init__(workspace, **options)
        self._arguments = tuple(arguments)

    def _size_of(self, needs: Needs) -> int:
        # What is left is for adapters and text encoders; no second base has room beside it.
        return int(_SHARE * self._limit) if _is_for_vllm(needs) else super()._size_of(needs)

    def _load(self, needs: Needs, size: int) -> _Held:
        if not _is_for_vllm(needs):
            return super()._load(needs, size)
        base = weightless_base(needs.files)
        settings = VllmSettings(dtype=needs.dtype, arguments=self._arguments)
        engine = VllmEngine(base, settings, self.workspace.root / _LOGS / f"vllm-{needs.files.weights_hash[:12]}.log")
        engine.start()
        # It does what an engine does, in other ways.
        return _Held(needs.key, needs.label, size, engine=cast(Engine, engine), chat=base.chat, base=base)


def _is_for_vllm(needs: Needs) -> bool:
    """Whether vLLM can compute it: a causal model as it is published, which adapters join."""
    return needs.kind == "shared" and needs.method is None and needs.files.kind == "causal-lm"
