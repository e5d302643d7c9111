"""Weights from a file, into a network of the same names: .safetensors, or a torch file read without running it.

A folder as transformers writes it is read by that package, as safetensors.

A checkpoint may be theta0 of a certificate: its SHA-256 is declared, so that whoever verifies reads the same file.
"""

import difflib
import hashlib
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, load_file, save
from torch import Tensor, nn

from ..errors import ModelError, RequestError
from ..models.foreign import folder_digest, folder_tensors
from ..models.reference import initialise
from ..specs.specs import CHECKPOINT_KINDS, BaseKind, BaseOrigin
from .hypothesis import Base, make_base, make_zero_base, values_digest

WRAPPERS = ("state_dict", "model_state_dict", "model", "net")
MAX_NESTING = 4
PREFIX = "module."  # what DataParallel puts before every name
COUNTER = "num_batches_tracked"  # of normalisation layers, absent from old files and without effect in eval mode
SHOWN = 5


def read_checkpoint(path: str | Path, rename: Sequence[str] = ()) -> dict[str, Tensor]:
    """Read the tensors of a checkpoint by name, in their own dtypes, on the CPU; nothing in the file is run.

    A torch file holds a state dict, itself or under a key such as state_dict; a prefix `module.` that all names
    share is taken off, and after it each rule REGEX=REPLACEMENT of `rename` is applied to every name in turn.
    A folder of transformers has the names that `load_model` gives its network (hf:FOLDER).
    Raises: ModelError where there is no such file or it holds something else; RequestError for a wrong rule.
    """
    file = Path(path)
    if not file.is_file() and not file.is_dir():
        raise ModelError(f"read_checkpoint: {file.name} is a file, found none. Check the path.")
    content = _content(file)
    for _ in range(MAX_NESTING):
        inner = [content[key] for key in WRAPPERS if isinstance(content, dict) and isinstance(content.get(key), dict)]
        content = inner[0] if inner else content
    if not isinstance(content, dict) or not content or not all(isinstance(t, Tensor) for t in content.values()):
        raise ModelError(
            f"read_checkpoint: {file.name} holds tensors by name, got {type(content).__name__}"
            + (f" with keys {', '.join(map(str, list(content)[:SHOWN]))}" if isinstance(content, dict) else "")
            + ". Save model.state_dict()."
        )
    tensors = {str(name): tensor for name, tensor in content.items()}
    if all(name.startswith(PREFIX) for name in tensors):
        tensors = {name.removeprefix(PREFIX): tensor for name, tensor in tensors.items()}
    for rule in rename:
        tensors = _renamed(tensors, rule)
    return tensors


def load_checkpoint(
    module: nn.Module, path: str | Path, rename: Sequence[str] = (), new_head_seed: int | None = None
) -> None:
    """Copy a checkpoint into a module, in the module's dtypes; every name and shape must match.

    Args: module: changed in place. path: of the file. rename: rules REGEX=REPLACEMENT for the names of the file.
        new_head_seed: where given, the last layer is drawn from this seed, whatever the file holds for it.
    Raises: ModelError where names, shapes or kinds of numbers differ, or a value is not finite.
    """
    _fill(module, read_checkpoint(path, rename), Path(path).name, new_head_seed)


def _fill(module: nn.Module, tensors: dict[str, Tensor], file: str, new_head_seed: int | None = None) -> None:
    own = module.state_dict()
    head = head_of(module)
    if new_head_seed is not None:
        if not head:
            raise ModelError(f"load_checkpoint: a new head is a layer with weights, {type(module).__name__} has none.")
        tensors = {name: tensor for name, tensor in tensors.items() if name not in head}
        initialise(module, new_head_seed)
    _check_names(own, tensors, head if new_head_seed is not None else (), file, type(module).__name__)
    for name, tensor in tensors.items():
        _check_tensor(name, tensor, own[name], file, last=name in head)
    module.load_state_dict(tensors, strict=False)


def head_of(module: nn.Module) -> tuple[str, ...]:
    """Return the names of the parameters of the last layer: those beside the last weight with 2 or more dimensions.

    >>> head_of(nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2)))
    ('1.weight', '1.bias')
    """
    weights = [name for name, parameter in module.named_parameters() if parameter.ndim >= 2]
    if not weights:
        return ()
    owner = weights[-1].rpartition(".")[0]
    return tuple(name for name, _ in module.named_parameters() if name.rpartition(".")[0] == owner)


