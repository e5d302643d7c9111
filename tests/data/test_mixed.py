"""Pictures of sizes of their own: what they are decoded to, hashed as, resized to, and how they are certified."""

import hashlib
import io
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import pacbound as pb
from pacbound.data import mixed
from pacbound.data.inputs import distinct_inputs, overlap
from pacbound.data.likeness import recognise
from pacbound.data.mixed import Pictures
from pacbound.data.preprocess import preprocessed
from pacbound.data.registry import load, load_inputs
from pacbound.data.user import as_examples
from pacbound.errors import DataError
from pacbound.picking.order import priorities
from pacbound.specs.preprocess import parse_preprocess

PIL = pytest.importorskip("PIL.Image", reason="pillow, of the extra data, is not installed")

SIZES = ((9, 12), (12, 9), (20, 8), (9, 12), (16, 16), (7, 31))  # height, width


def arrays(seed: int = 0) -> list[np.ndarray]:
    """Coloured pictures (3, height, width) of all these sizes."""
    noise = np.random.default_rng(seed)
    return [noise.integers(0, 256, (3, *size)).astype(np.uint8) for size in SIZES]


def images(seed: int = 0) -> list["PIL.Image"]:
    return [PIL.fromarray(array.transpose(1, 2, 0).copy()) for array in arrays(seed)]


def labelled(seed: int = 0) -> list[tuple["PIL.Image", int]]:
    return [(image, k % 2) for k, image in enumerate(images(seed))]


def written(root: Path, seed: int = 0) -> Path:
    """The same in two folders, those of even numbers first."""
    for k, image in enumerate(images(seed)):
        folder = root / ("even", "odd")[k % 2]
        folder.mkdir(parents=True, exist_ok=True)
        image.save(folder / f"{k}.png")
    return root


IN_FOLDERS = (0, 2, 4, 1, 3, 5)  # their order there


def digest_by_hand(pictures: list[np.ndarray], labels: list[int]) -> str:
    raw = struct.pack("<qq", len(pictures), 0) + struct.pack("<q", 5) + b"uint8"
    for picture in pictures:
        raw += struct.pack("<qqq", *picture.shape) + picture.tobytes()
    return hashlib.sha256(raw + struct.pack(f"<{len(labels)}q", *labels)).hexdigest()


def test_the_digest_is_of_the_decoded_pixels_with_their_shapes(tmp_path: Path) -> None:
    made = arrays()
    assert as_examples(labelled()).digest() == digest_by_hand(made, [0, 1, 0, 1, 0, 1])
    ordered = [made[k] for k in IN_FOLDERS]
    examples = load(str(written(tmp_path)))
    assert examples.digest() == digest_by_hand(ordered, [0, 0, 0, 1, 1, 1])
    assert (examples.labels, examples.preprocess, examples.shape) == (("even", "odd"), "photo", (3, 20, 31))
    unlabelled = load_inputs(str(tmp_path))
    assert unlabelled.digest() == hashlib.sha256(raw_without_labels(ordered)).hexdigest()


def raw_without_labels(pictures: list[np.ndarray]) -> bytes:
    parts = [struct.pack("<qqq", *picture.shape) + picture.tobytes() for picture in pictures]
    return struct.pack("<qqq", len(pictures), 0, 5) + b"uint8" + b"".join(parts)


def test_the_same_bytes_in_another_shape_are_another_sample() -> None:
    x = np.arange(36, dtype=np.uint8)
    shapes = [((1, 4, 9), (1, 6, 6)), ((1, 9, 4), (1, 6, 6))]
    found = [as_examples([(torch.from_numpy(x.reshape(s)), k) for k, s in enumerate(pair)]) for pair in shapes]
    assert found[0].digest() != found[1].digest()


