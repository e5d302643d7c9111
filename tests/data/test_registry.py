"""Data sets by name: embedded digits always, the others where PACBOUND_DATA names a root."""

import functools
import gzip
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from pacbound.certificate.tuned import TUNED_ON, tuned_on
from pacbound.data.examples import Examples
from pacbound.data.registry import ALTERED_CIFAR10, DATA_SETS, load
from pacbound.data.roots import data_root as find_root
from pacbound.errors import DataError
from pacbound.subspace.random import permutation

# the first labels as the makers of the data sets publish them
FIRST_LABELS = {
    ("mnist", "train"): [5, 0, 4, 1, 9, 2, 1, 3, 1, 4],
    ("mnist", "test"): [7, 2, 1, 0, 4, 1, 4, 9, 5, 9],
    ("fashion-mnist", "train"): [9, 0, 0, 3, 0, 2, 7, 2, 5, 5],
    ("fashion-mnist", "test"): [9, 2, 1, 1, 6, 1, 4, 6, 5, 7],
    ("cifar10", "train"): [6, 9, 9, 4, 1, 1, 2, 7, 8, 3],
    ("cifar10", "test"): [3, 8, 8, 0, 6, 6, 1, 6, 3, 1],
}
# digests of the copy with JPEG images, and how its note begins
ALTERED = {
    "train": ("147e403d9008a01cd1c9135b2db9c0cf83588e34f1f1860bb8959e5066de6a45", "86 of these 50,000"),
    "test": ("441505f5e8eb44fade41d5089cddbff9306794db39495b7069c4916e0986d444", "25 of these 10,000"),
}
SIZES = {"mnist": (60000, 10000), "fashion-mnist": (60000, 10000), "cifar10": (50000, 10000)}


def test_digits_split_is_a_partition_of_all_1797():
    from sklearn.datasets import load_digits

    train, test = load("digits"), load("digits", split="test")
    assert (train.n, test.n, train.shape) == (1437, 360, (1, 8, 8))
    assert (train.classes, train.preprocess, train.name) == (10, "digits", "digits")
    ours = torch.cat([train.x, test.x]).flatten(1).numpy()
    labels = torch.cat([train.y, test.y]).numpy()
    rows = sorted((*image, label) for image, label in zip(ours.tolist(), labels.tolist(), strict=True))
    bunch = load_digits()
    whole = zip(bunch.data.astype(int).tolist(), bunch.target.tolist(), strict=True)
    assert rows == sorted((*image, label) for image, label in whole)


def test_digits_split_depends_on_positions_only():
    # a split that looked at labels would not be the first 1,437 places of a permutation drawn without them
    from sklearn.datasets import load_digits

    order = permutation(0, "data/digits/split", 1797)
    assert load("digits").y.tolist() == load_digits().target[order[:1437]].tolist()
    counts = load("digits", split="test").y.bincount(minlength=10)
    assert counts.max() - counts.min() > 5  # a stratified split would give 35 to 37 of each


def test_digits_are_the_same_in_every_release():
    assert load("digits").digest() == "20f1b3068b9c209023c4ab2f5bce41df18d355456be5336be0926a1ba90a7363"
    test_digest = "cba65624a291cd90103410dd65a420607fc378aaebd751db792354f6aa3899e2"
    assert load("digits", split="test").digest() == test_digest


@pytest.fixture(scope="module")
def official(data_root):
    """A data set by name and split, read once."""
    return functools.cache(lambda name, split: load(name, data_root, split))


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_idx_sets_agree_with_the_raw_bytes(name, split, data_root, official):
    prefix = "train" if split == "train" else "t10k"
    raw_images = gzip.decompress((data_root / name / f"{prefix}-images-idx3-ubyte.gz").read_bytes())[16:]
    raw_labels = gzip.decompress((data_root / name / f"{prefix}-labels-idx1-ubyte.gz").read_bytes())[8:]
    examples = official(name, split)
    assert (examples.n, examples.shape) == (SIZES[name][split == "test"], (1, 28, 28))
    assert examples.x.numpy().tobytes() == raw_images
    assert bytes(examples.y.tolist()) == raw_labels
    assert examples.y[:10].tolist() == FIRST_LABELS[name, split]
    assert (examples.name, examples.preprocess, examples.note) == (name, "ink", "")


