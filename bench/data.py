"""The data workshop: how fast, how much memory, how much is found.

python bench/data.py --json                       # everything; five million rows take a quarter of an hour and more
python bench/data.py --work near_duplicates       # near_duplicates, five_million, redaction, rendering, linear
python bench/data.py --rows 200000 --work five_million

Each work runs in a process of its own, on rows made on the spot from a seed. README.md in this folder says what each
figure means.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

SEED = 23
NEAR_ROWS = 1_000_000
PLANTED_SHARE = 0.05
THRESHOLD = 0.8
FIVE_MILLION = 5_000_000
FEW_ROWS = 3_000
LINEAR_ROWS = (10_000, 100_000, 1_000_000)
TOKENISED_ROWS = 10_000
# Those that look at every row, and those that compare rows with one another.
STEPS = ["unicode", "whitespace", "exact_duplicates", "near_duplicates"]
_INTENTS = [f"intent_{number:02d}" for number in range(60)]


def main() -> None:
    """Runs the works, and prints a line for each or one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", default=",".join(WORKS), help="Which, separated by commas; all by default.")
    parser.add_argument("--rows", type=int, help="In place of each work's own number of rows.")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    from tunewright.base.memory import return_freed_pages

    if options.child:
        return_freed_pages()  # as the command line does
        print(json.dumps(WORKS[options.child](options.rows)))
        return
    found: dict[str, Any] = {}
    for work in options.work.split(","):
        if work not in WORKS:
            parser.error(f"no work is called {work}; known: {', '.join(WORKS)}")
        print(f"{work} …", file=sys.stderr, flush=True)
        found[work] = in_a_process(work, options.rows)
        if not options.json:
            print(f"{work}: " + ", ".join(f"{name} {_short(value)}" for name, value in found[work].items()), flush=True)
    if options.json:
        print(json.dumps(found, indent=2))


def _short(value: object) -> str:
    return f"{value:,.4g}" if isinstance(value, float) else str(value)


def in_a_process(work: str, rows: int | None) -> dict[str, Any]:
    """What one work finds, in a fresh process: its memory is its own."""
    command = [sys.executable, __file__, "--child", work, *(["--rows", str(rows)] if rows else [])]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def sentences(count: int, seed: int) -> Iterator[str]:
    """Short rows, some 70 characters each, of words drawn as language draws them (Zipf)."""
    import numpy as np

    dice = np.random.default_rng(seed)
    letters = list("etaoinshrdlucmfwypvbgkjqxz")
    words = ["".join(dice.choice(letters, size=size)) for size in dice.integers(2, 10, size=20_000)]
    steps = np.cumsum(1 / np.arange(10, len(words) + 10))
    for start in range(0, count, 10_000):
        sizes = dice.integers(8, 19, size=min(10_000, count - start))
        drawn = iter(np.searchsorted(steps, dice.random(sizes.sum()) * steps[-1]).tolist())
        for size in sizes.tolist():
            yield " ".join(words[next(drawn)] for _ in range(size))


def planted(text: str, dice: random.Random) -> str:
    """The text with one or two characters changed, a word left out or one put in."""
    words = text.split()
    place = dice.randrange(len(words))
    kind = dice.randrange(3)
    if kind == 0:
        del words[place]
    elif kind == 1:
        words.insert(place, dice.choice(words))
    else:
        words[place] = words[place][::-1]
    return " ".join(words)


def near_duplicates(rows: int | None) -> dict[str, Any]:
    """The step `near_duplicates` over rows with planted copies, from its survey to its last edit."""
    import polars as pl

    from tunewright.base.plugins import STEPS as PLUGINS
    from tunewright.data.frame import LINE, ROW_ID, SOURCE
    from tunewright.data.pieces import Pieces

    total = rows or NEAR_ROWS
    copies = int(total * PLANTED_SHARE)
    dice = random.Random(SEED)
    texts = list(sentences(total - copies, SEED))
    originals = dice.sample(range(len(texts)), copies)
    texts += [planted(texts[place], dice) for place in originals]
    pairs = {len(texts) - copies + number: place for number, place in enumerate(originals)}
    frame = pl.DataFrame(
        {
            ROW_ID: [str(number) for number in range(total)],
            SOURCE: pl.Series(["rows"] * total),
            LINE: range(total),
            "text": texts,
            "label": pl.Series(["x"] * total),
        }
    )
    held = Pieces.of([frame])
    config = PLUGINS.config("near_duplicates").model_validate({"threshold": THRESHOLD}).bind(["text"], ["label"])
    started, processor = time.monotonic(), time.process_time()
    known = PLUGINS.call("near_duplicates", "survey", held, config)
    reasons: dict[str, str] = {}
    for piece in held:
        edits = PLUGINS.call("near_duplicates", "apply", piece, config, known).edits
        reasons |= dict(zip(edits["row_id"], edits["reason"], strict=True))
    seconds, processor = time.monotonic() - started, time.process_time() - processor
    wanted = [pair for pair in pairs.items() if jaccard(texts[pair[0]], texts[pair[1]]) >= THRESHOLD]
    hit = sum(str(copy) in reasons or str(place) in reasons for copy, place in wanted)
    said = [(int(row), int(reason.split(":")[1].split(",")[0])) for row, reason in reasons.items()]
    right = sum(jaccard(texts[row], texts[keeper]) >= THRESHOLD for row, keeper in said)
    return {
        "rows": total,
        "rows_per_s": total / seconds,
        "rows_per_processor_s": total / processor,
        "planted": len(wanted),
        "recall": hit / len(wanted),
        "precision": right / len(said),
        "peak_gb": _peak_gb(),
    }


