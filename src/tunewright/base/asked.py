"""Whether the system has asked this process to end."""

from __future__ import annotations

import signal
from types import FrameType


class Asked:
    """Notes signals that ask this process to end, from now on; whoever works looks at `to_end` again and again.

    Noted, not raised: an exception out of a signal's handler is lost where Python happens to run a finaliser, as it
    often does while modules are imported. No lock is taken, so one signal may come in the middle of another.

    Args:
        numbers: Which signals.
    """

    def __init__(self, *numbers: signal.Signals) -> None:
        self.to_end = False
        for number in numbers:
            signal.signal(number, self._note)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.to_end = True