def checkpoint_base(
    module: nn.Module,
    path: str | Path,
    rename: Sequence[str] = (),
    new_head_seed: int | None = None,
    frozen_buffers: tuple[str, ...] = (),
) -> Base:
    """Copy a module and fix its theta0, buffers included, to a checkpoint trained on data disjoint from the sample.

    Whether it was is for the caller to say; the ledger declares it.
    Raises: ModelError where the file does not fit; SubspaceError where the module has no layout.
    """
    base = make_base(module, None, frozen_buffers)
    sha256 = file_digest(path)
    load_checkpoint(base.module, path, rename, new_head_seed)
    values = values_digest(base.module, base.layout)
    if new_head_seed is None:
        return replace(base, origin=BaseOrigin(kind="checkpoint", sha256=sha256, disjoint=True, values=values))
    kind: BaseKind = "checkpoint_new_head"
    return replace(base, origin=BaseOrigin(kind=kind, seed=new_head_seed, sha256=sha256, disjoint=True, values=values))


def freeze_start(module: nn.Module) -> bytes:
    """Return the file of a theta0: every parameter and buffer of a module by name, as safetensors."""
    return save({name: tensor.detach().contiguous().clone() for name, tensor in module.state_dict().items()})


def start_base(module: nn.Module, raw: bytes, origin: BaseOrigin, frozen_buffers: tuple[str, ...] = ()) -> Base:
    """Copy a module and fix its theta0 to that in a file of `freeze_start`, for a base of kind split.

    Raises: ModelError where the file is not the one that the origin names, or does not fit the module.
    """
    if hashlib.sha256(raw).hexdigest() != origin.sha256:
        raise ModelError(f"start_base: theta0 is the file {origin.file}, got one with another SHA-256.")
    base = make_base(module, None, frozen_buffers)
    try:
        tensors = load(raw)
    except (SafetensorError, ValueError) as why:
        raise ModelError(f"start_base: {origin.file} is no safetensors file: {why}.") from None
    _fill(base.module, tensors, origin.file)
    return replace(base, origin=origin)


def rebuild_base(
    module: nn.Module,
    origin: BaseOrigin,
    checkpoint: str | Path | None,
    rename: Sequence[str] = (),
    theta0: bytes | None = None,
) -> Base:
    """Make the base that a certificate names: from its seed, its checkpoint, or the values the module holds.

    theta0: the file beside the certificate, for a base of kind split. Every buffer comes from the caller or from that
    file.
    Raises: ModelError where the checkpoint is missing, is another file, or does not fit.
    """
    buffers = tuple(name for name, _ in module.named_buffers())
    if origin.kind == "split":
        if theta0 is None:
            raise ModelError(f"rebuild_base: theta0 is the file {origin.file}, got none. Give the certificate's file.")
        return start_base(module, theta0, origin, buffers)
    if origin.kind == "zero":
        return make_zero_base(module, buffers)
    if origin.kind not in CHECKPOINT_KINDS:
        return make_base(module, origin.seed if origin.kind == "seeded" else None, buffers)
    if checkpoint is None:
        raise ModelError(
            f"rebuild_base: theta0 is the checkpoint with SHA-256 {origin.sha256}, got none. Give --checkpoint."
        )
    found = file_digest(checkpoint)
    if found != origin.sha256:
        raise ModelError(
            f"rebuild_base: theta0 is the checkpoint with SHA-256 {(origin.sha256 or '')[:12]}, "
            f"got {found[:12]} from {Path(checkpoint).name}. Give the file that was certified."
        )
    seed = origin.seed if origin.kind == "checkpoint_new_head" else None
    base = checkpoint_base(module, checkpoint, rename, seed, buffers)
    if origin.values != base.origin.values:
        raise ModelError(
            f"rebuild_base: theta0 has values with SHA-256 {(origin.values or '')[:12]}, "
            f"got {(base.origin.values or '')[:12]} from the same file. "
            "Give the rules (--rename) and the network that were certified."
        )
    return base


def file_digest(path: str | Path) -> str:
    """SHA-256 of a file, 64 hex digits; of a folder see `folder_digest`. Raises: ModelError where it cannot be read."""
    if Path(path).is_dir():
        return folder_digest(path)
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as why:
        raise ModelError(f"file_digest: {Path(path).name} is a readable file ({why.strerror}). Check it.") from None


