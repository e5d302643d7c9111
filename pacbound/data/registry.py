"""The data sets known by name, and `load`, which also takes the user's own."""

import difflib
import functools
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from ..errors import DataError
from ..request.reading import Reading
from ..specs.preprocess import PreprocessName
from ..subspace.random import permutation
from .altered import alter, split_alteration
from .archives import ARCHIVES, PT, read_x
from .callables import call_named
from .examples import Examples
from .idx import read_cifar10, read_idx
from .inputs import Inputs, describe_part, inputs_in_memory, parse_source, part_rows
from .labels import Labels, in_order_of
from .mapped import mapped_array
from .roots import FILES, Split, data_root, is_label_file, layout, missing_files
from .user import FILE_SUFFIXES, PLAIN, as_examples, load_callable, load_path

Arrays = tuple[np.ndarray, np.ndarray]

DIGITS_TRAIN = 1437
DIGITS_SEED, DIGITS_STREAM = 0, "data/digits/split"


@dataclass(frozen=True)
class DataSet:
    """How to read a data set known by name, and its treatment. All were looked at when defaults were chosen.

    read_inputs: the same inputs, without looking at a label.
    """

    read: Callable[[tuple[Path, ...], Split], Arrays]
    read_inputs: Callable[[tuple[Path, ...], Split], np.ndarray]
    classes: int
    preprocess: PreprocessName
    advice: str  # how to come by the files


def load(source: str, root: str | Path | None = None, split: Split = "train", reading: Reading = PLAIN) -> Examples:
    """Load a sample.

    Args: source: a name (digits, mnist, fashion-mnist, cifar10); a .npz, .safetensors or .pt file holding x and y; a
        .csv, .tsv, .jsonl or .parquet table; a folder with x.npy and y.npy, with one folder of pictures a class, or
        with one file of texts a class, a text a line; or `module:callable`, which is imported and called. NAME:train
        or NAME:test for a split of a named data set; any of these with :I/K after it for one of K equal parts, and
        then with +ALTERATION, see data/altered.py. root: the data root, see `data_root`. split: which split where a
        name says none; the user's own sources hold one and ignore it. reading: how the user's own source is read.
    Returns: the examples in their official order, those of a part in the order of `part_rows`. Raises: DataError.
    """
    source, alteration = split_alteration(source)
    if alteration is not None:
        return alter(load(source, root, split, reading), alteration)
    source, named_split, part = parse_source(source)
    if part is not None:
        whole = load(source if named_split is None else f"{source}:{named_split}", root, split, reading)
        chosen = whole.subset(torch.from_numpy(part_rows(whole.n, *part)))
        return chosen.noting(describe_part(*part))
    split = named_split or split
    if source.endswith(FILE_SUFFIXES):
        return load_path(Path(source), reading)
    if source in DATA_SETS:
        if reading != PLAIN:
            raise DataError(
                f"load: {source} is known by name, and nothing is left to say of how it is read, got "
                f"{', '.join(name for name, value in reading if value != getattr(PLAIN, name))}. Leave it out."
            )
        return _load_named(source, data_root(root), split)
    if Path(source).is_dir():
        return load_path(Path(source), reading)
    if ":" in source:
        return load_callable(source, reading)
    raise _unknown(source)


def load_any(
    source: object, root: str | Path | None = None, split: Split = "train", reading: Reading = PLAIN
) -> Examples:
    """Load a sample by what `load` takes, or take one in memory by what `as_examples` takes. Raises: DataError."""
    if isinstance(source, (str, Path)):
        return load(str(source), root, split, reading)
    return as_examples(source, reading=reading)


def load_held_out(
    source: object,
    classes: int,
    root: str | Path | None = None,
    reading: Reading = PLAIN,
    labels: tuple[str, ...] = (),
) -> Examples:
    """Load held-out examples, of which some of the classes may have none.

    Args: source, root, reading: as for `load_any`. classes, labels: of the sample: how many there are and what they are
        called; the labels of the held-out examples are numbered alike.
    Raises: DataError.
    """
    if isinstance(source, Examples):
        return source
    examples = load_any(source, root, "test", reading_for(source, reading, classes))
    found = in_order_of(Labels(examples.y, examples.classes, examples.labels), labels)
    return replace(examples, y=found.y, classes=max(found.classes, classes), labels=labels)


def reading_for(source: object, reading: Reading, classes: int | None = None) -> Reading:
    """How inputs beside a sample are read: like it, but under no name; a data set known by name as ever."""
    known = isinstance(source, str) and parse_source(split_alteration(source)[0])[0] in DATA_SETS
    return PLAIN if known else reading.model_copy(update={"name": None, "classes": classes})


def load_inputs(
    source: object, root: str | Path | None = None, split: Split = "test", reading: Reading = PLAIN
) -> Inputs:
    """Load inputs alone; whatever labels lie beside them are not read.

    Args: source: as for `load`, where files of arrays need no y and callables may return x alone; or a tensor, an
        array, a pair (x, y) or Examples, whose labels are not touched. Of tables, folders of classes and rows labels
        are read and left aside. root, split, reading: as for `load`, but the split is test by default.
    Raises: DataError.
    """
    reading = reading_for(source, reading)
    if not isinstance(source, str):
        return inputs_in_memory(source, reading)
    name, named_split, part = parse_source(source)
    if name in DATA_SETS:
        known, chosen = DATA_SETS[name], named_split or split
        paths = _paths(name, data_root(root), chosen, labels=False)
        inputs = Inputs(
            name, torch.from_numpy(known.read_inputs(paths, chosen)), known.preprocess, f"the {chosen} split"
        )
    elif name.endswith((*ARCHIVES, *PT)):
        inputs = inputs_in_memory(read_x(Path(name)), reading)
    elif (Path(name) / "x.npy").is_file():
        inputs = inputs_in_memory(mapped_array(Path(name) / "x.npy"), reading)
    elif name.endswith(FILE_SUFFIXES) or Path(name).is_dir():
        inputs = inputs_in_memory(load_path(Path(name), reading))
    elif ":" in name:
        inputs = inputs_in_memory(call_named(name, DataError, "x, (x, y) or a data set"), reading)
    else:
        raise _unknown(name)
    if part is None:
        return inputs
    rows = torch.from_numpy(part_rows(len(inputs.x), *part))
    return replace(inputs, x=inputs.x[rows], note=f"{inputs.note}{', ' if inputs.note else ''}{describe_part(*part)}")


