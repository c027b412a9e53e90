"""The decoding engine: answers to prompts, in batches, no shared beginning computed twice."""

from tunewright.generate.engine import generate
from tunewright.generate.generation import Generation

__all__ = ["Generation", "generate"]
