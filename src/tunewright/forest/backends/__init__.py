"""Ways to compute attention over a forest, one file each; `dense` is what the others are checked against."""
