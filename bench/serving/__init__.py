"""The works of bench/serve.py."""
