"""Fixed maps of images, against scipy and loops; what they are asked to bear; and where networks may have them."""

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor, nn

import pacbound as pb
from pacbound.data import preprocess
from pacbound.data.registry import load
from pacbound.errors import ModelError
from pacbound.measures.layers.layers import layers_of
from pacbound.measures.rademacher.capacity import class_of
from pacbound.methods.table import certify
from pacbound.models.architecture import build_architecture
from pacbound.models.features import Bars, ColourBars, Edges, Moments, Opponent
from pacbound.models.reference import initialise
from pacbound.models.units import symmetry_of
from pacbound.models.views import Front
from pacbound.networks.captured import Frozen, frozen_before
from pacbound.networks.hypothesis import make_base
from pacbound.networks.passes import check_deterministic
from pacbound.pipeline import capturing
from pacbound.specs.grammar import parse
from pacbound.specs.specs import PreprocessSpec
from pacbound.subspace.ekfac import noise
from tests.tiny import quick

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "features.json").read_text())
Image = NDArray[np.float64]  # (h, w), or (channels, h, w)


def described(text: str, shape: tuple[int, ...], classes: int = 3) -> nn.Module:
    network = build_architecture(parse(text), shape, classes)
    initialise(network, 0)
    return network.eval()


def strokes(count: int, high: int = 28, wide: int = 28) -> Tensor:
    """Smooth blobs that lean, stand aside, and have all sizes, in [0, 255]: (count, 1, high, wide)."""
    generator = np.random.default_rng(0)
    y, x = np.mgrid[:high, :wide]
    images = []
    for _ in range(count):
        cy, cx = generator.uniform(0.3, 0.7, 2) * (high, wide)
        sy, sx = generator.uniform(0.04, 0.25, 2) * (high, wide)
        lean = generator.uniform(-1.2, 1.2)
        images.append(255 * np.exp(-(((y - cy) / sy) ** 2) - (((x - cx) - lean * (y - cy)) / sx) ** 2))
    return torch.from_numpy(np.stack(images)).float()[:, None]


def between_0_and_1(image: Image) -> Image:
    return (image - image.min()) / (image.max() - image.min())


def read_at(image: Image, y: Image, x: Image) -> Image:
    return ndimage.map_coordinates(image, [y, x], order=1, mode="grid-constant", cval=0.0)


def upright_by_hand(image: Image) -> Image:
    """Both steps with sums over places, and scipy between them."""
    image = between_0_and_1(image)
    high, wide = image.shape
    middle, centre = (high - 1) / 2, (wide - 1) / 2
    rows, columns = np.mgrid[:high, :wide].astype(float)
    cy, cx = ndimage.center_of_mass(image)
    up = sum(image[i, j] * (i - cy) * (j - cx) for i in range(high) for j in range(wide))
    down = sum(image[i, j] * (i - cy) ** 2 for i in range(high) for j in range(wide))
    lean = min(max(up / down, -1), 1)
    image = read_at(image, rows + cy - middle, cx + columns - centre + lean * (rows - middle))
    sy = math.sqrt((image * (rows - middle) ** 2).sum() / image.sum())
    sx = math.sqrt((image * (columns - centre) ** 2).sum() / image.sum())
    ry = min(max(sy / (5.8 * high / 28), 0.7), 1.5)
    rx = math.sqrt(min(max(sx / (4.2 * wide / 28), 0.6), 1.6))
    return read_at(image, middle + ry * (rows - middle), centre + rx * (columns - centre))


def edge_filters() -> list[Image]:
    y, x = np.mgrid[-2:3, -2:3]
    found = []
    for j in range(8):
        f = np.exp(-(x**2 + y**2) / (2 * 1.25**2)) * (x * np.cos(np.pi * j / 4) + y * np.sin(np.pi * j / 4))
        f = f - f.mean()
        found.append(f / np.abs(f).sum())
    return found


