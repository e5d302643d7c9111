"""Sources of every kind, written here by hand: what they are read as, and the digest of the same arrays."""

import gzip
import json
import struct
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from pacbound.data.examples import Examples
from pacbound.data.inputs import overlap
from pacbound.data.registry import load, load_held_out, load_inputs
from pacbound.data.user import as_examples
from pacbound.errors import DataError
from pacbound.request.reading import Reading

TEXTS = ["a fine film", "dull", "très bon", "not good"]
WORDS = ["pos", "neg", "pos", "neg"]
Y = [1, 0, 1, 0]  # neg before pos


def as_bytes(texts: list[str]) -> np.ndarray:
    raw = [text.encode() for text in texts]
    longest = max(map(len, raw))
    return np.array([list(one.ljust(longest, b"\0")) for one in raw], np.uint8)


def assert_texts(examples: Examples, texts: list[str] = TEXTS, y: list[int] = Y) -> None:
    assert np.array_equal(examples.x.numpy(), as_bytes(texts))
    assert examples.y.tolist() == y
    assert examples.preprocess == "tokens"


def png(pixels: np.ndarray) -> bytes:
    """A picture (height, width, channels) in the format's own words: header, pixels, end."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    height, width, channels = pixels.shape
    header = struct.pack(">IIBBBBB", width, height, 8, {1: 0, 3: 2}[channels], 0, 0, 0)
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    content = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + content


def pixels(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


@pytest.fixture
def pillow() -> None:
    pytest.importorskip("PIL", reason="pillow, of the extra data, is not installed")


def test_tables_of_texts_are_read_alike(tmp_path: Path) -> None:
    lines = ["text,label", *(f'"{text}",{word}' for text, word in zip(TEXTS, WORDS, strict=True))]
    (tmp_path / "a.csv").write_text("\r\n".join(lines) + "\r\n", "utf-8")
    (tmp_path / "a.tsv").write_text("\n".join(lines).replace(",", "\t"), "utf-8")
    records = [json.dumps({"label": word, "text": text}) for text, word in zip(TEXTS, WORDS, strict=True)]
    (tmp_path / "a.jsonl").write_text("\n\n".join(records), "utf-8")
    found = [load(str(tmp_path / name)) for name in ("a.csv", "a.tsv", "a.jsonl")]
    for examples in found:
        assert_texts(examples)
        assert examples.labels == ("neg", "pos")
    assert len({examples.digest() for examples in found}) == 1


def test_a_parquet_table_is_read_like_the_others(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow", reason="pyarrow, of the extra data, is not installed")
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow, of the extra data, is not installed")
    parquet.write_table(pyarrow.table({"text": TEXTS, "label": WORDS}), tmp_path / "a.parquet")
    assert_texts(load(str(tmp_path / "a.parquet")))
    (tmp_path / "b.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match=r"b\.parquet is a parquet file"):
        load(str(tmp_path / "b.parquet"))


def test_columns_are_named_where_they_have_other_names(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("stars,id,review\n1,7,good\n0,8,bad\n", "utf-8")
    reading = Reading(text_column="review", label_column="stars")
    assert_texts(load(str(tmp_path / "a.csv"), reading=reading), ["good", "bad"], [1, 0])
    with pytest.raises(DataError, match=r"a column 'label', got stars, id, review. Name it with --label-column"):
        load(str(tmp_path / "a.csv"))
    with pytest.raises(DataError, match="row 1 of column 'review' holds 'good'"):
        load(str(tmp_path / "a.csv"), reading=Reading(label_column="stars"))


def test_a_table_of_numbers_has_all_other_columns_as_features(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,label,b\n1.5,x,-2\n0.1,y,1e3\n7,x,0\n", "utf-8")
    examples = load(str(tmp_path / "a.csv"))
    assert examples.x.tolist() == [[1.5, -2.0], [0.1, 1000.0], [7.0, 0.0]]
    assert (examples.y.tolist(), examples.labels, examples.preprocess) == ([0, 1, 0], ("x", "y"), "none")


def test_a_data_frame_is_a_table() -> None:
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    assert_texts(as_examples(pandas.DataFrame({"text": TEXTS, "label": WORDS, "id": range(4)})))
    numbers = as_examples(pandas.DataFrame({"label": [True, False], "a": [0.5, 1.0]}))
    assert (numbers.x.tolist(), numbers.y.tolist(), numbers.labels) == ([[0.5], [1.0]], [1, 0], ("False", "True"))


BROKEN_TABLES = {
    "a.csv": {
        "a,label\n1,x\n2\n": "every row of a.csv has 2 fields, line 3 has 1",
        "a,a\n1,2\n": "names of its columns, each once",
        "a,label\n1,x\n,y\n": "row 2 of column 'a' holds ''",
        "a,label\n1,x\n2,\n": "row 2 of column 'label' has none",
        "a,label\n1,0.5\n2,1.0\n": "y.astype.'int64'. where floats",
        "label\nx\n": "0 other columns",
        'a,label\n1,"x\n': "in line",
    },
    "a.jsonl": {
        '{"text": "x", "label": 1}\n{"text": ': "line 2",
        '{"text": "x", "label": 1}\n{"label": 1}': "same keys, line 2",
        '{"text": 3, "label": 1}': "row 1 holds 3",
    },
}


@pytest.mark.parametrize(("name", "content"), [(n, c) for n, cases in BROKEN_TABLES.items() for c in cases])
def test_broken_tables_are_refused_by_the_line(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content, "utf-8")
    with pytest.raises(DataError, match=BROKEN_TABLES[name][content]):
        load(str(tmp_path / name))


def test_a_folder_with_one_file_of_texts_a_class(tmp_path: Path) -> None:
    (tmp_path / "good.txt").write_bytes("  très bon\t\r\n\r\nfine\n".encode("cp1252"))
    (tmp_path / "bad.gz").write_bytes(gzip.compress(b"dull\n\n\nnot good"))
    (tmp_path / ".hidden").write_text("x")
    reading = Reading(encoding="cp1252", name="reviews")
    examples = load(str(tmp_path), reading=reading)
    assert_texts(examples, ["dull", "not good", "très bon", "fine"], [0, 0, 1, 1])
    assert (examples.labels, examples.name) == (("bad", "good"), "reviews")
    parts = [load(f"{tmp_path}:{part}/2", reading=reading) for part in (1, 2)]
    assert sorted(row for part in parts for row in part.x.tolist()) == sorted(examples.x.tolist())
    with pytest.raises(DataError, match=r"good\.txt is text in utf-8, line 1 holds the byte 0xe8.*--encoding"):
        load(str(tmp_path))
    with pytest.raises(DataError, match="'nonsense', such as cp1252"):
        load(str(tmp_path), reading=Reading(encoding="nonsense"))


def test_files_that_differ_in_what_follows_the_point_are_classes_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "films.pos").write_text("good")
    (tmp_path / "films.neg").write_text("bad")
    assert load(str(tmp_path)).labels == ("films.neg", "films.pos")


def test_folders_that_hold_no_sample_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("text")
    with pytest.raises(DataError, match="0 folders and 1 files"):
        load(str(tmp_path))
    (tmp_path / "b.txt").write_text("\n \n")
    with pytest.raises(DataError, match=r"b\.txt holds none"):
        load(str(tmp_path))
    (tmp_path / "c").mkdir()
    with pytest.raises(DataError, match="1 folders and 2 files"):
        load(str(tmp_path))
    (tmp_path / "b.gz").write_bytes(b"no gzip")
    (tmp_path / "c").rmdir()
    with pytest.raises(DataError, match=r"b\.gz is a readable file"):
        load(str(tmp_path))


def picture_folder(root: Path) -> np.ndarray:
    pictures = pixels(4, 5, 6, 3)
    for name, picture in zip(("dog/2.png", "dog/10.png", "cat/a.png", "cat/sub/b.png"), pictures, strict=True):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(png(picture))
    return pictures[[2, 3, 1, 0]].transpose(0, 3, 1, 2)  # cat before dog, 10 before 2


def test_a_folder_of_pictures_is_its_decoded_pixels(tmp_path: Path, pillow: None) -> None:
    expected = picture_folder(tmp_path)
    examples = load(str(tmp_path))
    assert np.array_equal(examples.x.numpy(), expected)
    assert (examples.y.tolist(), examples.labels, examples.preprocess) == ([0, 0, 1, 1], ("cat", "dog"), "photo")
    assert examples.digest() == as_examples((expected, np.array([0, 0, 1, 1]))).digest()
    assert examples.note.startswith("pixels as decoded by Pillow ")
    assert np.array_equal(load_inputs(str(tmp_path)).x.numpy(), expected)
    (tmp_path / "dog" / "grey.png").write_bytes(png(pixels(5, 6, 1, seed=1)))
    mixed = load(str(tmp_path)).x[4].numpy()
    assert np.array_equal(mixed, np.repeat(pixels(5, 6, 1, seed=1).transpose(2, 0, 1), 3, 0))


def test_a_folder_of_grey_pictures_has_one_channel(tmp_path: Path, pillow: None) -> None:
    for k, name in enumerate(("a", "b")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.png").write_bytes(png(pixels(3, 4, 1, seed=k)))
    assert load(str(tmp_path)).shape == (1, 3, 4)


def spoil_file(root: Path) -> None:
    raw = (root / "dog" / "10.png").read_bytes()
    (root / "dog" / "10.png").write_bytes(raw[:-40])


def spoil_text(root: Path) -> None:
    (root / "cat" / "notes.txt").write_text("no picture")


def spoil_class(root: Path) -> None:
    (root / "bird").mkdir()


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (spoil_file, r"dog/10\.png is a picture, got: .*Remove or repair it"),
        (spoil_text, r"cat/notes\.txt is a picture, got: cannot identify image file"),
        (spoil_class, "bird is empty"),
    ],
)
def test_broken_folders_of_pictures_are_refused_by_name(
    tmp_path: Path, pillow: None, spoil: Callable[[Path], None], complaint: str
) -> None:
    picture_folder(tmp_path)
    spoil(tmp_path)
    with pytest.raises(DataError, match=complaint) as refusal:
        load(str(tmp_path))
    assert str(tmp_path) not in str(refusal.value)


def test_without_pillow_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(DataError, match=r"need Pillow.*pacbound\[data\]"):
        load(str(tmp_path))


def test_arrays_in_files_are_the_same_sample_however_they_lie_there(tmp_path: Path) -> None:
    x, y = pixels(4, 1, 3, 3), np.array([0, 1, 2, 1])
    (tmp_path / "pair").mkdir()
    np.save(tmp_path / "pair" / "x.npy", x)
    np.save(tmp_path / "pair" / "y.npy", y[:, None])
    np.savez(tmp_path / "a.npz", X=x, y=y)
    torch.save((torch.from_numpy(x), torch.from_numpy(y)), tmp_path / "a.pt")
    torch.save({"x": torch.from_numpy(x), "y": torch.from_numpy(y)}, tmp_path / "b.pt")
    expected = as_examples((x, y)).digest()
    for name in ("pair", "a.npz", "a.pt", "b.pt"):
        assert load(str(tmp_path / name)).digest() == expected, name
        assert np.array_equal(load_inputs(str(tmp_path / name)).x.numpy(), x), name


def test_a_mapped_pair_stays_on_the_disk_and_is_never_written(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", pixels(4, 1, 3, 3))
    np.save(tmp_path / "y.npy", np.array([0, 1, 2, 1]))
    before = (tmp_path / "x.npy").read_bytes()
    mapped = np.memmap(tmp_path / "x.npy", mode="r")
    examples = load(str(tmp_path))
    assert examples.x.untyped_storage().nbytes() <= len(mapped)
    examples.x.fill_(0)
    assert (tmp_path / "x.npy").read_bytes() == before


def test_broken_files_of_arrays_are_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "a.pt").write_bytes(b"nothing")
    torch.save([1, 2, 3], tmp_path / "b.pt")
    torch.save({"x": torch.ones(2, 2), "z": torch.ones(2)}, tmp_path / "c.pt")
    for name, complaint in (("a.pt", "pair"), ("b.pt", "got list"), ("c.pt", "y missing, got x, z")):
        with pytest.raises(DataError, match=complaint):
            load(str(tmp_path / name))
    np.save(tmp_path / "x.npy", np.array([{}], dtype=object))
    with pytest.raises(DataError, match=r"x\.npy: Array can't be memory-mapped: Python objects"):
        load(str(tmp_path))
    np.save(tmp_path / "x.npy", np.ones((2, 2)))
    with pytest.raises(DataError, match=r"y\.npy: no such file"):
        load(str(tmp_path))


def test_pictures_with_their_channels_last_are_turned_and_it_is_said() -> None:
    x, y = pixels(4, 8, 9, 3), np.array([0, 1, 0, 1])
    turned = as_examples((x, y))
    assert np.array_equal(turned.x.numpy(), x.transpose(0, 3, 1, 2))
    assert "height, width, channels" in turned.note
    assert as_examples((x, y), reading=Reading(layout="chw")).shape == (8, 9, 3)
    items = [(row, int(label)) for row, label in zip(x, y, strict=True)]
    assert as_examples(items).digest() == turned.digest()
    # either way about, or numbers that are no pixels: as they are, unless it is said
    assert as_examples((pixels(4, 3, 9, 3), y)).shape == (3, 9, 3)
    assert as_examples((x.astype(np.float32), y)).shape == (8, 9, 3)
    assert as_examples((x.astype(np.float32), y), reading=Reading(layout="hwc")).shape == (3, 8, 9)
    with pytest.raises(DataError, match="--layout hwc is for pictures"):
        as_examples((x[:, 0], y), reading=Reading(layout="hwc"))


class Rows:
    """A stand-in for a data set of records, as Hugging Face's are, with what it calls its classes."""

    def __init__(self, items: list[dict[str, object]], names: list[str] | None = None) -> None:
        self.items, self.column_names = items, list(items[0])
        self.features = {"label": SimpleNamespace(names=names)}

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> dict[str, object]:
        return self.items[index]


