"""Covering numbers, with and without functional equivalence."""
