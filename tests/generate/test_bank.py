"""Several adapters in one pass, against each adapter alone, loaded as PEFT has it."""

from __future__ import annotations

import dataclasses
import json
import threading
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor

from tests.models.methods import test_transposed as transposed
from tests.models.methods.test_contract import randomised, settings_of
from tests.tiny import tiny_model
from tunewright.base.errors import ModelError, TunewrightError
from tunewright.base.plugins import METHODS
from tunewright.generate.bank import AdapterBank
from tunewright.models import heads
from tunewright.models.adapters import load_adapter, save_adapter
from tunewright.models.base import Base
from tunewright.models.chat import ChatFormat
from tunewright.models.files import BaseFiles

FILES = BaseFiles("tiny", Path(), "f" * 64, "made", "mit", 64, "causal-lm")
# Of several ranks, targets and kinds; the last layer of one is another's only one.
ADAPTERS: dict[str, tuple[str, dict[str, Any]]] = {
    "plain": ("lora", {"rank": 4}),
    "wide": ("rslora", {"rank": 7, "alpha": 3}),
    "few": ("lora", {"rank": 3, "targets": ("q_proj", "down_proj")}),
    "head": ("lora", {"rank": 2, "targets": ("lm_head", "v_proj")}),
    "lengths": ("dora", {"rank": 3}),
}


def base() -> Base:
    return Base(tiny_model().requires_grad_(False), None, cast(ChatFormat, None), FILES)


def made(folder: Path, name: str, settings: dict[str, Any], seed: int = 2, fresh: Any = base) -> Path:
    """A saved adapter, all of it drawn at random."""
    config = settings_of((name, settings))
    model = randomised(METHODS.call(name, "attach", fresh().model, config, 1), seed)
    folder.mkdir()
    save_adapter(model, folder, method=config, base=FILES, chat_fingerprint="")
    return folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("adapters")
    return {key: made(root / key, *kind, seed=seed) for seed, (key, kind) in enumerate(ADAPTERS.items())}


def rows(count: int, length: int) -> Tensor:
    return torch.randint(3, 250, (count, length), generator=torch.Generator().manual_seed(count + length))


@torch.no_grad()
def logits(model: Any, token_BT: Tensor) -> Tensor:
    found: Tensor = model(input_ids=token_BT).logits
    return found


@pytest.mark.parametrize("length", [1, 7, 40])
def test_each_row_is_what_its_adapter_alone_makes_of_it(length: int, folders: dict[str, Path]) -> None:
    at_hand = base()
    bank = AdapterBank(at_hand)
    for key, folder in folders.items():
        assert bank.can_hold(folder)
        bank.load(key, folder)
    keys = ["wide", "plain", "", "few", "few", "lengths", "plain", "head", "lengths", ""]
    token_BT = rows(len(keys), length)
    with bank.use([(key, length) for key in keys]):
        found = logits(at_hand.model, token_BT)
    for row, key in enumerate(keys):
        alone = load_adapter(base(), folders[key]) if key else base().model
        torch.testing.assert_close(found[row], logits(alone, token_BT[row : row + 1])[0], rtol=1e-5, atol=1e-5)


@pytest.fixture(scope="module")
def alike(tmp_path_factory: pytest.TempPathFactory) -> tuple[Base, AdapterBank, dict[str, Tensor]]:
    """A bank with six adapters of one rank and one of another, and what each alone makes of any token."""
    root, at_hand = tmp_path_factory.mktemp("alike"), base()
    bank, every = AdapterBank(at_hand), torch.arange(259)[:, None]
    expected = {"": logits(at_hand.model, every)}
    for seed, key in enumerate("abcdefg"):
        folder = made(root / key, "lora", {"rank": 5 if key == "d" else 2, "targets": ("v_proj", "up_proj")}, seed)
        expected[key] = logits(load_adapter(base(), folder), every)
        bank.load(key, folder)
    return at_hand, bank, expected


@settings(deadline=None)
@given(segments=st.lists(st.tuples(st.sampled_from(["", *"abcdefg"]), st.integers(1, 5)), min_size=1, max_size=12))
@example(segments=[(key, 2) for key in "abcefg"])  # evenly
@example(segments=[(key, 2) for key in "gfecba"])  # evenly, and in no order that copies nothing
@example(segments=[("c", 1), ("a", 4), ("b", 3), ("b", 1), ("", 2), ("a", 1)])  # two of them filled up
@example(segments=[("a", 40), ("b", 1), ("c", 1), ("a", 1)])  # a long one
def test_any_rows_side_by_side(
    alike: tuple[Base, AdapterBank, dict[str, Tensor]], segments: list[tuple[str, int]]
) -> None:
    at_hand, bank, expected = alike
    keys = [key for key, count in segments for _ in range(count)]
    token_B = torch.randint(0, 259, (len(keys),), generator=torch.Generator().manual_seed(len(keys)))
    with bank.use(segments):
        found = logits(at_hand.model, token_B[:, None])
    wanted = torch.stack([expected[key][token] for key, token in zip(keys, token_B.tolist(), strict=True)])
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)


