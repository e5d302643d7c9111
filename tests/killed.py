"""A language model whose training is killed and goes on, beside one that nobody disturbs."""

from pathlib import Path
from typing import Any

import pytest

from pacbound.certificate.language import LanguageCertificate
from pacbound.methods.language import certify_language
from pacbound.request.request import Request
from pacbound.training.state import Checkpoint

SAVES = 20  # after which it is killed


def whole_and_resumed(
    request: Request, state: Path, monkeypatch: pytest.MonkeyPatch, saves: int = SAVES
) -> tuple[LanguageCertificate, LanguageCertificate]:
    """Certify twice: at once, and `resumed`."""
    return certify_language(request, progress=False), resumed(request, state, monkeypatch, saves)


def resumed(request: Request, state: Path, monkeypatch: pytest.MonkeyPatch, saves: int = SAVES) -> LanguageCertificate:
    """Certify with a training that saves at every step, is killed, and goes on from its state."""
    left, plain = iter(range(saves, -1, -1)), Checkpoint.save

    def killed(checkpoint: Checkpoint, *rest: Any, **options: Any) -> None:
        checkpoint._pause = 0.0
        plain(checkpoint, *rest, **options)
        if next(left) == 0:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoint, "save", killed)
        with pytest.raises(KeyboardInterrupt):
            certify_language(request, state=state, progress=False)
    return certify_language(request, state=state, progress=False)
