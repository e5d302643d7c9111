"""The document: schema, canonical form, digest and recheck. No torch."""
