"""How a forest reaches a model's attention layers.

transformers lets a model's attention be replaced by name. Ours hands every call to the layout that travels with the
forward pass as the keyword argument `layout`; nothing is global, so recomputing a layer (activation checkpointing)
meets the same layout again. The stock attentions never see a forest: they would read its falling positions as packed
rows and cut branches from their prefix.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from tunewright.base import events
from tunewright.base.errors import ModelError, TunewrightError, UnknownNameError
from tunewright.base.plugins import BACKENDS
from tunewright.forest.forest import Forest, Ints, Path, build
from tunewright.forest.head import finished
from tunewright.forest.positions import fix_positions
from tunewright.forest.virtual import inputs
from tunewright.models import heads
from tunewright.models.norm import quicken_norms
from tunewright.models.rotary import quicken_rotations

IMPLEMENTATION = "tunewright"
AUTO = "auto"
UNSHARED = "unshared"  # the one backend that leaves a model its own attention
_SEQ2SEQ = "seq2seq"  # no backend: encoder-decoders have a way of their own
_ORACLE, _ON_CUDA, _ELSEWHERE = "dense", "flex", "segments"
_FIELD = "train.backend"
_CHOICE = "forest_choice"  # attribute of an adopted model

# transformers' names of kinds of layers whose tokens see a stretch of their path.
_SHORT_SIGHTED = ("sliding_attention", "chunked_attention")

# What stock attention functions are also told and we have no use for, beside what would change the result.
_CHANGES_RESULT = ("softcap", "s_aux", "head_mask", "position_bias")


class Layout(Protocol):
    """Which keys each query sees, and how that is computed."""

    def attend(self, layer: int, q_HND: Tensor, k_GND: Tensor, v_GND: Tensor, scaling: float, window: int) -> Tensor:
        """Attention of N queries.

        Args:
            layer: Index of the calling layer.
            q_HND: Queries, shape (batch, H, N, D).
            k_GND: Keys, shape (batch, G, N, D); H is a multiple of G.
            v_GND: Values, shape (batch, G, N, D).
            scaling: Factor on the products of queries and keys.
            window: A key farther than this behind its query is not seen; 0 for no such limit.
        Returns:
            Shape (batch, N, H, D).
        """


def attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    layout: Layout | None = None,
    **others: Any,
) -> tuple[Tensor, None]:
    """The attention function that transformers calls under the name `tunewright`."""
    if layout is None:
        raise TunewrightError("A model prepared for forests was called without a layout")
    for name in _CHANGES_RESULT:
        if others.get(name) is not None:
            raise ModelError(f"This model's attention uses '{name}', which forests do not compute")
    if dropout:
        raise ModelError(
            "This model drops attention weights at random, which forests do not compute",
            where=_FIELD,
            hint="Set it to unshared, which computes each row by itself.",
        )
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    window = others.get("sliding_window") or 0
    layer = int(getattr(module, "layer_idx", 0) or 0)
    return layout.attend(layer, query, key, value, scale, window), None


@dataclass(frozen=True, slots=True)
class Choice:
    """How an adopted model computes forests.

    Args:
        backend: The backend's name.
        reason: Why this one.
        stock: transformers' name of the attention that the model came with.
    """

    backend: str
    reason: str
    stock: str


def adopt(
    model: nn.Module, backend: str = AUTO, *, longest: int = 0, listener: events.Listener = events.ignore
) -> Choice:
    """Prepares a transformers model for forests, and chooses how it computes them; a choice once made stays.

    A small branching forest is computed both ways first. Where layers give other states there (recurrent ones,
    positions taken from indices), or compute what layouts do not, the model gets `unshared`, else `flex` on CUDA and
    `segments` on a processor. An encoder-decoder keeps its own attention (`seq2seq`), and is tried likewise.

    Args:
        model: The model, or what a method made of it; changed in place.
        backend: `auto`, or the backend that it must be.
        longest: Tokens of the run's longest row, which fix position scalings (`positions.fix_positions`).
        listener: Hears of a new choice.
    Raises:
        UnknownNameError: If there is no such backend.
        ModelError: If the backend that it must be does not fit the model or its device, or if no backend does.
    """
    base = unwrap(model)
    held: Choice | None = getattr(base, _CHOICE, None)
    if held is not None:
        if backend in (AUTO, held.backend):
            return held
        delattr(base, _CHOICE)
        base.set_attn_implementation(held.stock)
    if _is_encoder_decoder(base):
        choice = _choose_encoder_decoder(base, backend)
    else:
        _check_backend(backend, base.device)
        fix_positions(base, longest)
        choice = _choose(base, backend)
    setattr(base, _CHOICE, choice)
    listener(events.Message(f"Forests are computed by the backend '{choice.backend}': {choice.reason}."))
    return choice


def backend_of(model: nn.Module) -> str:
    """The backend that an adopted model computes forests with; `seq2seq` for an encoder-decoder."""
    if _is_encoder_decoder(unwrap(model)):
        return _SEQ2SEQ
    held: Choice | None = getattr(unwrap(model), _CHOICE, None)
    if held is None:
        raise TunewrightError("A model was asked to compute a forest before it was prepared for that (layout.adopt)")
    return held.backend


def shares(model: nn.Module) -> bool:
    """Whether an adopted model computes what paths have in common once."""
    return backend_of(model) != UNSHARED


def _is_encoder_decoder(base: Any) -> bool:
    return bool(getattr(base.config, "is_encoder_decoder", False))


def _choose_encoder_decoder(base: Any, wanted: str) -> Choice:
    from tunewright.forest import seq2seq  # which builds on this file

    if wanted not in (AUTO, _SEQ2SEQ):
        raise ModelError(
            f"The backend '{wanted}' does not fit {type(base).__name__}, which is an encoder-decoder",
            where=_FIELD,
            hint="Set it to auto: there is one way to compute these.",
        )
    seq2seq.check(base)
    return Choice(_SEQ2SEQ, "it is an encoder-decoder", base.config._attn_implementation)


def _check_backend(backend: str, device: torch.device) -> None:
    """Refuses a backend that is not there, or that a device does not have."""
    if backend == AUTO:
        return
    if backend not in BACKENDS.names():
        raise UnknownNameError("attention backend", backend, (AUTO, *BACKENDS.names()), where=_FIELD)
    if why := BACKENDS.call(backend, "unfit", device):
        raise ModelError(f"The backend '{backend}' does not fit: {why}", where=_FIELD, hint="Set it to auto.")


def _choose(base: Any, wanted: str) -> Choice:
    """Tries backends on a model that has its own attention; leaves it with the attention that the choice needs."""
    stock, fault = base.config._attn_implementation, ""
    _check_head(base)
    expected = _plain_probe(base)
    base.reads_both_ways = _reads_both_ways(expected)
    quicken_norms(base)  # after the stock states are known: the trials below hold for what is quick as well
    quicken_rotations(base)
    if wanted != UNSHARED:
        fault = _fault_of_sharing(base, expected)
        if not fault:
            return Choice(*_sharing_backend(base, wanted, expected), stock)
        base.set_attn_implementation(stock)
        if wanted != AUTO:
            raise _does_not_fit(base, wanted, fault)
    if base.reads_both_ways:  # rows are padded, and padding would be seen
        why = fault or "it reads rows both ways"
        raise ModelError(
            f"The backend '{UNSHARED}' is for models that read from left to right, and no other one is taken: {why}",
            where=_FIELD if wanted == UNSHARED else "base",
            hint="Use a model with plain attention, such as Llama, Qwen or Mistral, BERT or RoBERTa.",
        )
    difference = _difference(_forest_probe(base, UNSHARED), expected)
    if not difference <= _bound(expected):
        raise ModelError(
            f"{type(base).__name__} gives other states where rows stand side by side "
            f"(they differ by {difference:.1e} of their length)",
            hint="Use a causal decoder, such as Llama, Qwen or Mistral.",
        )
    return Choice(UNSHARED, "the recipe names it" if wanted == UNSHARED else f"nothing is shared, since {fault}", stock)


def _fault_of_sharing(base: Any, expected: Tensor) -> str:
    """Puts layouts in the place of a model's attention; why they do not fit it, empty if they do."""
    from transformers import AttentionInterface

    kind, windows = type(base).__name__, dict[int, int]()
    # Where blocks are compiled (`train.blocks`), attention is left as it is: its shapes follow the forest.
    AttentionInterface.register(IMPLEMENTATION, torch.compiler.disable(attention))  # type: ignore[no-untyped-call]
    try:
        base.set_attn_implementation(IMPLEMENTATION)
        if base.config._attn_implementation != IMPLEMENTATION:
            return f"the attention of {kind} cannot be replaced"
        found = _forest_probe(base, _ORACLE, windows)
        other = _forest_probe(base, _ORACLE, rows=_OTHER_PROBE)
    except ModelError as error:
        return f"{kind} is refused ({error.what})"
    except (TypeError, ValueError) as error:  # what transformers raises for what a model does not take
        return f"{kind} takes no layout ({str(error).splitlines()[0].rstrip('.')})"
    difference = _difference(found, expected)
    # A weak recurrence hardly shows in that, but the second row's states may not follow the first row's tokens at all.
    second = slice(len(_PROBE[0]) - 1, None)
    leaked = _difference(other[second], found[second])
    if not (difference <= _bound(expected) and leaked <= _LEAK_SHARE * _bound(expected)):
        difference = max(difference, leaked)
        where = "in rows side by side" if base.reads_both_ways else "on a shared prefix"
        return f"{kind} has other states {where} (they differ by {difference:.1e} of their length)"
    return _untold_window(base.config.get_text_config(), windows)


