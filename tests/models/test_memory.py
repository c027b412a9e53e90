from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tiny import tiny_folder, tiny_model
from tunewright.base.plugins import METHODS
from tunewright.forest import Path, build, edges, layout
from tunewright.forest.forest import fill, plant
from tunewright.forest.score import run
from tunewright.forest.sizes import few_sizes
from tunewright.forest.virtual import virtual_count
from tunewright.models.memory import (
    HEAD_ROWS,
    HEAP_HOLES,
    HEAP_HOLES_LARGE_PAGES,
    PROCESS_BYTES,
    Keeping,
    Machine,
    ModelSize,
    Piece,
    Sparing,
    estimate_training_bytes,
    kept_for_backward,
    model_size,
    size_of,
    waiting,
)
from tunewright.models.methods import bottleneck, full, ia3, layers, lora, molora, prefix, prompt, qlora, rslora
from tunewright.models.resolve import resolve
from tunewright.models.treatment import Treatment, treat
from tunewright.plan.work import piece_of

SMOLLM2 = ModelSize(134_515_008, layers=30, hidden=576, intermediate=1536, vocabulary=49_152, linear_widths=305_280)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny")
    return resolve(str(tiny_folder(folder / "model")), folder / "cache")


def test_size_is_read_from_headers_alone(files):
    size = model_size(files.folder)
    model = tiny_model()
    assert size.parameters == sum(parameter.numel() for parameter in model.parameters())
    assert (size.layers, size.hidden, size.intermediate, size.vocabulary) == (2, 32, 64, 259)
    # Per block: q 32+32, k 32+16, v 32+16, o 32+32, gate, up and down 32+64 each.
    assert size.linear_widths == 2 * (64 + 48 + 48 + 64 + 3 * 96)
    assert size.linear_inputs == 2 * (4 * 32 + 2 * 32 + 64)
    assert size.linear_parameters == 2 * (2 * 32 * 32 + 2 * 32 * 16 + 3 * 32 * 64)
    assert (size.linears, size.heads, size.query_width, size.key_width, size.gated) == (14, 4, 32, 16, True)
    assert size.stored_bytes == (files.folder / "model.safetensors").stat().st_size


def test_lora_parameters_equal_what_peft_attaches(files):
    from peft import LoraConfig, get_peft_model

    wrapped = get_peft_model(tiny_model(), LoraConfig(r=3, target_modules="all-linear"))
    trainable = sum(parameter.numel() for parameter in wrapped.parameters() if parameter.requires_grad)
    assert model_size(files.folder).lora_parameters(3) == trainable


