"""The user's own samples: files, callables, arrays and map-style data sets."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch.utils.data import Dataset, TensorDataset

from pacbound.data.examples import Examples
from pacbound.data.registry import load
from pacbound.data.user import as_examples
from pacbound.errors import DataError

X = np.arange(24, dtype=np.uint8).reshape(4, 1, 2, 3)
Y = np.array([2, 0, 1, 2])


class Listed(Dataset):
    """A map-style data set over a list of items."""

    def __init__(self, items):
        self.items = items

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        return self.items[index]


class Flickering(Listed):
    """Random augmentation in small: every reading of one example differs."""

    reads = 0

    def __getitem__(self, index):
        x, y = self.items[index]
        self.reads += index == 2
        return (x + self.reads, y) if index == 2 else (x, y)


def same(examples: Examples, x: np.ndarray = X) -> bool:
    return np.array_equal(examples.x.numpy(), x) and examples.y.tolist() == Y.tolist()


SOURCES = {
    "arrays": lambda: (X, Y),
    "small labels": lambda: (X, Y.astype(np.uint8)),
    "big-endian labels": lambda: (X, Y.astype(">i4")),
    "fortran order": lambda: (np.asfortranarray(X), Y),
    "tensors": lambda: [torch.from_numpy(X), torch.from_numpy(Y)],
    "tensor data set": lambda: TensorDataset(torch.from_numpy(X), torch.from_numpy(Y)),
    "map style": lambda: Listed([(torch.from_numpy(x), int(y)) for x, y in zip(X, Y, strict=True)]),
    "map style of arrays": lambda: Listed([[x, np.int32(y)] for x, y in zip(X, Y, strict=True)]),
    "list of pairs": lambda: [(x, torch.tensor([y])) for x, y in zip(X, Y, strict=True)],
}


@pytest.mark.parametrize("source", SOURCES)
def test_every_kind_of_source_gives_the_same_sample(source):
    examples = as_examples(SOURCES[source]())
    assert same(examples)
    assert examples.digest() == as_examples((X, Y)).digest()
    assert (examples.name, examples.classes) == ("user", 3)


def test_images_are_treated_as_photos_and_features_left_alone():
    assert as_examples((X, Y)).preprocess == "photo"
    assert as_examples((X.reshape(4, 6), Y)).preprocess == "none"
    assert as_examples((X.astype(np.float32), Y)).preprocess == "none"


def test_examples_pass_through_and_classes_can_be_given():
    examples = as_examples((X, Y), name="mine", classes=7)
    assert (examples.name, examples.classes) == ("mine", 7)
    assert as_examples(examples) is examples
    with pytest.raises(DataError, match=r"0\.\.1"):
        as_examples((X, Y), classes=2)


def test_gradients_are_left_behind():
    x = torch.ones(3, 2, requires_grad=True)
    assert not as_examples((x, torch.tensor([0, 1, 0]))).x.requires_grad


def test_a_data_set_that_changes_between_readings_is_refused():
    items = list(zip(X, Y, strict=True))
    assert same(as_examples(Listed(items)))
    with pytest.raises(DataError, match=r"example 2 differed.*augmentation"):
        as_examples(Flickering(items))


ITEMS = list(zip(X, Y, strict=True))
BROKEN = {
    "float labels": ((X, Y.astype(float)), "integer label"),
    "one-hot labels": ((X, np.eye(3)[Y].astype(int)), r"\(4, 3\)"),
    "integer pixels": ((X.astype(int), Y), "astype"),
    "strings": ((np.array(["a", "b"]), Y[:2]), "64 bits"),
    "objects": ((np.array([{}, {}]), Y[:2]), "64 bits"),
    "long doubles": ((X.astype(np.longdouble), Y), "64 bits"),
    "too few labels": ((X, Y[:3]), "3 labels for 4 examples"),
    "a number": (3, "int"),
    "an iterator": (iter(ITEMS), "Iterable data sets"),
    "a dictionary": ({"x": X, "y": Y}, "dict"),
    "an empty data set": (Listed([]), "at least one example"),
    "items that are not pairs": (Listed([X[0], X[1]]), "item 0"),
    "ragged items": (Listed([(X[0][0], 0), (X[1][0, :1], 1)]), "example 1"),
    "items of mixed type": (Listed([ITEMS[0], (X[1].astype(np.float32), 1)]), "example 1"),
    "one-hot items": (Listed([(X[0], np.array([0, 1]))]), "one label"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_unsuitable_objects_are_refused_by_the_rule_they_break(case):
    data, message = BROKEN[case]
    with pytest.raises(DataError, match=message):
        as_examples(data)


def test_npz_and_safetensors_hold_the_same_sample(tmp_path):
    np.savez(tmp_path / "train.npz", x=X, y=Y, other=np.zeros(3))
    np.savez_compressed(tmp_path / "small.npz", x=X, y=Y)
    save_file({"x": torch.from_numpy(X), "y": torch.from_numpy(Y)}, tmp_path / "train.safetensors")
    loaded = [load(str(tmp_path / file)) for file in ("train.npz", "small.npz", "train.safetensors")]
    assert all(same(examples) for examples in loaded)
    assert {examples.name for examples in loaded} == {"user"}


def test_files_without_x_or_y_are_refused_by_name(tmp_path):
    np.savez(tmp_path / "a.npz", images=X, y=Y)
    save_file({"inputs": torch.from_numpy(X)}, tmp_path / "a.safetensors")
    with pytest.raises(DataError, match="x missing, got images, y"):
        load(str(tmp_path / "a.npz"))
    with pytest.raises(DataError, match="x and y missing, got inputs"):
        load(str(tmp_path / "a.safetensors"))


class Trap:
    """Leaves a trace when it is unpickled."""

    def __reduce__(self):
        return (exec, ("import builtins; builtins.pacbound_trap = True",))


def test_pickled_content_is_refused_and_never_run(tmp_path):
    import builtins
    import pickle

    np.savez(tmp_path / "trap.npz", x=np.array([Trap(), Trap()], dtype=object), y=Y[:2])
    (tmp_path / "bare.npz").write_bytes(pickle.dumps(Trap()))
    for file in ("trap.npz", "bare.npz"):
        with pytest.raises(DataError, match="no pickled objects"):
            load(str(tmp_path / file))
    assert not hasattr(builtins, "pacbound_trap")


def test_broken_and_missing_files_are_refused(tmp_path):
    np.savez(tmp_path / "a.npz", x=X, y=Y)
    whole = (tmp_path / "a.npz").read_bytes()
    np.save(tmp_path / "single.npy", X)
    contents = {
        "cut.npz": whole[: len(whole) // 2],
        "empty.npz": b"",
        "single.npz": (tmp_path / "single.npy").read_bytes(),
        "cut.safetensors": b"\x10" + bytes(7) + b"{",
    }
    for file, raw in contents.items():
        (tmp_path / file).write_bytes(raw)
        with pytest.raises(DataError, match=file):
            load(str(tmp_path / file))
    with pytest.raises(DataError, match="found none"):
        load(str(tmp_path / "absent.npz"))


def test_module_callable_is_imported_from_the_working_folder_and_called(tmp_path, monkeypatch):
    (tmp_path / "ownsample.py").write_text(
        "import numpy as np\n"
        "class Makers:\n"
        "    @staticmethod\n"
        "    def small():\n"
        "        return np.zeros((3, 2), dtype='float32'), np.array([0, 1, 0])\n"
        "def sized(n):\n"
        "    return None\n"
        "def failing():\n"
        "    raise TypeError('inside')\n"
        "constant = 3\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", list(__import__("sys").path))
    assert load("ownsample:Makers.small").y.tolist() == [0, 1, 0]
    refused = {
        "ownsample:sized": "without arguments",
        "ownsample:absent": "has no 'absent'",
        "ownsample:constant": "callable, got int",
        "nosuchmodule_here:f": "importable from the working folder",
        "mynet.py:build": r"Leave the ending out: mynet:build\.",
        "own sample:f": "module:callable",
        "ownsample:": "module:callable",
    }
    for reference, message in refused.items():
        with pytest.raises(DataError, match=message):
            load(reference)
    with pytest.raises(DataError, match=r"got TypeError: inside \(ownsample.py, line 9\)") as failure:
        load("ownsample:failing")
    assert isinstance(failure.value.__cause__, TypeError)  # the user's own bug keeps its own traceback
