"""Rows that lie elsewhere, brought to files on this machine: one file here for each kind of place."""
