"""Studies: questions that people ask of bounds, each a few sweeps side by side and one section of a report."""
