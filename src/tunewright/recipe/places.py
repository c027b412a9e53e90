"""Where rows come from, as a recipe writes it: a path on this machine, or the address of what lies elsewhere."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

PAGES = ".urls"  # a list of web pages
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")
# As SQLAlchemy calls them; `postgresql+psycopg` names the driver, too.
DATABASES = ("sqlite", "duckdb", "postgresql", "mysql", "mariadb", "oracle", "mssql", "snowflake", "bigquery", "trino")
_FILE_DATABASE = re.compile(r"((?:sqlite|duckdb)(?:\+\w+)?)://(/?)([^?]*)(\?.*)?")
_SECRET = re.compile(r"\$\{\w+\}")


def scheme_of(path: str) -> str:
    """`s3` of `s3://bucket/rows.csv`, without a driver's name, in lower case; empty for a path."""
    found = _URL.match(path)
    return found[1].lower().partition("+")[0] if found else ""


def is_database(path: str) -> bool:
    """Whether this is a database's address."""
    return scheme_of(path) in DATABASES


def resolve_url(path: str, base: Path) -> str:
    """The address with the path of a database's file made absolute, which else is relative to `base`."""
    found = _FILE_DATABASE.fullmatch(path)
    if not found or not found[3] or found[3] == ":memory:":
        return path
    file = (base / Path(found[3]).expanduser()).absolute()
    return f"{found[1]}:///{file}{found[4] or ''}"


def shown_url(url: str) -> str:
    """The address as it may be shown: without what stands before the host, and behind a question mark."""
    parts = urlsplit(url)
    if not parts.scheme:
        return url
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}"


def fault_of(path: str, query: str) -> str:
    """What is wrong with an address, or empty."""
    scheme = scheme_of(path)
    if scheme == "file":
        return "write a file's path without file://"
    if query and not scheme:
        return "query asks a database, and path is a file: write its address, such as sqlite:///tickets.db"
    if is_database(path) and not query:
        return "path is a database, and query is missing: write query: SELECT … FROM …"
    # Recipes are kept with runs, shown and shared.
    if scheme and (password := urlsplit(path).password) and not _SECRET.fullmatch(password):
        return "path holds a password: keep it in an environment variable, and write ${ITS_NAME} in its place"
    return ""