@pytest.mark.parametrize("split", ["train", "test"])
def test_cifar10_keeps_official_order_and_says_where_a_copy_is_altered(split, data_root, official):
    examples = official("cifar10", split)
    files = [f"data_batch_{i}" for i in range(1, 6)] if split == "train" else ["test_batch"]
    folder = data_root / "cifar10" / "cifar-10-batches-bin"
    assert examples.n == SIZES["cifar10"][split == "test"]
    assert examples.y[:10].tolist() == FIRST_LABELS["cifar10", split]
    for row in (0, 9999, examples.n - 1):
        raw = np.memmap(folder / f"{files[row // 10_000]}.bin", mode="r")[3073 * (row % 10_000) :][:3073]
        assert examples.x[row].numpy().tobytes() == raw[1:].tobytes()
        assert int(examples.y[row]) == raw[0]
    assert examples.y.bincount().tolist() == [examples.n // 10] * 10
    altered = examples.digest() == ALTERED[split][0]
    assert examples.name == ("cifar10-86jpeg" if altered else "cifar10")
    assert examples.note.startswith(ALTERED[split][1] if altered else "")
    assert (examples.name in TUNED_ON, examples.preprocess) == (True, "photo")


def test_an_altered_cifar10_is_told_by_its_pixels_and_not_by_its_folder(tmp_path, monkeypatch):
    folder = tmp_path / "cifar10" / "cifar-10-batches-bin"
    folder.mkdir(parents=True)
    raw = bytearray(i % 10 for i in range(2 * 3073))
    (folder / "test_batch.bin").write_bytes(raw)
    official = load("cifar10", tmp_path, "test")
    assert (official.name, official.note) == ("cifar10", "")
    monkeypatch.setitem(ALTERED_CIFAR10, official.digest(), "One image is a copy.")
    altered = load("cifar10", tmp_path, "test")
    assert (altered.name, altered.note, altered.n) == ("cifar10-86jpeg", "One image is a copy.", 2)
    raw[100] ^= 1
    (folder / "test_batch.bin").write_bytes(raw)
    assert load("cifar10", tmp_path, "test").name == "cifar10"


@pytest.mark.parametrize("name", [name for name in DATA_SETS if name != "digits"])
def test_a_missing_set_names_layout_and_remedy(name, tmp_path):
    remedy = "cifar-10-batches-bin/data_batch_1.bin" if name == "cifar10" else f"pacbound data fetch {name}"
    with pytest.raises(DataError) as refusal:
        load(name, tmp_path)
    assert remedy in str(refusal.value)
    assert f"{name}/" in str(refusal.value)
    assert "PACBOUND_DATA" in str(refusal.value)


def test_images_and_labels_of_different_length_are_refused(tmp_path):
    folder = tmp_path / "mnist"
    folder.mkdir()
    header = np.array([2051, 2, 28, 28], ">u4").tobytes()
    (folder / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(header + bytes(2 * 784)))
    (folder / "train-labels-idx1-ubyte.gz").write_bytes(gzip.compress(np.array([2049, 3], ">u4").tobytes() + bytes(3)))
    with pytest.raises(DataError, match="3 for 2 images"):
        load("mnist", tmp_path)


def test_unknown_names_and_splits_are_refused_with_the_nearest():
    with pytest.raises(DataError, match="Did you mean 'fashion-mnist'"):
        load("fashion_mnist")
    with pytest.raises(DataError, match="train or test, got 'valid'"):
        load("digits", split="valid")  # type: ignore[arg-type]


def test_the_root_is_the_argument_then_the_environment_then_the_cache(monkeypatch):
    monkeypatch.setenv("PACBOUND_DATA", "/named")
    monkeypatch.setenv("XDG_CACHE_HOME", "/cache")
    assert find_root("/given") == Path("/given")
    assert find_root() == Path("/named")
    monkeypatch.delenv("PACBOUND_DATA")
    assert find_root() == Path("/cache/pacbound")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/somebody")
    assert find_root() == Path("/home/somebody/.cache/pacbound")


def forms(examples):
    """The sample as it is, without a channel of its own, and flat."""
    yield examples
    if examples.shape[0] == 1:
        yield replace(examples, x=examples.x[:, 0])
        yield replace(examples, x=examples.x.flatten(1))


@pytest.mark.parametrize("split", ["train", "test"])
def test_digits_are_known_under_any_name_and_in_the_shapes_people_store_them_in(split):
    assert {tuned_on("my-own", form.digest()) for form in forms(load("digits", split=split))} == {"digits"}
    assert tuned_on("my-own", load("digits", split=split).subset(range(100)).digest()) is None


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("name", ["mnist", "fashion-mnist", "cifar10"])
def test_data_sets_are_known_under_any_name_and_in_the_shapes_people_store_them_in(name, split, official):
    examples = official(name, split)
    known = {tuned_on("my-own", form.digest()) for form in forms(examples)}
    assert known <= {examples.name, None}
    if name != "cifar10" or examples.note:  # the official CIFAR-10 is known by name alone
        assert known == {examples.name}


def test_the_whole_digits_of_scikit_learn_are_known_in_their_own_dtype():
    from sklearn.datasets import load_digits

    bunch = load_digits()
    for x in (bunch.data, bunch.images):
        whole = Examples("all-of-it", torch.from_numpy(x), torch.from_numpy(bunch.target).long(), 10)
        assert tuned_on(whole.name, whole.digest()) == "digits"