def _sharing_backend(base: Any, wanted: str, expected: Tensor) -> tuple[str, str]:
    """The backend of a model that shares prefixes, tried on it, and why it is this one."""
    if wanted == AUTO:
        why = BACKENDS.call(_ON_CUDA, "unfit", base.device)
        if why:
            return _ELSEWHERE, "prefixes are shared, on " + ("a processor" if base.device.type == "cpu" else why)
    name = _ON_CUDA if wanted == AUTO else wanted
    try:
        difference = _difference(_forest_probe(base, name), expected)
        fault = "" if difference <= _bound(expected) else f"its states differ by {difference:.1e} of their length"
    except RuntimeError as error:  # a kernel that does not compile for this card or shape
        fault = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
    if not fault:
        return name, "prefixes are shared, on CUDA" if wanted == AUTO else "the recipe names it"
    if wanted == AUTO:
        return _ELSEWHERE, f"prefixes are shared, and '{name}' failed its trial here ({fault})"
    raise _does_not_fit(base, wanted, fault)


def _does_not_fit(base: Any, backend: str, fault: str) -> ModelError:
    return ModelError(
        f"The backend '{backend}' does not fit {type(base).__name__}: {fault}",
        where=_FIELD,
        hint="Set it to auto, which finds one that fits.",
    )