def bar_filters(spread: float) -> list[Image]:
    """A ridge along each of four directions: minus the second derivative of a Gaussian, but for its width."""
    y, x = np.mgrid[-2:3, -2:3]
    found = []
    for degrees in (0, 45, 90, 135):
        across = np.cos(np.deg2rad(degrees)) * x + np.sin(np.deg2rad(degrees)) * y
        f = (1 - across**2 / (0.75 * spread) ** 2) * np.exp(-0.5 * (x**2 + y**2) / spread**2)
        f -= f.mean()
        found.append(f / np.abs(f).sum())
    return found


def averaged(image: Image, window: int, stride: int, border: int) -> Image:
    """Means over windows, zeros around counting as places."""
    padded = np.pad(image, border)
    sides = [(side - window) // stride + 1 for side in padded.shape]
    return np.array(
        [
            [padded[i * stride : i * stride + window, j * stride : j * stride + window].mean() for j in range(sides[1])]
            for i in range(sides[0])
        ]
    )


def edges_by_hand(image: Image, normalised: bool, intensity: bool) -> Image:
    image = between_0_and_1(image)
    stride = 1 if min(image.shape) < 16 else 2
    filtered = [np.maximum(ndimage.correlate(image, f, mode="constant"), 0) for f in edge_filters()]
    z = np.stack([4 * averaged(one, 3, stride, 1) for one in filtered])
    if normalised:
        z = 0.2 * z / (averaged(z.mean(0), 5, 1, 2) + 0.05)
    return np.concatenate([z, 2 * averaged(image, 3, stride, 1)[None] - 0.5]) if intensity else z


def bars_by_hand(image: Image, intensity: bool) -> Image:
    image = between_0_and_1(image)
    stride = 1 if min(image.shape) < 16 else 2
    filters = [*edge_filters(), *bar_filters(1.25), *(-f for f in bar_filters(1.25))]
    z = np.stack(
        [4 * averaged(np.maximum(ndimage.correlate(image, f, mode="constant"), 0), 3, stride, 1) for f in filters]
    )
    z = 0.2 * z / (averaged(z.mean(0), 5, 1, 2) + 0.05)
    return np.concatenate([z, 2 * averaged(image, 3, stride, 1)[None] - 0.5]) if intensity else z


def even_colours(image: Image) -> list[Image]:
    red, green, blue = image
    colours = [(red + green + blue) / 3**0.5, (red - blue) / 2**0.5, (red - 2 * green + blue) / 6**0.5]

    def blurred(z: Image) -> Image:
        return ndimage.gaussian_filter(z, 3, mode="nearest", radius=9)

    mixed = []
    for z in colours:
        local = z - blurred(z)
        mixed.append(((z - z.mean()) / (z.std() + 0.3) + local / (np.sqrt(blurred(local**2)) + 0.3)) / 2)
    return mixed


def spot_and_smooth() -> tuple[Image, Image]:
    y, x = np.mgrid[-2:3, -2:3]
    one, two, smooth = (np.exp(-(x**2 + y**2) / (2 * s**2)) for s in (1.0, 2.0, 1.25))
    spot = one / one.sum() - two / two.sum()
    spot = spot - spot.mean()
    return spot / abs(spot).sum(), smooth / smooth.sum()


def opponent_by_hand(image: Image) -> Image:
    mixed = even_colours(image)
    both = [ndimage.correlate(z, f, mode="constant") for z in mixed for f in spot_and_smooth()]
    edges = [ndimage.correlate(mixed[0], f, mode="constant") for f in edge_filters()]
    every = [*edges, *both, *(-z for z in both)]
    return np.stack([averaged(np.maximum(z, 0), 3, 2, 0) for z in every])


def colour_bars_by_hand(image: Image, smooth: bool) -> Image:
    light, red, green = even_colours(image)
    edges, (spot, patch) = edge_filters(), spot_and_smooth()
    asked = [(light, 2 * f) for f in bar_filters(1.25)] + [(light, 3 * f) for f in bar_filters(0.8)]
    asked += [(light, 2 * spot), *([(light, patch / 2)] if smooth else [])]
    asked += [*((red, 1.75 * f) for f in edges[:4]), (red, 3.5 * spot), *([(red, 0.8 * patch)] if smooth else [])]
    asked += [*((green, 2.5 * f) for f in edges[:4]), (green, 5 * spot), *([(green, 1.25 * patch)] if smooth else [])]
    every = [(light, f) for f in edges] + asked + [(z, -f) for z, f in asked]
    maps = [np.maximum(ndimage.correlate(z, f, mode="constant"), 0) for z, f in every]
    return np.stack([averaged(one, 3, 2, 0) - 0.1 for one in maps])


@pytest.mark.parametrize("sides", [(28, 28), (8, 8), (16, 20), (9, 30)])
def test_moments_are_those_of_scipy(sides: tuple[int, int]) -> None:
    x = strokes(12, *sides).double()
    found = Moments()(x)
    for image, answer in zip(x, found, strict=True):
        assert np.allclose(upright_by_hand(image[0].numpy()), answer[0], atol=1e-6)


@pytest.mark.parametrize(("normalised", "intensity"), [(True, False), (True, True), (False, False), (False, True)])
@pytest.mark.parametrize("sides", [(28, 28), (8, 8), (16, 21)])
def test_edges_are_those_of_scipy(sides: tuple[int, int], normalised: bool, intensity: bool) -> None:
    x = strokes(2, *sides).double()
    found = Edges(normalised, intensity)(x)
    for image, answer in zip(x, found, strict=True):
        assert np.allclose(edges_by_hand(image[0].numpy(), normalised, intensity), answer, atol=1e-9)


def test_colours_are_those_of_scipy() -> None:
    x = torch.cat([strokes(3), strokes(6)[3:], strokes(9)[6:]], 1).double() / 64 - 2
    found = Opponent()(x)
    assert found.shape == (3, 20, 13, 13)
    for image, answer in zip(x, found, strict=True):
        assert np.allclose(opponent_by_hand(image.numpy()), answer, atol=1e-9)


@pytest.mark.parametrize("intensity", [False, True])
@pytest.mark.parametrize("sides", [(28, 28), (8, 8), (16, 21)])
def test_bars_are_those_of_scipy(sides: tuple[int, int], intensity: bool) -> None:
    x = strokes(2, *sides).double()
    found = Bars(intensity)(x)
    assert found.shape[1] == 16 + intensity
    for image, answer in zip(x, found, strict=True):
        assert np.allclose(bars_by_hand(image[0].numpy(), intensity), answer, atol=1e-9)


@pytest.mark.parametrize("smooth", [False, True])
def test_bars_of_colours_are_those_of_scipy(smooth: bool) -> None:
    x = torch.cat([strokes(3), strokes(6)[3:], strokes(9)[6:]], 1).double() / 64 - 2
    found = ColourBars(smooth)(x)
    assert found.shape == (3, 46 + 6 * smooth, 13, 13)
    for image, answer in zip(x, found, strict=True):
        assert np.allclose(colour_bars_by_hand(image.numpy(), smooth), answer, atol=1e-9)


def test_maps_of_colours_vary_alike_about_0() -> None:
    """On images of noise, whose spectrum falls as that of photographs does: what gains and the mean are for."""
    images = noise(0, 60, (3, 32, 32))
    maps, plain = ColourBars(smooth=True)(images), Opponent()(images)
    ratios = [found.std((0, 2, 3)).max() / found.std((0, 2, 3)).min() for found in (maps, plain)]
    assert ratios[0] < 3 < 8 < ratios[1]
    assert maps.mean().abs() < maps.std() / 3
    assert plain.mean() > plain.std() / 2


@pytest.mark.parametrize("sides", [(7, 8), (1, 1), (2, 5)])
def test_blur_is_binomial_at_every_second_place(sides: tuple[int, int]) -> None:
    high, wide = sides
    layers = described("blur-L", (2, high, wide))[:-2]
    x = torch.rand(2, 2, high, wide, generator=torch.Generator().manual_seed(0)).double()
    kernel = np.outer([1, 2, 1], [1, 2, 1]) / 16
    for image, answer in zip(x.flatten(0, 1), layers(x).flatten(0, 1), strict=True):
        assert np.allclose(ndimage.correlate(image.numpy(), kernel, mode="nearest")[::2, ::2], answer)


def test_ink_is_upright_in_the_middle_and_of_one_size_wherever_it_was() -> None:
    """Moments of what comes out, of images whose ratios stay within their limits and whose ink within the frame."""
    y, x = np.mgrid[:28, :28]
    for cy, cx, lean in ((13.5, 13.5, 0.0), (11, 15, 0.6), (16, 12, -0.7)):
        image = np.exp(-(((y - cy) / 6.5) ** 2) - (((x - cx) - lean * (y - cy)) / 4.0) ** 2)
        out = Moments()(torch.from_numpy(image)[None, None])[0, 0].numpy()
        dy, dx = y - 13.5, x - 13.5
        assert max(abs((out * dy).sum()), abs((out * dx).sum())) < 0.2 * out.sum()  # of a place
        assert abs((out * dy * dx).sum()) < 0.05 * (out * dy**2).sum()
        assert math.sqrt((out * dy**2).sum() / out.sum()) == pytest.approx(5.8, rel=0.1)


GREY = ("moments-edges1-L", "moments-L", "edges2-L", "edges3-c4k3-R-L", "flip-moments-edges4-A3-L", "V1-edges1-L",
        "bars1-L", "moments-bars2-c4k3-R-L")  # fmt: skip
COLOUR = ("flip-opponent-L", "flip-bars1-L", "bars2-A3-L")
FORMS: dict[str, Callable[[int, int], Tensor]] = {
    "blank": torch.zeros,
    "white": lambda h, w: torch.full((h, w), 255.0),
    "one place": lambda h, w: torch.zeros(h, w).index_put((torch.tensor(0), torch.tensor(w - 1)), torch.tensor(255.0)),
    "all but one": lambda h, w: 255 - FORMS["one place"](h, w),
    "a row": lambda h, w: torch.zeros(h, w).index_fill(0, torch.tensor([h - 1]), 1.0),
    "huge": lambda h, w: 1e30 * torch.rand(h, w, generator=torch.Generator().manual_seed(0)),
    "tiny": lambda h, w: 1e-30 * torch.rand(h, w, generator=torch.Generator().manual_seed(0)),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("sides", [(28, 28), (1, 1), (1, 7), (8, 8)])
def test_any_image_has_finite_maps(form: str, sides: tuple[int, int]) -> None:
    image = FORMS[form](*sides)[None, None]
    for module in (
        Moments(),
        Edges(True, True),
        Edges(False, False),
        Bars(True),
        nn.Sequential(Moments(), Edges(True, False)),
    ):
        assert torch.isfinite(module(image)).all()
        assert module(image).abs().max() <= 10
    if form in ("blank", "white") and min(sides) > 1:
        assert not Edges(True, False)(image).any()
        assert not Bars(False)(image).any()
    if min(sides) >= 3 and form != "huge":
        for module in (Opponent(), ColourBars(True)):
            assert torch.isfinite(module(image.expand(1, 3, *sides))).all()


def test_grey_maps_do_not_change_with_the_scale_of_pixels() -> None:
    x = strokes(6)
    for text in GREY:
        features = described(text, (1, 28, 28))[0]
        assert torch.allclose(features(x), features((x / 255 - 0.125) / 0.3125), atol=1e-3)


@pytest.mark.parametrize(
    ("text", "shape"), [*((text, (1, 28, 28)) for text in GREY), *((text, (3, 28, 28)) for text in COLOUR)]
)
def test_an_image_is_answered_by_itself(text: str, shape: tuple[int, ...]) -> None:
    network, x = described(text, shape), strokes(8).expand(-1, *shape).clone()
    with torch.no_grad():
        check_deterministic(network, x)
        changed = x.clone()
        changed[1:] = x[1:].flip(0)
        assert torch.allclose(network(changed)[:1], network(x)[:1], atol=1e-5)
        assert network(x).std(0).min() > 1e-4


@pytest.mark.parametrize(
    ("text", "shape", "said"),
    [
        ("edges1-L", (3, 8, 8), "reads grey images, got 3 channels"),
        ("moments-L", (3, 8, 8), "reads grey images"),
        ("edges1-L", (64,), "reads images of (channels, height, width)"),
        ("opponent-L", (1, 8, 8), "reads colour images"),
        ("opponent-L", (3, 2, 8), "sides of at least 3"),
        ("bars1-L", (2, 8, 8), "reads grey or colour images, got 2 channels"),
        ("bars1-L", (3, 2, 8), "sides of at least 3"),
        ("imagenet-edges1-L", (28, 28), "got 3 channels"),
        ("blur-L", (7,), "reads images"),
    ],
)
def test_images_that_features_do_not_read_are_refused(text: str, shape: tuple[int, ...], said: str) -> None:
    with pytest.raises(ModelError) as refusal:
        described(text, shape)
    assert said in str(refusal.value)


@pytest.mark.parametrize(
    "text",
    ["c4k3-moments-L", "R-edges1-L", "edges1-moments-L", "moments-moments-L", "edges1-edges2-L", "edges0-L", "edges5-L",
     "edges-L", "opponent-edges1-L", "moments-flip-L", "edges1-unit-L", "E8-moments-L", "E8-blur-L", "h8-edges1-L",
     "G-blur-L", "blur-opponent-L", "bars-L", "bars0-L", "bars3-L", "edges1-bars1-L", "bars2-moments-L"],
)  # fmt: skip
def test_features_stand_before_all_other_layers(text: str) -> None:
    with pytest.raises(ModelError, match="there could stand"):
        parse(text)


def test_pixels_and_views_stand_before_features_and_blur_anywhere() -> None:
    for text in ("unit-flip-V1-moments-edges2-c4k3-blur-t4k3-blur-T-blur-L", "imagenet-flip-opponent-blur-P", *GREY):
        assert str(parse(text)) == text
    assert described("t4k3-blur-t4k3-T-L", (12, 12))(torch.rand(2, 12, 12)).shape == (2, 3)


def test_golden_vectors_so_that_a_word_means_the_same_in_every_version() -> None:
    """Changing one of these is a new kind of layer. Places (0, 0), the middle and one more, of every map."""
    images = {"grey": strokes(2), "small": strokes(2, 8, 8), "colour": strokes(6).view(2, 3, 28, 28) / 64 - 2}
    for case, (first, last) in GOLDEN.items():
        text, _, which = case.partition(" ")
        x = images[which]
        maps = described(f"{text}-L", tuple(x.shape[1:]))[0].layers[:-1](x)
        for values, image in zip((first, last), maps, strict=True):
            middle = image[:, image.shape[1] // 2, image.shape[2] // 2]
            third = image[:, image.shape[1] // 3, image.shape[2] // 2]
            assert [round(float(v), 4) for v in torch.cat([middle, third])] == pytest.approx(values, abs=2e-4)


@pytest.mark.parametrize(("views", "count"), [("", 1), ("flip-", 2), ("flip-V1-", 10)])
def test_views_are_of_the_image_before_its_features(views: str, count: int) -> None:
    network, plain = described(f"{views}edges2-c4k5-R-A4s3-L", (28, 28)), described("edges2-c4k5-R-A4s3-L", (28, 28))
    x = strokes(3)[:, 0]
    images = [x, x.flip(-1)] if views else [x]
    if "V1" in views:
        padded = [np.pad(image, ((0, 0), (1, 1), (1, 1)), mode="edge") for image in images]
        corners = ((1, 1), (0, 1), (2, 1), (1, 0), (1, 2))
        images = [torch.from_numpy(image[:, i : i + 28, j : j + 28]) for image in padded for i, j in corners]
    assert len(images) == count
    mean = torch.stack([plain(image) for image in images]).mean(0)
    assert torch.allclose(network(x), mean, atol=1e-5)
    assert torch.allclose(network.train()(x), plain(x), atol=1e-6)  # in training the image alone


def test_no_feature_has_a_parameter_or_a_buffer() -> None:
    for text, shape in (("flip-V1-moments-edges2-L", (28, 28)), ("flip-bars2-L", (3, 32, 32))):
        (front, _) = described(text, shape)
        assert isinstance(front, Front)
        assert not [*front.parameters(), *front.buffers()]


@pytest.mark.parametrize(
    ("text", "path"),
    [("edges1-c4k5-R-A4s3-L", "1.network"), ("flip-edges1-c4k5-R-A4s3-L", "1"), ("moments-edges2-L", "1.network.0")],
)
def test_what_no_parameter_enters_is_cut_off_for_training_alone(text: str, path: str) -> None:
    network, x = described(text, (28, 28)), strokes(8)[:, 0]
    found = frozen_before(network, x, PreprocessSpec(), front=True)
    assert isinstance(found, Frozen)
    assert found.path == path
    assert torch.equal(found.part()(found.inputs(x)), network(x))
    assert frozen_before(network, x, PreprocessSpec()) == "every parameter is trained"
    for plain in ("flip-c4k5-R-L", "h4-R-L", "A3-L"):  # nothing is to be gained
        assert isinstance(frozen_before(described(plain, (28, 28)), x, PreprocessSpec(), front=True), str)


def test_units_behind_features_are_found() -> None:
    base = make_base(described("moments-edges1-c4k5-R-blur-c6k3-R-L", (28, 28)), 0)
    found = symmetry_of(base.module, base.layout, strokes(2)[:, 0])
    assert (sorted(one.size for one in found.units), found.doubts) == ([4, 6], ())


def test_norms_of_a_network_with_features_are_refused_by_name() -> None:
    with pytest.raises(ModelError, match=r"no Lipschitz constant is known for Front"):
        class_of(layers_of(described("edges1-c4k5-R-L", (28, 28)), strokes(2)[:, 0]))


REQUEST = quick(d=32, epochs=2, batch=20)


TEXT = "flip-edges2-A3-L"


def sample() -> tuple[Tensor, Tensor]:
    digits = load("digits").subset(range(40))
    return digits.x, digits.y


@pytest.fixture(scope="module")
def whole() -> tuple[pb.Certificate, int]:
    """A certificate, and how many images its features were asked for."""
    asked, forward = [], Front.forward
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Front, "forward", lambda self, x: (asked.append(len(x)), forward(self, x))[1])
        return certified(), sum(asked)


def certified() -> pb.Certificate:
    return certify(TEXT, sample(), request=REQUEST, progress=False)


def test_training_runs_on_features_made_once_and_the_whole_network_is_counted(
    whole: tuple[pb.Certificate, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, once = whole
    asked, forward = [], Front.forward
    monkeypatch.setattr(Front, "forward", lambda self, x: (asked.append(len(x)), forward(self, x))[1])
    monkeypatch.setattr(capturing, "limit_bytes", lambda: 1000)
    other = certified()
    assert sum(asked) > once + REQUEST.epochs * 40
    assert abs(made.risk.errors - other.risk.errors) <= 4  # the same training but for rounding
    assert made.hypothesis.model == TEXT
    made.save(tmp_path / "c.json")
    assert pb.verify(tmp_path / "c.json", data=sample()).stands


def test_many_features_are_held_in_halves_and_the_whole_network_is_counted(
    whole: tuple[pb.Certificate, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, held = capturing.capture, []
    monkeypatch.setattr(capturing, "capture", lambda *given: (held.append(real(*given)), held[-1])[1])
    for module in (capturing, preprocess):
        monkeypatch.setattr(module, "WHOLE_BYTES", 1000)
    made = certified()
    assert [captured.x.dtype for captured in held] == [torch.float16]
    maps = held[0].read()
    assert not isinstance(maps, Tensor)
    assert maps[torch.arange(3)].dtype == torch.float32
    assert abs(made.risk.errors - whole[0].risk.errors) <= 4  # the same training but for rounding
    made.save(tmp_path / "c.json")
    assert pb.verify(tmp_path / "c.json", data=sample()).stands
