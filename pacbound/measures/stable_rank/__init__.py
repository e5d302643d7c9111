"""Stable ranks of layers."""