def _unknown(source: str) -> DataError:
    near = difflib.get_close_matches(source, DATA_SETS, n=1)
    return DataError(
        f"load: data is one of {', '.join(DATA_SETS)}, a file ({', '.join(FILE_SUFFIXES)}), a folder, or "
        f"module:callable, got {source!r}." + (f" Did you mean {near[0]!r}?" if near else "")
    )


def _load_named(name: str, root: Path, split: Split) -> Examples:
    if split not in FILES[name]:
        raise DataError(f"load: split is train or test, got {split!r}.")
    known = DATA_SETS[name]
    images, labels = known.read(_paths(name, root, split), split)
    if len(images) != len(labels):
        raise DataError(f"load: {name} has one label per image, got {len(labels)} for {len(images)} images.")
    examples = Examples(
        name=name,
        x=torch.from_numpy(images),
        y=torch.from_numpy(labels.astype(np.int64)),
        classes=known.classes,
        preprocess=known.preprocess,
    )
    return _named_if_altered(examples) if name == "cifar10" else examples


def _paths(name: str, root: Path, split: Split, labels: bool = True) -> tuple[Path, ...]:
    """The files of a split, those of labels alone left out if so asked. Raises: DataError where one is missing."""
    missing = [file for file in missing_files(name, root, split) if labels or not is_label_file(file)]
    if missing:
        raise DataError(
            f"load: {name} needs {', '.join(missing)} in {root / name}. {DATA_SETS[name].advice}\n"
            f"Expected below the data root (--data-dir, or PACBOUND_DATA):\n{layout(name)}"
        )
    return tuple(root / name / file for file in FILES[name][split] if labels or not is_label_file(file))


def _named_if_altered(examples: Examples) -> Examples:
    note = ALTERED_CIFAR10.get(examples.digest())
    return examples if note is None else replace(examples, name=ALTERED_CIFAR10_NAME, note=note)


def _read_digits(paths: tuple[Path, ...], split: Split) -> Arrays:
    """Take scikit-learn's embedded 1,797 digits and split them 1,437 to 360 without looking at labels."""
    images, labels = _all_digits()
    order = permutation(DIGITS_SEED, DIGITS_STREAM, len(labels))
    chosen = order[:DIGITS_TRAIN] if split == "train" else order[DIGITS_TRAIN:]
    return images[chosen], labels[chosen]


@functools.cache
def _all_digits() -> Arrays:
    """All in scikit-learn's order, which reads them from text each time: (1797, 1, 8, 8), values 0..16, and (1797,)."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    return bunch.images.astype(np.uint8)[:, None], bunch.target


def _digit_images(paths: tuple[Path, ...], split: Split) -> np.ndarray:
    return _read_digits(paths, split)[0]  # both lie in one table of scikit-learn's


def _idx_images(paths: tuple[Path, ...], split: Split) -> np.ndarray:
    return read_idx(paths[0], dimensions=3)[:, None]


def _cifar10_images(paths: tuple[Path, ...], split: Split) -> np.ndarray:
    return _read_cifar10(paths, split)[0]  # a label is a byte before each image


def _read_idx_pair(paths: tuple[Path, ...], split: Split) -> Arrays:
    images, labels = paths
    return read_idx(images, dimensions=3)[:, None], read_idx(labels, dimensions=1)  # (n, 1, 28, 28), (n,)


def _read_cifar10(paths: tuple[Path, ...], split: Split) -> Arrays:
    batches = [read_cifar10(path) for path in paths]
    return np.concatenate([images for images, _ in batches]), np.concatenate([labels for _, labels in batches])


DATA_SETS: dict[str, DataSet] = {
    "digits": DataSet(_read_digits, _digit_images, 10, "digits", "Embedded in scikit-learn."),
    "mnist": DataSet(_read_idx_pair, _idx_images, 10, "ink", "Run: pacbound data fetch mnist"),
    "fashion-mnist": DataSet(_read_idx_pair, _idx_images, 10, "ink", "Run: pacbound data fetch fashion-mnist"),
    "cifar10": DataSet(
        _read_cifar10, _cifar10_images, 10, "photo", "Unpack the binary version of the official archive there."
    ),
}

# digest of a sample -> why it is not the official one; the name says how many training images differ
ALTERED_CIFAR10 = {
    "147e403d9008a01cd1c9135b2db9c0cf83588e34f1f1860bb8959e5066de6a45": (
        "86 of these 50,000 training images are decoded from JPEG copies, the others are pixel-exact; order and "
        "labels are official. Certificates on this sample do not verify against the official files."
    ),
    "441505f5e8eb44fade41d5089cddbff9306794db39495b7069c4916e0986d444": (
        "25 of these 10,000 test images are decoded from JPEG copies, the others are pixel-exact; order and "
        "labels are official."
    ),
}
ALTERED_CIFAR10_NAME = "cifar10-86jpeg"
