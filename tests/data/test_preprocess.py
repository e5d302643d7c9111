"""Preprocessing against exact rational arithmetic."""

from fractions import Fraction

import numpy as np
import pytest
import torch

from pacbound.data.preprocess import CHUNK_ROWS, preprocessed
from pacbound.errors import DataError
from pacbound.specs.specs import PREPROCESS, PreprocessSpec

CONSTANTS = {  # written down again: they are part of the format
    "none": (1, 0, 1),
    "ink": (255, Fraction(1, 8), Fraction(5, 16)),
    "photo": (255, Fraction(1, 2), Fraction(1, 4)),
    "digits": (16, Fraction(1, 4), Fraction(3, 8)),
}


@pytest.mark.parametrize("name", PREPROCESS)
def test_pixels_are_the_exact_value_to_one_float32_rounding(name):
    scale, mean, std = CONSTANTS[name]
    out = preprocessed(torch.arange(256, dtype=torch.uint8).reshape(256, 1), PreprocessSpec(name=name))
    assert out.dtype == torch.float32
    for value, got in enumerate(out.flatten().tolist()):
        exact = (Fraction(value) / scale - mean) / std
        spacing = Fraction(float(np.spacing(np.float32(abs(got)))))
        assert abs(Fraction(got) - exact) <= spacing * Fraction(501, 1000)


def test_every_row_is_treated_beyond_the_first_chunk():
    x = torch.randint(0, 256, (CHUNK_ROWS + 5, 3), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    out = preprocessed(x, PreprocessSpec(name="photo"))
    assert torch.allclose(out, (x.double() / 255 - 0.5).float() / 0.25, atol=1e-6)
    assert torch.equal(out[-5:], preprocessed(x[-5:], PreprocessSpec(name="photo")))


def test_floats_pass_unchanged_under_none_and_are_refused_pixel_constants():
    x = torch.randn(5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert torch.equal(preprocessed(x, PreprocessSpec()), x.to(torch.float32))
    with pytest.raises(DataError, match="uint8 pixels"):
        preprocessed(x, PreprocessSpec(name="ink"))
    with pytest.raises(DataError, match="int64"):
        preprocessed(torch.zeros(2, 2, dtype=torch.int64), PreprocessSpec())
