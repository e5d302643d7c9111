"""A network as a program of linear layers: traced, as matrices, with certified norms and wiring."""
