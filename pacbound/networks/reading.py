"""Tensors by name from somebody else's file: .safetensors, a torch file read without running it, or a folder.

A torch file may nest its tensors in any way; the state dict that is meant is found, or named by a key, and what was
read is said. Names are then brought to those of a network: by rules, and by taking off what wrappers put before them.
"""

import json
import re
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from ..errors import ModelError, RequestError, first_line
from ..models.foreign import INNER, folder_tensors, from_hub, holds_network, weight_files
from ..models.others import unusual

# which of several state dicts is read where no key names one; others beside them are averages of the same network
USUAL = ("state_dict", "model_state_dict", "model", "net", "network", "module", "params", "weights")
MAX_NESTING = 6
WRAPPERS = ("model.", "_orig_mod.", "module.")  # what Lightning, torch.compile and DataParallel put before a name
OPTIMIZER = {"state", "param_groups"}  # the keys of an optimizer's state
POINTER = b"version https://git-lfs"
SHOWN = 5

Entries = dict[str, object]
Place = tuple[str, ...]  # keys, from the outermost


@dataclass(frozen=True)
class Read:
    """What was read of a file: entries by name, as they stand there, and in words what a reader should know."""

    entries: Entries
    file: str
    notes: tuple[str, ...] = ()

    def noting(self, entries: Entries, *notes: str) -> "Read":
        """The same with other entries and more notes."""
        return replace(self, entries=entries, notes=(*self.notes, *notes))

    def tensors(self) -> dict[str, Tensor]:
        """Return the entries. Raises: ModelError where one is no plain dense tensor, by its name."""
        for name, value in self.entries.items():
            if not isinstance(value, Tensor):
                raise ModelError(
                    f"read_checkpoint: every entry of {self.file} is a tensor, {shown([name])} is a "
                    f"{type(value).__name__}. Drop it with --rename '{shown([name])}=', or name a state dict: --key."
                )
            if kind := unusual(value):
                raise ModelError(f"read_checkpoint: {self.file} holds plain dense tensors, {shown([name])} is {kind}.")
        return self.entries  # type: ignore[return-value]


def read_checkpoint(path: str | Path, key: str | None = None) -> Read:
    """Read the entries of a checkpoint by name, tensors in their own dtypes, on the CPU; nothing in the file is run.

    Args: path: a .safetensors or torch file; an index of shards (.index.json); a folder with either, or one that
        transformers or peft wrote, whose names are those that `load_model` gives its network (hf:FOLDER). key: names
        the state dict in a file with several, NAME or NAME.NAME; or what stands before a dot in the names of one.
    Raises: ModelError where there is no such file or it holds something else; RequestError for a key it does not hold.
    """
    file = Path(path)
    if not file.exists():
        hint = from_hub(str(path)) or " Check the path."
        raise ModelError(f"read_checkpoint: {file.name} is a file or a folder, found none.{hint}")
    if holds_network(file):
        content: object = folder_tensors(file)
    elif file.is_dir() or file.suffix == ".json":
        content = _joined(file)
    else:
        content = _content(file)
    return _chosen(content, file.name, key)


def fitted(read: Read, names: Iterable[str], rename: Sequence[str] = ()) -> Read:
    """Bring the names of a file to those of a network.

    Each rule REGEX=REPLACEMENT of `rename` is applied to every name in turn, and drops a name of which nothing is left.
    Before that, prefixes of wrappers that all names but those of counters bear are taken off, as often as the network
    has the more of the names for it; where the network is one within a wrapper (models/classifiers.py), whose name
    before all others a file need not bear, it is put there. Counters that the network has no place for are left out.

    Args: names: of the network's parameters and buffers.
    Raises: RequestError for a wrong rule.
    """
    own, refusal = set(names), None
    tried: list[tuple[int, int, str, Entries]] = []
    versions = _unwrapped(read.entries)
    if all(name.startswith(INNER) for name in own):
        versions += [(prefix, {INNER + name: value for name, value in entries.items()}) for prefix, entries in versions]
    for taken_off, entries in versions:
        try:
            for rule in rename:
                entries = _renamed(entries, rule)
        except RequestError as why:
            refusal = refusal or why
            continue
        tried.append((len(own & entries.keys()), -len(tried), taken_off, entries))
    if not tried:
        assert refusal is not None
        raise refusal
    _, _, taken_off, entries = max(tried, key=lambda one: one[:2])
    idle = [name for name, value in entries.items() if name not in own and _is_counter(value)]
    notes = [f"the prefix {taken_off} was taken off every name"] if taken_off else []
    notes += [f"left out, as the network has no place for them: {shown(idle)}"] if idle else []
    return read.noting({name: value for name, value in entries.items() if name not in idle}, *notes)


