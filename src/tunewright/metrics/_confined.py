"""The inside of the sandbox: a script that fences itself in, and then runs the program it was told.

Started by `_sandbox.py` in an interpreter of its own, and never imported: it knows the standard library alone. On its
standard input it is told the program and the limits; the file whose number is its argument gets the word that says that
the program's last line was reached.
"""

from __future__ import annotations

import ctypes
import encodings.idna
import json
import linecache
import os
import random
import resource
import sys
import traceback
from typing import Any

_NEW_NETWORK, _NEW_USER = 0x40000000, 0x10000000  # CLONE_NEWNET, CLONE_NEWUSER of Linux
_MOST_FILES = 64

# Loaded before the fence is up: interpreters load them later on, for errors and the like.
_LOADED = (encodings.idna, linecache, random, traceback)

_REFUSED = (
    "socket.", "subprocess.", "os.exec", "os.fork", "os.posix_spawn", "os.spawn", "os.system", "os.kill", "ctypes.",
    "pty.", "ftplib.", "smtplib.", "urllib.", "http.", "syslog.", "sys.addaudithook", "gc.", "mmap.",
)  # fmt: skip
_CHANGING = (
    "os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.truncate", "os.chmod", "os.chown",
    "os.utime", "os.chdir", "os.setxattr", "shutil.",
)  # fmt: skip
_READ_BY_ALL = ("/dev/null/", "/dev/urandom/", "/usr/share/zoneinfo/", "/etc/localtime/")
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def main() -> None:
    """Reads what it is told, fences itself in, runs the program, and says that it came to its end."""
    last = int(sys.argv[1])
    told = json.loads(sys.stdin.buffer.read())
    apart = _leave_network()
    if told["only_asks"]:
        os.write(last, b"namespace" if apart else b"hooks")
        return
    program, word = compile(told["program"], "<answer>", "exec"), told["word"].encode()
    _limit(told)
    sys.argv = [""]
    sys.addaudithook(_fence())
    names: dict[str, Any] = {"__name__": "__main__", "__builtins__": __builtins__}
    exec(program, names)  # noqa: S102 - what all of this is for
    os.write(last, word + (json.dumps(names.get("answer")).encode() if told["answers"] else b""))


def _leave_network() -> bool:
    """Moves to a network of our own with nothing in it; False where the system does not allow it."""
    unshare = getattr(ctypes.CDLL(None, use_errno=True), "unshare", None)
    return unshare is not None and (unshare(_NEW_NETWORK) == 0 or unshare(_NEW_USER | _NEW_NETWORK) == 0)


def _limit(told: dict[str, Any]) -> None:
    limits = {
        resource.RLIMIT_CPU: told["cpu_s"],
        resource.RLIMIT_AS: told["memory"],
        resource.RLIMIT_FSIZE: told["file"],
        resource.RLIMIT_NPROC: told["processes"],
        resource.RLIMIT_NOFILE: _MOST_FILES,
        resource.RLIMIT_CORE: 0,
    }
    for kind, most in limits.items():
        allowed = resource.getrlimit(kind)[1]
        most = most if allowed == resource.RLIM_INFINITY else min(most, allowed)
        resource.setrlimit(kind, (most, most))


def _fence() -> Any:
    """A hook that refuses what a program that computes an answer has no need of."""
    real, path_of, is_text = os.path.realpath, os.fspath, (str, bytes, os.PathLike)
    home = (real(".") + "/",)
    pythons = {real(path) + "/" for path in (sys.prefix, sys.base_prefix, *sys.path) if path}
    readable = (*home, *pythons, *_READ_BY_ALL)
    writable = (*home, "/dev/null/")

    def within(path: Any, folders: tuple[str, ...]) -> bool:
        if not isinstance(path, is_text):
            return True  # a file that is open already
        return (real(os.fsdecode(path_of(path))) + "/").startswith(folders)

    def hook(event: str, args: tuple[Any, ...]) -> None:
        if event.startswith(_REFUSED):
            raise PermissionError(f"{event} is not allowed here")
        if event == "open":
            path, mode, flags = args
            writes = (isinstance(mode, str) and not set(mode).isdisjoint("wax+")) or bool((flags or 0) & _WRITES)
            if not within(path, writable if writes else readable):
                raise PermissionError("Files outside of the working folder are not allowed here")
        elif event in ("os.listdir", "os.scandir"):
            if not within(args[0] or ".", readable):
                raise PermissionError("Folders outside of the working folder are not allowed here")
        elif event.startswith(_CHANGING) and not all(within(arg, writable) for arg in args[:2]):
            raise PermissionError(f"{event} outside of the working folder is not allowed here")

    return hook


if __name__ == "__main__":
    main()
