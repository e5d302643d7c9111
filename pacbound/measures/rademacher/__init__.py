"""Rademacher capacity, margin bounds, and what they are compared with."""
