"""The only optimizers."""
