"""The decoding engine: answers to prompts, in batches, no shared beginning computed twice."""

from tunewright.generate.engine import Generation, generate

__all__ = ["Generation", "generate"]