def test_rows_of_every_kind_are_the_same_sample() -> None:
    pairs = labelled()
    kinds: list[list[object]] = [
        [{"image": image, "label": label} for image, label in pairs],
        [(torch.from_numpy(array), k % 2) for k, array in enumerate(arrays())],
    ]
    assert {as_examples(rows).digest() for rows in kinds} == {as_examples(pairs).digest()}


def test_one_size_stays_an_array_whatever_comes_first_grey_or_coloured() -> None:
    colour, grey = np.full((3, 4, 5), 7, np.uint8), np.arange(20, dtype=np.uint8).reshape(1, 4, 5)
    for rows in ([(grey, 0), (colour, 1)], [(colour, 1), (grey, 0)]):
        x = as_examples([(torch.from_numpy(array), label) for array, label in rows]).x
        assert isinstance(x, Tensor)
        assert tuple(x.shape) == (2, 3, 4, 5)
        assert np.array_equal(x.numpy(), np.stack([np.broadcast_to(array, (3, 4, 5)) for array, _ in rows]))


def rgba(pixels: np.ndarray) -> "PIL.Image":
    return PIL.fromarray(np.dstack([pixels, np.full(pixels.shape[:2], 3, np.uint8)]))


def palette(pixels: np.ndarray) -> "PIL.Image":
    """A picture of as many colours as it has pixels, each by its number."""
    colours = pixels.reshape(-1, 3)
    image = PIL.fromarray(np.arange(len(colours), dtype=np.uint8).reshape(pixels.shape[:2]), "L").convert("P")
    image.putpalette(colours.tobytes())
    image.putdata(list(range(len(colours))))
    return image


@pytest.mark.filterwarnings("ignore:.*mode.*:DeprecationWarning")
def test_transparency_is_dropped_palettes_are_looked_up_and_grey_is_repeated(tmp_path: Path) -> None:
    colour = np.random.default_rng(1).integers(0, 256, (5, 6, 3)).astype(np.uint8)
    grey = np.random.default_rng(2).integers(0, 256, (7, 4)).astype(np.uint8)
    files = {"a/1": rgba(colour), "a/2": palette(colour), "b/3": PIL.fromarray(grey)}
    for name, image in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        image.save(tmp_path / f"{name}.png")
    first, second, third = load(str(tmp_path)).x
    assert np.array_equal(first.numpy(), colour.transpose(2, 0, 1))
    assert np.array_equal(second.numpy(), colour.transpose(2, 0, 1))
    assert np.array_equal(third.numpy(), np.stack([grey] * 3))


def test_a_rotation_by_exif_is_not_applied_and_the_certificate_says_so(tmp_path: Path) -> None:
    written(tmp_path)
    turned = PIL.Exif()
    turned[0x0112] = 6
    for name, exif in (("even/x.jpg", turned), ("odd/x.jpg", PIL.Exif())):
        images()[2].save(tmp_path / name, exif=exif)
    examples = load(str(tmp_path))
    assert examples.note.endswith("; EXIF names a rotation of 1 of them, which is not applied")
    assert tuple(list(examples.x)[3].shape) == (3, 20, 8)


def test_each_picture_is_resized_by_itself_as_if_it_were_alone() -> None:
    x = as_examples(labelled()).x
    for expression in ("photo@8", "imagenet@10/6"):
        spec = parse_preprocess(expression)
        alone = [preprocessed(torch.from_numpy(array)[None], spec) for array in arrays()]
        assert torch.equal(preprocessed(x, spec), torch.cat(alone))
        assert torch.equal(preprocessed(x[torch.tensor([4, 1])], spec), torch.cat([alone[4], alone[1]]))


@pytest.mark.parametrize("expression", ["none", "photo", "imagenet"])
def test_without_a_size_they_are_refused_by_their_sizes_and_the_remedy(expression: str) -> None:
    complaint = f"such from 9 x 12 to 16 x 16 pixels and '{expression}'.*--preprocess imagenet@256/224"
    sizes = [(torch.zeros(1, height, width, dtype=torch.uint8), 0) for width, height in ((16, 16), (9, 12), (14, 10))]
    with pytest.raises(DataError, match=complaint):
        preprocessed(as_examples(sizes, classes=2).x, parse_preprocess(expression))


