"""A GGUF file, de-quantised once into a folder of float32 safetensors.

The weights then differ slightly from those before quantisation, so such a base has a hash, and adapters, of its own.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from tunewright.base.errors import ModelError, OutOfMemoryError
from tunewright.base.events import Message
from tunewright.base.plugins import PluginConfig
from tunewright.base.quiet import quiet
from tunewright.models.available import available_bytes
from tunewright.models.delivery import Delivery, Origin
from tunewright.models.memory import GIB

_MAX_SHARD = "5GB"
# Names that llama.cpp gives to GPT-2's own way of cutting text before the merges.
_PLAIN_SPLITS = frozenset({"", "default", "gpt-2", "gpt2", "olmo", "mpt", "jais", "phi-2"})
# Those that first set each digit apart, then cut like GPT-2 (llama.cpp, llama-vocab.cpp, LLAMA_VOCAB_PRE_TYPE_*).
_DIGIT_SPLITS = frozenset({"smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b"})
_BAR = re.compile(r"(\d+)/(\d+) \[")


class Config(PluginConfig):
    """A file on this machine."""

    name: Literal["gguf"] = "gguf"
    path: str = Field(pattern=r"\.gguf$", description="An absolute path; `~` is the home folder.")


def describe(config: Config) -> str:
    """Such as `gguf /models/mine.gguf`."""
    return f"gguf {config.path}"


def fetch(config: Config, delivery: Delivery) -> Origin:
    """Converts the file.

    Raises:
        ModelError: If the file is missing, damaged, or of an architecture that transformers does not read.
    """
    file = Path(config.path).expanduser().absolute()
    if not file.is_file():
        raise ModelError("There is no such file", where=str(file), hint="Check the path.")
    return Origin(describe(config), convert(file, delivery))


def convert(file: Path, delivery: Delivery) -> str:
    """Writes a GGUF file's weights, configuration, tokenizer and chat template into the delivery's folder.

    Returns:
        The licence that the file states, or an empty text.
    Raises:
        ModelError: If the file is damaged, or of an architecture that transformers does not read.
        OutOfMemoryError: If its weights do not fit in memory.
    """
    delivery.tell("convert", "started", note="reading the header")
    bars = _Bars(delivery)
    with quiet(), _read_once(), contextlib.redirect_stderr(bars):
        licence, split = _inspect(file)
        delivery.tell("convert", "progress", note="building the tokenizer")
        tokenizer = _load_tokenizer(file)
        delivery.tell("convert", "progress", note="reading the weights")
        model = _load_model(file)
    _set_split(tokenizer, split, delivery)
    delivery.tell("convert", "progress", (bars.total, bars.total, "tensors"), "writing safetensors")
    _save_model(model, delivery.folder)
    tokenizer.model_max_length = model.config.max_position_embeddings
    tokenizer.save_pretrained(delivery.folder)
    delivery.tell("convert", "finished", (bars.total, bars.total, "tensors"), file.name)
    return licence


@contextlib.contextmanager
def _read_once() -> Iterator[None]:
    """While open, a file's header is read once, and the names of its tensors are made once.

    transformers does the first three times and the second for each module, which is most of the time of a conversion.
    """
    import gguf

    names = ("GGUFReader", "get_tensor_name_map")
    stock = {name: getattr(gguf, name) for name in names}
    for name, made in stock.items():
        setattr(gguf, name, functools.cache(made))
    try:
        yield
    finally:
        for name, made in stock.items():
            setattr(gguf, name, made)


class _Bars(io.TextIOBase):
    """Stands in for standard error while transformers draws its progress bars there, and reads them."""

    def __init__(self, delivery: Delivery) -> None:
        super().__init__()
        self.total = 0
        self._delivery = delivery

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        for done, total in _BAR.findall(text):
            self.total = int(total)
            self._delivery.tell("convert", "progress", (int(done), int(total), "tensors"))
        return len(text)


def _inspect(file: Path) -> tuple[str, str]:
    """A GGUF file's licence and the name of its way of cutting text; both may be empty.

    Raises:
        ModelError: If the file is no whole GGUF file.
        OutOfMemoryError: If its weights do not fit in memory, de-quantised.
    """
    from gguf import GGUFReader

    try:
        reader = GGUFReader(str(file))
        parameters = sum(int(tensor.n_elements) for tensor in reader.tensors)
    except (ValueError, KeyError, IndexError, OSError) as error:
        raise ModelError(
            f"This is not a whole GGUF file ({error})", where=str(file), hint="Copy or download it again."
        ) from error
    if "tokenizer.ggml.model" not in reader.fields:
        raise ModelError("This GGUF file holds no tokenizer", where=str(file), hint="Use one that holds a whole model.")
    needed, available = 4 * parameters, available_bytes()
    if needed > available:
        raise OutOfMemoryError(
            f"De-quantised to float32 its weights take {needed / GIB:.1f} GB, and {available / GIB:.1f} GB are free",
            where=str(file),
            hint="Choose a smaller model, or a machine with more memory.",
        )

    def text(key: str) -> str:
        return str(reader.fields[key].contents()) if key in reader.fields else ""

    return text("general.license"), text("tokenizer.ggml.pre")


def _load_tokenizer(file: Path) -> Any:
    from transformers import AutoTokenizer

    with _unreadable(file):
        return AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name, trust_remote_code=False)


def _load_model(file: Path) -> Any:
    import torch
    from transformers import AutoModelForCausalLM

    with _unreadable(file):
        return AutoModelForCausalLM.from_pretrained(
            file.parent, gguf_file=file.name, dtype=torch.float32, trust_remote_code=False
        )


@contextlib.contextmanager
def _unreadable(file: Path) -> Iterator[None]:
    try:
        yield
    except (ValueError, KeyError, NotImplementedError, RuntimeError) as error:
        raise ModelError(
            f"transformers cannot read this GGUF file ({error})",
            where=str(file),
            hint="Use the model's safetensors instead.",
        ) from error


def _set_split(tokenizer: Any, split: str, delivery: Delivery) -> None:
    """Makes the tokenizer cut text as the model's own does, where transformers took GPT-2's way for want of better.

    Otherwise `\\n\\n7` becomes other tokens than those the model was trained on.
    """
    from tokenizers import pre_tokenizers

    backend = tokenizer.backend_tokenizer
    if not isinstance(backend.pre_tokenizer, pre_tokenizers.ByteLevel) or split in _PLAIN_SPLITS:
        return
    if split in _DIGIT_SPLITS:
        backend.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
        )
        return
    delivery.listener(
        Message(
            f"{delivery.name}: the tokenizer's way of cutting text, '{split}', is not known here; GPT-2's is used. "
            "Some texts may become other tokens than in the model's own tokenizer: prefer its safetensors.",
            level="warning",
        )
    )


def _save_model(model: Any, folder: Path) -> None:
    """Writes what `save_pretrained` would, had transformers not marked the model as quantised."""
    from huggingface_hub import save_torch_state_dict

    config = copy.deepcopy(model.config)
    del config.quantization_config
    config.architectures = [type(model).__name__]
    config.save_pretrained(folder)
    model.generation_config.save_pretrained(folder)
    tensors: dict[str, Any] = {}
    storages: set[int] = set()
    for name, tensor in model.state_dict().items():
        if tensor.data_ptr() not in storages:  # tied weights are stored once, under the first of their names
            storages.add(tensor.data_ptr())
            tensors[name] = tensor.contiguous()
    save_torch_state_dict(tensors, folder, max_shard_size=_MAX_SHARD, metadata={"format": "pt"})
    for file in folder.glob("*.safetensors"):
        file.chmod(0o644)  # safetensors makes files that only their owner may read
