"""Bits: the ledger, the symbol models, the coder and the message. No torch."""
