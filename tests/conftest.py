"""Fixtures shared by all tests."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def data_root() -> Path:
    """Folder with one folder per data set; tests that need it are skipped where it is not named."""
    root = os.environ.get("PACBOUND_DATA")
    if not root:
        pytest.skip("PACBOUND_DATA is not set")
    return Path(root)
