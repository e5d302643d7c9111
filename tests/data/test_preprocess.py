"""Preprocessing against exact rational arithmetic."""

from fractions import Fraction

import numpy as np
import pytest
import torch

from pacbound.data.mapped import CHUNK_NUMBERS
from pacbound.data.preprocess import preprocessed
from pacbound.errors import DataError, RequestError
from pacbound.specs.preprocess import PREPROCESS, PreprocessSpec, parse_preprocess

CONSTANTS = {  # written down again: they are part of the format
    "none": (1, 0, 1),
    "ink": (255, Fraction(1, 8), Fraction(5, 16)),
    "photo": (255, Fraction(1, 2), Fraction(1, 4)),
    "digits": (16, Fraction(1, 4), Fraction(3, 8)),
    "half": (255, Fraction(1, 2), Fraction(1, 2)),
}
THREE = {  # of each channel
    "imagenet": (255, ("0.485", "0.456", "0.406"), ("0.229", "0.224", "0.225")),
    "clip": (
        255, ("0.48145466", "0.4578275", "0.40821073"), ("0.26862954", "0.26130258", "0.27577711"),
    ),
    "lite": (1, ("127", "127", "127"), ("128", "128", "128")),
}  # fmt: skip


def test_every_name_of_the_menu_is_written_down_here() -> None:
    assert set(PREPROCESS) == CONSTANTS.keys() | THREE.keys()


@pytest.mark.parametrize("name", CONSTANTS)
def test_pixels_are_the_exact_value_to_one_float32_rounding(name):
    scale, mean, std = CONSTANTS[name]
    out = preprocessed(torch.arange(256, dtype=torch.uint8).reshape(256, 1), PreprocessSpec(name=name))
    assert out.dtype == torch.float32
    for value, got in enumerate(out.flatten().tolist()):
        exact = (Fraction(value) / scale - mean) / std
        spacing = Fraction(float(np.spacing(np.float32(abs(got)))))
        assert abs(Fraction(got) - exact) <= spacing * Fraction(501, 1000)


def test_every_row_is_treated_beyond_the_first_chunk():
    shape = CHUNK_NUMBERS // 3 + 5, 3
    x = torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    out = preprocessed(x, PreprocessSpec(name="photo"))
    assert torch.allclose(out, (x.double() / 255 - 0.5).float() / 0.25, atol=1e-6)
    assert torch.equal(out[-5:], preprocessed(x[-5:], PreprocessSpec(name="photo")))


def test_floats_pass_unchanged_under_none_and_are_refused_pixel_constants():
    x = torch.randn(5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert torch.equal(preprocessed(x, PreprocessSpec()), x.to(torch.float32))
    with pytest.raises(DataError, match="uint8 pixels"):
        preprocessed(x, PreprocessSpec(name="ink"))
    with pytest.raises(DataError, match="int32"):
        preprocessed(torch.zeros(2, 2, dtype=torch.int32), PreprocessSpec())


def test_numbers_of_tokens_pass_as_they_are() -> None:
    ids = torch.tensor([[1 << 40, 0]])
    assert torch.equal(preprocessed(ids, PreprocessSpec()), ids)
    with pytest.raises(DataError, match="uint8 pixels"):
        preprocessed(ids, PreprocessSpec(name="half"))


@pytest.mark.parametrize("name", THREE)
@pytest.mark.parametrize("channels", [1, 3])
def test_each_channel_has_its_constants_and_grey_pictures_are_repeated(name: str, channels: int) -> None:
    x = torch.arange(256 * channels).reshape(256, channels, 1, 1).to(torch.uint8)
    out = preprocessed(x, PreprocessSpec(name=name))
    scale, means, stds = THREE[name]
    assert tuple(out.shape) == (256, 3, 1, 1)
    for row in (0, 1, 100, 255):
        for channel in range(3):
            value = int(x[row, channel % channels, 0, 0])
            exact = (Fraction(value) / scale - Fraction(means[channel])) / Fraction(stds[channel])
            got = Fraction(float(out[row, channel, 0, 0]))
            assert abs(got - exact) <= abs(exact) / 2**23


def pictures(*shape: int) -> torch.Tensor:
    return torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(3)).to(torch.uint8)


