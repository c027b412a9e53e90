"""A process beside the server: started, looked after, started again where it dies, and ended with the server."""

from __future__ import annotations

import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence

from tunewright.server import logs

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0
# Whoever has lived so long has not died of its start.
_SETTLED_S = 60.0


class Child:
    """One process, and a thread that looks after it.

    Args:
        name: What logs call it.
        command: The program and its arguments.
        environment: All of it; None: ours.
        pause_s: How long to wait before it is started again; twice as long each time that it dies early.
        found_dead: Called after each death, before it is started again.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        pause_s: float = FIRST_PAUSE_S,
        found_dead: Callable[[], None] = lambda: None,
    ) -> None:
        self.name = name
        self._command, self._environment = list(command), environment
        self._pause_s, self._first_pause_s = pause_s, pause_s
        self._found_dead = found_dead
        self._process: subprocess.Popen[bytes] | None = None
        self._last_code: int | None = None
        self._guard = threading.Lock()
        self._is_ending = threading.Event()
        self._thread = threading.Thread(target=self._look_after, name=f"{name} watcher", daemon=True)

    def start(self) -> None:
        """Starts the process; from here on it is looked after.

        Raises:
            OSError: If the program cannot be started at all.
        """
        self._launch()
        self._thread.start()

    def state(self) -> str:
        """Running; ending or ended, where it was asked to; else with which code it has died."""
        process = self._process
        lives = process is not None and process.poll() is None
        if self._is_ending.is_set():
            return "ending" if lives else "ended"
        if lives:
            return "running"
        return f"died with exit code {self._last_code if process is None else process.returncode}, is started again"

    def ask_to_end(self) -> None:
        """Tells the process to end, and starts it no more. Does not wait; may be called by a signal's handler."""
        self._is_ending.set()
        process = self._process
        if process is not None and process.poll() is None:
            process.send_signal(signal.SIGTERM)

    def wait(self, longest_s: float) -> bool:
        """Waits for the end that was asked for; whoever does not end in time is killed.

        Returns:
            Whether it ended by itself.
        """
        self.ask_to_end()
        with self._guard:  # a start that was under way when the end was asked for has to be ended too
            process = self._process
        if process is None:
            return True
        try:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            process.wait(longest_s)
        except subprocess.TimeoutExpired:
            logs.warned(f"the {self.name} did not end in time and was killed", seconds=longest_s)
            self.kill()
            return False
        return True

    def kill(self) -> None:
        """Ends the process at once."""
        self._is_ending.set()
        with self._guard:
            process = self._process
        if process is not None:
            process.kill()
            process.wait()

    def _launch(self) -> None:
        with self._guard:
            if self._is_ending.is_set():
                return
            self._process = subprocess.Popen(  # noqa: S603 - our own program, and no shell
                self._command,
                stdin=subprocess.DEVNULL,
                env=None if self._environment is None else dict(self._environment),
                # Ctrl-C in the terminal goes to the server alone, which passes on what is to be passed on.
                start_new_session=True,
            )

    def _look_after(self) -> None:
        while not self._is_ending.is_set():
            process = self._process
            if process is not None:
                began_s = time.monotonic()
                code = process.wait()
                if self._is_ending.is_set():
                    return
                self._last_code = code
                if time.monotonic() - began_s >= _SETTLED_S:
                    self._pause_s = self._first_pause_s
            logs.warned(f"the {self.name} died and is started again", exit_code=self._last_code, after_s=self._pause_s)
            self._found_dead()
            if self._is_ending.wait(self._pause_s):
                return
            self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)
            try:
                self._launch()
            except OSError as error:  # no memory or no process to be had: perhaps later
                self._process = None
                logs.warned(f"the {self.name} could not be started", error=str(error))
