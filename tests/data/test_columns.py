"""Columns standardised by constants that were fixed beforehand, and by no others."""

import hashlib
import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError

import pacbound as pb
from pacbound.data.columns import learn_constants, load_constants, scaled_by_itself
from pacbound.data.preprocess import preprocessed
from pacbound.data.split import split_examples
from pacbound.errors import DataError
from pacbound.reports.show import render
from pacbound.specs.preprocess import PreprocessSpec
from pacbound.specs.specs import BaseOrigin, HypothesisSpec
from tests.forge import Document, forge
from tests.tiny import clouds, quick

MEAN, STD = [1.0, 0.5, 2.0, 0.0, 0.0, 0.0], [2.0, 1.0, 0.5, 1.0, 1.0, 4.0]


def written(path: Path, mean: object = MEAN, std: object = STD) -> Path:
    path.write_text(json.dumps({"mean": mean, "std": std}))
    return path


def test_columns_are_shifted_and_scaled_by_the_file_alone(tmp_path: Path) -> None:
    file = written(tmp_path / "a.json")
    spec = PreprocessSpec(name="columns", sha256=load_constants(file))
    assert spec.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    x = clouds(9)[0]
    expected = ((x.numpy().astype(np.float64) - MEAN) / STD).astype(np.float32)
    assert np.array_equal(preprocessed(x, spec).numpy(), expected)
    with pytest.raises(DataError, match="constants of 6 columns"):
        preprocessed(x[:, :5], spec)
    with pytest.raises(DataError, match="constants with SHA-256 abababababab"):
        preprocessed(x, PreprocessSpec(name="columns", sha256="ab" * 32))


@pytest.mark.parametrize(
    ("mean", "std", "complaint"),
    [
        (MEAN, STD[:5], "as many finite means"),
        (MEAN, [0.0, *STD[1:]], "as many finite means"),
        ([float("nan"), *MEAN[1:]], STD, "as many finite means"),
        ("no list", STD, "JSON file"),
        (3, STD, "JSON file"),
    ],
)
def test_broken_constants_are_refused(tmp_path: Path, mean: object, std: object, complaint: str) -> None:
    with pytest.raises(DataError, match=complaint):
        load_constants(written(tmp_path / "a.json", mean, std))


def test_statistics_of_the_sample_itself_are_refused_with_the_reason(tmp_path: Path) -> None:
    x, y = clouds()
    own = written(tmp_path / "own.json", x.double().mean(0).tolist(), x.double().std(0).tolist())
    for given in (str(own), "sample"):
        with pytest.raises(DataError, match="a function of the whole sample, which no bit of its message pays for"):
            pb.certify("h8-R-L", (x, y), request=quick(standardise=given))


def test_a_certificate_stands_with_its_constants_and_with_no_others(tmp_path: Path) -> None:
    x, y = clouds()
    file, other = written(tmp_path / "a.json"), written(tmp_path / "b.json", std=STD[::-1])
    made = pb.certify("h8-R-L", (x, y), request=quick(standardise=str(file)))
    entries = {entry.item: entry for entry in made.ledger}
    assert (entries["preprocessing"].bits, entries["standardisation"].bits) == (7, 0)
    assert "preprocessing          columns, constants sha256" in render(made)
    assert pb.verify(made, data=(x, y), standardise=file).stands
    assert pb.verify(made, data=(x, y), standardise=other).failed == "standardise"
    with pytest.raises(pb.PacboundError, match=r"needs the constants of the columns \(--standardise\)"):
        pb.verify(made, data=(x, y))


@pytest.mark.parametrize("options", [{"preprocess": "columns"}, {"preprocess": "photo", "standardise": "a.json"}])
def test_what_does_not_go_with_constants_is_refused(options: dict[str, str]) -> None:
    with pytest.raises(pb.PacboundError, match="--standardise"):
        pb.certify("h8-R-L", clouds(), request=quick(**options))


def test_a_number_beyond_all_floats_is_refused(tmp_path: Path) -> None:
    (tmp_path / "c.json").write_text(json.dumps({"mean": [10**400], "std": [1]}))
    with pytest.raises(DataError, match="constants of columns"):
        load_constants(tmp_path / "c.json")
    (tmp_path / "t.jsonl").write_text('{"a": 1' + 400 * "0" + ', "label": 0}\n{"a": 1, "label": 1}\n')
    with pytest.raises(DataError, match="has numbers in all columns"):
        pb.load(str(tmp_path / "t.jsonl"))


