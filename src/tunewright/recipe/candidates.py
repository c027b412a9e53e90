"""What answers may be chosen among, as a recipe says it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator


def _can_be_chosen(value: str | tuple[str, ...]) -> str | tuple[str, ...]:
    if isinstance(value, tuple) and (len(set(value)) < max(len(value), 1) or not all(map(str.strip, value))):
        raise ValueError("candidates are different texts, one at least, none of them empty")
    return value


#: The training rows' labels, texts, or nothing: then answers are written.
Candidates = Annotated[Literal["labels", "none"] | tuple[str, ...], AfterValidator(_can_be_chosen)]