def _untold_window(config: Any, windows: Mapping[int, int]) -> str:
    """Whether some layer's window is known to the model's own mask only; empty if layouts are told of each.

    Args:
        config: The model's.
        windows: What each layer told its layout.
    """
    kinds = getattr(config, "layer_types", None) or []
    short = [layer for layer, kind in enumerate(kinds) if kind in _SHORT_SIGHTED]
    if not kinds and getattr(config, "sliding_window", None) and getattr(config, "use_sliding_window", True):
        short = list(windows)
    untold = [layer for layer in short if not windows.get(layer)]
    return f"layouts are not told of the window in layer {untold[0]}" if untold else ""


# Two rows with three tokens in common, as `ordinary` counts them. Of two lengths, so that one is padded.
_PROBE = ([5, 3, 8, 4, 9, 6, 2], [5, 3, 8, 7, 4, 9, 2, 6, 8])
_SHARED, _LARGEST = 3, 9
# The same with another beginning of the first row's own part, and the second row where it was.
_OTHER_PROBE = ([5, 3, 8, 6, 2, 4, 9], _PROBE[1])
# Equal but for other rows' tokens: computed in the same order, so that rounding explains far less.
_LEAK_SHARE = 1e-2


def ordinary(base: Any, row: Sequence[int]) -> list[int]:
    """A row of small numbers as tokens that a model has learned, in the same order.

    A vocabulary often begins with tokens that nothing was trained on, whose embeddings are all but equal: states of
    such rows follow how numbers are rounded, and no trial could tell that from another computation.
    """
    size = base.get_input_embeddings().weight.shape[0]
    first = size // 3 if size // 3 + _LARGEST < size else 0
    return [first + token for token in row]