def test_learned_constants_are_exact_means_and_deviations() -> None:
    x = torch.tensor([[1e16, 3.0, 7.0], [1.0, 3.0, 8.0], [-1e16, 3.0, 12.0]], dtype=torch.float64)
    columns = [[Fraction(value) for value in column] for column in x.T.tolist()]
    means = [float(sum(column) / 3) for column in columns]
    assert means == [1 / 3, 3.0, 9.0]
    spec = PreprocessSpec(name="learned", sha256=learn_constants(x))
    pairs = list(zip(columns, means, strict=True))
    stds = [float(sum((value - Fraction(mean)) ** 2 for value in column) / 3) ** 0.5 or 1.0 for column, mean in pairs]
    assert np.allclose(preprocessed(x, spec).numpy(), (x.numpy() - means) / stds, rtol=1e-6)
    for wrong in (torch.zeros(3, 2, dtype=torch.uint8), torch.zeros(3, 2, 2)):
        with pytest.raises(DataError, match="rows of numbers"):
            learn_constants(wrong)


def scaled(n: int = 240) -> tuple[torch.Tensor, torch.Tensor]:
    """Clouds whose columns have units as different as those of wine: proline in hundreds, hue about one."""
    x, y = clouds(n)
    return x * torch.tensor([1.0, 900.0, 0.1, 5.0, 300.0, 1.0]) + torch.tensor([2.0, 700.0, 1.0, 0.0, 100.0, 9.0]), y


def share(**options: object) -> pb.Request:
    return quick(prior_share=0.25, epochs=1, d=2, start_minutes=None, **options)


@pytest.fixture(scope="module")
def made() -> pb.Certificate:
    """Behind constants of a share."""
    return pb.certify("h8-R-L", scaled(), request=share(standardise="share"), progress=False)


def test_constants_learned_on_a_share_stand_with_the_sample_alone(made: pb.Certificate) -> None:
    raw = pb.certify("h8-R-L", scaled(), request=share(), progress=False)
    order = split_examples(pb.Examples("a", *scaled(), classes=3), 0, 16).first
    assert made.hypothesis.preprocess == PreprocessSpec(name="learned", sha256=learn_constants(order.x))
    entries = {entry.item: entry.bits for entry in made.ledger}
    assert (entries["preprocessing"], "standardisation" in entries) == (7, False)
    assert made.bound.value < raw.bound.value - 0.1
    verdict = pb.verify(made, data=scaled()).require()
    assert "standardise" in verdict.passed


def test_constants_of_other_examples_than_the_share_do_not_stand(made: pb.Certificate, tmp_path: Path) -> None:
    def of_all(document: Document) -> None:
        document["hypothesis"]["preprocess"]["sha256"] = learn_constants(scaled()[0])

    made.save(tmp_path / "c.json")
    result = pb.verify(forge(made, of_all, tmp_path / "c.json"), data=scaled())
    assert result.failed == "standardise"


def test_what_learns_on_the_sample_itself_is_refused_with_the_reason() -> None:
    with pytest.raises(pb.PacboundError, match="By the sample itself there is no way: a network that is standardised"):
        pb.certify("h8-R-L", clouds(), request=quick(standardise="share"), progress=False)
    described = {"model": "user", "layout_digest": "ab" * 32, "base": BaseOrigin(), "layer_scale": False}
    with pytest.raises(ValidationError, match="first share of a split"):
        HypothesisSpec.model_validate({**described, "preprocess": {"name": "learned", "sha256": "ab" * 32}})


@pytest.mark.parametrize(("ddof", "still"), [(0, False), (1, False), (0, True)])
def test_rows_scaled_by_their_own_statistics_are_known(ddof: int, still: bool) -> None:
    x, others = np.random.default_rng(0).gamma(2.0, size=(2, 400, 5))
    own, foreign = ((x - of.mean(0)) / of.std(0, ddof=ddof) for of in (x, others))
    if still:  # a column that never varies
        own[:, 2] = foreign[:, 2] = 0.0
    assert scaled_by_itself(torch.from_numpy(own).float())
    assert not scaled_by_itself(torch.from_numpy(foreign).float())
    assert not scaled_by_itself(torch.from_numpy(own * 1.01))
    assert not scaled_by_itself(torch.zeros(9, 2))
