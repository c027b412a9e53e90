"""Evals as OpenAI's API has them: rows, answers to them, and graders that say which are good enough."""
