"""Which endpoint is asked, and how patiently."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from tunewright.base.errors import InputError

_USUAL_KEY = "OPENAI_API_KEY"


class Endpoint(BaseModel):
    """An endpoint that speaks OpenAI's chat completions. It holds no key: only the name of the variable that does."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str = Field(description="Its base URL, which usually ends in /v1: http://127.0.0.1:8000/v1.")
    model: str = Field(min_length=1, description="The model's name there.")
    key_variable: str = Field(
        "",
        description="The environment variable that holds the key. Empty: OPENAI_API_KEY, which only leaves this "
        "machine encrypted.",
    )
    timeout_s: float = Field(120.0, gt=0, description="Longest wait for one whole answer, in seconds.")
    attempts: int = Field(5, ge=1, le=20, description="Tries before the endpoint counts as dead.")
    concurrency: int = Field(4, ge=1, le=64, description="Requests under way at one time.")
    token_budget: int | None = Field(None, ge=1, description="Most tokens to spend, prompts and answers together.")

    @classmethod
    def of(cls, **values: Any) -> Self:
        """An endpoint from values that a person typed.

        Raises:
            InputError: If one is wrong.
        """
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            first = error.errors()[0]
            raise InputError(
                f"The endpoint's {first['loc'][0]} is wrong: {first['msg'].removeprefix('Value error, ')}",
                where="endpoint",
                hint="Give its base URL, such as http://127.0.0.1:8000/v1, and a model's name.",
            ) from None

    @field_validator("url")
    @classmethod
    def _is_plain(cls, value: str) -> str:
        try:
            parts = urlsplit(value.strip())
            port = parts.port
        except ValueError as error:
            raise ValueError(f"'{value}' is no URL ({error})") from None
        if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
            raise ValueError(f"'{value}' is no http or https URL")
        if parts.username or parts.password or parts.query or parts.fragment:
            # It is printed and logged, so it must hold no secret.
            raise ValueError("it holds a name, a password or a query; keys belong in an environment variable")
        return value.strip().rstrip("/").removesuffix("/chat/completions")

    @property
    def is_local(self) -> bool:
        """Whether it stands on this machine."""
        host = urlsplit(self.url).hostname or ""
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return host == "localhost" or host.endswith(".localhost")

    def key(self, environment: Mapping[str, str]) -> str:
        """The key to send; empty for none.

        Raises:
            InputError: If the variable that is named is not set.
        """
        if not self.key_variable:
            # A key that was meant for another service must not cross the network for all to read.
            is_safe = self.is_local or self.url.startswith("https:")
            return environment.get(_USUAL_KEY, "").strip() if is_safe else ""
        if not environment.get(self.key_variable, "").strip():
            raise InputError(
                f"The environment variable {self.key_variable} should hold the endpoint's key, and is not set",
                where=self.url,
                hint=f"Set it: export {self.key_variable}=…",
            )
        return environment[self.key_variable].strip()
