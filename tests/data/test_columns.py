"""Columns standardised by constants that were fixed beforehand, and by no others."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

import pacbound as pb
from pacbound.data.columns import load_constants
from pacbound.data.preprocess import preprocessed
from pacbound.errors import DataError
from pacbound.specs.preprocess import PreprocessSpec
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
