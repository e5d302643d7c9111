"""Presets: the defaults, and the published definitions with the published accounting."""

import pytest

from pacbound.errors import RequestError
from pacbound.request.presets import PRESETS, preset
from pacbound.request.request import Request


def test_the_default_preset_is_the_empty_request() -> None:
    assert preset("default") == Request()


def test_the_paper_preset_has_the_published_parts() -> None:
    request = preset("lotfi2022")
    published = {"encoder": "codebook", "codebook_init": "kmeans", "code": ("static",), "theorem": "catoni_grid"}
    assert {name: getattr(request, name) for name in published} == published
    assert (request.projector, request.layer_scale, request.beta) == ("kron_qr", False, 0.0)
    assert list(PRESETS) == ["default", "lotfi2022"]


def test_an_unknown_preset_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(RequestError, match=r"one of default, lotfi2022, got 'lotfi22'. Did you mean 'lotfi2022'\?"):
        preset("lotfi22")