def _check_names(
    own: dict[str, Tensor], tensors: dict[str, Tensor], head: tuple[str, ...], file: str, network: str
) -> None:
    given = {own[name].data_ptr() for name in own.keys() & tensors.keys()}  # a tied weight is given once
    absent = {name for name in own.keys() - tensors.keys() - set(head) if own[name].data_ptr() not in given}
    missing = sorted(name for name in absent if name.rpartition(".")[2] != COUNTER)
    unknown = sorted(tensors.keys() - own.keys())
    if missing or unknown:
        raise ModelError(
            f"load_checkpoint: {file} has the parameters of {network}; missing: {_some(missing, unknown)}; "
            f"unknown: {_some(unknown, missing)}. "
            "Give the network that it was saved from, or map the names with --rename 'REGEX=REPLACEMENT'."
        )


def _check_tensor(name: str, tensor: Tensor, own: Tensor, file: str, last: bool) -> None:
    if tensor.shape != own.shape:
        remedy = "Give the network that it was saved from" + (", or --new-head for other classes." if last else ".")
        raise ModelError(
            f"load_checkpoint: {name} has shape {tuple(own.shape)} in the network, got {tuple(tensor.shape)} in "
            f"{file}. {remedy}"
        )
    if tensor.is_floating_point() != own.is_floating_point() or tensor.is_complex():
        raise ModelError(
            f"load_checkpoint: {name} is {own.dtype} in the network, got {tensor.dtype} in {file}. "
            "Save it as plain floating-point numbers."
        )
    if tensor.is_floating_point() and not bool(torch.isfinite(tensor.float()).all()):
        raise ModelError(f"load_checkpoint: every value is finite in float32, {name} in {file} has one that is not.")


def _renamed(tensors: dict[str, Tensor], rule: str) -> dict[str, Tensor]:
    pattern, equals, replacement = rule.rpartition("=")  # a name has no "=", a regex may
    try:
        names = {name: re.sub(pattern, replacement, name) for name in tensors}
    except (re.error, IndexError) as why:
        raise RequestError(f"rename: {rule!r} is no rule REGEX=REPLACEMENT ({why}).") from None
    if not equals or not pattern:
        raise RequestError(f"rename: a rule is REGEX=REPLACEMENT, got {rule!r}.")
    if all(old == new for old, new in names.items()):
        raise RequestError(f"rename: {rule!r} changes no name of the file: {_some(sorted(names), [])}.")
    if len(set(names.values())) < len(names):
        raise RequestError(f"rename: {rule!r} gives two tensors one name. Make the rule narrower.")
    return {names[name]: tensor for name, tensor in tensors.items()}


def _content(file: Path) -> object:
    if file.is_dir():
        return folder_tensors(file)
    return _safetensors(file) if file.suffix == ".safetensors" else _torch(file)


def _safetensors(file: Path) -> dict[str, Tensor]:
    try:
        return load_file(file)
    except (SafetensorError, OSError) as why:
        raise ModelError(f"read_checkpoint: {file.name} is no safetensors file: {why}.") from None


def _torch(file: Path) -> object:
    try:
        return torch.load(file, map_location="cpu", weights_only=True)
    except Exception as why:  # a malformed file makes the reader fail in any way
        call = re.search(r"GLOBAL (\S+)", str(why))
        if call is not None:
            raise ModelError(
                f"read_checkpoint: {file.name} is a torch file of plain tensors; reading it would run "
                f"{call[1][:80]}, and code in a checkpoint is never run. "
                "Have its author save model.state_dict() with torch.save, or as safetensors."
            ) from None
        lines = [line.strip() for line in str(why).splitlines() if line.strip()] or [type(why).__name__]
        raise ModelError(
            f"read_checkpoint: {file.name} is a torch file of plain tensors: {lines[0][:200]}. "
            "Save model.state_dict() with torch.save, or as safetensors."
        ) from None


def _some(names: list[str], others: list[str]) -> str:
    """Some of the names, each with the nearest of the others."""
    shown = []
    for name in names[:SHOWN]:
        near = difflib.get_close_matches(name, others, n=1, cutoff=0.7)
        shown.append(f"{name} (nearest: {near[0]})" if near else name)
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return (", ".join(shown) or "none") + more
