"""The document: schema, canonical form, digest and recheck. No torch."""

from .schema import Baseline, Certificate, DataRecord, Environment, HeldOut, OtherBound

__all__ = ["Baseline", "Certificate", "DataRecord", "Environment", "HeldOut", "OtherBound"]
