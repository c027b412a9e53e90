"""vLLM's process: found, started on a port of this machine, waited for, and ended."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from tunewright.base.errors import MissingExtraError, ModelError
from tunewright.base.leash import leashed
from tunewright.generate.serving.vllm_wire import BASE

if TYPE_CHECKING:
    from tunewright.models.base import Base
    from tunewright.models.files import BaseFiles

_HOST = "127.0.0.1"
_LOOK_EVERY_S = 0.1
_END_S = 30.0
_LAST_LINES = 5


@dataclass(frozen=True)
class VllmSettings:
    """How vLLM is run.

    Args:
        dtype: In which it computes.
        most_rank: The highest rank of an adapter.
        most_adapters: How many may answer side by side.
        arguments: Further ones of `vllm serve`, as for several cards.
        start_s: How long its start may take.
    """

    dtype: str = "auto"
    most_rank: int = 64
    most_adapters: int = 8
    arguments: tuple[str, ...] = ()
    start_s: float = 900.0


class VllmProcess:
    """One `vllm serve`; `start` may be called again once it has died.

    Args:
        files: The base.
        settings: How it is run.
        log: The file that it writes to.
    """

    def __init__(self, files: BaseFiles, settings: VllmSettings, log: Path) -> None:
        self._files, self._settings, self._log = files, settings, log
        self._process: subprocess.Popen[bytes] | None = None
        self._url = ""
        # Whoever else is on this machine must not ask past our own server.
        self._secret = secrets.token_urlsafe(32)

    @property
    def lives(self) -> bool:
        """Whether the process is there."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Starts it, and waits until it answers.

        Raises:
            MissingExtraError: If vLLM is not installed.
            ModelError: If it does not start.
        """
        program = find_vllm()
        port = _free_port()
        self._url = f"http://{_HOST}:{port}"
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - vLLM, as it is installed
                leashed([program, *self._arguments(port)]),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **self._environment()},
                start_new_session=True,
            )
        self._wait()

    def client(self) -> httpx.AsyncClient:
        """A client of it."""
        limits = httpx.Limits(max_connections=None)
        headers = {"Authorization": f"Bearer {self._secret}"}
        # An answer may wait for a place as long as it likes; that vLLM has died, the connection's end says.
        timeout = httpx.Timeout(None, connect=10.0)
        return httpx.AsyncClient(base_url=self._url, headers=headers, timeout=timeout, limits=limits, trust_env=False)

    def stop(self) -> None:
        """Ends it, and all that it has started."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _arguments(self, port: int) -> list[str]:
        settings = self._settings
        options: dict[str, Any] = {
            "--host": _HOST,
            "--port": port,
            "--served-model-name": BASE,
            "--dtype": settings.dtype,
            "--max-lora-rank": settings.most_rank,
            "--max-loras": settings.most_adapters,
            "--max-logprobs": 20,
            # Else the defaults of sampling would follow a file beside the model.
            "--generation-config": "vllm",
            "--structured-outputs-config": '{"backend": "guidance"}',
        }
        given = [text for name, value in options.items() for text in (name, str(value))]
        return ["serve", str(self._files.folder), *given, "--enable-lora", *settings.arguments]

    def _environment(self) -> dict[str, str]:
        return {
            "VLLM_API_KEY": self._secret,
            "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "True",
            "VLLM_NO_USAGE_STATS": "1",
            "HF_HUB_OFFLINE": "1",
        }

    def _wait(self) -> None:
        deadline = time.monotonic() + self._settings.start_s
        with httpx.Client(base_url=self._url, timeout=5.0, trust_env=False) as client:
            while time.monotonic() < deadline:
                if not self.lives:
                    raise self._not_started("It ended while it started")
                with contextlib.suppress(httpx.HTTPError):
                    if client.get("/health").is_success:
                        return
                time.sleep(_LOOK_EVERY_S)
        self.stop()
        raise self._not_started(f"It did not answer within {self._settings.start_s:.0f} s")

    def _not_started(self, what: str) -> ModelError:
        lines = self._log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LAST_LINES:]
        return ModelError(
            f"vLLM does not serve {self._files.name}. {what}:\n" + "\n".join(f"  {line}" for line in lines),
            hint=f"All that it said is in {self._log}.",
        )


def find_vllm() -> str:
    """The program `vllm`: beside this Python, or on the path.

    Raises:
        MissingExtraError: If there is none.
    """
    beside = Path(sys.executable).with_name("vllm")
    found = str(beside) if beside.exists() else shutil.which("vllm")
    if found is None:
        raise MissingExtraError("vllm", extra="vllm", needed_for="--engine vllm")
    return found


def weightless_base(files: BaseFiles) -> Base:
    """A base of which only the shape is in memory: how it reads rows, and how many tokens it knows.

    Raises:
        ModelError: If its tokenizer or its configuration cannot be read.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    from tunewright.models.base import Base, chat_format

    chat = chat_format(files)
    try:
        config = AutoConfig.from_pretrained(files.folder, local_files_only=True)
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(config)
    except (ValueError, KeyError, OSError, ImportError) as error:
        raise ModelError(f"vLLM cannot be asked for {files.name} ({error})", where=str(files.folder)) from error
    return Base(model.eval(), chat.tokenizer, chat, files)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        return int(probe.getsockname()[1])
