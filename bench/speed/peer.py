"""The peer's side: TRL's trainers on the case's rows, in the peer's own environment. Imports nothing of tunewright.

python -m speed.peer CASE.json OUT_PREFIX VARIANT.json
"""

from __future__ import annotations

import itertools
import json
import sys
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from peft import PeftConfig, set_peft_model_state_dict
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
from trl import DPOConfig, DPOTrainer, SFTConfig, SFTTrainer
from trl.trainer.dpo_trainer import DataCollatorForPreference
from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

from speed import rows

IGNORED = -100  # transformers' label of a token that is not learned


class Watch(TrainerCallback):
    """Notes when each step ends, and its loss."""

    def __init__(self) -> None:
        self.began_s = 0.0
        self.step_end_s: list[float] = []
        self.losses: list[float] = []
        self.learning_rates: list[float] = []

    def on_train_begin(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        self.began_s = time.monotonic()

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **others: Any) -> None:
        if logs and "loss" in logs:  # the last log of a run holds its times alone
            self.step_end_s.append(time.monotonic() - self.began_s)
            self.losses.append(float(logs["loss"]))
            self.learning_rates.append(float(logs["learning_rate"]))


class WatchedRows(DataCollatorForLanguageModeling):
    """TRL's own collator, noting what it hands to the model."""

    def torch_call(self, examples: Any) -> Any:
        batch = super().torch_call(examples)
        real = batch["attention_mask"].bool()
        step = [
            [rows.trimmed(ids[mask].tolist(), (labels[mask] != IGNORED).int().tolist())]
            for ids, labels, mask in zip(batch["input_ids"], batch["labels"], real, strict=True)
        ]
        rows.write(self.seen, [step])  # at once: kept, it would count as the peer's memory
        return batch


class WatchedPairs(DataCollatorForPreference):
    """The same for pairs: a batch's first half are the chosen answers, its second half the rejected ones."""

    def torch_call(self, examples: Any) -> Any:
        batch = super().torch_call(examples)
        found = [
            rows.trimmed(ids[mask].tolist(), learned[mask].tolist())
            for ids, learned, mask in zip(
                batch["input_ids"], batch["completion_mask"], batch["attention_mask"].bool(), strict=True
            )
        ]
        half = len(found) // 2
        rows.write(self.seen, [[list(pair) for pair in zip(found[:half], found[half:], strict=True)]])
        return batch


def scheduled(trainer: type[Any], rates: list[float]) -> type[Any]:
    """A trainer that follows given learning rates, and takes pairs that are tokenised already."""

    class Scheduled(trainer):  # type: ignore[misc]
        def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
            def share(step: int) -> float:
                return rates[min(step, len(rates) - 1)] / max(rates)

            self.lr_scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer or self.optimizer, share)
            return self.lr_scheduler

    class Tokenised(Scheduled):
        def _prepare_dataset(self, dataset: Any, *others: Any) -> Any:
            return dataset

    return Tokenised if trainer is DPOTrainer else Scheduled


def settings(case: dict[str, Any], variant: dict[str, Any], folder: str) -> dict[str, Any]:
    """What both of TRL's configurations are told."""
    return {
        "output_dir": folder,
        "num_train_epochs": 1,
        "per_device_train_batch_size": case["peer_at_once"],
        "gradient_accumulation_steps": case["batch_size"] // case["peer_at_once"],
        "gradient_checkpointing": False,  # TRL's default; slower
        "learning_rate": max(case["learning_rates"]),
        "optim": "adamw_torch_fused",
        "adam_beta1": 0.9,
        "adam_beta2": 0.999,
        "adam_epsilon": 1e-8,
        "weight_decay": case["weight_decay"],
        "max_grad_norm": case["clip_norm"],
        "bf16": variant["dtype"] == "bfloat16",
        "use_cpu": case["device"] == "cpu",
        "torch_compile": variant["compiled"],
        "train_sampling_strategy": "group_by_length" if variant["grouped"] else "sequential",
        "length_column_name": "length",
        "remove_unused_columns": False,  # the length would be removed before it is used
        "max_length": None,
        "dataloader_pin_memory": False,
        "logging_steps": 1,
        "logging_first_step": True,
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "seed": case["seed"],
    }


