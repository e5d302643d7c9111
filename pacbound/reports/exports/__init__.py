"""A certificate in the formats that other tools read: made from the certificate alone, the same bytes each time."""
