"""Weights from a file, into a network of the same names; reading.py reads the file.

A checkpoint may be theta0 of a certificate: its SHA-256 is declared, so that whoever verifies reads the same file.
"""

import difflib
import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor, nn

from ..errors import ModelError
from ..models.adapters import is_adapter, without_adapters
from ..models.foreign import folder_digest
from ..models.own_head import means
from ..models.reference import initialise
from ..specs.head import HeadSpec
from ..specs.specs import CHECKPOINT_KINDS, BaseKind, BaseOrigin
from ..subspace.layout import tensors_digest
from .frozen import named_tensors
from .hypothesis import Base, make_base, make_zero_base, values_digest
from .reading import Read, fitted, read_checkpoint

LOG = logging.getLogger("pacbound")
COUNTER = "num_batches_tracked"  # of normalisation layers, absent from old files and without effect in eval mode
SHOWN = 5


def load_checkpoint(
    module: nn.Module,
    path: str | Path,
    rename: Sequence[str] = (),
    new_head_seed: int | None = None,
    key: str | None = None,
    own_head: HeadSpec | None = None,
) -> tuple[str, ...]:
    """Copy a checkpoint into a module, in the module's dtypes; every name and shape must match.

    Args: module: changed in place. path: of the file. rename: rules REGEX=REPLACEMENT for the names of the file.
        new_head_seed: where given, the last layer is drawn from this seed, whatever the file holds for it. key: of the
        state dict in a file of several. own_head: rows of the file's last layer, whose means are that of the module.
    Returns: in words, which of them was read and what was done to its names.
    Raises: ModelError where names, shapes or kinds of numbers differ, a value is not finite, or the file has two values
        for what is one in the network; RequestError for a wrong rule or key.
    """
    read = _read_for(module, path, rename, key)
    for note in read.notes:
        LOG.info("checkpoint %s: %s", read.file, note)
    if own_head is not None:
        read = _with_head(read, head_of(module), own_head)
    adapters = {name: tensor.clone() for name, tensor in named_tensors(module).items() if is_adapter(name)}
    _fill(module, read.noting({**adapters, **read.entries}), new_head_seed)
    return read.notes


def _with_head(read: Read, names: tuple[str, ...], head: HeadSpec) -> Read:
    """The same with means over rows of the last layer in its place. Raises: ModelError where it has other rows."""
    tensors = read.tensors()
    found = {name: len(tensors[name]) if name in tensors and tensors[name].ndim else 0 for name in names}
    if not found or set(found.values()) != {head.of}:
        raise ModelError(
            f"load_checkpoint: the last layer of {read.file} has {head.of:,} rows of {', '.join(names) or 'weights'}, "
            f"got {', '.join(map(str, found.values())) or 'none'}. Name rows of that head, or draw one: --new-head."
        )
    return read.noting({**tensors, **{name: means(tensors[name], head) for name in names}})


def _read_for(module: nn.Module, path: str | Path, rename: Sequence[str], key: str | None) -> Read:
    """Read a checkpoint by the names of a module; its file knows nothing of adapters."""
    inner = {without_adapters(name): name for name in named_tensors(module) if not is_adapter(name)}
    read = fitted(read_checkpoint(path, key), inner, rename)
    return read.noting({inner.get(name, name): value for name, value in read.entries.items()})


def _fill(module: nn.Module, read: Read, new_head_seed: int | None = None) -> None:
    own, tensors, file = named_tensors(module), read.tensors(), read.file
    head = head_of(module)
    if new_head_seed is not None:
        if not head:
            raise ModelError(f"load_checkpoint: a new head is a layer with weights, {type(module).__name__} has none.")
        tensors = {name: tensor for name, tensor in tensors.items() if name not in head}
        initialise(module, new_head_seed)
    drawn = {name: own[name].detach().clone() for name in head} if new_head_seed is not None else {}
    _check_names(own, tensors, head, new_head_seed is not None, file, type(module).__name__)
    for name, tensor in tensors.items():
        _check_tensor(name, tensor, own[name], file, last=name in head)
    with torch.no_grad():
        for name, tensor in tensors.items():
            own[name].copy_(tensor)
    _check_ties(own, {**tensors, **drawn}, file)