def test_without_adapters_it_is_the_bare_base_bit_for_bit(folders: dict[str, Path]) -> None:
    at_hand = base()
    weights = {name: weight.clone() for name, weight in at_hand.model.named_parameters()}
    bank, token_BT = AdapterBank(at_hand), rows(4, 6)
    expected = logits(at_hand.model, token_BT)
    for key, folder in folders.items():
        bank.load(key, folder)
    with bank.use([("", 24)]):
        assert torch.equal(logits(at_hand.model, token_BT), expected)
    assert torch.equal(logits(at_hand.model, token_BT), expected)
    assert all(torch.equal(weights[name], weight) for name, weight in at_hand.model.named_parameters())
    for key in folders:
        bank.drop(key)
    assert bank.keys == ()
    assert bank.bytes == 0
    assert not any(module._forward_hooks for module in at_hand.model.modules())


def test_adapters_come_and_go(folders: dict[str, Path]) -> None:
    at_hand = base()
    bank, token_BT = AdapterBank(at_hand), rows(2, 5)
    for step in ("+plain", "+few", "+wide", "-plain", "+head", "-wide", "+plain", "+wide"):
        if step[0] == "+":
            bank.load(step[1:], folders[step[1:]])
        else:
            bank.drop(step[1:])
        for key in bank.keys:
            with bank.use([(key, 5), ("few" if "few" in bank.keys else "", 5)]):
                found = logits(at_hand.model, token_BT)[0]
            alone = load_adapter(base(), folders[key])
            torch.testing.assert_close(found, logits(alone, token_BT[:1])[0], rtol=1e-5, atol=1e-5)
    # q_proj of two layers: 3 ranks by 32 and 32; down_proj: 3 by 64 and 32.
    assert bank.bytes_of("few") == 4 * 2 * (3 * (32 + 32) + 3 * (64 + 32))
    assert sum(map(bank.bytes_of, bank.keys)) <= bank.bytes <= 1.5 * sum(map(bank.bytes_of, bank.keys))


