"""Made runs to render: a support desk (JSON answers) and a bank (77 labels). Seeded; the numbers are invented.

`python -m tests.lifecycle.report_samples FOLDER` writes their pages, to be looked at in a browser.
"""

from __future__ import annotations

import json
import math
import random
import sys
from pathlib import Path
from typing import Any

from tunewright.lifecycle.report import ReportFacts, render_report

SUPPORT_RECIPE = """\
name: support-desk
goal: Read a customer's message into intent, product, order number, ISO date and urgency, as strict JSON.
success:
  record_exact_match: ">= 0.80"
  json_valid: ">= 0.99"
  intent_accuracy: ">= 0.90"
data:
  train: [data/tickets.csv, data/portal.jsonl, data/chats.jsonl]
  test: data/heldout.jsonl # other phrasings than any in training
  steps: [unicode, whitespace, duplicates, iso_dates, {name: redact, kinds: [email, phone]}]
train:
  epochs: 3
  learning_rate: 1.0e-3
"""

_HASHES = random.Random(5)


def sha256() -> str:
    """A made hash."""
    return f"{_HASHES.getrandbits(256):064x}"


def score(value: float, n: int) -> dict[str, Any]:
    """A share with its normal 95 % interval."""
    half = 1.96 * math.sqrt(max(value * (1 - value), 1e-9) / n)
    return {"value": value, "low": max(0.0, value - half), "high": min(1.0, value + half), "n": n}


def perplexity(value: float, n: int) -> dict[str, Any]:
    """A perplexity with an interval of 4 % each way."""
    return {"value": value, "low": value * 0.96, "high": value * 1.04, "n": n}


def loss_curve(steps: int, start: float, end: float, seed: int) -> list[tuple[int, float]]:
    """A noisy falling loss, one point per step from 1 on."""
    noise = random.Random(seed)
    return [
        (step, (end + (start - end) * math.exp(-8 * step / steps)) * math.exp(noise.gauss(0, 0.25)))
        for step in range(1, steps + 1)
    ]


