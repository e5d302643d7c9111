"""From real coefficients to symbols and back."""
