"""Theorems: from (errors, n, bits, delta) to a bound, rounded outward. No torch.

claims holds the records, inversion the two certified inversions, occam and pac_bayes one function per
theorem, table their names, planning the questions asked beforehand.
"""
