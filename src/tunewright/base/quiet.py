"""Keeps other libraries' warnings, logs and progress bars out of the user's terminal."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator, Sequence

_CHATTY = (
    "alembic",
    "bitsandbytes",
    "dateparser",
    "gguf",
    "httpx",
    "huggingface_hub",
    "peft",
    "torch",
    "transformers",
    "urllib3",
)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """While open, the libraries underneath say nothing short of an error.

    Their loggers' levels and the warning filters are put back on leaving. Progress bars of transformers and
    huggingface_hub are switched off through their own switches, when those libraries are loaded already or at
    their first use inside the block.
    """
    with silent_warnings(), silent(*_CHATTY), _no_bars():
        yield


@contextlib.contextmanager
def silent(*names: str) -> Iterator[None]:
    """While open, these libraries log nothing short of an error."""
    loggers = [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in loggers]
    _set_levels(loggers, [logging.ERROR] * len(loggers))
    try:
        yield
    finally:
        _set_levels(loggers, levels)


def _set_levels(loggers: Sequence[logging.Logger], levels: Sequence[int]) -> None:
    for logger, level in zip(loggers, levels, strict=True):
        logger.level = level
    # It has every logger there is, which torch makes thousands of, look its level up again; so it is called once.
    loggers[0].setLevel(levels[0])


@contextlib.contextmanager
def silent_warnings() -> Iterator[None]:
    """While open, no library warns."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextlib.contextmanager
def _no_bars() -> Iterator[None]:
    # Importing these takes no torch; they are what every model or hub call loads anyway.
    from huggingface_hub.utils.tqdm import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars
    from transformers.utils import logging as transformers_logging

    hub_was_off = are_progress_bars_disabled()
    bars_were_on = transformers_logging.is_progress_bar_enabled()
    level = transformers_logging.get_verbosity()
    disable_progress_bars()
    transformers_logging.disable_progress_bar()
    transformers_logging.set_verbosity_error()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(level)
        if bars_were_on:
            transformers_logging.enable_progress_bar()
        if not hub_was_off:
            enable_progress_bars()
