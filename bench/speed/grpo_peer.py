"""The peer's side of bench/grpo.py: TRL's GRPOTrainer on the case's prompts, in the peer's own environment.

python -m speed.grpo_peer CASE.json OUT.json
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
from trl import GRPOConfig, GRPOTrainer


class Clock(TrainerCallback):
    """Notes when each step has ended."""

    def __init__(self) -> None:
        self.began_s = 0.0
        self.step_end_s: list[float] = []

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        """Starts the clock."""
        self.began_s = time.monotonic()

    def on_step_end(self, *_: Any, **__: Any) -> None:
        """Takes the time."""
        self.step_end_s.append(time.monotonic() - self.began_s)


def letters(completions: list[Any], **_: Any) -> list[float]:
    """The share of lower-case letters: as cheap on both sides."""
    texts = [completion[0]["content"] for completion in completions]
    return [sum(map(str.islower, text)) / max(1, len(text)) for text in texts]


def main(case_file: Path, out: Path) -> None:
    """Trains, and writes what each step took."""
    case = json.loads(case_file.read_text())
    torch.set_num_threads(case["threads"])
    model = AutoModelForCausalLM.from_pretrained(case["base_folder"], dtype=torch.float32)
    config = GRPOConfig(
        output_dir=str(out.with_suffix("")),
        per_device_train_batch_size=case["at_once"],
        gradient_accumulation_steps=case["batch_size"] * case["answers"] // case["at_once"],
        num_generations=case["answers"],
        max_completion_length=case["max_new_tokens"],
        temperature=1.0,
        top_p=1.0,
        top_k=0,
        beta=case["beta"],
        loss_type="grpo",
        learning_rate=case["learning_rate"],
        lr_scheduler_type="constant",
        max_steps=case["steps"],
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        shuffle_dataset=False,
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,
        seed=case["seed"],
    )
    clock = Clock()
    trainer = GRPOTrainer(
        model=model,
        reward_funcs=letters,
        args=config,
        train_dataset=Dataset.from_list([{"prompt": messages} for messages in case["prompts"]]),
        processing_class=AutoTokenizer.from_pretrained(case["base_folder"]),
        peft_config=LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM"),
        callbacks=[clock],
    )
    trainer.train()
    logs = [entry for entry in trainer.state.log_history if "reward" in entry]
    found = {
        "step_end_s": clock.step_end_s,
        "answer_tokens": [entry["completions/mean_length"] for entry in logs],
        "rewards": [entry["reward"] for entry in logs],
    }
    out.write_text(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
