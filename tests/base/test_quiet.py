from __future__ import annotations

import logging
import warnings

import pytest

from tunewright.base.quiet import quiet


def test_libraries_are_silent_inside_and_as_before_outside(caplog: pytest.LogCaptureFixture) -> None:
    from huggingface_hub.utils import are_progress_bars_disabled
    from transformers.utils import logging as transformers_logging

    logger = logging.getLogger("transformers.modeling")
    before = (
        logging.getLogger("transformers").level,
        are_progress_bars_disabled(),
        transformers_logging.get_verbosity(),
    )
    with quiet():
        warnings.warn("noise", stacklevel=1)
        logger.warning("noise")
        assert are_progress_bars_disabled()
        assert not transformers_logging.is_progress_bar_enabled()
    after = (
        logging.getLogger("transformers").level,
        are_progress_bars_disabled(),
        transformers_logging.get_verbosity(),
    )
    assert after == before
    assert caplog.records == []
    with pytest.warns(UserWarning, match="heard again"):
        warnings.warn("heard again", stacklevel=1)


def test_an_error_passes_and_everything_is_put_back() -> None:
    level = logging.getLogger("peft").level
    with pytest.raises(KeyError), quiet():
        raise KeyError("x")
    assert logging.getLogger("peft").level == level
