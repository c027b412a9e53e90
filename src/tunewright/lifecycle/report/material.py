"""What the dataset's manifest and the pre-flight say, made ready for the page: sources, cleaning, refusals, split."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from tunewright.lifecycle.report import words

_SHORT_HASH = 12
_LENGTH_NAMES = {"min": "Shortest", "p50": "Half up to", "max": "Longest"}
_POLICIES = {
    "refuse": "The recipe refuses to go on if a test row stands in train.",
    "report": "The recipe reports such rows and gives both scores, with and without them.",
    "drop": "The recipe drops such rows from train.",
}


def sources(dataset: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One line per file; paths are shortened to what differs between them."""
    found = list(dataset.get("sources") or ())
    names = short_paths([str(each.get("path", "")) for each in found])
    return [
        {
            "name": name,
            "path": str(each.get("path", "")),
            "part": str(each.get("part") or ""),
            "rows": words.count(each.get("rows")),
            "refused": words.count(each.get("refused", 0)),
            "size": words.size(each["bytes"]) if words.number(each.get("bytes")) is not None else "",
            "sha256": str(each.get("sha256") or ""),
            "short": str(each.get("sha256") or "")[:_SHORT_HASH],
        }
        for name, each in zip(names, found, strict=True)
    ]


def short_paths(paths: Sequence[str]) -> list[str]:
    """Absolute paths without the folder they all share; a single one, or relative ones, by what is left to tell."""
    if not paths or not all(path.startswith("/") for path in paths):
        return list(paths)
    shared = os.path.commonpath([PurePosixPath(path).parent for path in paths])
    return [PurePosixPath(path).relative_to(shared).as_posix() for path in paths]


def stages(dataset: Mapping[str, Any]) -> list[dict[str, str]]:
    """How many rows were left after each stage, in order."""
    return [
        {"name": name.replace("_", " "), "rows": words.count(rows)}
        for name, rows in (dataset.get("counts") or {}).items()
        if words.number(rows) is not None
    ]


