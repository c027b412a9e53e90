"""The model type `tunewright` of lm-evaluation-harness; imported where the harness is, and nowhere else.

How texts become tokens is the harness's own rule (`TemplateLM`), so that scores are those of its `hf` model type; how
they are scored and continued is ours.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from lm_eval import utils
from lm_eval.api.model import TemplateLM
from lm_eval.api.registry import register_model
from lm_eval.models.utils import has_bos_prefix, normalize_gen_kwargs, postprocess_generated_text

from tunewright.base import events
from tunewright.base.errors import InputError, ModelError
from tunewright.evaluate.continuations import score_continuations
from tunewright.forest import layout
from tunewright.models.class_format import ClassFormat

if TYPE_CHECKING:
    from tunewright.models.base import Base

_BATCH_SIZE = 64  # what is answered does not depend on it
_SAMPLING = ("temperature", "top_k", "top_p", "min_p")


@register_model("tunewright")
class TunewrightLM(TemplateLM):  # type: ignore[misc]  # the harness is not typed
    """A release, or a base model, as the harness asks for it.

    Args:
        release: Name of a release, `name` or `name@version`; or
        base: a base model, as recipes name it.
        workspace: Folder of the workspace; else found as everywhere.
        batch_size: Answers decoded side by side; 1, which the harness says where nobody does, and auto: 64.
        max_length: Most tokens read; else what the model was made for.
        seed: Of what is drawn.
        others: What the harness tells every model type; the device is the model's own.

    Raises:
        InputError: If neither or both of release and base are named, or the model does not continue texts.
    """

    def __init__(
        self,
        release: str = "",
        base: str = "",
        workspace: str | None = None,
        batch_size: int | str = 1,
        max_length: int | None = None,
        seed: int = 0,
        **others: Any,
    ) -> None:
        super().__init__()
        if unknown := sorted(set(others) - {"device", "max_batch_size"}):
            raise InputError(f"The model type tunewright takes no '{unknown[0]}'", where="--model_args")
        if bool(release) == bool(base):
            raise InputError(
                "One of release and base is needed", where="--model_args", hint="As in: release=support-desk@1."
            )
        self._model, self._base = _released(release, workspace) if release else _plain(base, workspace)
        if layout.backend_of(self._model) == "seq2seq":
            raise _writes_nothing(release or base)
        self.tokenizer = self._base.tokenizer
        unsaid = str(batch_size) == "1" or str(batch_size).startswith("auto")
        self._batch_size = _BATCH_SIZE if unsaid else int(batch_size)
        self._longest = int(max_length or self._base.files.context_length)
        self._seed = int(seed)

    @property
    def eot_token_id(self) -> int:
        """The token that ends a text."""
        return int(self.tokenizer.eos_token_id)

    @property
    def prefix_token_id(self) -> int:
        """The token that stands in front of a text without a context."""
        begin = self.tokenizer.bos_token_id
        return self.eot_token_id if begin is None else int(begin)

    @property
    def max_length(self) -> int:
        """Most tokens read."""
        return self._longest

    @property
    def max_gen_toks(self) -> int:
        """Longest answer, where a task does not say; as the harness's own model types have it."""
        return 256

    @property
    def tokenizer_name(self) -> str:
        """Part of the key under which the harness keeps requests."""
        return self._base.chat.fingerprint

    def tok_encode(self, string: str, add_special_tokens: bool | None = None, **others: Any) -> list[int]:
        """Token ids of a text, with the token that begins one where the tokenizer puts it there."""
        begins = has_bos_prefix(string, self.tokenizer.decode(self.prefix_token_id))
        if add_special_tokens is None and begins:
            add_special_tokens = False
        told = {} if add_special_tokens is None else {"add_special_tokens": add_special_tokens}
        found: list[int] = self.tokenizer.encode(string, **told)
        return found

    def apply_chat_template(self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
        """Few-shot history as the text that the model was trained on."""
        return str(
            self.tokenizer.apply_chat_template(
                chat_history,
                tokenize=False,
                add_generation_prompt=add_generation_prompt,
                continue_final_message=not add_generation_prompt,
            )
        )

    def _loglikelihood_tokens(
        self, requests: Sequence[tuple[Any, list[int], list[int]]], **others: Any
    ) -> list[tuple[float, bool]]:
        found = score_continuations(
            self._model,
            [(context, continuation) for _, context, continuation in requests],
            longest=self._longest,
            listener=_tell,
        )
        for (asked, _, _), answer in zip(requests, found, strict=True):
            if asked is not None:
                self.cache_hook.add_partial("loglikelihood", asked, answer)
        return found

    def loglikelihood_rolling(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[float]:
        """Log-probability of whole texts, in windows of the model's length, each token predicted once."""
        windows, counts = [], []
        for (text,) in (request.args for request in requests):
            cut = utils.get_rolling_token_windows(self.tok_encode(text), self.prefix_token_id, self._longest, 1)
            own = [utils.make_disjoint_window(window) for window in cut]
            windows += [(None, *window) for window in own]
            counts.append(len(own))
        logps = iter(self._loglikelihood_tokens(windows))
        found = [sum(next(logps)[0] for _ in range(count)) for count in counts]
        for request, total in zip(requests, found, strict=True):
            self.cache_hook.add_partial("loglikelihood_rolling", request.args, total)
        return found

    def generate_until(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[str]:
        """Answers that end before the first of a request's stop texts."""
        alike: dict[str, list[int]] = {}
        for number, request in enumerate(requests):
            alike.setdefault(repr(sorted(request.args[1].items())), []).append(number)
        found = [""] * len(requests)
        for numbers in alike.values():
            texts = self._generate([requests[n].args[0] for n in numbers], dict(requests[numbers[0]].args[1]))
            for number, text in zip(numbers, texts, strict=True):
                found[number] = text
                self.cache_hook.add_partial("generate_until", requests[number].args, text)
        return found

    def _generate(self, contexts: list[str], settings: dict[str, Any]) -> list[str]:
        from tunewright.evaluate.answer import evaluation_mode
        from tunewright.generate import generate
        from tunewright.recipe.sampling import Sampling

        told = normalize_gen_kwargs(settings, self.max_gen_toks)
        until, most = [text for text in told.pop("until", []) if text], int(told.pop("max_gen_toks"))
        drawn = {name: told.pop(name) for name in _SAMPLING if told.get(name) is not None}
        sampled = bool(told.pop("do_sample", False))
        if unknown := sorted(told):
            raise InputError(f"A task asks for '{unknown[0]}', which is not known here", where="generation_kwargs")
        if most >= self._longest:
            raise InputError(
                f"A task asks for {most:,} new tokens, and the model reads {self._longest:,}", where="max_gen_toks"
            )
        prompts = [self.tok_encode(context) or [self.prefix_token_id] for context in contexts]
        if cut := sum(len(prompt) > self._longest - most for prompt in prompts):
            _tell(events.Message(f"{cut:,} contexts were cut at their beginning, to leave room for {most:,} tokens."))
        chat = self._base.chat
        with evaluation_mode(self._model):
            given = generate(
                self._model,
                [prompt[-(self._longest - most) :] for prompt in prompts],
                max_new_tokens=most,
                stop_ids=chat.stop_ids,
                batch_size=self._batch_size,
                sampling=Sampling(**({"temperature": 1.0, "seed": self._seed} | drawn)) if sampled else None,
                stop_texts=until,
                decode=chat.decode,
            )
        return [postprocess_generated_text(chat.decode(each.tokens), until, None) for each in given]


def _released(label: str, workspace: str | None) -> tuple[Any, Base]:
    from tunewright.lifecycle.talk import load_release

    specialist = load_release(label, workspace=workspace)
    if isinstance(specialist.chat, ClassFormat):
        raise _writes_nothing(label)
    return specialist.model, specialist.base


def _writes_nothing(name: str) -> ModelError:
    return ModelError("The harness asks for texts to be continued, which this model does not do", where=name)


def _tell(event: events.Event) -> None:
    """What people should read goes where the harness's own warnings go."""
    if isinstance(event, events.Message):
        logging.getLogger("lm_eval").warning(event.text)


def _plain(name: str, workspace: str | None) -> tuple[Any, Base]:
    from tunewright.models.base import load_base
    from tunewright.models.device import pick_device
    from tunewright.models.resolve import resolve
    from tunewright.store import Workspace

    files = resolve(name, Workspace.open(workspace).cache)
    loaded = load_base(files, "auto", device=pick_device())
    layout.adopt(loaded.model)
    return loaded.model, loaded
