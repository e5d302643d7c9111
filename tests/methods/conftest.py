"""Fixtures of the methods."""

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="module")
def brief_start() -> Iterator[None]:
    """Theta0 of a split is trained for a few steps: enough for clouds and letters, in a fraction of the time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pacbound.training.start.EPOCHS", 10)
        patch.setattr("pacbound.pipeline.language_start.LEAST_STEPS", 60)
        yield
