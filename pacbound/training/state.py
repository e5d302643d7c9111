"""Resumable state: one file, replaced atomically, that belongs to exactly one request."""

import os
import time
from pathlib import Path

import torch
from torch import Tensor

from ..errors import StateError

SAVE_EVERY_SECONDS = 2.0


class Checkpoint:
    """Where a long run keeps what it needs to go on: tensors, and the plan made once at its start.

    path None keeps nothing. key: digest of everything that determines the run.
    """

    def __init__(self, path: Path | None, key: str) -> None:
        """Bind a path and a key; touches no file."""
        self.path = path
        self.key = key
        self._saved = 0.0

    def load(self) -> dict[str, Tensor] | None:
        """Return the saved tensors, or None where there is no file.

        Raises: StateError where the file is not a state or belongs to another request.
        """
        if self.path is None or not self.path.exists():
            return None
        try:
            content = torch.load(self.path, weights_only=True)
            key, tensors = content["key"], content["tensors"]
        except Exception as cause:
            raise StateError(f"resume: {self.path.name} is not a pacbound state ({cause}). Delete it.") from None
        if key != self.key:
            raise StateError(
                f"resume: {self.path.name} belongs to another request. "
                "Repeat the options of the interrupted run, or start afresh without --resume."
            )
        return dict(tensors)

    def save(self, tensors: dict[str, Tensor], force: bool = False) -> None:
        """Write the tensors, at most every two seconds unless forced; the file is whole at every moment."""
        if self.path is None or (not force and time.monotonic() - self._saved < SAVE_EVERY_SECONDS):
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.path.with_name(f".{self.path.name}.tmp")
        torch.save({"key": self.key, "tensors": tensors}, temporary)
        os.replace(temporary, self.path)
        self._saved = time.monotonic()

    def remove(self) -> None:
        """Delete the file once the run it belongs to has ended."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)
