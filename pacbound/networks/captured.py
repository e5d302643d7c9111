"""What reaches the trained part of a network: computed once, as all before it is frozen.

Training runs on these inputs; what is certified is counted on the whole network and the raw examples, so that nothing
here can make a bound wrong.
"""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from ..data.mixed import Raw
from ..data.preprocess import Treated, preprocessed, treated
from ..distributed import each, first, leads, slices
from ..errors import StateError, first_line
from ..models.others import private_copy
from ..models.views import Front
from ..progress import hidden, tqdm
from ..specs.specs import PreprocessSpec
from ..stages import go_on, so_far
from ..subspace.random import normals
from ..threads import measured_threads, tick
from .frozen import named_tensors
from .passes import PROBED, batch_for

BATCH = 250
CHECKED = (2, 5)  # sizes of the batches on which the part is compared with the whole
STAGE = "features"  # whose seconds are kept with a pass that is cut off
SAVED_EVERY = 2000  # examples: a pass that is cut off goes on from there


class Part(nn.Module):
    """A submodule by itself, whose parameters keep the names that they have in the whole network."""

    def __init__(self, path: str, submodule: nn.Module) -> None:
        """Wrap the submodule at a dotted path."""
        super().__init__()
        self.path = path
        outer: nn.Module = self
        *parents, last = path.split(".")
        for name in parents:
            inner = nn.Module()
            outer.add_module(name, inner)
            outer = inner
        outer.add_module(last, submodule)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits of captured inputs."""
        logits: Tensor = self.get_submodule(self.path)(x)
        return logits


@dataclass(frozen=True)
class Captured:
    """The trained part of a network and its inputs x (n, ...), one for each example, in the type they are held in."""

    part: Part
    x: Tensor

    def read(self, device: torch.device | None = None) -> Tensor | Treated:
        """Return the inputs in float32 on a device, by default their own: whole; halves, which are many, as asked."""
        if self.x.dtype == torch.float16:
            return Treated(self.x, PreprocessSpec(), device or self.x.device)
        return treated(self.x, PreprocessSpec(), device)


@dataclass(frozen=True)
class Frozen:
    """A network before whose trained part all is frozen, with the constants of its input."""

    module: nn.Module
    path: str
    preprocess: PreprocessSpec

    def part(self) -> Part:
        """Return the trained part by itself."""
        return Part(self.path, private_copy(self.module.get_submodule(self.path)))

    @torch.no_grad()
    def inputs(self, x: Raw) -> Tensor:
        """Return what reaches the trained part for raw examples x (batch, ...)."""
        return _asked(self.module, self.path, preprocessed(x, self.preprocess))[0]


def frozen_before(module: nn.Module, x: Raw, preprocess: PreprocessSpec, front: bool = False) -> Frozen | str:
    """Find the smallest part that holds all trained parameters and ends in the logits.

    x: a few raw examples (m, ...), on which the part alone must answer as the whole does, bit for bit, with theta0 and
    with other trained parameters. front: cut where nothing is frozen too, behind a Front, which has no parameters.
    Returns: the network cut there; or, in words, why all of it has to run in training.
    """
    trained = [name for name, parameter in module.named_parameters() if parameter.requires_grad]
    fixed = front and any(isinstance(part, Front) for part in module.modules())
    if len(trained) == len(list(module.parameters())) and not fixed:
        return "every parameter is trained"
    parents = [name.split(".")[:-1] for name in trained]
    levels = zip(*parents, strict=False)
    shared = [level[0] for level in takewhile(lambda level: len(set(level)) == 1, levels)]
    module = private_copy(module)
    why = "the trained parameters have no module of their own that ends in the logits"
    for depth in range(len(shared), 0, -1):
        path = ".".join(shared[:depth])
        why = _why_not(Frozen(private_copy(module), path, preprocess), x)
        if not why:
            return Frozen(module, path, preprocess)
    return why


@torch.no_grad()
def put_back(whole: nn.Module, part: nn.Module) -> nn.Module:
    """Return a copy of a network with the tensors of its trained part, which go by the same names; or of all of it."""
    copied = private_copy(whole)
    own = named_tensors(copied)
    for name, tensor in named_tensors(part).items():
        own[name].copy_(tensor)
    return copied


def capture(
    frozen: Frozen,
    x: Raw,
    store: Path | None = None,
    key: str = "",
    progress: bool = True,
    dtype: torch.dtype = torch.float32,
) -> Captured:
    """Run all raw examples x (n, ...) through what is frozen, once; of several processes each runs some.

    store: the .npy file in which process 0 keeps the result, with how far it is beside it; a pass that was cut off goes
    on from there, and one that is whole is read. key: digest of all that decides the result but the code of the
    network, which is asked about the first examples again. dtype: of the result; float32 in a file.
    Raises: StateError where the file cannot be written.
    """
    batch, most = min(BATCH, batch_for(frozen.inputs, x)), torch.finfo(dtype).max
    start = frozen.inputs(x[:batch])
    try:
        kept, done, note = _opened(store if leads() else None, (len(x), *start.shape[1:]), key, start, dtype)
        there = first(lambda: kept[:done])
        done = len(there)
        if not leads():
            kept[:done] = there
        parts = [rows for rows in slices(len(x), batch) if rows.start >= done]
        found = each(parts, lambda rows: start if rows.start == 0 else frozen.inputs(x[rows]))
        bar = tqdm(total=len(x), initial=done, desc="frozen part", unit="example", disable=hidden(progress), delay=2)
        with bar, measured_threads(lambda: frozen.inputs(x[:PROBED])):
            for rows, part in zip(parts, found, strict=True):
                kept[rows] = part.clamp(-most, most)
                bar.update(rows.stop - rows.start)
                tick("frozen part")
                if rows.stop - done >= SAVED_EVERY or rows.stop == len(x):
                    note(rows.stop)
                    done = rows.stop
    except OSError as why:
        raise StateError(
            f"capture: what reaches the trained part is kept in a file that can be written, got: {first_line(why)}. "
            "Choose another folder for --output."
        ) from None
    return Captured(frozen.part(), kept)


def _opened(
    store: Path | None, shape: tuple[int, ...], key: str, first: Tensor, dtype: torch.dtype
) -> tuple[Tensor, int, Callable[[int], None]]:
    """Return the tensor to fill, how many of its rows are there already, and what notes that."""
    if store is None:
        return torch.empty(shape, dtype=dtype), 0, lambda rows: None
    mark = store.with_suffix(".json")
    rows = 0
    try:
        said = json.loads(mark.read_text("utf-8"))
        if store.exists() and said["key"] == key:
            rows = int(said["rows"])
            found = np.load(store, mmap_mode="r")
            fits = found.shape == shape and found.dtype == np.float32
            rows = rows if fits and np.array_equal(found[: len(first)], first.numpy()) else 0
            if 0 < rows < shape[0]:  # a pass that was cut off
                go_on({STAGE: float(said.get("seconds", 0))})
    except (OSError, ValueError, KeyError, TypeError):
        rows = 0  # no file, or none of ours: it is made anew
    if rows == shape[0]:
        return torch.from_numpy(np.load(store, mmap_mode="c")), rows, lambda rows: None
    if not rows:
        mark.unlink(missing_ok=True)
    kept = np.lib.format.open_memmap(store, mode="r+" if rows else "w+", dtype=np.float32, shape=shape)

    def note(rows: int) -> None:
        kept.flush()
        temporary = mark.with_suffix(".tmp")
        temporary.write_text(json.dumps({"key": key, "rows": rows, "seconds": so_far().get(STAGE, 0.0)}), "utf-8")
        os.replace(temporary, mark)

    return torch.from_numpy(kept), rows, note


@torch.no_grad()
def _why_not(frozen: Frozen, x: Raw) -> str:
    """Return in words why the part cannot stand for the whole network; nothing where it can. Changes the module."""
    name = frozen.path
    for change in (_unchanged, _redrawn):
        change(frozen.module)
        part = frozen.part()
        for size in CHECKED:
            raw = preprocessed(x[torch.arange(size) % len(x)], frozen.preprocess)
            try:
                asked, logits = _asked(frozen.module, name, raw)
            except _Unfit as why:
                return f"{name} {why}"
            if not torch.equal(asked, _asked(frozen.module, name, raw)[0]):
                return f"what reaches {name} is random"
            if len(asked) != size or not torch.equal(part(asked), logits):
                return f"the output of {name} is processed afterwards"
    return ""


def _unchanged(module: nn.Module) -> None:
    """Leave theta0 as it is."""


def _redrawn(module: nn.Module) -> None:
    """Put other values in the place of what is trained."""
    for name, parameter in module.named_parameters():
        if parameter.requires_grad:
            noise = normals(0, f"networks/captured/{name}", parameter.numel())
            parameter.copy_(torch.from_numpy(noise).reshape(parameter.shape))


class _Unfit(Exception):
    """Why one part's inputs cannot be captured, in words that follow its name."""


def _asked(module: nn.Module, path: str, x: Tensor) -> tuple[Tensor, Tensor]:
    """Return what the part at a path is asked for inputs x, and the logits of the whole. Raises: _Unfit."""
    seen: list[Tensor] = []

    def look(part: nn.Module, given: tuple[object, ...], named: dict[str, object]) -> None:
        if len(given) != 1 or named or not isinstance(given[0], Tensor):
            raise _Unfit("takes more than one tensor")
        seen.append(given[0].detach().clone())

    handle = module.get_submodule(path).register_forward_pre_hook(look, with_kwargs=True)
    try:
        logits: Tensor = module(x)
    finally:
        handle.remove()
    if len(seen) != 1:
        raise _Unfit(f"is used {len(seen)} times for one input")
    return seen[0], logits