def test_records_are_read_by_their_fields() -> None:
    texts = Rows(
        [{"idx": k, "text": t, "label": y} for k, (t, y) in enumerate(zip(TEXTS, Y, strict=True))], ["no", "yes"]
    )
    examples = as_examples(texts)
    assert_texts(examples)
    assert examples.labels == ("no", "yes")
    tokens = as_examples([{"input_ids": [5, k], "labels": k % 2} for k in range(3)])
    assert (tokens.x.dtype, tokens.x.tolist()) == (torch.int64, [[5, 0], [5, 1], [5, 2]])
    named = as_examples(
        [{"review": "a", "stars": 1}, {"review": "b", "stars": 0}],
        reading=Reading(text_column="review", label_column="stars"),
    )
    assert_texts(named, ["a", "b"], [1, 0])
    with pytest.raises(DataError, match=r"got a, label\. Name it with --text-column"):
        as_examples([{"a": 1, "label": 0}])
    with pytest.raises(DataError, match=r"example 1 is .*, the first is a text"):
        as_examples([("a", 0), (np.zeros(2, np.uint8), 1)])


def test_a_data_set_of_the_package_datasets_is_read() -> None:
    datasets = pytest.importorskip("datasets", reason="the package datasets is not installed")
    features = datasets.Features(
        {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["no", "yes", "so"])}
    )
    made = datasets.Dataset.from_dict({"text": TEXTS, "label": Y}, features=features)
    examples = as_examples(made)
    assert_texts(examples)
    assert (examples.classes, examples.labels) == (3, ("no", "yes", "so"))
    with pytest.raises(DataError, match=r"got DatasetDict.*data\['train'\]"):
        as_examples(datasets.DatasetDict({"train": made}))


