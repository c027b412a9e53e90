"""Counts of a run of an eval, as its items come."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from tunewright.evaluate.graders import Spent

PASS, FAIL, ERROR = "pass", "fail", "error"


class Tally:
    """How many items passed, failed, and could not be graded; by criterion; and what models took.

    Args:
        criteria: Names of the graders, in their order.
    """

    def __init__(self, criteria: Iterable[str]) -> None:
        self._criteria = [*criteria]
        self._statuses: Counter[str] = Counter()
        self._passed = [0] * len(self._criteria)
        self._failed = [0] * len(self._criteria)
        self._spent: dict[str, Counter[str]] = {}

    @property
    def total(self) -> int:
        """Items so far."""
        return self._statuses.total()

    def add(self, item: Mapping[str, Any]) -> None:
        """Counts an item, as its record holds it."""
        self._statuses[item["status"]] += 1
        for place, result in enumerate(item["results"]):
            # What could not be graded has neither passed nor failed.
            self._passed[place] += bool(result["passed"])
            self._failed[place] += not result["passed"] and not _is_error(result)
        for spent in item["_spent"]:
            counts = self._spent.setdefault(spent["model"], Counter())
            counts.update({name: value for name, value in spent.items() if name != "model"}, invocation_count=1)

    def as_json(self) -> dict[str, Any]:
        """The fields of a run that count."""
        statuses = self._statuses
        counts = {"errored": statuses[ERROR], "failed": statuses[FAIL], "passed": statuses[PASS], "total": self.total}
        return {
            "result_counts": counts,
            "per_model_usage": [_usage(model, counts) for model, counts in sorted(self._spent.items())],
            "per_testing_criteria_results": [
                {"testing_criteria": name, "passed": passed, "failed": failed}
                for name, passed, failed in zip(self._criteria, self._passed, self._failed, strict=True)
            ],
        }


def kept(spent: Iterable[Spent]) -> list[dict[str, Any]]:
    """What models took, as an item keeps it."""
    return [asdict(each) for each in spent]


def _is_error(result: Mapping[str, Any]) -> bool:
    return bool((result.get("sample") or {}).get("error"))


def _usage(model: str, counts: Counter[str]) -> dict[str, Any]:
    read, written = counts["prompt_tokens"], counts["completion_tokens"]
    return {
        "model_name": model,
        "invocation_count": counts["invocation_count"],
        "prompt_tokens": read,
        "completion_tokens": written,
        "cached_tokens": counts["cached_tokens"],
        "total_tokens": read + written,
    }