def cosine(steps: int, peak: float) -> list[tuple[int, float]]:
    """Warm-up over a twentieth of the steps, then half a cosine down to 0."""
    warm = max(1, steps // 20)
    return [
        (step, peak * (step / warm if step < warm else 0.5 * (1 + math.cos(math.pi * (step - warm) / (steps - warm)))))
        for step in range(1, steps + 1)
    ]


def _support_systems() -> dict[str, Any]:
    n = 240
    shares = {
        "base": (0.0, 0.42, 0.19, 0.34, 0.08, 0.03, 0.28),
        "base_few_shot": (0.071, 0.93, 0.38, 0.55, 0.61, 0.22, 0.41),
        "tuned": (0.8708, 1.0, 0.9542, 0.9875, 0.9917, 0.9458, 0.9333),
    }
    fields = ("intent", "product", "order_id", "date", "urgency")
    names = ["record_exact_match", "json_valid", *(f"{field}_accuracy" for field in fields)]
    systems: dict[str, Any] = {
        system: {
            **{name: score(value, n) for name, value in zip(names, values, strict=True)},
            "perplexity": perplexity({"base": 6.9, "base_few_shot": 2.4, "tuned": 1.031}[system], n),
            "cut": {"count": {"base": 61, "base_few_shot": 3, "tuned": 0}[system]},
            "seconds": {"base": 48.2, "base_few_shot": 71.9, "tuned": 21.4}[system],
        }
        for system, values in shares.items()
    }
    systems["bag_of_words"] = {
        "intent_accuracy": score(0.8125, n),
        "urgency_accuracy": score(0.7208, n),
        "seconds": 0.05,
    }
    return systems


def _support_confusion() -> dict[str, Any]:
    labels = ["account", "billing", "cancel", "defect", "delivery", "exchange", "other", "refund"]
    rows = [21, 27, 18, 41, 62, 16, 19, 36]
    counts = [[rows[i] if i == j else 0 for j in range(9)] for i in range(8)]
    for i, j, found in ((7, 5, 3), (5, 7, 2), (6, 0, 2), (3, 5, 2), (4, 6, 1), (0, 8, 1)):
        counts[i][i] -= found
        counts[i][j] += found
    intent = {"labels": [*labels, "(other)"], "counts": [*counts, [0] * 9]}
    urgency = {"labels": ["high", "low", "normal"], "counts": [[60, 0, 2], [0, 30, 4], [3, 1, 140]]}
    return {"base": {"urgency": urgency}, "tuned": {"intent": intent, "urgency": urgency}}


def _record(intent: str, product: str | None, order: str | None, date: str | None, urgency: str) -> str:
    return json.dumps({"intent": intent, "product": product, "order_id": order, "date": date, "urgency": urgency})


def _support_examples() -> list[dict[str, Any]]:
    right = [
        (
            "My Brewly leaks since the second day, order AB-10293 from 3rd of March. I need this sorted today!!",
            _record("defect", "Brewly", "AB-10293", "2026-03-03", "high"),
        ),
        (
            "hi, where's my parcel? ordered the Vento on 2026-02-11, nr. KX-55120",
            _record("delivery", "Vento", "KX-55120", "2026-02-11", "normal"),
        ),
        (
            "Please send the invoice for GL-77310 again, the pdf will not open.",
            _record("billing", None, "GL-77310", None, "normal"),
        ),
        (
            "I'd like my money back for the <b>Sonaro</b> speaker, it is too quiet. Order QT-40018.",
            _record("refund", "Sonaro", "QT-40018", None, "low"),
        ),
        (
            "can't log in any more since yesterday & the reset mail never comes",
            _record("account", None, None, None, "high"),
        ),
        (
            "Cancel MN-20934 please, bought the wrong kettle on 14 Jan 2026.",
            _record("cancel", "Kettlo", "MN-20934", "2026-01-14", "normal"),
        ),
    ]
    rambling = (
        "Sure! I'd be happy to help you with that. Based on the message, here is the information you asked for:\n\n"
        "- The customer has a problem with their product.\n- They want it to be resolved as soon as possible.\n\n"
        "Is there anything else I can help you with? If so, please let me know and I will do my best to help."
    )
    befores = [
        rambling,
        _record("parcel", "Vento", "KX-55120", "11 February", "high"),
        rambling,
        '{"intent": "refund"',
        "",
        _record("cancel", "kettle", None, None, "normal"),
    ]
    examples = [
        {"prompt": prompt, "reference": answer, "before": before, "after": answer, "before_ok": False, "after_ok": True}
        for (prompt, answer), before in zip(right, befores, strict=True)
    ]
    wrong = (
        "Swap the Hearo for the blue one or give me a refund, whatever is quicker. Order 2026-01-30, PL-88231.",
        _record("exchange", "Hearo", "PL-88231", "2026-01-30", "normal"),
        _record("refund", "Hearo", "PL-88231", "2026-01-30", "normal"),
    )
    examples.insert(
        3,
        {
            "prompt": wrong[0],
            "reference": wrong[1],
            "before": rambling,
            "after": wrong[2],
            "before_ok": False,
            "after_ok": False,
        },
    )
    return examples


def support_desk() -> ReportFacts:
    """A JSON-extraction run that reached its bars."""
    systems = _support_systems()
    return ReportFacts(
        name="support-desk",
        created_at="2026-03-01T14:05:00+00:00",
        goal="Read a customer's message into intent, product, order number, ISO date and urgency, as strict JSON.",
        release="support-desk@1",
        recipe_yaml=SUPPORT_RECIPE,
        success=[
            {"metric": "record_exact_match", "condition": ">= 0.80", "value": 0.8708, "passed": True},
            {"metric": "json_valid", "condition": ">= 0.99", "value": 1.0, "passed": True},
            {"metric": "intent_accuracy", "condition": ">= 0.90", "value": 0.9542, "passed": True},
        ],
        dataset=_support_dataset(),
        preflight={
            "rows": 2013,
            "refused": 12,
            "usable": 2001,
            "lengths": {"min": 71, "p50": 104, "p90": 131, "p99": 158, "max": 201},
            "learned_lengths": {"min": 31, "p50": 44, "p90": 49, "p99": 52, "max": 57},
            "max_length": 512,
            "truncated_share": 0.0,
            "no_target": 0,
            "end_trained": True,
            "previews": [
                {
                    "place": "tickets.csv:12",
                    "spans": [
                        ["<|im_start|>user\nCancel my order please<|im_end|>\n<|im_start|>assistant\n", False],
                        ['{"intent": "cancel", "product": null}<|im_end|>', True],
                    ],
                }
            ],
        },
        train_curve=loss_curve(282, 2.3, 0.03, 1),
        validation_curve=[(step, 0.05 + 1.6 * math.exp(-9 * step / 282)) for step in range(24, 283, 24)],
        learning_rates=cosine(282, 1e-3),
        best_step=264,
        training={
            "Base model": "smollm2-135m-instruct",
            "Method": "LoRA, rank 16",
            "Trained weights": "4,884,480",
            "Epochs": "3",
            "Steps": "282",
            "Examples a step": "16",
        },
        evaluation={
            "n": 240,
            "seed": 17,
            "answer_kind": "json",
            **systems,
            "comparisons": [
                {"metric": "record_exact_match", "a": "tuned", "b": "base", "only_a": 209, "only_b": 0, "p": 2.4e-63},
                {"metric": "intent_accuracy", "a": "tuned", "b": "base", "only_a": 186, "only_b": 2, "p": 9e-53},
                {"metric": "intent_accuracy", "a": "tuned", "b": "bag_of_words", "only_a": 40, "only_b": 6, "p": 4e-7},
            ],
            "confusion": _support_confusion(),
        },
        examples=_support_examples(),
        timings=[
            ("prepare", 6.4),
            ("load base", 8.1),
            ("tokenize", 2.2),
            ("train", 203.7),
            ("evaluate: base", 48.2),
            ("evaluate: base, few-shot", 71.9),
            ("evaluate: tuned", 21.4),
            ("release", 0.9),
        ],
        peak_memory_bytes=2_470_000_000,
        environment={
            "processor": "Xeon, 2.6 GHz",
            "cores": 2,
            "memory_bytes": 8_320_000_000,
            "system": "Linux 6.1",
            "python": "3.11.9",
            "dtype": "bfloat16",
            "seed": 17,
            "threads": 2,
            "versions": {"tunewright": "0.1.0", "torch": "2.13.0", "transformers": "5.17.0", "peft": "0.19.1"},
        },
        lineage=[
            (what, sha256())
            for what in (
                "source tickets.csv",
                "source portal.jsonl",
                "source chats.jsonl",
                "dataset",
                "base model",
                "run",
                "adapter",
            )
        ]
        + [("release", "support-desk@1")],
    )


def _support_dataset() -> dict[str, Any]:
    return {
        "hash": sha256(),
        "answer_kind": "json",
        "sources": [
            {"path": "/srv/desk/data/tickets.csv", "rows": 1104, "refused": 4, "sha256": sha256(), "bytes": 231_944},
            {"path": "/srv/desk/data/portal.jsonl", "rows": 530, "refused": 7, "sha256": sha256(), "bytes": 198_120},
            {"path": "/srv/desk/data/chats.jsonl", "rows": 379, "refused": 1, "sha256": sha256(), "bytes": 140_533},
        ],
        "counts": {"read": 2013, "usable": 2001, "clean": 1561, "kept": 1561},
        "steps": [
            {
                "name": "unicode",
                "rows_in": 2001,
                "rows_out": 2001,
                "changed": 143,
                "dropped": 0,
                "findings": {"non-breaking space": 88, "smart quote": 55},
            },
            {"name": "whitespace", "rows_in": 2001, "rows_out": 2001, "changed": 302, "dropped": 0, "findings": {}},
            {
                "name": "duplicates",
                "rows_in": 2001,
                "rows_out": 1561,
                "changed": 0,
                "dropped": 440,
                "findings": {"clusters": 211, "conflicting_labels": 9},
            },
            {
                "name": "iso_dates",
                "rows_in": 1561,
                "rows_out": 1561,
                "changed": 812,
                "dropped": 0,
                "findings": {"ambiguous": 31, "day first": 402, "in words": 379},
            },
            {
                "name": "redact",
                "rows_in": 1561,
                "rows_out": 1561,
                "changed": 298,
                "dropped": 0,
                "findings": {"EMAIL": 210, "PHONE": 88},
            },
        ],
        "edits": [
            {
                "row": "tickets.csv:17",
                "step": "redact",
                "field": "message",
                "before": "reach me at j.doe@example.com or +44 20 7946 0958",
                "after": "reach me at [EMAIL] or [PHONE]",
                "reason": "e-mail address, phone number",
            },
            {
                "row": "portal.jsonl:230",
                "step": "iso_dates",
                "field": "date",
                "before": "3 March 2026",
                "after": "2026-03-03",
                "reason": "date in words",
            },
            {
                "row": "tickets.csv:404",
                "step": "whitespace",
                "field": "message",
                "before": "  where is  my\torder? ",
                "after": "where is my order?",
                "reason": "white space",
            },
            {
                "row": "chats.jsonl:88",
                "step": "duplicates",
                "field": None,
                "before": '{"message": "Cancel my order please", "intent": "cancel"}',
                "after": None,
                "reason": "the same as tickets.csv:12",
            },
        ],
        "refused": [
            {
                "reason": "the field 'intent' is empty",
                "count": 9,
                "places": ["portal.jsonl:41", "portal.jsonl:77", "tickets.csv:1003"],
            },
            {
                "reason": "not valid JSON: Expecting ',' delimiter",
                "count": 3,
                "places": ["portal.jsonl:417", "portal.jsonl:418", "chats.jsonl:9"],
            },
        ],
        "splits": {"train": 1501, "validation": 60, "test": 240},
        "split_note": "Clusters of duplicates stay together; the test file's phrasings share no template with train.",
        "leakage": {"policy": "refuse", "rows": 0, "examples": []},
    }


def banking(labels: int = 77, per_label: int = 40) -> ReportFacts:
    """A label run that missed one of its bars, with leaked rows and without few-shot, edits, memory or rates."""
    dice = random.Random(3)
    names = [
        f"{a}_{b}"
        for a in (
            "card",
            "top_up",
            "transfer",
            "cash_withdrawal",
            "exchange_rate",
            "pending_payment",
            "verify_my_identity",
            "refund",
        )
        for b in (
            "arrival",
            "not_working",
            "declined",
            "charge",
            "limits",
            "failed",
            "not_received_by_recipient",
            "lost_or_stolen",
            "wrong_amount",
            "fee",
        )
    ][:labels]
    counts = [[0] * len(names) for _ in names]
    for row in range(len(names)):
        for _ in range(per_label):
            near = min(len(names) - 1, max(0, row + dice.choice((-10, -1, 1, 2, 10))))
            counts[row][row if dice.random() < 0.895 else near] += 1
    n = sum(map(sum, counts))
    tuned = sum(counts[i][i] for i in range(len(names))) / n
    return ReportFacts(
        name="banking77",
        created_at="2026-03-02T09:30:00+00:00",
        goal="Say which of 77 things a bank's customer writes about.",
        recipe_yaml='name: banking77\nsuccess:\n  accuracy: ">= 0.895"\n  macro_f1: ">= 0.85"\n',
        success=[
            {"metric": "accuracy", "condition": ">= 0.9", "value": tuned, "passed": tuned >= 0.9},
            {"metric": "macro_f1", "condition": ">= 0.85", "value": 0.8911, "passed": True},
        ],
        dataset={
            "hash": sha256(),
            "answer_kind": "label",
            "sources": [
                {"path": "/data/bank/train.csv", "rows": 10003, "refused": 0, "sha256": sha256()},
                {"path": "/data/bank/test.csv", "rows": 3080, "refused": 0, "sha256": sha256()},
            ],
            "steps": [],
            "refused": [],
            "splits": {"train": 9503, "validation": 500, "test": 3080},
            "leakage": {"policy": "report", "rows": 7, "examples": ["test.csv:201 = train.csv:4411"]},
        },
        train_curve=loss_curve(594, 3.1, 0.16, 2),
        evaluation={
            "n": n,
            "seed": 17,
            "answer_kind": "label",
            "base": {"accuracy": score(0.004, n), "macro_f1": score(0.002, n), "cut": 2113, "seconds": 402.0},
            "tuned": {"accuracy": score(tuned, n), "macro_f1": score(0.8911, n), "cut": 0, "seconds": 131.5},
            "bag_of_words": {"accuracy": score(0.8612, n), "macro_f1": score(0.8590, n), "seconds": 0.4},
            "comparisons": [
                {"metric": "accuracy", "a": "base", "b": "tuned", "only_a": 3, "only_b": 2740, "p": 0.0},
                {"metric": "accuracy", "a": "tuned", "b": "bag_of_words", "only_a": 190, "only_b": 150, "p": 0.034},
            ],
            "confusion": {"labels": names, "counts": counts},
            "without_leaked": {"n": n - 7, "tuned": {"accuracy": score(tuned - 0.0002, n - 7)}},
        },
        examples=[
            {
                "prompt": f"Question {i}: why was I charged twice?",
                "reference": "card_charge",
                "before": "I am sorry to hear that.",
                "after": "card_charge" if i % 4 else "card_fee",
                "before_ok": False,
                "after_ok": bool(i % 4),
            }
            for i in range(4)
        ],
        timings=[("prepare", 2.0), ("train", 1212.0), ("evaluate", 540.2)],
        environment={"cores": 2},
        lineage=[("dataset", sha256())],
    )


def main(folder: str) -> None:
    """Writes a page per sample."""
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    samples = {"support": support_desk(), "banking": banking(), "empty": ReportFacts(name="nothing-yet")}
    for name, facts in samples.items():
        (target / f"{name}.html").write_text(render_report(facts), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
