"""An engine that vLLM computes on a GPU: the same questions and answers as `Engine`, from a process of its own.

vLLM is given the tokens that our own engine would read, and gives tokens back; stop texts, grammars and pieces of text
are ours. So what was trained is what is served, whichever engine computes it. Adapters are LoRA's, and are attached
while it runs (docs.vllm.ai/en/latest/features/lora).
"""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from tunewright.base.errors import BusyError, InputError, ModelError, TunewrightError, UnknownNameError
from tunewright.base.streamed import StreamedLines
from tunewright.generate.serving.jobs import Job
from tunewright.generate.serving.request import Hear, Request
from tunewright.generate.serving.vllm_process import VllmProcess, VllmSettings
from tunewright.generate.serving.vllm_wire import asked_body, prompt_scores, read_choice, why_no_adapter

if TYPE_CHECKING:
    from tunewright.models.base import Base

_REVIVED_S = 30.0  # what a request is told to wait while vLLM starts again
_SOON_S = 2.0
_log = logging.getLogger("tunewright.engine")


@dataclass
class _Work:
    """A request under way."""

    job: Job
    task: asyncio.Task[None] | None = None


class Ticket:
    """A request that was taken on."""

    def __init__(self, engine: VllmEngine, work: _Work) -> None:
        self._engine, self._work = engine, work

    def cancel(self) -> None:
        """Calls the request off: vLLM is told by the end of its connection. Done before, it does nothing."""
        self._engine.call_off(self._work)


