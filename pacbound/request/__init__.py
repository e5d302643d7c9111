"""What is asked for: every option as one record, and presets of them."""
