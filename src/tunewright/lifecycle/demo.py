"""The demonstration: the support desk's recipe, run from where it lies, in the user's own workspace."""

from __future__ import annotations

from pathlib import Path

from tunewright.base.errors import WorkspaceError

_PACKAGE = Path(__file__).parent.parent
_INSTALLED = Path("examples") / "support_desk"
_SOURCE_TREE = Path("examples") / "support-desk"


def demo_recipe() -> Path:
    """The recipe's path: beside the installed package, or in the source tree.

    Raises:
        WorkspaceError: If the installation lacks it.
    """
    for folder in (_PACKAGE / _INSTALLED, _PACKAGE.parent.parent / _SOURCE_TREE):
        if (folder / "recipe.yaml").exists():
            return folder / "recipe.yaml"
    raise WorkspaceError(
        "The demonstration's recipe is missing from this installation",
        where=str(_PACKAGE / _INSTALLED),
        hint="Install tunewright again, or run it from a clone of the project.",
    )