def test_layers_that_store_their_weights_transposed(tmp_path: Path) -> None:
    def fresh() -> Base:
        return dataclasses.replace(transposed.base(), files=FILES)

    token_BT, at_hand = rows(3, 4), fresh()
    bank = AdapterBank(at_hand)
    for key in ("lora", "dora"):
        bank.load(key, made(tmp_path / key, key, {"rank": 4}, fresh=fresh))
    with bank.use([("dora", 4), ("lora", 4), ("", 4)]):
        found = logits(at_hand.model, token_BT)
    for row, key in enumerate(("dora", "lora")):
        alone = load_adapter(fresh(), tmp_path / key)
        torch.testing.assert_close(found[row], logits(alone, token_BT[row : row + 1])[0], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("bits", [4, 8])
def test_adapters_of_a_quantised_base_share_one_that_is_quantised_alike(bits: int, tmp_path: Path) -> None:
    folder = made(tmp_path / "adapter", "qlora", {"rank": 4, "bits": bits})
    assert f"in {bits} bits" in AdapterBank(base()).why_not(folder)
    quantised = base()
    METHODS.call("qlora", "prepare", quantised.model, settings_of(("qlora", {"bits": bits})))
    bank, token_BT = AdapterBank(quantised), rows(2, 5)
    bank.load("one", folder)
    with bank.use([("one", 5), ("", 5)]):
        found = logits(quantised.model, token_BT)
    torch.testing.assert_close(found[0], logits(load_adapter(base(), folder), token_BT)[0], rtol=1e-4, atol=1e-4)
    assert "quantised" in bank.why_not(made(tmp_path / "plain", "lora", {}))


@pytest.mark.parametrize("name", ["ia3", "prompt", "prefix", "bottleneck", "molora", "full"])
def test_other_kinds_are_left_to_engines_of_their_own(name: str, tmp_path: Path) -> None:
    folder = made(tmp_path / "adapter", name, {})
    bank = AdapterBank(base())
    assert not bank.can_hold(folder)
    with pytest.raises(ModelError, match="cannot share"):
        bank.load("one", folder)
    assert bank.keys == ()


def test_what_goes_beyond_low_rank_is_left_to_engines_of_their_own(folders: dict[str, Path], tmp_path: Path) -> None:
    bank = AdapterBank(base())

    def changed(name: str, **settings: Any) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        for file in folders["plain"].iterdir():
            (folder / file.name).write_bytes(file.read_bytes())
        config = json.loads((folder / "adapter_config.json").read_text())
        (folder / "adapter_config.json").write_text(json.dumps({**config, **settings}))
        return folder

    assert "modules_to_save" in bank.why_not(changed("saved", modules_to_save=["embed_tokens"]))
    assert "pissa" in bank.why_not(changed("pissa", init_lora_weights="pissa"))
    assert "bias" in bank.why_not(changed("bias", bias="lora_only"))
    assert bank.can_hold(changed("same", loftq_config={}, alpha_pattern={"q_proj": 3}))
    config = settings_of(("lora", {}))
    model = METHODS.call("lora", "attach", base().model, config, 1)
    heads.attach(model, "kind", ["a", "b"], seed=1)
    folder = tmp_path / "classes"
    folder.mkdir()
    save_adapter(model, folder, method=config, base=FILES, chat_fingerprint="")
    assert "heads" in bank.why_not(folder)


def test_alphas_that_differ_by_layer(tmp_path: Path) -> None:
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(
        r=4,
        target_modules=["q_proj", "k_proj", "up_proj"],
        rank_pattern={"k_proj": 2, "layers.1.mlp.up_proj": 6},
        alpha_pattern={"layers.0.self_attn.q_proj": 30, "up_proj": 5},
    )
    randomised(get_peft_model(base().model, config)).save_pretrained(tmp_path)
    at_hand, token_BT = base(), rows(1, 9)
    bank = AdapterBank(at_hand)
    bank.load("one", tmp_path)
    with bank.use([("one", 9)]):
        found = logits(at_hand.model, token_BT)
    alone = load_adapter(base(), tmp_path)
    torch.testing.assert_close(found, logits(alone, token_BT), rtol=1e-5, atol=1e-5)


def test_a_narrow_base_is_computed_as_peft_does(folders: dict[str, Path]) -> None:
    def narrow() -> Base:
        return Base(tiny_model().to(torch.bfloat16), None, cast(ChatFormat, None), FILES)

    at_hand, token_BT = narrow(), rows(2, 6)
    bank = AdapterBank(at_hand)
    bank.load("plain", folders["plain"])
    bank.load("wide", folders["wide"])
    with bank.use([("plain", 6), ("wide", 6)]):
        found = logits(at_hand.model, token_BT)
    assert found.dtype == torch.bfloat16
    for row, key in enumerate(("plain", "wide")):
        expected = logits(load_adapter(narrow(), folders[key]), token_BT[row : row + 1])[0]
        # The results are rounded to eight bits either way, and their last digit may differ.
        torch.testing.assert_close(found[row], expected, rtol=2e-2, atol=0.15)


def test_what_does_not_fit_is_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    at_hand = base()
    bank, token_BT = AdapterBank(at_hand), rows(2, 3)
    bank.load("plain", folders["plain"])
    with pytest.raises(TunewrightError, match="taken"):
        bank.load("plain", folders["plain"])
    with pytest.raises(TunewrightError, match="no adapter 'none'"), bank.use([("none", 1)]):
        pass
    with pytest.raises(TunewrightError, match="no adapter 'none'"):
        bank.drop("none")
    with pytest.raises(TunewrightError, match="6 nodes in a pass of 5"), bank.use([("plain", 5)]):
        logits(at_hand.model, token_BT)
    with bank.use([("plain", 6)]):  # the pass that failed is over
        logits(at_hand.model, token_BT)
        with pytest.raises(TunewrightError, match="under way"), bank.use([("plain", 6)]):
            pass
    with pytest.raises(ModelError, match="There is no adapter"):
        bank.can_hold(tmp_path)
    other = AdapterBank(dataclasses.replace(at_hand, files=dataclasses.replace(FILES, weights_hash="0" * 64)))
    with pytest.raises(ModelError, match="trained on"):
        other.can_hold(folders["plain"])
    smaller = AdapterBank(Base(tiny_model(hidden_size=16), None, cast(ChatFormat, None), FILES))
    with pytest.raises(ModelError, match="does not fit"):
        smaller.load("plain", folders["plain"])
    assert smaller.keys == ()
    assert smaller.bytes == 0


def test_loading_waits_for_the_pass_under_way(folders: dict[str, Path]) -> None:
    at_hand = base()
    bank, token_BT = AdapterBank(at_hand), rows(1, 4)
    bank.load("plain", folders["plain"])
    loader = threading.Thread(target=lambda: bank.load("few", folders["few"]))
    with bank.use([("plain", 4)]):
        expected = logits(at_hand.model, token_BT)
        loader.start()
        loader.join(0.2)
        assert loader.is_alive()
        assert bank.keys == ("plain",)
        assert torch.equal(logits(at_hand.model, token_BT), expected)
    loader.join()
    assert bank.keys == ("plain", "few")
