"""Sweeps: a finite grid of requests, drawn and paid before the first of them runs, and then searched by any order."""
