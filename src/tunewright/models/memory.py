"""How much memory training takes at its peak, by cause.

The account is made before anything is loaded, from a model's shape and from the largest piece of work, by following
what a step really keeps: no number in it is fitted but two properties of the machine, `PROCESS_BYTES` and `HEAP_HOLES`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

from tunewright.base.large_pages import are_offered
from tunewright.models.files import read_config, tensor_shapes, weight_files
from tunewright.models.treatment import BYTES, Treatment

GIB = 1 << 30

# The interpreter with torch, transformers, peft and their libraries' first use, before any weights (measured: 0.49 GB).
PROCESS_BYTES = 490_000_000
# The head runs on so many sources at a time (`forest.edges.CHUNK`).
HEAD_ROWS = 256
# Logits of a chunk, in float32, that are alive at once when the gradient of a trained head is taken: the logits, the
# gradient of the targets' entries, and of the log-sum-exp the difference, its exponential and their product with the
# incoming one. Of a frozen head only a few rows are in float32 at a time (`forest.edges`).
_HEAD_COPIES, _WIDE_ROWS = 5, 16
# torch asks glibc for aligned blocks, for which it looks for somewhat more, so that the hole which a tensor leaves is
# too small for the next of its size. Measured: of what passes through the forward pass and is freed again, two thirds
# stay holes until the step's end (0.59 to 0.73 on four shapes). On large pages (`base.large_pages`), where the heap
# holds blocks of all these sizes from the start, it is half (0.37 to 0.62 on five shapes).
HEAP_HOLES, HEAP_HOLES_LARGE_PAGES = 0.66, 0.48
# The same where blocks are computed again, as a share of what all of them free (measured: 0.44 to 0.82 on five shapes).
HEAP_HOLES_AGAIN = 0.55
# Larger blocks (DEFAULT_MMAP_THRESHOLD_MAX) do not come from the heap, and leave no holes.
_HEAP_BLOCK_BYTES = 32 << 20
_TRANSPOSED = ("gpt2",)  # linear weights are stored inputs by outputs
_BLOCK = re.compile(r"\.(?:layers|layer|h|blocks|block)\.\d+\.(?!.*relative_attention_bias)")  # T5's table is no layer

Shapes = tuple[tuple[str, tuple[int, ...]], ...]


@dataclass(frozen=True, slots=True)
class ModelSize:
    """What decides how much memory a model takes.

    Args:
        parameters: All its weights, tied ones counted once.
        layers: Transformer blocks.
        hidden: Width of the hidden state.
        intermediate: Width inside the feed-forward part.
        vocabulary: Rows of the output layer.
        linear_widths: Inputs plus outputs, summed over all linear layers of all blocks.
        tensors: Name and shape of each weight, as its files have them; empty where there are no files.
        heads: Attention heads; 0: not known, taken as one.
        query_width: Numbers of all heads' queries at one position; 0: as wide as the hidden state.
        key_width: Numbers of all heads' keys at one position, and of the values; 0: as the queries.
        linear_inputs: Inputs, summed over all linear layers of all blocks; 0: half of `linear_widths`.
        linear_parameters: Weights of all linear layers of all blocks; 0: all but the embedding's.
        linears: Linear layers of all blocks; 0: seven a block.
        gated: Whether the feed-forward part multiplies two projections, as in Llama.
        stored_bytes: The weights' files; 0: not known.
        transposed: Whether linear layers store their weights inputs by outputs, as GPT-2's do.
    """

    parameters: int
    layers: int
    hidden: int
    intermediate: int
    vocabulary: int
    linear_widths: int
    tensors: Shapes = ()
    heads: int = 0
    query_width: int = 0
    key_width: int = 0
    linear_inputs: int = 0
    linear_parameters: int = 0
    linears: int = 0
    gated: bool = True
    stored_bytes: int = 0
    transposed: bool = False

    def __post_init__(self) -> None:
        widths = self.query_width or self.hidden
        known = {
            "heads": self.heads or 1,
            "query_width": widths,
            "key_width": self.key_width or widths,
            "linear_inputs": self.linear_inputs or self.linear_widths // 2,
            "linear_parameters": self.linear_parameters or max(0, self.parameters - self.vocabulary * self.hidden),
            "linears": self.linears or 7 * self.layers,
        }
        for name, value in known.items():
            object.__setattr__(self, name, value)

    def lora_parameters(self, rank: int) -> int:
        """Trainable weights of LoRA on all linear layers: rank x (inputs + outputs) of each."""
        return rank * self.linear_widths


def model_size(folder: Path) -> ModelSize:
    """Reads a model's size from its configuration and the headers of its weights; loads no weights.

    Raises:
        ModelError: If the folder holds no whole model.
    """
    tensors: list[tuple[str, tuple[int, ...]]] = []
    files = weight_files(folder)
    for file in files:
        # Integers are buffers, such as position numbers.
        tensors += [(name, shape) for name, (kind, shape) in tensor_shapes(file).items() if kind[0] in "FB"]
    return size_of(read_config(folder), tuple(tensors), stored_bytes=sum(file.stat().st_size for file in files))


def size_of(config: Mapping[str, Any], tensors: Shapes, *, stored_bytes: int = 0) -> ModelSize:
    """A model's size from its configuration and its weights' names and shapes."""
    linear = [shape for name, shape in tensors if len(shape) == 2 and _BLOCK.search(f".{name}")]
    transposed = config.get("model_type") in _TRANSPOSED
    hidden = _first(config, "hidden_size", "n_embd", "d_model", "dim")
    heads = _first(config, "num_attention_heads", "n_head", "n_heads", "num_heads", default=1)
    width = _first(config, "head_dim", "d_kv", default=hidden // heads)
    return ModelSize(
        parameters=sum(math.prod(shape) for _, shape in tensors),
        layers=_first(config, "num_hidden_layers", "n_layer", "num_layers"),
        hidden=hidden,
        intermediate=_first(config, "intermediate_size", "n_inner", "d_ff", "hidden_dim", default=4 * hidden),
        vocabulary=_first(config, "vocab_size"),
        linear_widths=sum(map(sum, linear)),
        tensors=tensors,
        heads=heads,
        query_width=heads * width,
        key_width=_first(config, "num_key_value_heads", default=heads) * width,
        linear_inputs=sum(shape[0 if transposed else 1] for shape in linear),
        linear_parameters=sum(map(math.prod, linear)),
        linears=len(linear),
        gated=any(".gate_proj." in name or ".gate_up_proj." in name for name, _ in tensors) or not tensors,
        stored_bytes=stored_bytes,
        transposed=transposed,
    )


@dataclass(frozen=True, slots=True)
class Piece:
    """One forward and backward pass: what of it takes memory.

    Args:
        nodes: Positions whose states are computed.
        sources: Those from which something is predicted.
        edges: What is predicted; a source may have several targets.
        queries: Places of queries in the attention, padding included.
        keys: Places of keys; where a prefix is shared, its keys stand once for each segment that sees them.
        pairs: Products of a query and a key.
        is_first: Whether no other piece of its step has left gradients yet.
        outgrows: Whether there were such pieces, and all of them were smaller.
    """

    nodes: int
    sources: int
    edges: int
    queries: int
    keys: int
    pairs: int
    is_first: bool = True
    outgrows: bool = False

    @classmethod
    def of_rows(cls, rows: int, length: int, *, is_first: bool = True) -> Piece:
        """Rows of one length that share nothing and learn every token but the first."""
        nodes = rows * (length - 1)
        return cls(nodes, nodes, nodes, nodes, nodes, rows * (length - 1) ** 2, is_first)


@dataclass(frozen=True, slots=True)
class Keeping:
    """What training keeps for each trained weight.

    Args:
        numbers: The optimiser's numbers.
        best: Whether the best weights so far are kept, since something validates.
        start: Whether the weights are kept as they started, for an anchor.
        reference: Whether the objective needs the model as it started; the base's own weights are kept for it.
        learns_on: Whether an adapter had learned before; it is kept for the reference, too.
    """

    numbers: float
    best: bool = True
    start: bool = False
    reference: bool = False
    learns_on: bool = False

    @property
    def copies(self) -> int:
        """Copies of the trained weights."""
        return self.best + self.start


ADAMW = Keeping(2.0)


@dataclass(frozen=True, slots=True)
class Sparing:
    """What training does to need less memory at once.

    Args:
        recomputed: Whether blocks are computed again in the backward pass, so that only what they read is kept.
        offloaded: What lies in main memory while a card trains.
    """

    recomputed: bool = False
    offloaded: Literal["none", "optimiser", "activations"] = "none"


AS_IT_IS = Sparing()


@dataclass(frozen=True, slots=True)
class Machine:
    """What memory a place to train in takes and loses by itself.

    Args:
        process_bytes: Of the interpreter with its libraries, or of a card's context.
        has_heap: Whether tensors come from glibc's heap, and leave holes there.
        maps_files: Whether weights are pages of their files as long as nothing changes them.
        has_large_pages: Whether that heap is on large pages while a run trains.
    """

    process_bytes: int = PROCESS_BYTES
    has_heap: bool = True
    maps_files: bool = True
    has_large_pages: bool = False


THIS_MACHINE = Machine(has_large_pages=are_offered())


@dataclass(frozen=True, slots=True)
class Estimate:
    """Bytes that training takes at its peak, by cause.

    Args:
        process: The interpreter and its libraries.
        weights: The base's and the adapter's.
        gradients: Of the trained weights, as far as they are there at the peak.
        optimiser: What it keeps for each trained weight.
        copies: Of the trained weights: the best ones so far, and where they started.
        activations: What the blocks keep for the backward pass, outside attention.
        attention: What attention keeps, its masks, and its keys once for each segment that sees them.
        head: A chunk's logits and their gradient, and the gradients kept for the sources.
        allocator: Freed memory that the heap could not use again.
    """

    process: int = 0
    weights: int = 0
    gradients: int = 0
    optimiser: int = 0
    copies: int = 0
    activations: int = 0
    attention: int = 0
    head: int = 0
    allocator: int = 0

    @property
    def total(self) -> int:
        """All together."""
        return sum(self.causes().values())

    @property
    def state(self) -> int:
        """What each weight costs, whatever the batch: weights, gradients, optimiser."""
        return self.weights + self.gradients + self.optimiser

    def causes(self) -> dict[str, int]:
        """Bytes by cause."""
        return {cause.name: getattr(self, cause.name) for cause in fields(self)}


def estimate_training_bytes(
    size: ModelSize,
    treatment: Treatment,
    piece: Piece,
    *,
    dtype: str = "float32",
    keeping: Keeping = ADAMW,
    machine: Machine = THIS_MACHINE,
    sparing: Sparing = AS_IT_IS,
) -> Estimate:
    """Peak memory of training, by cause: the largest of the moments that may be the peak.

    These are: the weights being read; the end of the forward pass, when all that waits for the backward pass is there
    and the head's chunk beside it; where blocks are computed again, the first of them; and the end of the backward
    pass, when all that is gone and all gradients are there.

    Args:
        size: The base model's.
        treatment: What the method makes of it.
        piece: The largest piece of work.
        dtype: Of the base's weights and the activations.
        keeping: What is kept for each trained weight.
        machine: What it takes and loses by itself.
        sparing: What is done to need less.
    """
    trained = treatment.trained * treatment.trained_bytes
    read, stay = _pages(size, treatment, dtype) if machine.maps_files else (0, 0)
    own_are_moved = treatment.is_own and BYTES[dtype] == treatment.trained_bytes  # narrower ones have masters beside
    weights = treatment.base_bytes + stay + (0 if own_are_moved else trained)
    kept_bytes = BYTES[dtype] if treatment.is_own else treatment.trained_bytes * keeping.learns_on
    copies = keeping.copies * trained + keeping.reference * treatment.trained * kept_bytes
    process = machine.process_bytes
    resident = Estimate(process=process, weights=weights, optimiser=round(trained * keeping.numbers), copies=copies)
    if sparing.offloaded == "optimiser":  # what is moved, its gradients, and all that is kept for it
        on_card = treatment.base_bytes + (0 if treatment.is_own else trained)
        resident = replace(resident, weights=on_card, optimiser=0, copies=copies - keeping.copies * trained)
        trained = 0
    activations, attention = waiting(size, treatment, piece, dtype, sparing)
    again, attention_again = one_block(size, treatment, piece, dtype) if sparing != AS_IT_IS else (0, 0)
    passing = passing_in_a_layer(size, treatment, piece, dtype) + again
    head = head_workspace(size, treatment, piece, dtype)
    # The head's own gradient is the first to come, while all activations still wait.
    early = 0 if piece.is_first else trained
    if treatment.is_own and treatment.layers == size.layers:
        table = size.vocabulary * size.hidden * treatment.trained_bytes
        early, passing = max(early, table), passing + table  # it comes in parts: one more is added to those before
    share = HEAP_HOLES_LARGE_PAGES if machine.has_large_pages else HEAP_HOLES
    holes = heap_holes(size, treatment, piece, dtype, sparing, share=share) if machine.has_heap else 0
    moments = [
        Estimate(process=process, weights=treatment.base_bytes + read),
        replace(
            resident,
            gradients=min(early, trained),
            activations=activations + max(0, passing - head),
            attention=attention + attention_again,
            head=head,
            allocator=holes,
        ),
        replace(resident, gradients=trained, activations=passing, attention=attention_again, allocator=holes),
    ]
    return max(moments, key=lambda moment: moment.total)


def waiting(
    size: ModelSize, treatment: Treatment, piece: Piece, dtype: str, sparing: Sparing = AS_IT_IS
) -> tuple[int, int]:
    """What is there when the forward pass has ended, in bytes: outside attention, and in it.

    Of a block that is computed again that is what it reads. What is off-loaded is not there.
    """
    activations, attention = kept_for_backward(size, treatment, piece, dtype)
    if not sparing.recomputed and sparing.offloaded != "activations":
        return activations, attention
    read = treatment.layers * piece.nodes * size.hidden * BYTES[dtype]
    outside = turns(size, piece, dtype) + treatment.cast_bytes
    return outside + (0 if sparing.offloaded == "activations" else read), layout_bytes(piece, dtype)


def one_block(size: ModelSize, treatment: Treatment, piece: Piece, dtype: str) -> tuple[int, int]:
    """What one block keeps for its backward pass, in bytes: outside attention, and in it."""
    single = replace(treatment, layers=1, cast_bytes=0)
    activations, attention = kept_for_backward(size, single, piece, dtype)
    return activations - turns(size, piece, dtype), attention - layout_bytes(piece, dtype)


def kept_for_backward(size: ModelSize, treatment: Treatment, piece: Piece, dtype: str) -> tuple[int, int]:
    """What the blocks keep for the backward pass, in bytes: outside attention, and in it.

    With b bytes a number, N nodes, H the hidden width, A the queries', G the keys', I the feed-forward's and R the
    rank, a block keeps: for its two norms their inputs, and scales in float32, 2 (H b + 4) N; the inputs of its linear
    layers, which the projections share, (2 H + A + I) N b; the gate, its activation and the other projection, 3 I N b;
    each adapter's narrow product, R N b, or 4 R N where its inputs are widened; in attention queries at their places,
    keys and values at theirs, and in float32 also answers and the log-sum-exp of each head's queries, which narrower
    numbers compute again. The layout is there once for all.
    """
    number, float32 = BYTES[dtype], BYTES["float32"]
    nodes, layers = piece.nodes, treatment.layers
    norms = 2 * (size.hidden * number + float32)
    linear_inputs = {
        "shared": (2 * size.hidden + size.query_width + size.intermediate) * number,
        "cast": size.linear_inputs // size.layers * float32,
        "dropped": size.linear_inputs // size.layers * 2 * float32,
        "none": 0,
    }[treatment.inputs]
    feed_forward = (3 if size.gated else 1) * size.intermediate * number
    narrow = treatment.rank * (size.linears // size.layers) * (number if treatment.inputs == "shared" else float32)
    a_node = norms + linear_inputs + feed_forward + narrow + treatment.beside
    a_layer = (piece.queries * size.query_width + 2 * piece.keys * size.key_width) * number
    if number == float32:
        a_layer += piece.queries * (size.query_width + size.heads) * float32
    outside = turns(size, piece, dtype) + treatment.cast_bytes
    return layers * nodes * a_node + outside, layers * a_layer + layout_bytes(piece, dtype)


def turns(size: ModelSize, piece: Piece, dtype: str) -> int:
    """Rotary positions, made once for all blocks, in bytes."""
    return 2 * piece.nodes * (size.query_width // size.heads) * BYTES[dtype]


def layout_bytes(piece: Piece, dtype: str) -> int:
    """The layout that all blocks share, in bytes: distances, which of them are seen, and that as a mask."""
    return piece.pairs * (8 + 1 + BYTES[dtype])


def passing_in_a_layer(size: ModelSize, treatment: Treatment, piece: Piece, dtype: str) -> int:
    """What the backward pass through one block has alive beside what was kept, in bytes: a few gradients."""
    return ((3 * size.intermediate + 3 * size.hidden) * piece.nodes + treatment.widened) * BYTES[dtype]


def freed_in_forward(size: ModelSize, treatment: Treatment, piece: Piece, dtype: str) -> int:
    """What the blocks' forward pass allocates from the heap and frees again, in bytes.

    In widths of a node: what the norms widen, two each (nothing in float32); the outputs of the last projections of
    attention and feed-forward; queries as projected, turned (four and a half times their width) and laid out; keys and
    values likewise, side by side; attention's answers, joined. Where an adapter's product is added to its layer's in
    steps of its own, also both of them and the scaled one.
    """
    number = BYTES[dtype]
    hidden = (2 if dtype == "float32" else 6) * size.hidden
    outputs = (size.linear_widths - size.linear_inputs) // size.layers if treatment.adds_apart else 0
    a_node = hidden + 6.5 * size.query_width + 10.5 * size.key_width + 3 * outputs
    return round(treatment.layers * (piece.nodes * a_node + piece.queries * size.query_width) * number)


def heap_holes(
    size: ModelSize, treatment: Treatment, piece: Piece, dtype: str, sparing: Sparing, *, share: float
) -> int:
    """Bytes that the heap holds and cannot use when the forward pass has ended.

    Beside what the pass itself freed: gradients that smaller pieces of the step have left stand where their activations
    were, two for each adapted layer, and each leaves half a block on average that no block fits into. After a larger
    piece the blocks fit where its own were.

    Args:
        share: Of what the pass freed, where blocks are not computed again.
    """
    block = piece.nodes * (size.hidden + size.intermediate) // 2 * BYTES[dtype]
    if block > _HEAP_BLOCK_BYTES:
        return 0
    if sparing.recomputed:
        return round(HEAP_HOLES_AGAIN * freed_in_forward(size, treatment, piece, dtype))
    pins = 2 * size.linears * bool(treatment.rank) if piece.outgrows else 0
    kept = sum(kept_for_backward(size, treatment, piece, dtype))
    return round(share * freed_in_forward(size, treatment, piece, dtype)) + min(kept, pins * block // 2)


def head_workspace(size: ModelSize, treatment: Treatment, piece: Piece, dtype: str) -> int:
    """What the head takes, in bytes: one chunk's logits with their gradients, and what is kept of each edge."""
    number, rows = BYTES[dtype], min(piece.sources, HEAD_ROWS)
    if treatment.trains_head:
        logits = rows * (_HEAD_COPIES * BYTES["float32"] + (0 if number == 4 else number))
    else:  # all logits and their gradients; some rows' and a product of these
        logits = 2 * rows * number + 2 * min(rows, _WIDE_ROWS) * BYTES["float32"]
    return logits * size.vocabulary + piece.edges * size.hidden * number


def _pages(size: ModelSize, treatment: Treatment, dtype: str) -> tuple[int, int]:
    """Pages of the weights' files beside the weights, in bytes: while they are read, and for good.

    Where the dtype stays, the weights are those pages. Where it changes, they are let go once the weights are made. Of
    a quantised base some weights stay what they are, and hold on to the whole file until memory runs short.
    """
    is_same = abs(size.stored_bytes - size.parameters * BYTES[dtype]) <= size.stored_bytes // 100
    if not is_same:
        return size.stored_bytes, 0
    is_quantised = treatment.base_bytes < size.parameters * BYTES[dtype]
    quantised = size.linear_parameters * BYTES[dtype] if is_quantised else 0
    return quantised, quantised


def _first(config: Mapping[str, Any], *keys: str, default: int = 0) -> int:
    return next((int(config[key]) for key in keys if config.get(key)), default)
