"""Where base models come from, one file each.

A source holds `Config` (what `catalog.yaml` says of it), `describe(config) -> str` (its name in messages and
manifests) and `fetch(config, delivery) -> Origin`, which fills `delivery.folder` with safetensors weights, a
configuration and a tokenizer, or raises a `ModelError` that says why it cannot.
"""
