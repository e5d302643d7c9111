"""When bars are shown: in terminals and in notebooks, never in pipes."""

import io
import sys
from types import SimpleNamespace

import pytest

from pacbound.progress import hidden, in_notebook, tqdm


def kernel(**config: object) -> SimpleNamespace:
    """A module IPython whose shell has this configuration."""
    return SimpleNamespace(get_ipython=lambda: SimpleNamespace(config=config))


def test_whoever_wants_no_bar_gets_none() -> None:
    assert hidden(False) is True


def test_outside_a_notebook_the_stream_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    assert hidden() is None
    stream = io.StringIO()
    assert list(tqdm(range(3), file=stream, disable=hidden())) == [0, 1, 2]
    assert stream.getvalue() == ""  # no terminal
    monkeypatch.setitem(sys.modules, "IPython", kernel(TerminalIPythonApp={}))
    assert not in_notebook()
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: None))
    assert not in_notebook()


def test_in_a_notebook_there_is_a_bar_though_its_stream_is_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "IPython", kernel(IPKernelApp={}))
    assert hidden() is False
    stream = io.StringIO()
    assert list(tqdm(range(3), file=stream, disable=hidden())) == [0, 1, 2]
    assert "3/3" in stream.getvalue()
    assert hidden(False) is True