def build(case: dict[str, Any], variant: dict[str, Any], folder: Path, out: str) -> Any:
    """The trainer, ready to start from the initial adapter."""
    lora = (folder / "initial").exists()
    # With an adapter the frozen weights are bfloat16; where all train, they stay float32 under autocast.
    weights = torch.bfloat16 if lora and variant["dtype"] == "bfloat16" else torch.float32
    model = AutoModelForCausalLM.from_pretrained(case["model_folder"], dtype=weights)
    tokenizer = AutoTokenizer.from_pretrained(case["model_folder"])
    pairs = case["objective"] == "dpo"
    told = settings(case, variant, f"{out}.run")
    collator = (WatchedPairs if pairs else WatchedRows)(pad_token_id=case["pad_token"])
    collator.seen = Path(f"{out}.seen.jsonl")
    config = (
        DPOConfig(**told, beta=case["beta"])
        if pairs
        else SFTConfig(**told, dataset_kwargs={"skip_prepare_dataset": True})
    )
    peft_config = PeftConfig.from_pretrained(str(folder / "initial")) if lora else None
    if peft_config is not None:
        peft_config.inference_mode = False
    trainer = scheduled(DPOTrainer if pairs else SFTTrainer, case["learning_rates"])(
        model=model,
        args=config,
        train_dataset=(pair_columns if pairs else row_columns)(folder / "plan.jsonl", variant["steps"]),
        processing_class=tokenizer,
        data_collator=collator,
        peft_config=peft_config,
    )
    if lora:
        # TRL wraps the model itself, so that DPO's reference is the model with its adapter switched off, as ours is.
        found = set_peft_model_state_dict(trainer.model, load_file(folder / "initial" / "adapter_model.safetensors"))
        if found.unexpected_keys or any("lora_" in name for name in found.missing_keys):
            raise ValueError("the initial adapter does not fit the peer's model")
    return trainer


def planned(plan: Path, steps: int) -> Iterator[rows.Row]:
    """The rows of a plan's first steps."""
    return (row for step in itertools.islice(rows.read(plan), steps) for row in step)


def row_columns(plan: Path, steps: int) -> Dataset:
    """Rows as SFTTrainer takes them once they are tokenised."""
    every = [sequence for (sequence,) in planned(plan, steps)]
    labels = [[t if mark else IGNORED for t, mark in zip(tokens, learned, strict=True)] for tokens, learned in every]
    ids = [tokens for tokens, _ in every]
    return Dataset.from_dict({"input_ids": ids, "labels": labels, "length": [len(tokens) for tokens in ids]})


def pair_columns(plan: Path, steps: int) -> Dataset:
    """Pairs as DPOTrainer's collator takes them: the prompt, and behind it two answers."""
    columns: dict[str, list[Any]] = {"prompt_ids": [], "chosen_ids": [], "rejected_ids": [], "length": []}
    for (chosen, chosen_mask), (rejected, rejected_mask) in planned(plan, steps):
        start = chosen_mask.index(1)
        if chosen[:start] != rejected[:start] or rejected_mask.index(1) != start or 0 in chosen_mask[start:]:
            raise ValueError("a pair is not one prompt with two answers behind it")
        columns["prompt_ids"].append(chosen[:start])
        columns["chosen_ids"].append(chosen[start:])
        columns["rejected_ids"].append(rejected[start:])
        columns["length"].append(max(len(chosen), len(rejected)))
    return Dataset.from_dict(columns)


def main() -> None:
    """Trains, and writes OUT_PREFIX.json (times, losses) and OUT_PREFIX.seen.jsonl (what it learned from)."""
    started = time.monotonic()
    file, out = Path(sys.argv[1]), sys.argv[2]
    case, variant = json.loads(file.read_text()), json.loads(Path(sys.argv[3]).read_text())
    torch.set_num_threads(case["threads"])
    trainer = build(case, variant, file.parent, out)
    watch = Watch()
    trainer.add_callback(watch)
    loaded = time.monotonic()
    trainer.train()
    ended = time.monotonic()
    found = {
        "dtype": variant["dtype"],
        "step_end_s": watch.step_end_s,
        "losses": watch.losses,
        "learning_rates": watch.learning_rates,
        "load_s": loaded - started,
        "run_s": ended - loaded,
        "device_peak_bytes": torch.cuda.max_memory_allocated() if case["device"] == "cuda" else 0,
        "version": f"trl {version('trl')}, transformers {version('transformers')}, torch {torch.__version__}",
    }
    Path(f"{out}.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main()
