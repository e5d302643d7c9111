"""Generalization bounds by compression, as certificates that anybody can decode and verify."""
