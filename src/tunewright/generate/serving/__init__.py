"""Serving: requests that come and go, answered together, no beginning of theirs computed twice."""
