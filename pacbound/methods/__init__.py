"""The ways to a certificate, by name: methods/table.py lists them."""
