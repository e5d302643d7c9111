"""From a request to a certificate: what is fixed before training, the encoder, and the one finish."""
