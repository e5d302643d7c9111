"""Theorems: from (errors, n, bits, delta) to a bound, rounded outward. No torch."""
