"""Pictures that are resized on their way to the network: it is built for what it reads, here and at verify."""

import re
from pathlib import Path

import pytest
import torch

import pacbound as pb
from pacbound.pipeline.preparation import prepare
from tests.tiny import quick


def pictures(n: int = 40) -> pb.Examples:
    """Grey, 6 x 9: the second class is bright at the left."""
    x = torch.randint(0, 100, (n, 1, 6, 9), generator=torch.Generator().manual_seed(0))
    y = torch.arange(n) % 2
    x[y == 1, :, :, :4] += 120
    return pb.Examples("pictures", x.to(torch.uint8), y, 2, preprocess="photo")


@pytest.mark.parametrize(
    ("preprocess", "parameters", "bits"),
    [
        # layers h4-R-L: 4 (features + 1) + 2 * 5; bits: name, flags, sizes
        ("photo@4", 4 * (16 + 1) + 10, 3 + 2 + (1 + 5)),
        ("half@6/5", 4 * (25 + 1) + 10, 7 + 2 + (1 + 5) + (1 + 5)),
        ("imagenet", 4 * (3 * 54 + 1) + 10, 5 + 2),
        ("lite@32", 4 * (3 * 1024 + 1) + 10, 5 + 2 + (1 + 1)),
    ],
)
def test_a_described_network_is_built_for_what_it_reads(
    tmp_path: Path, preprocess: str, parameters: int, bits: int
) -> None:
    sample, request = pictures(), quick(preprocess=preprocess)
    assert prepare("h4-R-L", sample, None, request, "zero_one").base.layout.D == parameters
    made = pb.certify("h4-R-L", sample, request=request)
    entries = {entry.item: entry.bits for entry in made.ledger}
    assert (entries["preprocessing"], entries["base"]) == (bits, 2 + 7)
    made.save(tmp_path / "a.json")
    assert pb.verify(tmp_path / "a.json", data=sample).stands


def test_grey_pictures_pass_for_coloured_ones_only_where_the_convention_has_three_channels() -> None:
    with pytest.raises(pb.PacboundError, match=r"reads batches of examples \(1, 4, 4\) in float32"):
        pb.certify(torch.nn.Conv2d(3, 2, 4), pictures(), request=quick(preprocess="photo@4"))


@pytest.mark.parametrize(
    ("side", "model", "preprocess", "said"),
    [
        (64, "auto", "auto", "images of 64 x 64 pixels .* 4 times as long as at 32 x 32, .* --preprocess photo@32"),
        (63, "auto", "auto", None), (64, "auto", "photo@40", None), (64, "mlp", "auto", None),
    ],
)  # fmt: skip
def test_whoever_has_large_images_is_told_how_they_take_less_time(
    side: int, model: str, preprocess: str, said: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    x = torch.randint(0, 256, (20, 1, side, side), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    sample = pb.Examples("large", x, torch.arange(20) % 2, 2, preprocess="photo")
    with caplog.at_level("INFO", "pacbound"):
        prepare(model, sample, None, quick(preprocess=preprocess), "zero_one")
    found = [record.getMessage() for record in caplog.records if "pixels" in record.getMessage()]
    assert len(found) == (said is not None)
    assert all(re.search(said or "", line) for line in found)