@torch.no_grad()
def _plain_probe(base: Any) -> Tensor:
    """States of both rows, one at a time, through the stock model: shape (14, D), last tokens left out."""
    with _evaluation(base):
        rows = [
            backbone(base)(input_ids=torch.tensor([ordinary(base, row[:-1])], device=base.device), use_cache=False)
            for row in _PROBE
        ]
        return torch.cat([row.last_hidden_state[0] for row in rows])


@torch.no_grad()
def _forest_probe(
    base: Any, backend: str, windows: dict[int, int] | None = None, rows: tuple[list[int], list[int]] = _PROBE
) -> Tensor:
    """The same of both rows merged into a forest; notes in `windows` what the layers tell of theirs."""
    tokens = [ordinary(base, row) for row in rows]
    forest = build([_probe_path(row, n, both_ways=base.reads_both_ways) for n, row in enumerate(tokens)])
    with _evaluation(base):
        if backend == UNSHARED:
            hidden_ND: Tensor = BACKENDS.call(backend, "states", base, forest)
        else:
            layout: Layout = _Listening(BACKENDS.call(backend, "build", forest, base.device), windows)
            token_N, depth_N = (to_tensor(array, base.device) for array in (forest.token, forest.depth))
            hidden_ND = hidden_states(base, token_N, depth_N, layout)
    # In the forest the second row (its fourth token is 7) stands behind the first (4 or 6): preorder by token. Its
    # sources are the last tokens that are fed.
    lines = [forest.ancestors(int(node)) for node in forest.source]
    return torch.cat([hidden_ND[torch.tensor(line, device=base.device)] for line in lines])


def _probe_path(row: list[int], number: int, *, both_ways: bool) -> Path:
    """A row of which all tokens but the last are fed, and the last of those predicts something."""
    weights = np.zeros(len(row), dtype=np.float32)
    weights[-1] = 1.0
    if not both_ways:
        return Path(np.array(row, dtype=np.int32), weights, number, number)
    tokens, classes = np.array(row[:-1], dtype=np.int32), np.zeros(len(row) - 1, np.int32)
    return Path(tokens, weights[1:], number, number, head="probe", targets=classes, both_ways=True)


def _reads_both_ways(states: Tensor) -> bool:
    """Whether the tokens that the probe's rows begin with have other states where others follow them."""
    first, second = states[:_SHARED], states[len(_PROBE[0]) - 1 :][:_SHARED]
    # Through causal layers they are the same but for rounding; through others they differ by about their own length.
    return bool((first - second).norm() > _bound(states) * first.norm())


class _Listening:
    """A layout that notes each layer's window."""

    def __init__(self, inner: Layout, windows: dict[int, int] | None) -> None:
        self._inner, self._windows = inner, {} if windows is None else windows

    def attend(self, layer: int, q_HND: Tensor, k_GND: Tensor, v_GND: Tensor, scaling: float, window: int) -> Tensor:
        self._windows[layer] = window
        return self._inner.attend(layer, q_HND, k_GND, v_GND, scaling, window)


