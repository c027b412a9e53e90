"""The parts of bench/sft.py. `ours`, `peer`, `prepare` and `products` are processes; the rest is what starts them."""
