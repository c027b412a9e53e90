"""The decoding engine: answers to prompts, greedy or drawn, no shared beginning computed twice."""

from tunewright.generate.engine import generate
from tunewright.generate.generation import Generation
from tunewright.recipe.sampling import Sampling

__all__ = ["Generation", "Sampling", "generate"]
