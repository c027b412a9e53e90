"""One cached client for any endpoint that speaks OpenAI's chat completions, one's own server included."""

from tunewright.endpoints.client import Client, Refused
from tunewright.endpoints.settings import Endpoint
from tunewright.endpoints.wire import Reply, Request, Usage

__all__ = ["Client", "Endpoint", "Refused", "Reply", "Request", "Usage"]
