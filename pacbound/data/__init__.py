"""Data sets, embedded and on disk."""
