"""The demonstration: the support desk's recipe, run from where it lies, in the user's own workspace."""

from __future__ import annotations

from pathlib import Path

import tunewright
from tunewright.base.errors import WorkspaceError

_INSTALLED = Path("examples") / "support_desk"
_SOURCE_TREE = Path("examples") / "support-desk"


def demo_recipe() -> Path:
    """The recipe's path: beside the installed package, or in the source tree.

    Raises:
        WorkspaceError: If the installation lacks it.
    """
    package = Path(tunewright.__file__).parent
    for folder in (package / _INSTALLED, package.parent.parent / _SOURCE_TREE):
        if (folder / "recipe.yaml").exists():
            return folder / "recipe.yaml"
    raise WorkspaceError(
        "The demonstration's recipe is missing from this installation",
        where=str(package / _INSTALLED),
        hint="Install tunewright again, or run it from a clone of the project.",
    )