def _check_ties(own: dict[str, Tensor], given: dict[str, Tensor], file: str) -> None:
    """Refuse two values for what is one in the network: then the one copied last has replaced the other."""
    for name, tensor in given.items():
        if not torch.equal(own[name].detach(), tensor.detach().to(own[name].dtype)):
            place = own[name].untyped_storage().data_ptr()
            others = [other for other in given if other != name and own[other].untyped_storage().data_ptr() == place]
            raise ModelError(
                f"load_checkpoint: {_some(sorted([name, *others]), [])} are tied in the network and have different "
                f"values in {file}. Build the network without the tie, or drop one with --rename '{name}='."
            )


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


def outputs_in(path: str | Path, module: nn.Module, rename: Sequence[str] = (), key: str | None = None) -> int | None:
    """Return how many outputs the last layer of a module has in a file; None where the file has no such layer.

    Args: as for `load_checkpoint`; the module is not touched. Raises: ModelError, RequestError like it.
    """
    tensors = _read_for(module, path, rename, key).tensors()
    sizes = [len(tensors[name]) for name in head_of(module) if name in tensors and tensors[name].ndim]
    return sizes[0] if sizes else None


def checkpoint_base(
    module: nn.Module,
    path: str | Path,
    rename: Sequence[str] = (),
    new_head_seed: int | None = None,
    frozen_buffers: tuple[str, ...] = (),
    key: str | None = None,
    own_head: HeadSpec | None = None,
) -> Base:
    """Copy a module and fix its theta0, buffers included, to a checkpoint trained on data disjoint from the sample.

    Whether it was is for the caller to say; the ledger declares it. Args: as for `load_checkpoint`.
    Raises: ModelError where the file does not fit; SubspaceError where the module has no layout.
    """
    base = make_base(module, None, frozen_buffers)
    sha256 = file_digest(path)
    notes = load_checkpoint(base.module, path, rename, new_head_seed, key, own_head)
    kind: BaseKind = "checkpoint" if new_head_seed is None else "checkpoint_new_head"
    kind = kind if own_head is None else "checkpoint_own_head"
    values = values_digest(base.module, base.layout)
    origin = BaseOrigin(kind=kind, seed=new_head_seed or 0, sha256=sha256, disjoint=True, values=values, head=own_head)
    return replace(base, origin=origin, notes=notes)


def start_base(
    module: nn.Module,
    raw: bytes,
    origin: BaseOrigin,
    frozen_buffers: tuple[str, ...] = (),
    rest: Mapping[str, Tensor] | None = None,
) -> Base:
    """Copy a module and fix its theta0 to that in a file of `frozen.freeze_network`, for a base of kind split.

    rest: tensors by name for what the file leaves out.
    Raises: ModelError where the file is not the one that the origin names, or does not fit the module.
    """
    if hashlib.sha256(raw).hexdigest() != origin.sha256:
        raise ModelError(f"start_base: theta0 is the file {origin.file}, got one with another SHA-256.")
    base = make_base(module, None, frozen_buffers)
    try:
        tensors = load(raw)
    except (SafetensorError, ValueError) as why:
        raise ModelError(f"start_base: {origin.file} is no safetensors file: {why}.") from None
    _fill(base.module, Read({**(rest or {}), **tensors}, origin.file))
    if rest is not None:
        known: dict[str, str | None] = {"values": values_digest(base.module, base.layout)}
    else:
        kept = named_tensors(base.module)
        unsaved = [(name, buffer) for name, buffer in base.module.named_buffers() if name not in kept]
        known = {"constants": tensors_digest(unsaved) if unsaved else None}
    return replace(base, origin=origin.model_copy(update=known))


