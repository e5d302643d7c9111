"""Vectors: layout of parameters, projectors and the subspace."""
