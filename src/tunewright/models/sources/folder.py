"""A local folder with safetensors weights. Pickles are refused: opening one can run any code."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Literal

from pydantic import Field

from tunewright.base.errors import ModelError
from tunewright.base.plugins import PluginConfig
from tunewright.models.delivery import Delivery, Origin
from tunewright.models.files import wanted_files, weight_files


class Config(PluginConfig):
    """A folder on this machine."""

    name: Literal["folder"] = "folder"
    path: str = Field(min_length=1, description="An absolute path; `~` is the home folder.")


def describe(config: Config) -> str:
    """Such as `folder /models/mine`."""
    return f"folder {config.path}"


def fetch(config: Config, delivery: Delivery) -> Origin:
    """Copies the model's files.

    Raises:
        ModelError: If the folder is missing or holds no whole safetensors model.
    """
    copy_model(existing_folder(config.path), delivery)
    return Origin(describe(config))


def existing_folder(path: str) -> Path:
    """The folder behind a path, absolute.

    Raises:
        ModelError: If there is none.
    """
    folder = Path(path).expanduser().absolute()
    if not folder.is_dir():
        raise ModelError("There is no such folder", where=str(folder), hint="Check the path.")
    return folder


def copy_model(folder: Path, delivery: Delivery) -> None:
    """Copies what belongs to the model, and nothing else, into the delivery's folder."""
    weight_files(folder)
    files = wanted_files(folder)
    total, done = sum(file.stat().st_size for file in files), 0
    delivery.tell("copy", "started", (0, total, "bytes"))
    for file in files:
        target = delivery.folder / file.relative_to(folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
        done += file.stat().st_size
        delivery.tell("copy", "progress", (done, total, "bytes"))
    delivery.tell("copy", "finished", (total, total, "bytes"))
