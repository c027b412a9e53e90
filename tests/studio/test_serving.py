"""Taking a port; that pages are served until Ctrl-C is in tests/cli/test_reviewing.py."""

from __future__ import annotations

import pytest

from tunewright.base.errors import InputError
from tunewright.studio.serving import HOST, listen


def test_only_this_machine_is_listened_on() -> None:
    with listen(0) as listening:
        address, port = listening.getsockname()
        assert address == HOST == "127.0.0.1"
        listening.listen()
        with pytest.raises(InputError, match=f"--port: Port {port} is taken"):
            listen(port)


def test_what_is_no_port_is_said() -> None:
    with pytest.raises(InputError, match="Port 70000 cannot be had"):
        listen(70000)