def test_what_is_too_narrow_to_be_resized_by_its_shorter_side_is_refused() -> None:
    with pytest.raises(DataError, match=r"got 2000 x 1, which would have 512,000 x 256"):
        preprocessed(torch.zeros(1, 1, 1, 2000, dtype=torch.uint8), parse_preprocess("imagenet@256/224"))


def counting_reads(pictures: list[np.ndarray]) -> tuple[Pictures, list[int]]:
    asked: list[int] = []

    def read(row: int) -> Tensor:
        asked.append(row)
        return torch.from_numpy(pictures[row])

    return mixed.of_their_sizes(read, [picture.shape for picture in pictures]), asked


def test_what_exceeds_the_memory_for_it_is_decoded_again_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    made = arrays()
    monkeypatch.setattr(mixed, "KEPT_BYTES", made[0].nbytes + made[1].nbytes)
    x, asked = counting_reads(made)
    assert not asked
    assert x.nbytes == mixed.KEPT_BYTES
    for _ in range(3):
        assert all(np.array_equal(picture.numpy(), array) for picture, array in zip(x, made, strict=True))
    assert [asked.count(row) for row in range(len(made))] == [1, 1, 3, 3, 3, 3]


def test_a_picture_that_changes_is_refused() -> None:
    made = arrays()
    x, _ = counting_reads(made)
    made[1] = made[0]
    with pytest.raises(DataError, match="picture 2 had 9 x 12 pixels and has 12 x 9"):
        list(x)


class Growing:
    """A data set that returns a picture of another size each time."""

    asked = 0

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        self.asked += 1
        return torch.zeros(1, 2, self.asked, dtype=torch.uint8), index


def test_sizes_that_are_augmented_are_refused_on_the_second_reading() -> None:
    with pytest.raises(DataError, match="example 0 differed on the second reading"):
        as_examples(Growing())


def test_copies_are_found_in_and_between_samples() -> None:
    x = as_examples([*labelled(), labelled()[0]]).x
    assert (len(x), distinct_inputs(x)) == (7, 6)
    other = arrays(seed=1)[:2]
    apart = as_examples([(torch.from_numpy(array), k) for k, array in enumerate(other)]).x
    assert overlap(x, apart) == 0
    alone = torch.from_numpy(arrays()[4])[None]
    assert overlap(x, alone) == overlap(alone, x) == 1
    turned = as_examples([(alone[0].permute(0, 2, 1).contiguous(), 0), (torch.from_numpy(other[0]), 1)]).x
    assert overlap(x, turned) == 1


def test_tuned_data_are_known_among_pictures_of_other_sizes() -> None:
    digits = load("digits").x[:200]
    others = [torch.from_numpy(array) for array in arrays()]
    assert recognise(as_examples([(x, 0) for x in [*digits, *others]], classes=2).x) == "digits"
    assert recognise(as_examples([(x, 0) for x in others], classes=2).x) is None


def test_priorities_are_by_the_bytes_of_the_digest() -> None:
    examples = as_examples(labelled())

    def hashed(row: int) -> bytes:
        array, label = arrays()[row], row % 2
        raw = struct.pack("<q", 5) + struct.pack("<qqq", *array.shape) + array.tobytes() + struct.pack("<q", label)
        return hashlib.sha256(raw).digest()

    assert priorities(examples, 5).tolist() == sorted(range(len(SIZES)), key=hashed)


