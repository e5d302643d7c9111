"""The redundancy ratio K/R of tensor decompositions."""
