"""One file for each area of the API; each holds a `router`, and is found by its name."""