def kept_by_autograd(method, dtype, layers=3):
    """Bytes that autograd keeps of a tiny model over a forest, by torch's hooks; the piece, and the model's size."""
    model = tiny_model(hidden_size=96, intermediate_size=160, num_hidden_layers=layers).to(getattr(torch, dtype))
    layout.adopt(model.requires_grad_(False))
    size = size_of(model.config.to_dict(), tuple((name, tuple(w.shape)) for name, w in model.named_parameters()))
    attached = METHODS.call(method.plugin, "attach", model, method, 1).train()
    dice = np.random.default_rng(0)
    shared = dice.integers(3, 250, 20)
    tokens = [np.r_[shared, dice.integers(3, 250, 30 + row)].astype(np.int32) for row in range(6)]
    paths = [Path(t, np.r_[np.zeros(40), np.ones(len(t) - 40)].astype(np.float32), n, n) for n, t in enumerate(tokens)]
    forest = build(paths)
    held = {tensor.untyped_storage().data_ptr() for tensor in [*attached.parameters(), *attached.buffers()]}
    saved, alive = {}, []

    def pack(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in held:
            alive.append(tensor)  # so that no later one comes to lie in its place
            saved[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        run(attached, forest)
    filled = fill(forest, few_sizes(forest.nodes)) if dtype == "bfloat16" else forest
    return sum(saved.values()), piece_of(plant(filled, virtual_count(attached))), size


@pytest.mark.parametrize(
    ("method", "dtype"),
    [
        (lora.Config(rank=4), "float32"),
        (lora.Config(rank=4), "bfloat16"),
        (lora.Config(rank=4, dropout=0.1), "float32"),
        (rslora.Config(rank=8), "float32"),
        (qlora.Config(rank=4), "float32"),
        (full.Config(), "float32"),
        (layers.Config(last=2), "float32"),
    ],
    ids=["lora", "bfloat16", "dropout", "rslora", "qlora", "full", "layers"],
)
def test_what_is_kept_is_what_autograd_keeps(method, dtype):
    kept, piece, size = kept_by_autograd(method, dtype)
    account = kept_for_backward(size, treat(size, method, dtype), piece, dtype)
    layout_bytes = piece.pairs * 9  # not autograd's: it lives as long as the piece
    assert sum(account) - layout_bytes == pytest.approx(kept, rel=0.04)


@pytest.mark.parametrize(
    ("method", "dtype"),
    [
        (ia3.Config(), "float32"),
        (ia3.Config(), "bfloat16"),
        (prompt.Config(tokens=8), "float32"),
        (prefix.Config(tokens=8), "float32"),
        (molora.Config(experts=3), "float32"),
        (molora.Config(dropout=0.1), "bfloat16"),
        (bottleneck.Config(width=16), "float32"),
        (bottleneck.Config(width=16, dropout=0.1), "bfloat16"),
    ],
    ids=["ia3", "ia3-bfloat16", "prompt", "prefix", "molora", "molora-bfloat16", "bottleneck", "bottleneck-bfloat16"],
)
def test_so_it_is_with_methods_that_begin_inside_the_first_block(method, dtype):
    # What stands before them there keeps nothing: of twelve blocks that matters little.
    kept, piece, size = kept_by_autograd(method, dtype, layers=12)
    account = kept_for_backward(size, treat(size, method, dtype), piece, dtype)
    assert sum(account) - piece.pairs * 9 == pytest.approx(kept, rel=0.04)


def test_blocks_computed_again_keep_what_they_read():
    treatment = treat(SMOLLM2, lora.Config(), "float32")
    piece = Piece.of_rows(8, 65)
    whole, again = (
        estimate_training_bytes(SMOLLM2, treatment, piece, sparing=Sparing(recomputed)) for recomputed in (False, True)
    )
    read = 30 * 8 * 64 * 576 * 4
    assert waiting(SMOLLM2, treatment, piece, "float32", Sparing(True)) == (
        read + 2 * 8 * 64 * 576 * 4,  # and the rotary positions; heads are not known, so one as wide as all
        piece.pairs * 13,
    )
    assert again.total < whole.total
    assert again.activations > read
    assert again.state == whole.state


def test_an_off_loaded_optimiser_leaves_nothing_of_it_on_the_card():
    treatment = treat(SMOLLM2, full.Config(), "bfloat16")
    card = Machine(0, has_heap=False, maps_files=False)
    piece = Piece.of_rows(1, 9)
    held, aside = (
        estimate_training_bytes(
            SMOLLM2, treatment, piece, dtype="bfloat16", machine=card, sparing=Sparing(offloaded=offloaded)
        )
        for offloaded in ("none", "optimiser")
    )
    assert held.state == 18 * SMOLLM2.parameters
    assert aside.state == 2 * SMOLLM2.parameters
    assert aside.copies == 0


def test_the_account_of_a_block_worked_by_hand():
    size = ModelSize(
        parameters=1000, layers=2, hidden=8, intermediate=16, vocabulary=10, linear_widths=272, heads=2,
        query_width=8, key_width=4, linear_inputs=112, linears=14,
    )  # fmt: skip
    treatment = Treatment(200, 4, 4000, is_own=False, inputs="shared", rank=3, layers=2)
    piece = Piece(nodes=5, sources=2, edges=3, queries=6, keys=7, pairs=42)
    activations, attention = kept_for_backward(size, treatment, piece, "float32")
    # A node of a block: norms 2 * (8 + 1) * 4, inputs (16 + 8 + 16) * 4, gate 3 * 16 * 4, narrow products 3 * 7 * 4.
    assert activations == 2 * 5 * (72 + 160 + 192 + 84) + 2 * 5 * 4 * 4  # and the rotary positions, 4 wide
    # A block's attention: queries and answers 2 * 6 * 8, keys and values 2 * 7 * 4, all of 4 bytes; 6 * 2 log-sum-exps
    # of 4 bytes. And once for each pair 9 bytes, and 4 of the mask.
    assert attention == 2 * ((96 + 56) * 4 + 48) + 42 * 13
    estimate = estimate_training_bytes(size, treatment, piece, machine=Machine(1000, has_heap=False, maps_files=False))
    assert estimate.causes() == {
        "process": 1000,
        "weights": 4000 + 800,
        "gradients": 0,  # not there yet when the activations are
        "optimiser": 1600,
        "copies": 800,
        "activations": activations + 5 * 72 * 4 - estimate.head,
        "attention": attention,
        "head": (2 + 2) * 2 * 10 * 4 + 3 * 8 * 4,  # logits and slopes, and both in float32; three edges' states
        "allocator": 0,
    }


def test_gradients_of_earlier_pieces_are_there_in_later_ones():
    treatment = treat(SMOLLM2, lora.Config(), "float32")
    first = Piece.of_rows(4, 65)
    smaller, larger = replace(first, is_first=False), replace(first, is_first=False, outgrows=True)
    estimates = [estimate_training_bytes(SMOLLM2, treatment, piece) for piece in (first, smaller, larger)]
    assert [estimate.gradients for estimate in estimates] == [0, *[4 * SMOLLM2.lora_parameters(16)] * 2]
    assert estimates[0].allocator == estimates[1].allocator < estimates[2].allocator


def test_full_training_takes_sixteen_bytes_a_parameter():
    estimate = estimate_training_bytes(SMOLLM2, treat(SMOLLM2, full.Config(), "float32"), Piece.of_rows(1, 9))
    assert estimate.state == 16 * SMOLLM2.parameters
    assert estimate.copies == 4 * SMOLLM2.parameters  # the best weights


def test_a_reference_is_kept_of_the_bases_own_weights_alone():
    keeping = Keeping(2.0, best=False, reference=True)
    for method, dtype, expected in ((full, "float32", 4), (full, "bfloat16", 2), (lora, "float32", 0)):
        treatment = treat(SMOLLM2, method.Config(), dtype)
        estimate = estimate_training_bytes(SMOLLM2, treatment, Piece.of_rows(1, 9), dtype=dtype, keeping=keeping)
        assert estimate.copies == expected * SMOLLM2.parameters


def test_four_bits_a_weight_and_their_scales():
    treatment = treat(SMOLLM2, qlora.Config(), "bfloat16")
    # 4 bits, 8 for each 64 weights, 32 for each 64 * 256: 4.127 bits; the embedding stays in 2 bytes.
    linear = SMOLLM2.parameters - 49_152 * 576
    assert treatment.base_bytes == pytest.approx(linear * 4.127 / 8 + 49_152 * 576 * 2, rel=1e-3)


def test_weights_being_read_may_be_the_peak():
    size = replace(SMOLLM2, stored_bytes=4 * SMOLLM2.parameters)
    treatment = treat(size, lora.Config(rank=1), "bfloat16")
    estimate = estimate_training_bytes(size, treatment, Piece.of_rows(1, 9), dtype="bfloat16")
    assert estimate.total == PROCESS_BYTES + 6 * SMOLLM2.parameters


def test_on_large_pages_the_heap_keeps_fewer_holes():
    treatment, piece = treat(SMOLLM2, lora.Config(rank=16), "float32"), Piece.of_rows(8, 64)
    pages, large = (
        estimate_training_bytes(SMOLLM2, treatment, piece, machine=Machine(has_large_pages=has)).allocator
        for has in (False, True)
    )
    assert large == pytest.approx(pages * HEAP_HOLES_LARGE_PAGES / HEAP_HOLES, rel=1e-6)
    assert 0 < large < pages


def test_the_heads_chunk_is_the_forests():
    assert HEAD_ROWS == edges.CHUNK


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 64), st.integers(9, 600), st.integers(1, 64))
def test_more_work_never_takes_less(rows, length, rank):
    def total(rows, length, rank):
        treatment = treat(SMOLLM2, lora.Config(rank=rank), "float32")
        return estimate_training_bytes(
            SMOLLM2, treatment, Piece.of_rows(rows, length), machine=Machine(has_heap=False)
        ).total

    least = total(rows, length, rank)
    assert least <= min(total(rows + 1, length, rank), total(rows, length + 1, rank), total(rows, length, rank + 1))
