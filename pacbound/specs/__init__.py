"""The vocabulary of a certificate: records that say how a network is rebuilt. Data only, no torch."""