def shown(names: Sequence[str], most: int = SHOWN) -> str:
    """Some of the names of a file, as one line that prints as itself."""
    text = ", ".join(name[:100].encode("unicode_escape").decode() for name in names[:most])
    return text + (f" and {len(names) - most} more" if len(names) > most else "")


def _chosen(content: object, file: str, key: str | None) -> Read:
    """Find the state dict that is meant."""
    notes = []
    if key is not None:
        content = _at(content, key, file)
        notes.append(f"read under the key {shown([key])}")
    found = _state_dicts(content)
    if not found:
        raise _nothing(content, file)
    path = _preferred(list(found))
    if path is None:
        names = shown([".".join(path) for path in found], 20)
        raise ModelError(f"read_checkpoint: {file} holds several state dicts: {names}. Name one with --key.")
    if path:
        others = [".".join(other) for other in found if other != path]
        beside = f", not {shown(others)}; --key names another" if others else ""
        notes.append(f"read what lies under {shown(['.'.join(path)])}{beside}")
    return Read(dict(found[path]), file, tuple(notes))


def _preferred(paths: list[Place]) -> Place | None:
    """The one state dict, or the one that the first of the usual names leads to wherever several go on; else None."""
    depth = 0
    while len(paths) > 1:
        heads = {path[depth] for path in paths}
        head = next((name for name in USUAL if name in heads), None) if len(heads) > 1 else paths[0][depth]
        if head is None:
            return None
        paths = [path for path in paths if path[depth] == head]
        depth += 1
    return paths[0]


def _state_dicts(content: object, depth: int = 0) -> dict[Place, Entries]:
    """State dicts within, by their path: mappings that hold more numbers themselves than lie in those below them."""
    entries = _entries(content)
    if depth == MAX_NESTING or not entries or entries.keys() >= OPTIMIZER:
        return {}
    below: dict[Place, Entries] = {}
    for key, value in entries.items():
        below.update({(key, *path): state for path, state in _state_dicts(value, depth + 1).items()})
    named = isinstance(content, Mapping) and all(isinstance(key, str) for key in content)
    nested = sum(_numbers(state) for state in below.values())
    return {(): entries} if named and _numbers(entries) > nested else below


def _entries(content: object) -> Entries:
    """What a mapping or a list holds, by name or by place; of anything else nothing."""
    if isinstance(content, Mapping):
        return {str(key): value for key, value in content.items()}
    return {str(k): value for k, value in enumerate(content)} if isinstance(content, list | tuple) else {}


def _numbers(entries: Entries) -> int:
    """Elements of the tensors among these; bytes do not count, which states of random generators are."""
    return sum(t.numel() for t in entries.values() if isinstance(t, Tensor) and t.dtype != torch.uint8)


def _at(content: object, key: str, file: str) -> object:
    """What lies under a key; keys may have dots themselves."""
    found = _step(_entries(content), key)
    if found is None:
        keys = shown(list(_entries(content)), 20) or "none"
        raise RequestError(f"key: {file} holds nothing under {key!r}. Its keys are {keys}.")
    return found


def _step(entries: Entries, key: str) -> object:
    if entries.get(key) is not None:
        return entries[key]
    for dot in (k for k in range(len(key) - 1, 0, -1) if key[k] == "."):
        found = _step(_entries(entries.get(key[:dot])), key[dot + 1 :])
        if found is not None:
            return found
    part = {name.removeprefix(f"{key}."): value for name, value in entries.items() if name.startswith(f"{key}.")}
    return part or None


def _nothing(content: object, file: str) -> ModelError:
    if isinstance(content, Mapping) and content.keys() >= OPTIMIZER:
        return ModelError(
            f"read_checkpoint: {file} holds tensors by name, got the state of an optimizer. "
            "Give the file of the network: model.state_dict()."
        )
    keys = f" with keys {shown(list(map(str, content)))}" if isinstance(content, Mapping) else ""
    return ModelError(
        f"read_checkpoint: {file} holds tensors by name, got {type(content).__name__}{keys}. Save model.state_dict()."
    )


def _unwrapped(entries: Entries) -> list[tuple[str, Entries]]:
    """The entries as they are, and after each prefix of a wrapper that all but counters bear was taken off."""
    versions, taken_off = [("", entries)], ""
    while True:
        named = [name for name, value in entries.items() if not _is_counter(value)]
        prefix = next((p for p in WRAPPERS if named and all(name.startswith(p) for name in named)), None)
        bare = {name.removeprefix(prefix or ""): value for name, value in entries.items()}
        if prefix is None or len(bare) < len(entries):
            return versions
        entries, taken_off = bare, taken_off + prefix
        versions.append((taken_off, entries))