@dataclass
class VllmEngine:
    """Answers requests to one base, with adapters of its own side by side.

    Args:
        base: Its model need hold no weights (`weightless_base`): what is asked of it is its shape.
        settings: How vLLM is run.
        log: The file that vLLM writes to.
        queue_limit: Requests under way at a time; more are told to come again.
    """

    base: Base
    settings: VllmSettings
    log: Path
    queue_limit: int = 256
    _adapters: dict[str, Path] = field(default_factory=dict)
    _open: set[int] = field(default_factory=set)
    _works: dict[int, _Work] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._process = VllmProcess(self.base.files, self.settings, self.log)
        self._guard = threading.Lock()
        self._loop = asyncio.new_event_loop()
        self._thread: threading.Thread | None = None
        self._client: httpx.AsyncClient | None = None
        self._is_reviving = False
        self._is_stopping = False

    @property
    def longest(self) -> int:
        """Tokens of a prompt and its answer together that the model was made for."""
        return int(self.base.files.context_length)

    @property
    def stopping(self) -> bool:
        """Whether it takes nothing on: it was stopped, or was not started."""
        return self._is_stopping or self._thread is None

    @property
    def adapters(self) -> tuple[str, ...]:
        """Keys of the adapters that are loaded."""
        return tuple(self._adapters)

    def start(self) -> None:
        """Starts vLLM and waits until it answers, which takes minutes for a large model.

        Raises:
            MissingExtraError: If vLLM is not installed.
            ModelError: If it does not start; its last words are in the error.
        """
        if self._thread is not None:
            return
        self._process.start()
        self._thread = threading.Thread(target=self._loop.run_forever, name="tunewright-vllm", daemon=True)
        self._thread.start()
        self._client = self._process.client()

    def stop(self, drain_s: float = 0.0) -> None:
        """Takes nothing on any more, lets what runs end for so many seconds, and ends vLLM."""
        if self._thread is None:
            return
        self._is_stopping = True
        self._run(self._drain(drain_s))
        self._process.stop()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._thread = None

    def submit(self, request: Request, hear: Hear) -> Ticket:
        """Takes a request on; as `Engine.submit`.

        Raises:
            InputError: If it can never fit.
            UnknownNameError: If its adapter is not loaded.
            BusyError: If as many are under way as may be, or vLLM is starting again.
        """
        self._check(request)
        work = _Work(Job(request, hear, self.base.chat.decode))
        with self._guard:
            if self.stopping:
                raise BusyError("The engine is stopped, and takes no requests", retry_after_s=_SOON_S)
            if sum(not work.job.over for work in self._works.values()) >= self.queue_limit:
                raise BusyError(f"{self.queue_limit} requests are under way already", retry_after_s=_SOON_S)
            if not self._process.lives:
                self._revive()
                raise BusyError("vLLM is starting again", retry_after_s=_REVIVED_S)
            self._works[id(work)] = work
        self._loop.call_soon_threadsafe(self._begin, work)
        return Ticket(self, work)

    def call_off(self, work: _Work) -> None:
        """Ends a request as it stands."""

        def cancel() -> None:
            work.job.wanted = False
            if work.task is not None:
                work.task.cancel()

        if self._thread is not None:
            self._loop.call_soon_threadsafe(cancel)

    def can_load(self, folder: Path) -> bool:
        """Whether vLLM can put an adapter on its base; if not, another engine has to answer.

        Raises:
            ModelError: If there is no adapter in the folder, or one of another base.
        """
        return not why_no_adapter(self.base, folder, self.settings.most_rank)

    def load(self, key: str, folder: Path) -> None:
        """Attaches an adapter.

        Raises:
            ModelError: If vLLM cannot take it.
        """
        if why := why_no_adapter(self.base, folder, self.settings.most_rank):
            raise ModelError(f"vLLM cannot take this adapter: {why}", where=str(folder))
        self._tell("load_lora_adapter", {"lora_name": key, "lora_path": str(folder.absolute())})
        self._adapters[key] = folder

    def drop(self, key: str) -> None:
        """Takes an adapter off.

        Raises:
            BusyError: If requests of it are under way.
            UnknownNameError: If it is not loaded.
        """
        if key not in self._adapters:
            raise UnknownNameError("adapter", key, self.adapters)
        with self._guard:
            count = sum(work.job.request.adapter == key and not work.job.over for work in self._works.values())
        if count:
            raise BusyError(f"Adapter '{key}' answers {count} requests", retry_after_s=_SOON_S)
        self._tell("unload_lora_adapter", {"lora_name": key})
        del self._adapters[key]

    def bytes_of(self, key: str) -> int:
        """Memory that an adapter takes: that of its weights."""
        return sum(file.stat().st_size for file in self._adapters[key].glob("*.safetensors"))

    def _check(self, request: Request) -> None:
        wanted = len(request.prompt) + request.limit
        if wanted > self.longest:
            raise InputError(
                f"The prompt's {len(request.prompt)} tokens and an answer of {request.limit} are {wanted} together, "
                f"and at most {self.longest} fit",
                where="prompt",
                hint="Shorten the prompt, or ask for fewer tokens.",
            )
        if request.adapter and request.adapter not in self._adapters:
            raise UnknownNameError("adapter", request.adapter, self.adapters)

    # The thread: everything below runs in its loop, but for `_run`, `_tell` and `_revive`.

    def _begin(self, work: _Work) -> None:
        work.task = self._loop.create_task(self._answer(work.job))
        work.task.add_done_callback(lambda _: self._forget(work))
        if not work.job.wanted:  # called off in between
            work.task.cancel()

    def _forget(self, work: _Work) -> None:
        with self._guard:
            self._works.pop(id(work), None)

    async def _answer(self, job: Job) -> None:
        try:
            job.begin(0)  # vLLM does not say how much of a prompt it has not read anew
            if job.request.limit == 0 or job.request.prompt_logprobs is not None:
                await self._whole(job)
            else:
                await self._stream(job)
            for answer in job.answers:
                answer.end("length")
        except asyncio.CancelledError:
            job.call_off()
        except TunewrightError as error:
            job.fail(error)
        except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
            _log.warning("vLLM gave no answer (%s)", type(error).__name__)
            job.fail(TunewrightError(f"vLLM gave no answer ({type(error).__name__})", hint=f"Its log is {self.log}."))

    async def _stream(self, job: Job) -> None:
        assert self._client is not None
        body = asked_body(job.request, streams=True)
        async with self._client.stream("POST", "/v1/completions", json=body) as response:
            await _check(response)
            lines = StreamedLines()
            async for data in response.aiter_bytes():
                for line in lines.feed(data):
                    said = line.removeprefix("data:").strip()
                    if not line.startswith("data:") or said == "[DONE]":
                        continue
                    self._take(job, json.loads(said))
                    if all(answer.ended for answer in job.answers):
                        return  # and vLLM is told by the end of the connection

    async def _whole(self, job: Job) -> None:
        assert self._client is not None
        response = await self._client.post("/v1/completions", json=asked_body(job.request, streams=False))
        await _check(response)
        reply = response.json()
        if job.request.prompt_logprobs is not None:
            job.scores += prompt_scores(job.request, reply["choices"][0]["prompt_logprobs"])
        if job.request.limit:
            self._take(job, reply)

    def _take(self, job: Job, reply: dict[str, Any]) -> None:
        if "error" in reply:
            raise TunewrightError(f"vLLM failed ({_said(reply)})")
        for choice in reply["choices"]:
            answer = job.answers[choice["index"]]
            tokens, reason = read_choice(choice, job.request.top_logprobs or 0)
            for chosen in tokens:
                if answer.ended:
                    break
                answer.take(chosen)
            if reason:
                answer.end("stop" if reason == "stop" else "length")

    async def _drain(self, longest_s: float) -> None:
        tasks = [work.task for work in self._works.values() if work.task is not None]
        if tasks and longest_s:
            await asyncio.wait(tasks, timeout=longest_s)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._client is not None:
            await self._client.aclose()

    def _tell(self, what: str, body: dict[str, str]) -> None:
        async def post() -> None:
            assert self._client is not None
            await _check(await self._client.post(f"/v1/{what}", json=body))

        try:
            self._run(post())
        except (httpx.HTTPError, InputError) as error:
            raise ModelError(f"vLLM refused an adapter ({error})", hint=f"Its log is {self.log}.") from error

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def _revive(self) -> None:
        """Starts vLLM again beside, with the adapters that it had."""
        if self._is_reviving:
            return
        self._is_reviving = True
        _log.warning("vLLM has ended, and is started again")

        def start() -> None:
            try:
                self._process.start()
                self._client = self._process.client()
                for key, folder in list(self._adapters.items()):
                    self._tell("load_lora_adapter", {"lora_name": key, "lora_path": str(folder.absolute())})
            except TunewrightError as error:
                _log.warning("vLLM could not be started again: %s", error)
            finally:
                self._is_reviving = False

        threading.Thread(target=start, name="tunewright-vllm-start", daemon=True).start()


async def _check(response: httpx.Response) -> None:
    """Raises what a refusal of vLLM means here."""
    if response.is_success:
        return
    await response.aread()
    try:
        said = _said(response.json())
    except ValueError:
        said = f"status {response.status_code}"
    if response.status_code in (429, 503):
        raise BusyError("vLLM has no place for this request", retry_after_s=_SOON_S)
    if response.status_code in (400, 413, 422):
        raise InputError(f"vLLM refused this request ({said})")
    raise TunewrightError(f"vLLM failed ({said})")


def _said(reply: Any) -> str:
    """The message of vLLM's error, in either of its forms."""
    error = reply.get("error", reply) if isinstance(reply, dict) else {}
    return str(error.get("message", "no reason given")) if isinstance(error, dict) else str(error)