def steps(dataset: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One line per cleaning step, its findings as name and count."""
    return [
        {
            "name": str(each.get("name", "")),
            "rows_in": words.count(each.get("rows_in")),
            "rows_out": words.count(each.get("rows_out")),
            "changed": words.count(each.get("changed", 0)),
            "dropped": words.count(each.get("dropped", 0)),
            "findings": [
                (str(name).replace("_", " "), words.count(found) if words.number(found) is not None else str(found))
                for name, found in (each.get("findings") or {}).items()
            ],
        }
        for each in dataset.get("steps") or ()
    ]


def edits(dataset: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The sample of the step log."""
    return [
        {
            "row": str(each.get("row", each.get("row_id", ""))),
            "step": str(each.get("step", "")),
            "field": str(each.get("field") or ""),
            "before": visible(each.get("before")),
            "after": visible(each.get("after")),
            "dropped": each.get("after") is None,
            "reason": str(each.get("reason") or ""),
        }
        for each in dataset.get("edits") or ()
    ]


def visible(text: Any) -> str:
    """A text with its invisible letters shown as code points, so that an edit of white space can be seen."""
    if text is None:
        return ""
    shown = {"\n": "⏎", "\t": "⇥", "\r": "␍"}
    letters = (
        shown.get(letter) or (letter if letter.isprintable() else f"[U+{ord(letter):04X}]") for letter in str(text)
    )
    # Runs of spaces, and those at the ends, would not be seen; middle dots make them countable.
    drawn = "".join(letters).replace("  ", "··")
    inner = drawn.strip(" ")
    before = len(drawn) - len(drawn.lstrip(" "))
    return "·" * before + inner + "·" * (len(drawn) - len(inner) - before)


def refused(dataset: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Reasons for refusing rows, most frequent first, each with some of the places."""
    found = dataset.get("refused") or ()
    if isinstance(found, Mapping):
        found = [{"reason": reason, "count": rows} for reason, rows in found.items()]
    lines = [
        {"reason": str(each.get("reason", "")), "count": each.get("count", 0), "places": list(each.get("places") or ())}
        for each in found
    ]
    return sorted(lines, key=lambda line: -(words.number(line["count"]) or 0))


def split(dataset: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Rows per part, and their share of the whole."""
    parts = {name: rows for name, rows in (dataset.get("splits") or {}).items() if words.number(rows) is not None}
    whole = sum(parts.values()) or 1
    return [
        {"name": name, "rows": words.count(rows), "share": words.percent(rows / whole)} for name, rows in parts.items()
    ]


def leakage(dataset: Mapping[str, Any]) -> dict[str, Any] | None:
    """What was found of test rows in train, and what the recipe does about it."""
    found = dataset.get("leakage")
    if not isinstance(found, Mapping):
        return None
    rows = words.number(found.get("rows")) or 0
    text = "No test row stands in train" if not rows else f"{words.rows(rows)} of the test set also stand in train"
    if rows == 1:
        text = text.replace("stand in", "stands in")
    return {
        "found": int(rows),
        "text": f"{text} (compared without white space and case).",
        "policy": _POLICIES.get(str(found.get("policy")), ""),
        "examples": [str(each) for each in found.get("examples") or ()],
    }


def preflight(found: Mapping[str, Any]) -> dict[str, Any] | None:
    """The look before training as name and value, lengths in tokens apart."""
    lines = []
    if words.number(found.get("max_length")) is not None:
        lines.append(("Longest allowed", f"{words.count(found['max_length'])} tokens"))
    if words.number(found.get("truncated_share")) is not None:
        lines.append(("Too long", words.percent(found["truncated_share"])))
    if found.get("truncated"):
        lines.append(("Cut to the limit", words.rows(found["truncated"])))
    if found.get("lost"):
        lines.append(("Of these, cut in what should be learned", words.rows(found["lost"])))
    if found.get("split"):
        lines.append(("Split to the limit", f"{words.rows(found['split'])} into {words.count(found['split_rows'])}"))
    if words.number(found.get("no_target")) is not None:
        lines.append(("Nothing to learn", words.rows(found["no_target"])))
    end_share = words.number(found.get("end_share"))
    if found.get("drawn"):
        lines.append(("Answers", f"drawn, of {words.count(found['drawn'])} tokens at most"))
    elif end_share is not None and 0 < end_share < 1:
        lines.append(("End of answer is learned", f"in {words.percent(end_share)} of the examples"))
    elif found.get("end_trained") is not None:
        lines.append(("End of answer is learned", "yes" if found["end_trained"] else "no"))
    lengths = [
        (label, _lengths(found[key]))
        for key, label in (("lengths", "Whole example"), ("learned_lengths", "Learned part"))
        if isinstance(found.get(key), Mapping) and found[key]
    ]
    warnings = [str(each) for each in found.get("warnings") or ()]
    previews = [_preview(each) for each in found.get("previews") or ()]
    if not lines and not lengths and not warnings and not previews:
        return None
    return {"lines": lines, "lengths": lengths, "warnings": warnings, "previews": previews}


def _lengths(quantiles: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [
        (_LENGTH_NAMES.get(name) or re.sub(r"^p(\d+)$", r"\1% up to", name), words.count(tokens))
        for name, tokens in quantiles.items()
    ]


def _preview(each: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "place": str(each.get("place") or each.get("id") or ""),
        "spans": [(str(text), bool(learned)) for text, learned in each.get("spans") or ()],
        "rejected": str(each.get("rejected") or ""),
    }


def environment(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The machine and the settings, name and value; package versions are shown apart."""
    names = {"memory_bytes": "Memory", "cores": "Cores", "dtype": "Number format", "python": "Python"}
    lines = []
    for key, value in found.items():
        # Hashes stand in the lineage.
        if key == "versions" or key.endswith("_hash") or value in (None, ""):
            continue
        text = words.size(value) if key.endswith("_bytes") and words.number(value) is not None else value
        if isinstance(text, Mapping | list | tuple):
            text = json.dumps(text, ensure_ascii=False)
        lines.append((names.get(key, key.removesuffix("_bytes").replace("_", " ").capitalize()), str(text)))
    return lines


def timings(found: Sequence[tuple[str, float]]) -> list[dict[str, Any]]:
    """One line per stage, with its share of the longest one for a bar."""
    longest = max((seconds for _, seconds in found), default=0.0) or 1.0
    return [
        {
            "stage": stage,
            "time": words.duration(seconds),
            "share": f"{100 * seconds / longest:.1f}",
        }
        for stage, seconds in found
    ]
