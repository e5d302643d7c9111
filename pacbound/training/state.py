"""Resumable state: one file, replaced atomically, that belongs to exactly one request."""

import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor

from ..distributed import first, leads
from ..errors import StateError, first_line
from ..stages import go_on, so_far

SAVE_EVERY_SECONDS = 2.0
SAVE_SHARE = 0.05  # of the time, at most: a large state is saved less often


class Checkpoint:
    """Where a long run keeps what it needs to go on: tensors that change, notes made once at its start, and the seconds
    of its stages (stages.py), which a resumed run adds its own to.

    path None keeps nothing. key: digest of everything that determines the run. Of several processes process 0 reads,
    makes notes for all and writes.
    """

    def __init__(self, path: Path | None, key: str) -> None:
        """Bind a path and a key; touches no file."""
        self.path = path
        self.key = key
        self._saved = 0.0
        self._pause = SAVE_EVERY_SECONDS
        self._notes: dict[str, list[int]] | None = None

    def of_seed(self, k: int) -> "Checkpoint":
        """Return where run k of an encoder that runs from several seeds is kept: the first here, others in a folder."""
        if k == 0:
            return self
        return Checkpoint(self.path and methods_folder(self.path) / f"seed-{k}.state", self.key)

    def load(self) -> dict[str, Tensor] | None:
        """Return the saved tensors, or None where there is no file.

        Raises: StateError where the file is not a state or belongs to another request.
        """
        content = first(self._read)
        return None if content is None else dict(content["tensors"])  # type: ignore[call-overload]

    def note(self, name: str, make: Callable[[], list[int]]) -> list[int]:
        """Return what was noted under a name in this or the interrupted run, making it the first time."""
        if self._notes is None:
            content = first(self._read)
            self._notes = {} if content is None else dict(content["notes"])  # type: ignore[call-overload]
        if name not in self._notes:
            made = make()
            self._notes[name] = first(lambda: made)
        return self._notes[name]

    def renew(self, name: str, values: list[int]) -> None:
        """Note other values under a name that has some."""
        assert self._notes is not None
        self._notes[name] = values

    def save(self, tensors: dict[str, Tensor], force: bool = False) -> None:
        """Write the tensors and notes, at most every two seconds unless forced; the file is whole at every moment.

        Raises: StateError where it cannot be written.
        """
        started = time.monotonic()
        if self.path is None or not leads() or (not force and started - self._saved < self._pause):
            return
        temporary = self.path.with_name(f".{self.path.name}.tmp")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            content = {"key": self.key, "tensors": tensors, "notes": self._notes or {}, "seconds": so_far()}
            torch.save(content, temporary)
            os.replace(temporary, self.path)
        except (OSError, RuntimeError) as cause:  # torch wraps what the system says
            raise StateError(
                f"state: {self.path.name} is written into a folder where files can be made, got: "
                f"{first_line(cause)}. Choose another folder for --output."
            ) from cause
        self._saved = time.monotonic()
        self._pause = max(SAVE_EVERY_SECONDS, (self._saved - started) / SAVE_SHARE)

    def _read(self) -> dict[str, object] | None:
        if self.path is None or not self.path.exists():
            return None
        try:
            content = torch.load(self.path, weights_only=True)
            key, _, _ = content["key"], dict(content["tensors"]), dict(content["notes"])
            seconds = {name: float(value) for name, value in content.get("seconds", {}).items()}  # not in old ones
        except Exception as cause:
            raise StateError(
                f"resume: {self.path.name} is not a pacbound state ({type(cause).__name__}). Delete it to start afresh."
            ) from None
        if key != self.key:
            raise StateError(
                f"resume: {self.path.name} belongs to another request. "
                "Repeat the options of the interrupted run, or delete the file to start afresh."
            )
        if not self._saved:  # what this process saved it counts itself
            go_on(seconds)
        return dict(content)


def methods_folder(state: Path) -> Path:
    """Return where all is kept that a state does not hold itself: what the method auto has finished, theta0 of a split,
    the states of further encoder seeds.

    It is to be removed with the state, by whoever saves the certificate.
    """
    return state.with_name(f"{state.name}.methods")


def moments_of(optimizer: torch.optim.Optimizer, parameters: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return what an optimizer keeps of parameters by NAME/PART, not copied; nothing of those it has not moved yet."""
    return {
        f"{name}/{part}": value
        for name, parameter in parameters.items()
        for part, value in optimizer.state.get(parameter, {}).items()
    }


def restore_moments(
    optimizer: torch.optim.Optimizer, parameters: Mapping[str, Tensor], saved: Mapping[str, Tensor]
) -> None:
    """Put copies of what `moments_of` returned back, where each parameter lies."""
    for name, parameter in parameters.items():
        kept = {key.removeprefix(f"{name}/"): value for key, value in saved.items() if key.startswith(f"{name}/")}
        if kept:
            optimizer.state[parameter] = {
                part: value.clone() if part == "step" else value.to(parameter, copy=True)
                for part, value in kept.items()
            }
