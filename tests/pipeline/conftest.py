"""Fixtures of tests of the pipeline."""

from collections.abc import Iterator

import pytest

from pacbound.training import start


@pytest.fixture(scope="module")
def short_start() -> Iterator[None]:
    """Theta0 of a split passes over its examples 8 times, not 20: for tests that do not ask how good it gets."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(start, "EPOCHS", 8)
        yield
