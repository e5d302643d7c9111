"""Certificates where training happens: after a fit by Trainer or Lightning, and as an estimator of scikit-learn."""