@torch.no_grad()
def _check_head(base: Any) -> None:
    """Raises a `ModelError` if a model's logits are not what `head` makes of its hidden states; encoders have none."""
    if base.get_output_embeddings() is None:
        return
    with _evaluation(base):
        tokens = torch.tensor([ordinary(base, _PROBE[0])], device=base.device)
        expected = base(input_ids=tokens, use_cache=False).logits
        found = head(base)(backbone(base)(input_ids=tokens, use_cache=False).last_hidden_state)
    if not _difference(found, expected) <= _bound(expected):
        raise ModelError(
            f"{type(base).__name__} does to its logits what is not known here, behind its output layer",
            hint="Use a causal decoder such as Llama, Qwen or Mistral.",
        )


def _difference(found: Tensor, expected: Tensor) -> float:
    """Length of the difference over the length of what is expected; not a number where that is none."""
    return float((found - expected).norm() / expected.norm())


def _bound(expected: Tensor) -> float:
    """Largest difference that rounding explains."""
    return 5e-2 if expected.dtype in (torch.bfloat16, torch.float16) else 1e-3


@contextlib.contextmanager
def _evaluation(model: nn.Module) -> Iterator[None]:
    """Dropout off while open."""
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)


def unwrap(model: Any) -> Any:
    """The transformers model inside an adapter's wrapper, or the model itself."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def backbone(model: nn.Module) -> Any:
    """The part that maps tokens to hidden states."""
    base = unwrap(model)
    return getattr(base, str(base.base_model_prefix), base)  # an encoder has nothing around it


def head(model: nn.Module, name: str = "") -> Any:
    """The module that maps hidden states to logits; always called as a module, since it may carry an adapter.

    Args:
        name: Of a head of classes (`models.heads`); empty: the model's own, for tokens.
    """
    if name:
        return heads.find(model, name)
    base = unwrap(model)
    return finished(base.get_output_embeddings(), base.config.get_text_config())


def check_direction(model: nn.Module, forest: Forest) -> None:
    """Raises a `ModelError` if a forest's rows are not to be read in the direction in which the model reads."""
    both_ways = bool(getattr(unwrap(model), "reads_both_ways", False))
    if forest.paths and forest.both_ways != both_ways:
        raise ModelError(
            f"{type(unwrap(model)).__name__} reads {'both ways' if both_ways else 'from left to right'}, and its rows "
            f"were prepared for a model that reads {'from left to right' if both_ways else 'both ways'}",
            where="base",
            hint="Check the architecture in the model's config.json: an encoder's does not end in ForCausalLM.",
        )


def hidden_states(
    model: nn.Module, token_N: Tensor, depth_N: Tensor, layout: Layout, types: Ints | None = None
) -> Tensor:
    """Final hidden states of tokens at given depths, shape (N, D).

    Where the model has virtual tokens, `layout` is that of the forest planted behind them, and their own states are
    left out.

    Args:
        types: Which text of its row each token belongs to, for models that are told so.
    """
    told = inputs(model, token_N, depth_N + _first_position(model), layout)
    if types is not None:
        told["token_type_ids"] = to_tensor(types, token_N.device)[None]
    hidden: Tensor = backbone(model)(**told, attention_mask=None, use_cache=False).last_hidden_state[0]
    return hidden[len(hidden) - len(token_N) :]


def _first_position(model: nn.Module) -> int:
    """The position of a row's first token: RoBERTa and its like keep the first ones for padding."""
    padding = getattr(getattr(backbone(model), "embeddings", None), "padding_idx", None)
    return 0 if padding is None else int(padding) + 1


def to_tensor(array: Any, device: torch.device) -> Tensor:
    """A numpy array as a tensor of its own on a device."""
    return torch.tensor(array, device=device)
