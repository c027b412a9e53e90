"""Ways to make a base model trainable, one file each."""