def test_pictures_in_memory_are_read_as_torchvision_hands_them_out(pillow: None) -> None:
    from PIL import Image

    x = pixels(3, 4, 5, 3)
    pairs = [(Image.fromarray(row), k) for k, row in enumerate(x)]
    assert np.array_equal(as_examples(pairs).x.numpy(), x.transpose(0, 3, 1, 2))
    grey = [(image.convert("L"), k) for image, k in pairs]
    assert as_examples(grey).shape == (1, 4, 5)
    assert as_examples([pairs[0], *grey[1:]]).shape == (3, 4, 5)
    with pytest.raises(DataError, match="item 0 has 8 bits a channel"):
        as_examples([(Image.new("I;16", (5, 4)), 0)])


LABELS = {
    "words": (["b", "a", "b"], [1, 0, 1], ("a", "b")),
    "booleans": (np.array([True, False, True]), [1, 0, 1], ("False", "True")),
    "a column": (np.array([[1], [0], [1]]), [1, 0, 1], ()),
    "from one on": (np.array([2, 1, 2]), [1, 0, 1], ("1", "2")),
    "signs": (torch.tensor([1, -1, 1]), [1, 0, 1], ("-1", "1")),
    "with a gap": (np.array([2, 0, 2]), [2, 0, 2], ()),
}


