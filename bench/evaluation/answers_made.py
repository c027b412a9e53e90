"""Makes stored answers, in the format and by the schema of the product. A process of bench/evaluate.py.

python -m evaluation.answers_made FOLDER labels|texts ANSWERS
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tunewright.evaluate import Answers, store_answers
from tunewright.metrics import Answer

_AT_ONCE = 50_000
_LABELS, _WORDS = 77, 20_000
_LETTERS = np.array(list("etaoinshrdlucmfwypvbgkjqxz"))


def main() -> None:
    """Writes a piece after another: the file that the product would have written, and not in memory at once."""
    folder, kind, answers = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    folder.mkdir()
    random = np.random.default_rng(7)
    names = _words(random, _LABELS if kind == "labels" else _WORDS, longest=14 if kind == "labels" else 9)
    # The schema and metadata of a small file that the product writes itself.
    small = store_answers({"tuned": Answers("tuned", (Answer("0", "", ""),), seconds=1.0)}, folder)
    schema = pq.read_schema(small)
    with pq.ParquetWriter(folder / "more.parquet", schema, compression="zstd") as writer:
        for start in range(0, answers, _AT_ONCE):
            n = min(_AT_ONCE, answers - start)
            made = _labels(random, names, n) if kind == "labels" else _texts(random, names, n)
            columns = {"id": [str(row) for row in range(start, start + n)], "system": ["tuned"] * n, **made}
            columns |= {"stopped": [True] * n, "question": ["?"] * n, "columns": ["{}"] * n}
            columns |= {"references": [[]] * n, "samples": [[]] * n}
            arrays = [pa.array(columns.get(field.name, [None] * n), field.type) for field in schema]
            writer.write_batch(pa.record_batch(arrays, schema=schema))
    (folder / "more.parquet").replace(small)


def _words(random: np.random.Generator, n: int, longest: int) -> np.ndarray:
    """Made words: letters as frequent as in English, lengths from 2 on."""
    share = 1 / np.arange(1, 27) ** 0.7
    letters = random.choice(_LETTERS, size=(n, longest), p=share / share.sum())
    lengths = random.integers(2, longest + 1, n)
    return np.array(["".join(row[:length]) for row, length in zip(letters, lengths, strict=True)])


def _labels(random: np.random.Generator, names: np.ndarray, n: int) -> dict[str, Any]:
    wanted = random.integers(0, len(names), n)
    right = random.random(n) < 0.85
    given = np.where(right, wanted, random.integers(0, len(names), n))
    sure = np.clip(np.where(right, 0.9, 0.6) + random.normal(0, 0.1, n), 0, 1)
    return {
        "reference": names[wanted].tolist(),
        "prediction": names[given].tolist(),
        "probability": sure,
        "seconds": random.gamma(2.0, 0.1, n),
    }


def _texts(random: np.random.Generator, names: np.ndarray, n: int) -> dict[str, Any]:
    """Sentences of 6 to 18 words, as frequent as Zipf has it, and answers with three words in ten replaced."""
    lengths = random.integers(6, 19, n)
    ends = np.cumsum(lengths)
    share = 1 / np.arange(1, len(names) + 1)
    wanted = random.choice(len(names), size=ends[-1], p=share / share.sum())
    given = np.where(random.random(ends[-1]) < 0.7, wanted, random.integers(0, len(names), ends[-1]))
    sides = []
    for side in (wanted, given):
        words = names[side].tolist()
        sides.append(
            [" ".join(words[end - length : end]).capitalize() + "." for end, length in zip(ends, lengths, strict=True)]
        )
    return {"reference": sides[0], "prediction": sides[1]}


if __name__ == "__main__":
    main()