def jaccard(one: str, other: str) -> float:
    """Similarity of two texts' sets of four characters, by definition."""
    sets = [{text[at : at + 4] for at in range(max(1, len(text) - 3))} for text in (one, other)]
    return len(sets[0] & sets[1]) / len(sets[0] | sets[1])


def write_rows(path: Path, count: int) -> None:
    """A CSV of texts and labels; every hundredth row repeats an earlier text, every fiftieth nearly does."""
    dice = random.Random(SEED)
    kept: list[str] = []
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        for number, text in enumerate(sentences(count, SEED)):
            if number < 1000:
                kept.append(text)
            elif number % 100 == 0:
                text = f"  {dice.choice(kept).upper()} "
            elif number % 50 == 1:
                text = planted(dice.choice(kept), dice)
            writer.writerow([text, dice.choice(_INTENTS)])


def prepared(folder: Path, rows: int) -> dict[str, Any]:
    """The whole preparation of a CSV, and its largest memory; what is loaded at the first use has been used before."""
    from tunewright.data.prepare import prepare
    from tunewright.store.workspace import Workspace

    workspace = Workspace.open(folder / "workspace")
    for name, count in (("few", FEW_ROWS), ("rows", rows)):
        write_rows(folder / f"{name}.csv", count)
        recipe = recipe_for(folder / f"{name}.csv")
        started, processor = time.monotonic(), time.process_time()
        dataset = prepare(recipe, workspace)
        seconds, processor = time.monotonic() - started, time.process_time() - processor
    steps = {step["name"]: step["dropped"] for step in dataset.manifest["steps"]}
    return {
        "rows": rows,
        "seconds": seconds,
        "rows_per_s": rows / seconds,
        "processor_us_a_row": processor / rows * 1e6,
        "peak_gb": _peak_gb(),
        "kept": dataset.manifest["counts"]["kept"],
        "dropped": steps,
    }


def recipe_for(rows: Path) -> Any:
    """The recipe of a preparation."""
    from tunewright.recipe import recipe_from_mapping

    return recipe_from_mapping(
        {
            "name": "rows",
            "goal": "Measure.",
            "base": "smollm2-135m-instruct",
            "data": {
                "train": str(rows),
                "template": {"user": "{text}", "assistant": "{label}"},
                "steps": [*STEPS[:2], {"name": "exact_duplicates", "conflicts": "keep_first"}, *STEPS[3:]],
                "split": {"validation": 500, "test": 1000},
                "max_unusable_share": 0.05,
            },
        }
    )


def five_million(rows: int | None) -> dict[str, Any]:
    """A preparation whose rows do not fit into the memory that it may use."""
    with tempfile.TemporaryDirectory() as name:
        return prepared(Path(name), rows or FIVE_MILLION)


def linear(rows: int | None) -> dict[str, Any]:
    """What a row costs as rows grow, each size in a process of its own."""
    sizes = [size for size in LINEAR_ROWS if rows is None or size <= rows]
    found = [in_a_process("five_million", size) for size in sizes]
    costs = [each["processor_us_a_row"] for each in found]
    return {"worst_difference": max(costs) / min(costs) - 1, "sizes": found}


def redaction(rows: int | None) -> dict[str, Any]:
    """What `redact` finds of planted personal data, and how fast; see `redaction.py`."""
    from redaction import measure

    found: dict[str, Any] = measure(**({"rows": rows} if rows else {}))
    return found


def rendering(rows: int | None) -> dict[str, Any]:
    """Chat rendering and tokenising beside the tokenizer alone on the same texts, in turn; the best of three each."""
    from tunewright.data.example import Example, Message
    from tunewright.data.tokens import tokenize
    from tunewright.models.base import chat_format
    from tunewright.models.resolve import resolve
    from tunewright.store.workspace import Workspace

    chat = chat_format(resolve("smollm2-135m-instruct", Workspace.open().cache))
    system = "Say which of the bank's intents the customer's message has. Answer with the intent's name alone."
    dice = random.Random(SEED)
    examples = [
        Example(
            id=str(number),
            messages=(
                Message("system", system),
                Message("user", text),
                Message("assistant", dice.choice(_INTENTS)),
            ),
            fields={},
            source="rows",
            line=number,
        )
        for number, text in enumerate(sentences(rows or TOKENISED_ROWS, SEED))
    ]
    bare = chat.tokenizer.backend_tokenizer
    texts = [chat.text(example.messages) for example in examples]
    ours: list[float] = []
    theirs: list[float] = []
    for turn in range(3):
        with tempfile.TemporaryDirectory() as name:
            started = time.monotonic()
            tokenize(examples, chat, key=str(turn), cache=Path(name), max_length=512)
            ours.append(time.monotonic() - started)
            started = time.monotonic()
            tokenize(examples, chat, key=str(turn), cache=Path(name), max_length=512)
            again = time.monotonic() - started
        started = time.monotonic()
        bare.encode_batch(texts, add_special_tokens=False)
        theirs.append(time.monotonic() - started)
    return {
        "rows": len(examples),
        "rows_per_s": len(examples) / min(ours),
        "bare_rows_per_s": len(examples) / min(theirs),
        "share": min(theirs) / min(ours),
        "again_s": again,
    }


def _peak_gb() -> float:
    from tunewright.plan.step import peak_bytes

    return peak_bytes() / 1e9


WORKS: dict[str, Callable[[int | None], dict[str, Any]]] = {
    "near_duplicates": near_duplicates,
    "five_million": five_million,
    "redaction": redaction,
    "rendering": rendering,
    "linear": linear,
}


if __name__ == "__main__":
    main()