@pytest.mark.parametrize("case", LABELS)
def test_labels_of_any_kind_are_numbered_in_sorted_order(case: str) -> None:
    given, numbers, names = LABELS[case]
    y = given if not isinstance(given, list) else np.array(given)
    examples = as_examples((np.eye(3, dtype=np.float32), y))
    assert (examples.y.tolist(), examples.labels) == (numbers, names)
    assert examples.classes == max(numbers) + 1
    assert examples.digest() == as_examples((np.eye(3, dtype=np.float32), np.array(numbers))).digest()


def test_declared_classes_keep_whole_numbers_below_them() -> None:
    x = np.eye(3, dtype=np.float32)
    assert as_examples((x, np.array([2, 1, 2])), classes=4).y.tolist() == [2, 1, 2]
    named = as_examples((x, np.array(["b", "a", "b"])), classes=5)
    assert (named.classes, named.labels) == (5, ("a", "b"))
    with pytest.raises(DataError, match="2 classes were declared, got 3 different labels"):
        as_examples((x, np.array(["b", "a", "c"])), classes=2)


@pytest.mark.parametrize("label", ["", "x" * 201, "two\nlines"])
def test_labels_that_no_class_could_be_called_are_refused(label: str) -> None:
    with pytest.raises(DataError, match="1 to 200 printable characters"):
        as_examples([("a", "fine"), ("b", label)])


