"""Theorems: from (errors, n, bits, delta) to a bound, rounded outward. No torch.

claims holds the records, inversion the three certified inversions, occam and pac_bayes one function per
theorem, table their names, arrays the public `bound` for numbers of any kind, planning the questions asked
beforehand. picks is about networks made from a few examples; losses, language and subsampled are about means of
bounded losses, such as bits a token.
"""
