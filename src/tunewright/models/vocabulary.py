"""Whether a model and its tokenizer speak of the same tokens."""

from __future__ import annotations

from typing import Any

from tunewright.base.errors import ModelError

_SHOWN = 3


def check_vocabulary(tokenizer: Any, model: Any, where: str) -> None:
    """Refuses a tokenizer with tokens that its model has no embedding for, such as added ones.

    The other way round is usual: embeddings are padded to round numbers.

    Args:
        tokenizer: Of transformers.
        model: The same.
        where: Where both came from.
    Raises:
        ModelError: Names the tokens.
    """
    rows = int(model.get_input_embeddings().num_embeddings)
    beyond = sorted((number, token) for token, number in tokenizer.get_vocab().items() if number >= rows)
    if not beyond:
        return
    shown = ", ".join(f"'{token}' ({number})" for number, token in beyond[:_SHOWN])
    more = ", …" if len(beyond) > _SHOWN else ""
    raise ModelError(
        f"The tokenizer has {len(beyond):,} tokens that the model does not know: {shown}{more}; its embedding has "
        f"{rows:,} rows, numbered from 0",
        where=where,
        hint="Use the tokenizer that the model was trained with, or give the model rows for the new tokens "
        "(resize_token_embeddings of transformers) and save both.",
    )
