"""Embeddings in OpenAI's form."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np

from tunewright.base.errors import InputError
from tunewright.lifecycle.serving.answering import ContextLengthError
from tunewright.lifecycle.serving.bodies import MOST_INPUTS, EmbeddingBody
from tunewright.lifecycle.serving.fleet import Seat
from tunewright.models.encoder import Encoder


def embed(seat: Seat, body: EmbeddingBody) -> dict[str, Any]:
    """The vectors of texts.

    Raises:
        InputError: If the model is no text encoder, or a text is empty or longer than it reads; `where` is the field.
    """
    encoder = seat.encoder
    if encoder is None:
        raise InputError(
            f"'{body.model}' is no embedding model", where="model", hint="GET /v1/models lists what is served."
        )
    if body.dimensions is not None and body.dimensions > encoder.width:
        raise InputError(f"This model's vectors have {encoder.width} numbers", where="dimensions")
    rows = _rows(encoder, body)
    vectors = encoder.encode_ids(rows)
    if body.dimensions is not None:
        vectors = vectors[:, : body.dimensions]
        vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    is_packed = body.encoding_format == "base64"
    tokens = sum(map(len, rows))
    return {
        "object": "list",
        "data": [
            {
                "object": "embedding",
                "index": index,
                # Little-endian float32, whatever the machine.
                "embedding": base64.b64encode(vector.astype("<f4").tobytes()).decode()
                if is_packed
                else vector.tolist(),
            }
            for index, vector in enumerate(vectors)
        ],
        "model": body.model,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }


def _rows(encoder: Encoder, body: EmbeddingBody) -> list[list[int]]:
    """The tokens of each input, with those that the encoder puts around them."""
    given: list[Any] = [body.input] if isinstance(body.input, str) else list(body.input)
    if given and isinstance(given[0], int):
        given = [given]
    if not given or len(given) > MOST_INPUTS:
        raise InputError(f"{len(given):,} inputs are given; between 1 and {MOST_INPUTS:,} are taken", where="input")
    is_single = isinstance(body.input, str) or isinstance(body.input[0], int)
    rows = []
    for place, one in enumerate(given):
        field = "input" if is_single else f"input[{place}]"
        if not one:
            raise InputError("It is empty", where=field)
        row = encoder.ids_of(one) if isinstance(one, str) else _around(encoder, one, field)
        if len(row) > encoder.longest:
            raise ContextLengthError(
                f"It has {len(row):,} tokens, and this model reads {encoder.longest:,}",
                where=field,
                hint="Cut it into shorter texts.",
            )
        rows.append(row)
    return rows


def _around(encoder: Encoder, tokens: list[int], field: str) -> list[int]:
    if strange := [token for token in tokens if not 0 <= token < encoder.words]:
        raise InputError(
            f"There is no token {strange[0]}: this model's are numbered from 0 to {encoder.words - 1}",
            where=field,
            hint="Other models' token ids mean nothing to it; send the text.",
        )
    return encoder.with_marks(tokens)
