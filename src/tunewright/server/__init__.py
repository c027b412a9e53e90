"""OpenAI's fine-tuning and inference API, answered by this machine."""
