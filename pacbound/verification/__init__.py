"""Rechecking a certificate, at three levels."""
