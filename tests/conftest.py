"""Fixtures shared by all tests."""

import functools
import gc
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# The same examples in every run, so that a failure can be repeated; more are tried with --hypothesis-profile=explore.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.register_profile("explore", derandomize=False, deadline=None, max_examples=2000)
settings.load_profile("repeatable")

if "PYTEST_XDIST_WORKER" in os.environ:  # one process for each core: threads of several would wait for each other
    os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # threads that wait leave their core to others
os.environ.pop("COLUMNS", None)  # the width of somebody's terminal; tests name one where they mean one
gc.disable()  # what importing and collecting make stays, and looking through it for garbage takes a fifth of their time


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Those of one worker come first, for the first of several is given the first eighth of all."""
    items.sort(key=lambda item: item.get_closest_marker("one_worker") is None)


def pytest_collection_finish() -> None:
    """What is there now stays to the end: no collection of garbage shall look through all the tests again."""
    gc.freeze()
    gc.set_threshold(20_000)  # to look after every 700 objects takes a hundredth of the time
    gc.enable()
    for name in list(logging.root.manager.loggerDict):
        if name.startswith("torch"):  # pytest hangs handlers on each that passes nothing on, six times a test
            logging.getLogger(name).propagate = True


@pytest.fixture(scope="session", autouse=True)
def few_alone() -> Iterator[None]:
    """Of a sample few inputs are asked one by one, not 1,000 as for users, which test_passes looks at."""
    passes = sys.modules.get("pacbound.networks.passes")  # if none, somebody tests arithmetic alone
    with pytest.MonkeyPatch.context() as patch:
        if passes is not None:
            from tests.several import FEW_ALONE

            patch.setattr(passes, "ALONE", FEW_ALONE)
        yield


@pytest.fixture(scope="session", autouse=True)
def command_made_once() -> Iterator[None]:
    """typer makes verbs and options anew whenever the command is called, for a fiftieth of a second."""
    typer = sys.modules.get("typer.main")
    with pytest.MonkeyPatch.context() as patch:
        if typer is not None:
            patch.setattr(typer, "get_group", functools.cache(typer.get_group))
        yield


@pytest.fixture(scope="session")
def data_root() -> Path:
    """Folder with one folder per data set; tests that need it are skipped where it is not named."""
    root = os.environ.get("PACBOUND_DATA")
    if not root:
        pytest.skip("PACBOUND_DATA is not set")
    return Path(root)


@pytest.fixture(scope="session", autouse=True)
def unpacked_once() -> Iterator[None]:
    """Official files are unpacked once a process, which takes a third of a second for one of them."""
    idx, root = sys.modules.get("pacbound.data.idx"), os.environ.get("PACBOUND_DATA")
    with pytest.MonkeyPatch.context() as patch:
        if idx is not None and root:
            unpack, once = idx._gunzipped, functools.cache(idx._gunzipped)
            patch.setattr(idx, "_gunzipped", lambda path: (once if path.is_relative_to(root) else unpack)(path))
        yield


@pytest.fixture(scope="module")
def brief_start() -> Iterator[None]:
    """Theta0 of a split is trained for a few passes or steps: for tests that do not ask how good it gets."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pacbound.training.start.EPOCHS", 8)
        patch.setattr("pacbound.pipeline.language_start.LEAST_STEPS", 60)
        yield


@pytest.fixture(scope="module")
def brief_posterior() -> Iterator[None]:
    """The posterior encoder looks at few examples and makes few moves: for tests that ask neither."""
    from tests.several import brief

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pacbound.pipeline.encoding.posterior_settings", brief)
        yield