def test_held_out_labels_mean_what_they_mean_in_the_sample() -> None:
    x = np.eye(2, dtype=np.float32)

    def held_out(y: list[object], classes: int, labels: tuple[str, ...] = ()) -> Examples:
        return load_held_out((x, np.array(y)), classes, labels=labels)

    assert held_out(["c", "b"], 3, ("a", "b", "c")).y.tolist() == [2, 1]
    assert held_out([3, 2], 3, ("1", "2", "3")).y.tolist() == [2, 1]
    assert held_out([1, 2], 3, ("1", "2", "3")).y.tolist() == [0, 1]
    assert held_out([2, 1], 4).y.tolist() == [2, 1]
    words = ([0, 1], ("no", "yes", "so"))  # whose numbers may be in any order
    for y, labels in ((["d", "a"], ("a", "b", "c")), ([0, 1], ("1", "2", "3")), (["a", "b"], ()), words):
        with pytest.raises(DataError, match="labels of held-out examples are among those of the sample"):
            held_out(y, 3, labels)


def test_texts_are_known_again_whatever_the_longest_of_their_sample_is() -> None:
    short, long = (as_examples((texts, np.array([0, 1, 1]))).x for texts in (["ab", "c", "d"], ["x", "ab", "y" * 9]))
    assert (overlap(short, long), overlap(long, short)) == (1, 1)


def test_a_data_set_known_by_name_is_read_in_one_way() -> None:
    with pytest.raises(DataError, match=r"digits is known by name.*got layout, name"):
        load("digits", reading=Reading(layout="hwc", name="mine"))


def test_two_classes_or_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    for name in ("cat", "cat.txt", "dog.txt"):
        (tmp_path / name).write_text(f"a {name}\n")
    with pytest.raises(DataError, match="two are called 'cat'"):
        load(str(tmp_path))


@pytest.mark.parametrize("encoding", ["undefined", "no-such", "idna", "rot13", "base64"])
def test_what_is_no_encoding_of_texts_is_refused_in_words(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "a.csv").write_bytes(b"text,label\n\xff\xfe,a\nb,b\n")
    with pytest.raises(DataError, match=r"a\.csv is text in|an encoding is one"):
        load(str(tmp_path / "a.csv"), reading=Reading(encoding=encoding))


def test_one_number_is_no_sample(tmp_path: Path) -> None:
    save_file({"x": torch.tensor(3.0), "y": torch.tensor([1])}, tmp_path / "a.safetensors")
    with pytest.raises(DataError, match="x has a row for each example, got one number"):
        load(str(tmp_path / "a.safetensors"))


def test_labels_and_examples_that_differ_in_number_are_refused_by_both_numbers(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.zeros((7, 2), np.float32), y=np.arange(6) % 2)
    with pytest.raises(DataError, match="each example has a label, got 6 labels for 7 examples"):
        load(str(tmp_path / "a.npz"))


def test_labels_beyond_every_int64_do_not_wrap() -> None:
    y = np.array([0, 2**63], np.uint64)
    with pytest.raises(DataError, match=r"below 2\^63, got 9223372036854775808"):
        as_examples((np.zeros((2, 2), np.float32), y))