class Small(nn.Module):
    """A frozen front and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.head = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        answer: Tensor = self.head(self.body(x))
        return answer


def shades(root: Path, seed: int) -> Path:
    """A folder of dark and one of light pictures, each of a size of its own."""
    noise = np.random.default_rng(seed)
    for name, light in (("dark", 50), ("light", 200)):
        (root / name).mkdir(parents=True)
        for k in range(8):
            array = noise.integers(light - 50, light + 50, (*noise.integers(5, 12, 2), 3)).astype(np.uint8)
            PIL.fromarray(array).save(root / name / f"{k}.png")
    return root


def test_a_folder_is_certified_with_a_test_set_and_verified(tmp_path: Path) -> None:
    train, test = shades(tmp_path / "train", 0), shades(tmp_path / "test", 1)
    request = pb.Request(preprocess="photo@8", train="head", epochs=2, d=8, encoder="plain", prior_share=0.5)
    cert = pb.certify(Small(), str(train), test=str(test), request=request, progress=False)
    cert.save(tmp_path / "a.json")
    asked = {"model": Small(), "test": str(test)}
    assert pb.verify(tmp_path / "a.json", data=str(train), **asked).require().level == "risk"
    spoiled = PIL.open(train / "light" / "7.png").convert("RGB")
    spoiled.putpixel((0, 0), (0, 0, 1))
    spoiled.save(train / "light" / "7.png")
    found = pb.verify(tmp_path / "a.json", data=str(train), **asked)
    assert found.failed == "data"


def spoil(path: Path, change: Callable[[bytes], bytes]) -> None:
    path.write_bytes(change(path.read_bytes()))


def test_a_corrupt_picture_is_named_when_it_is_decoded(tmp_path: Path) -> None:
    written(tmp_path)
    spoil(tmp_path / "odd" / "3.png", lambda raw: raw[: len(raw) // 2])
    with pytest.raises(DataError, match=r"odd/3\.png is a picture, got") as refusal:
        pb.certify(Small(), str(tmp_path), request=pb.Request(preprocess="photo@8"), progress=False)
    assert str(tmp_path) not in str(refusal.value)
    spoil(tmp_path / "odd" / "3.png", lambda raw: b"no picture")
    with pytest.raises(DataError, match=r"odd/3\.png is a picture, got: cannot identify"):
        load(str(tmp_path))


def test_alterations_and_constants_of_columns_want_one_shape(tmp_path: Path) -> None:
    source = str(written(tmp_path))
    for alteration in ("rotated", "permuted"):
        with pytest.raises(DataError, match=f"{alteration} has one shape, got pictures from"):
            load(f"{source}+{alteration}")


def test_a_png_in_memory_is_read_as_from_its_file(tmp_path: Path) -> None:
    source = written(tmp_path)
    opened = [PIL.open(io.BytesIO(path.read_bytes())) for path in sorted(source.glob("*/*.png"))]
    rows = list(zip(opened, [0, 0, 0, 1, 1, 1], strict=True))
    assert as_examples(rows).digest() == load(str(source)).digest()


class Rows:
    """Four pictures as a function makes them, and their labels."""

    def __init__(self, picture: Callable[[int], Tensor]) -> None:
        self.picture = picture

    def __len__(self) -> int:
        return 4

    def __getitem__(self, row: int) -> tuple[Tensor, int]:
        if row >= 4:
            raise IndexError
        return self.picture(row), row % 2


def test_a_picture_without_pixels_is_refused() -> None:
    with pytest.raises(DataError, match="picture 1 has 5 x 0"):
        as_examples(Rows(lambda row: torch.zeros((3, row, 5), dtype=torch.uint8)))


@pytest.mark.parametrize("later", [torch.zeros((2, 4, 5), dtype=torch.uint8), torch.zeros((3, 4, 5))])
def test_pictures_of_another_kind_later_are_refused(later: Tensor) -> None:
    changed: list[Tensor] = []
    found = as_examples(Rows(lambda row: changed[0] if changed else torch.zeros((3, 4 + row, 5), dtype=torch.uint8)))
    changed.append(later)
    with pytest.raises(DataError, match="picture 1 has become"):
        found.digest()