def resampled(line: list[float], size: int) -> list[Fraction]:
    """One row of pixels resized by hand: the kernel of Keys with a = -1/2, widened where pixels get fewer."""
    scale = Fraction(len(line), size)
    wide = max(scale, Fraction(1))

    def keys(t: Fraction) -> Fraction:
        t = abs(t)
        if t <= 1:
            return (3 * t**3 - 5 * t**2 + 2) / 2
        return (-(t**3) + 5 * t**2 - 8 * t + 4) / 2 if t < 2 else Fraction(0)

    out = []
    for place in range(size):
        centre = (place + Fraction(1, 2)) * scale
        weights = [keys((k + Fraction(1, 2) - centre) / wide) for k in range(len(line))]
        out.append(sum(w * Fraction(v) for w, v in zip(weights, line, strict=True)) / sum(weights))
    return out


@pytest.mark.parametrize(("side", "to"), [(4, 7), (9, 4), (5, 5)])
def test_resizing_is_bicubic_with_a_wider_kernel_where_it_shrinks(side: int, to: int) -> None:
    x = pictures(2, 1, side, side)
    out = preprocessed(x, parse_preprocess(f"none@{to}"))
    for picture, got in zip(x[:, 0].tolist(), out[:, 0].tolist(), strict=True):
        across = [resampled(row, to) for row in picture]
        down = [resampled(list(column), to) for column in zip(*across, strict=True)]
        for i in range(to):
            for j in range(to):
                assert got[i][j] == pytest.approx(min(255.0, max(0.0, float(down[j][i]))), abs=1e-3)


def test_one_size_squeezes_and_two_keep_the_proportions_and_the_middle() -> None:
    x = pictures(3, 3, 10, 21)
    assert preprocessed(x, parse_preprocess("lite@8")).shape == (3, 3, 8, 8)
    whole = torch.nn.functional.interpolate(x.float(), (8, 16), mode="bicubic", antialias=True).clamp(0, 255)
    cut = preprocessed(x, parse_preprocess("lite@8/6"))
    assert torch.allclose(cut, (whole[:, :, 1:7, 5:11] - 127) / 128, atol=1e-6)


def test_a_resized_picture_has_the_same_numbers_alone_and_in_any_company() -> None:
    x, spec = pictures(300, 3, 9, 9), parse_preprocess("imagenet@32")
    out = preprocessed(x, spec)
    assert torch.equal(out[257:259], preprocessed(x[257:259], spec))
    assert torch.allclose(out[:1], preprocessed(x[:1], spec), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("expression", "shape"),
    [("lite", (2, 8, 8)), ("imagenet", (2, 2, 8, 8)), ("photo@4", (2, 64)), ("photo@4", (2, 8, 8))],
)
def test_what_is_no_picture_of_such_channels_is_refused(expression: str, shape: tuple[int, ...]) -> None:
    with pytest.raises(DataError, match=f"'{expression}' is for pictures"):
        preprocessed(pictures(*shape), parse_preprocess(expression))


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "Photo",
        "photo@",
        "photo@0",
        "photo@1025",
        "lite@8/9",
        "lite/8",
        "tokens@64/3",
        "tokens@0",
        "tokens@8193",
        "auto",
    ],
)
def test_expressions_outside_the_menu_are_refused(expression: str) -> None:
    with pytest.raises(RequestError, match="preprocess"):
        parse_preprocess(expression, sha256="0" * 64)


@pytest.mark.parametrize("expression", ["none", "photo", "imagenet@256/224", "half@64", "tokens@64", "columns"])
def test_an_expression_is_what_its_record_is_called(expression: str) -> None:
    assert parse_preprocess(expression, sha256="0" * 64).text == expression


def test_a_default_record_is_written_as_it_always_was() -> None:
    assert PreprocessSpec(name="ink").model_dump() == {"name": "ink"}
