"""What a family of base models cannot be taught is refused before anything is loaded."""

from __future__ import annotations

import pytest

from tunewright.base.errors import RecipeError
from tunewright.base.plugins import METHODS, OBJECTIVES
from tunewright.models.families import check_family


def test_documents_are_for_causal_models() -> None:
    objective, method = OBJECTIVES.config("cpt")(), METHODS.config("lora")()
    check_family("causal-lm", objective, method)
    with pytest.raises(RecipeError, match="'cpt' goes on with texts as causal models do"):
        check_family("seq2seq-lm", objective, method)
    with pytest.raises(RecipeError, match="as 'cpt' asks"):
        check_family("text-encoder", objective, method)