def rebuild_base(
    module: nn.Module,
    origin: BaseOrigin,
    checkpoint: str | Path | None,
    rename: Sequence[str] = (),
    theta0: bytes | None = None,
    key: str | None = None,
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
        if origin.needed is None:
            return start_base(module, theta0, origin, buffers)
        read = _read_for(module, _named_file(origin, checkpoint), rename, key)
        return _of_values(start_base(module, theta0, origin, buffers, read.tensors()), origin)
    if origin.kind == "zero":
        return make_zero_base(module, buffers)
    if origin.kind not in CHECKPOINT_KINDS:
        return make_base(module, origin.seed if origin.kind == "seeded" else None, buffers)
    checkpoint = _named_file(origin, checkpoint)
    seed = origin.seed if origin.kind == "checkpoint_new_head" else None
    return _of_values(checkpoint_base(module, checkpoint, rename, seed, buffers, key, origin.head), origin)


def _named_file(origin: BaseOrigin, checkpoint: str | Path | None) -> str | Path:
    """Return the checkpoint. Raises: ModelError where there is none, or another than the origin names."""
    stated = (origin.needed or "")[:12]
    if checkpoint is None:
        raise ModelError(
            f"rebuild_base: theta0 rests on the checkpoint with SHA-256 {stated}, got none. Give --checkpoint."
        )
    found = file_digest(checkpoint)
    if found != origin.needed:
        raise ModelError(
            f"rebuild_base: theta0 rests on the checkpoint with SHA-256 {stated}, "
            f"got {found[:12]} from {Path(checkpoint).name}. Give the file that was certified."
        )
    return checkpoint


def _of_values(base: Base, origin: BaseOrigin) -> Base:
    """Return the base. Raises: ModelError where its values are not those of the origin."""
    if origin.values != base.origin.values:
        raise ModelError(
            f"rebuild_base: theta0 has values with SHA-256 {(origin.values or '')[:12]}, "
            f"got {(base.origin.values or '')[:12]} from the same file. "
            "Give the rules (--rename), the key (--key) and the network that were certified."
        )
    return base


def file_digest(path: str | Path) -> str:
    """SHA-256 of a file, 64 hex digits; of a folder or an index of shards see `folder_digest`.

    Raises: ModelError where it cannot be read.
    """
    if Path(path).is_dir() or Path(path).suffix == ".json":
        return folder_digest(path)
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as why:
        raise ModelError(f"file_digest: {Path(path).name} is a readable file ({why.strerror}). Check it.") from None


def contents_digest(path: str | Path, key: str | None = None) -> str:
    """SHA-256 over the numbers of a checkpoint, whatever its format and names: those of its tensors of several, sorted.

    Raises: ModelError, RequestError as `read_checkpoint`.
    """
    values = (value for value in read_checkpoint(path, key).entries.values() if isinstance(value, Tensor))
    parts = (value.detach().to(torch.float32).contiguous().numpy().tobytes() for value in values if value.numel() > 1)
    digests = {hashlib.sha256(part).hexdigest() for part in parts}
    return hashlib.sha256("".join(sorted(digests)).encode()).hexdigest()


def _check_names(
    own: dict[str, Tensor], tensors: dict[str, Tensor], head: tuple[str, ...], new: bool, file: str, network: str
) -> None:
    """Refuse names that are missing in the file or unknown to the network; those of a new head are in neither."""
    given = {own[name].data_ptr() for name in own.keys() & tensors.keys()}  # a tied weight is given once
    absent = {
        name for name in own.keys() - tensors.keys() - set(head if new else ()) if own[name].data_ptr() not in given
    }
    missing = sorted(name for name in absent if name.rpartition(".")[2] != COUNTER)
    unknown = sorted(tensors.keys() - own.keys())
    if missing and not unknown and set(missing) <= set(head):
        raise ModelError(
            f"load_checkpoint: {file} has the parameters of {network}, all but the last layer, {', '.join(missing)}. "
            "Have that drawn from the seed with --new-head."
        )
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


def _some(names: list[str], others: list[str]) -> str:
    """Some of the names, each with the nearest of the others."""
    shown = []
    for name in names[:SHOWN]:
        near = difflib.get_close_matches(name, others, n=1, cutoff=0.7)
        shown.append(f"{name} (nearest: {near[0]})" if near else name)
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return (", ".join(shown) or "none") + more
