"""Several processes that train as one: who does what, what they tell each other, and how their sums come together."""
