"""How a process that trains with others comes to its end: with the one that started it, and not before it is asked."""

from __future__ import annotations

import os
import signal
import threading
import time

_LOOK_EVERY_S = 0.5
_GRACE_S = 60.0


def ignore_signals() -> None:
    """From now on neither Ctrl-C nor SIGTERM ends this process."""
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)


def end_with_parent() -> None:
    """Ends this process when the one that started it is gone: as SIGTERM would, and a minute later without asking."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_LOOK_EVERY_S)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(_GRACE_S)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, name="tunewright-parent", daemon=True).start()