def _is_counter(value: object) -> bool:
    """Whether an entry is one integer, as n_averaged, num_batches_tracked and global_step are."""
    if isinstance(value, Tensor):
        return value.numel() == 1 and not value.is_floating_point() and not value.is_complex()
    return isinstance(value, int)


def _renamed(entries: Entries, rule: str) -> Entries:
    pattern, equals, replacement = rule.rpartition("=")  # a name has no "=", a regex may
    try:
        names = {name: re.sub(pattern, replacement, name) for name in entries}
    except (re.error, IndexError) as why:
        raise RequestError(f"rename: {rule!r} is no rule REGEX=REPLACEMENT ({why}).") from None
    if not equals or not pattern:
        raise RequestError(f"rename: a rule is REGEX=REPLACEMENT, got {rule!r}.")
    if all(old == new for old, new in names.items()):
        raise RequestError(f"rename: {rule!r} changes no name of the file: {shown(sorted(names))}.")
    kept = {old: new for old, new in names.items() if new}
    if len(set(kept.values())) < len(kept):
        raise RequestError(f"rename: {rule!r} gives two tensors one name. Make the rule narrower.")
    return {new: entries[old] for old, new in kept.items()}


def _joined(path: Path) -> Entries:
    """The tensors of all shards of an index or a folder. Raises: ModelError where a shard holds others than said."""
    index, shards = weight_files(path)
    joined: Entries = {}
    said: dict[str, str] = {} if index is None else json.loads(index.read_text("utf-8"))["weight_map"]
    for shard in shards:
        found = _content(shard)
        if not isinstance(found, dict) or (len(shards) > 1 and not all(isinstance(t, Tensor) for t in found.values())):
            raise ModelError(f"read_checkpoint: the shard {shard.name} holds tensors by name, got something else.")
        stray = [name for name in found if index is not None and said.get(name) != shard.name]
        if stray or found.keys() & joined.keys():
            names = shown(stray or sorted(found.keys() & joined.keys()))
            raise ModelError(
                f"read_checkpoint: every tensor lies in one shard, the one that the index names, {names} of "
                f"{shard.name} does not. Save the network again."
            )
        joined.update(found)
    if missing := sorted(said.keys() - joined.keys()):
        raise ModelError(
            f"read_checkpoint: the index {index.name if index else ''} names {shown(missing)}, found none."
        )
    return joined


def _content(file: Path) -> object:
    try:
        with open(file, "rb") as stream:
            pointer = stream.read(len(POINTER)) == POINTER
    except OSError as why:
        raise ModelError(f"read_checkpoint: {file.name} is a readable file ({why.strerror}). Check it.") from None
    if pointer:
        raise ModelError(f"read_checkpoint: {file.name} is a pointer of git LFS, no weights. Fetch it: git lfs pull.")
    return _safetensors(file) if file.suffix == ".safetensors" else _torch(file)


def _safetensors(file: Path) -> dict[str, Tensor]:
    try:
        return load_file(file)
    except Exception as why:  # SafetensorError, or what torch says of a dtype
        raise ModelError(f"read_checkpoint: {file.name} is no safetensors file: {first_line(why)}.") from None


def _is_script(file: Path) -> bool:
    if not zipfile.is_zipfile(file):
        return False
    with zipfile.ZipFile(file) as archive:
        return any(name.rpartition("/")[2] == "constants.pkl" for name in archive.namelist())


def _torch(file: Path) -> object:
    try:
        if _is_script(file):
            raise ModelError("a program of torch.jit, which is never run")
        return torch.load(file, map_location="cpu", weights_only=True)
    except Exception as why:  # a malformed file makes the reader fail in any way
        call = re.search(r"GLOBAL (\S+)", str(why))
        if call is not None:
            raise ModelError(
                f"read_checkpoint: {file.name} is a torch file of plain tensors; reading it would run "
                f"{call[1][:80]}, and code in a checkpoint is never run. "
                "Have its author save model.state_dict() with torch.save, or as safetensors."
            ) from None
        said = first_line(why).split(" In PyTorch")[0].rstrip(".")  # what follows there advises to run the file
        raise ModelError(
            f"read_checkpoint: {file.name} is a torch file of plain tensors: {said}. "
            "Save model.state_dict() with torch.save, or as safetensors."
        ) from None
