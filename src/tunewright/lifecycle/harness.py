"""tunewright's models in lm-evaluation-harness.

The harness has no place where packages announce model types of their own: a type exists once its module was imported.
So the harness is started through this module, with the harness's own arguments:

    python -m tunewright.lifecycle.harness run --model tunewright --model_args release=support-desk --tasks arc_easy
"""

from __future__ import annotations

import sys
from typing import Any

from tunewright.base.errors import MissingExtraError, TunewrightError


def register() -> type[Any]:
    """Makes the harness know the model type `tunewright`; gives its class.

    Raises:
        MissingExtraError: If the harness is not installed.
    """
    try:
        from tunewright.lifecycle.harness_model import TunewrightLM
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "lm_eval":
            raise
        raise MissingExtraError("lm_eval", extra="harness", needed_for="Running lm-evaluation-harness") from error
    return TunewrightLM


def main() -> None:
    """Runs the harness's own command line."""
    try:
        register()
        from lm_eval.__main__ import cli_evaluate

        cli_evaluate()
    except TunewrightError as error:
        print(f"tunewright: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
