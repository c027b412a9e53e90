"""Speaks as much of `vllm serve` as our engine asks for; started under the name `vllm`.

The base answers with the prompt's own tokens, an adapter with them turned round, and then ends by token 2. What it is
told is written beside it, a line each. A prompt that begins with "w" waits for ever, and one with "x" ends the process.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

END, WAIT, DIE = 2, ord("w"), ord("x")


def option(name: str) -> str:
    return sys.argv[sys.argv.index(name) + 1]


class Handler(BaseHTTPRequestHandler):
    adapters: dict[str, str] = {}  # noqa: RUF012 - of the process
    offset = 0  # of a letter's token
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.reply({} if self.path == "/health" else {"error": "no such page"}, 200 if self.path == "/health" else 404)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        note({"path": self.path, "key": self.headers["Authorization"], **body})
        if self.headers["Authorization"] != f"Bearer {os.environ['VLLM_API_KEY']}":
            self.reply({"error": "Unauthorized"}, 401)
        elif self.path == "/v1/load_lora_adapter":
            self.adapters[body["lora_name"]] = body["lora_path"]
            self.reply({})
        elif self.path == "/v1/unload_lora_adapter":
            del self.adapters[body["lora_name"]]
            self.reply({})
        elif body["model"] not in ("base", *self.adapters):
            self.reply({"error": {"message": f"The model `{body['model']}` does not exist."}}, 404)
        elif body["temperature"] > 2:
            self.reply({"error": {"message": "temperature must be at most 2"}}, 400)
        else:
            self.answer(body)

    def answer(self, body: dict[str, Any]) -> None:
        prompt = body["prompt"]
        if prompt[0] - self.offset == DIE:
            os._exit(9)
        tokens = [*(prompt if body["model"] == "base" else prompt[::-1]), END][: body["max_tokens"]]
        reason = "stop" if tokens[-1] == END else "length"
        if not body["stream"]:
            whole = {"index": 0, "text": "", "logprobs": logprobs(tokens, body["logprobs"]), "finish_reason": reason}
            whole["prompt_logprobs"] = [None, *({str(each): {"logprob": -0.25}} for each in prompt[1:])]
            self.reply({"choices": [whole]})
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        while prompt[0] - self.offset == WAIT:
            time.sleep(0.02)
            try:
                self.say({"choices": []})
            except OSError:
                note({"hung up": True})
                return
        for number, token in enumerate(tokens):
            for index in range(body["n"]):
                last = reason if number == len(tokens) - 1 else None
                choice = {"index": index, "logprobs": logprobs([token], body["logprobs"]), "finish_reason": last}
                self.say({"choices": [choice]})
        self.wfile.write(b"data: [DONE]\n\n")
        self.close_connection = True

    def say(self, document: dict[str, Any]) -> None:
        self.wfile.write(f"data: {json.dumps(document)}\n\n".encode())
        self.wfile.flush()

    def reply(self, document: dict[str, Any], status: int = 200) -> None:
        data = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


def logprobs(tokens: list[int], top: int) -> dict[str, Any]:
    return {
        "tokens": [f"token_id:{token}" for token in tokens],
        "token_logprobs": [-0.5 for _ in tokens],
        "top_logprobs": [{f"token_id:{token}": -0.5, "token_id:7": -1.5} if top else None for token in tokens],
    }


def note(said: dict[str, Any]) -> None:
    with Path(os.environ["FAKE_VLLM_NOTES"]).open("a") as file:
        file.write(json.dumps(said) + "\n")


def install(folder: Path, monkeypatch: Any, tokenizer: Any) -> Callable[[], list[dict[str, Any]]]:
    """Puts a `vllm` on the path; gives a function that says what it was told."""
    program, notes = folder / "bin" / "vllm", folder / "notes"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S "{__file__}" "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("FAKE_VLLM_NOTES", str(notes))
    # The tiny tokenizer has one token for each byte, some way on.
    (letter,) = tokenizer.encode("a", add_special_tokens=False)
    monkeypatch.setenv("FAKE_VLLM_OFFSET", str(letter - ord("a")))
    return lambda: [json.loads(line) for line in notes.read_text().splitlines()]


if __name__ == "__main__":
    note({"arguments": sys.argv[1:], "updating": os.environ.get("VLLM_ALLOW_RUNTIME_LORA_UPDATING")})
    if os.environ.get("FAKE_VLLM_FAILS"):
        sys.exit("ValueError: No available memory for the cache blocks.")
    Handler.offset = int(os.environ.get("FAKE_VLLM_OFFSET", "0"))
    ThreadingHTTPServer((option("--host"), int(option("--port"))), Handler).serve_forever()
