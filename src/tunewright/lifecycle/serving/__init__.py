"""Models that answer over the API: what is served under which name, what is in memory, and how it is asked."""
