"""Every metric passes one contract; a new one is checked without a word added here."""

from __future__ import annotations

import pytest

from tests.metrics.contract import check_metric
from tunewright.base.errors import UnknownNameError
from tunewright.base.plugins import METRICS
from tunewright.metrics import default_metrics


@pytest.mark.parametrize("name", METRICS.names())
def test_metric_contract(name: str) -> None:
    check_metric(name)


def test_default_metrics_put_the_main_one_first() -> None:
    names = {kind: [c.model_dump()["name"] for c in default_metrics(kind)] for kind in ("json", "label", "text")}
    assert names == {
        "json": ["record_exact_match", "json_valid", "field_accuracy", "perplexity"],
        "label": ["accuracy", "macro_f1", "perplexity"],
        "text": ["exact_match", "perplexity"],
    }


def test_an_unknown_kind_of_answer_is_named() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'label'"):
        default_metrics("labels")
