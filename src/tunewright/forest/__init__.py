"""The prefix forest: no prefix is computed twice.

In a causal model a token's hidden state depends on its ancestors alone, so rows that begin alike share the states of
their common beginning, and by linearity the gradients of those states add. A step's rows are merged into tries, each
node is computed once, and losses live on edges. (The same idea: Tree Training, arXiv:2511.00413.)
"""

from typing import TYPE_CHECKING, Any

from tunewright.forest.forest import Forest, Path, build, cut

if TYPE_CHECKING:
    from tunewright.forest.score import score_paths

__all__ = ["Forest", "Path", "build", "cut", "score_paths"]


def __getattr__(name: str) -> Any:
    if name == "score_paths":  # needs torch, and building forests does not
        from tunewright.forest.score import score_paths

        return score_paths
    raise AttributeError(f"module 'tunewright.forest' has no attribute {name!r}")
