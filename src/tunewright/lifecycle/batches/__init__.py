"""Batches: a file of requests, answered many at once by models of this machine, and a file of answers."""
