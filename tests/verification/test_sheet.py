"""Pictures of picked examples."""

import base64
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch

from pacbound.certificate import Certificate
from pacbound.data.examples import Examples
from pacbound.errors import CertificateError, DataError, RequestError
from pacbound.reports.report import report
from pacbound.verification.sheet import draw_sheet, picked_pictures, thumbnails
from tests.forge import honest
from tests.reports.picks_cases import picked

N = 300


def pictures(shape: tuple[int, ...] = (3, 4, 5), name: str = "cifar10-mine", **fields: object) -> Examples:
    """Random bytes, the first of them 0 and 255."""
    x = torch.randint(0, 256, (N, *shape), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    return Examples(name, x, torch.arange(N) % 10, classes=10, **fields)  # type: ignore[arg-type]


def certificate_of(examples: Examples, stop: int, seed: int = 0) -> Certificate:
    """Picks of these examples, in a random order."""
    order = np.random.default_rng(seed).permutation(N)
    size = (0, 16, 20, 25, 31, 38, 47, 58, 72, 90)[stop]
    data = {"name": examples.name, "digest": examples.digest()}
    return picked(N, order[:size], errors=20, stop=stop, rounds=(), data=data)


@pytest.mark.parametrize(("stop", "parts"), [(1, [16]), (5, [38]), (6, [40, 7]), (9, [40, 40])])
def test_both_ends_are_shown_in_order_and_no_example_twice(stop: int, parts: list[int]) -> None:
    examples = pictures()
    certificate = certificate_of(examples, stop)
    assert certificate.picks is not None
    order = certificate.picks.order(N)
    blocks = picked_pictures(certificate, examples)
    assert [len(block.pictures) for block in blocks] == parts
    shown = [picture for block in blocks for picture in block.pictures]
    assert [picture.place for picture in shown] == [*order[:40], *order[max(40, len(order) - 40) :]]
    assert all(order[picture.rank - 1] == picture.place for picture in shown)
    names = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
    assert [picture.label for picture in shown] == [names[picture.place % 10] for picture in shown]
    for picture in shown:
        expected = examples.x[picture.place].permute(1, 2, 0).double() / 255
        np.testing.assert_allclose(picture.pixels, expected.numpy(), atol=1e-2)  # scaled by the largest value shown


def test_ink_is_dark_on_light_and_floats_fill_the_range() -> None:
    ink = pictures((1, 4, 5), "ink", preprocess="ink")
    (block, *_) = picked_pictures(certificate_of(ink, 1), ink)
    first = block.pictures[0]
    assert first.pixels.shape == (4, 5)
    np.testing.assert_allclose(first.pixels, 1 - ink.x[first.place, 0].double().numpy() / 255, atol=1e-2)
    grey = Examples("floats", torch.randn(N, 4, 5, generator=torch.Generator().manual_seed(1)), ink.y, classes=10)
    pixels = np.stack([one.pixels for one in picked_pictures(certificate_of(grey, 1), grey)[0].pictures])
    assert (pixels.min(), pixels.max()) == (0, 1)


def test_the_sheet_is_written(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="the report extra is not installed")
    examples = pictures()
    draw_sheet(certificate_of(examples, 1), tmp_path / "a.png", examples)
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_a_page_holds_the_pictures_themselves_and_says_how_to_see_them_where_it_does_not() -> None:
    pytest.importorskip("matplotlib", reason="the report extra is not installed")
    from PIL import Image  # which matplotlib brings along

    examples = pictures()
    certificate = certificate_of(examples, 6)
    blocks, strips = picked_pictures(certificate, examples), thumbnails(certificate, examples)
    page = report([("mine", certificate)], whole=False, pictures={"mine": strips}).html()
    for block, strip in zip(blocks, strips, strict=True):
        assert block.heading == strip.heading
        for picture, small in zip(block.pictures, strip.pictures, strict=True):
            head, _, content = small.source.partition(",")
            assert head == "data:image/png;base64"
            seen = np.asarray(Image.open(BytesIO(base64.b64decode(content)))) / 255
            np.testing.assert_allclose(seen, picture.pixels, atol=0.003)
            assert f'<img src="{small.source}" alt="label {picture.label}, no. {picture.place}">' in page
    assert page.count("<img ") == page.count('<img src="data:image/png;base64,') == 47
    assert "style-src 'unsafe-inline'; img-src data:\"" in page
    alone = report([("mine", certificate)], whole=False)
    without = alone.html()
    for text in (without, alone.markdown()):
        assert "47 examples were picked. They are not in the certificate" in text
    assert "pacbound report mine.json --data DATA -o report.html" in without
    assert "What was picked" not in report([("mine", honest())], whole=False).html()


def test_examples_of_another_sample_are_not_shown() -> None:
    examples, certificate = pictures(), certificate_of(pictures(), 1)
    other = Examples(examples.name, examples.x.flip(0), examples.y, classes=10)
    with pytest.raises(DataError, match="digest"):
        picked_pictures(certificate, other)
    with pytest.raises(DataError, match="300 examples, got 299"):
        picked_pictures(certificate, examples.subset(range(299)))
    with pytest.raises(RequestError, match="--data"):
        picked_pictures(certificate)


@pytest.mark.parametrize("shape", [(64,), (5, 4, 5), (2, 1, 3, 4), (1, 9), (3, 1, 9)])
def test_what_is_no_picture_is_not_shown(shape: tuple[int, ...]) -> None:
    examples = pictures(shape)
    with pytest.raises(DataError, match=r"pictures have shape .* got inputs of shape"):
        picked_pictures(certificate_of(examples, 1), examples)


def test_certificates_without_picks_are_refused(tmp_path: Path) -> None:
    examples = pictures()
    with pytest.raises(RequestError, match="is of another kind"):
        draw_sheet(honest(), tmp_path / "a.png", examples)
    with pytest.raises(RequestError, match="picked none"):
        draw_sheet(certificate_of(examples, 0), tmp_path / "a.png", examples)
    with pytest.raises(RequestError, match="ends in"):
        draw_sheet(certificate_of(examples, 1), tmp_path / "a.gif", examples)
    broken = certificate_of(examples, 1).model_copy(update={"digest": "0" * 64})
    with pytest.raises(CertificateError, match="does not stand: digest"):
        draw_sheet(broken, tmp_path / "a.png", examples)
    assert list(tmp_path.iterdir()) == []
