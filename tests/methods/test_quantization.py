"""What quantized versions lose: above the mean of a known source; forgeries and contradictions are refused."""

import json
from pathlib import Path

import jsonschema
import numpy as np
import pytest
import torch
from pacbound_cli.main import app
from typer.testing import CliRunner

from pacbound.bounds.language import stream
from pacbound.certificate.difference import DifferenceCertificate
from pacbound.certificate.difference_statement import write_difference_statement
from pacbound.certificate.documents import load_document
from pacbound.certificate.export import DIFFERENCE_PATH, difference_schema_text
from pacbound.errors import CertificateError, DataError, PacboundError
from pacbound.methods import quantization
from pacbound.methods.quantization import certify_quantization
from pacbound.methods.table import certify
from pacbound.models.llama import read_llama2c
from pacbound.models.reference import build, initialise
from pacbound.networks.differences import difference_sums
from pacbound.quantize.versions import quantized_version
from pacbound.request.request import Request
from pacbound.verification.verification import verify
from tests.forge import Document, forge
from tests.markov import CHAIN, LETTERS, save_text, states
from tests.models.test_llama import write

N, V, ALPHA = 2000, 256, 0.1
SHAPE = (8, 12, 1, 4, 2, V, 16)  # of a checkpoint of llama2.c that reads bytes, 16 at most
METHOD = {"method": "quantization-loss", "disjoint": True}
Paths = dict[str, str]


def changed(source: str, target: Path) -> str:
    """A second network: the same file with every tenth weight halved."""
    raw = bytearray(Path(source).read_bytes())
    numbers = np.frombuffer(raw, "<f4", offset=28).copy()
    numbers[::10] *= 0.5
    target.write_bytes(bytes(raw[:28]) + numbers.tobytes())
    return str(target)


@pytest.fixture(scope="module")
def of_text(tmp_path_factory) -> tuple[Paths, DifferenceCertificate]:
    folder = tmp_path_factory.mktemp("text")
    reference = str(write(folder / "tiny.bin", SHAPE))
    paths = {
        "data": str(save_text(folder, N)),
        "reference": reference,
        "checkpoint": changed(reference, folder / "other.bin"),
    }
    request = Request.model_validate({**METHOD, **paths, "quantize": ("nf4", "lattice@1")})
    return paths, certify_quantization(request, progress=False)


@pytest.fixture(scope="module")
def of_examples(tmp_path_factory) -> tuple[Paths, DifferenceCertificate]:
    folder = tmp_path_factory.mktemp("examples")
    module = build("h16-R-L", (64,), 10)
    initialise(module, 3)
    torch.save(module.state_dict(), folder / "net.pth")
    paths = {"data": "digits:test", "reference": str(folder / "net.pth"), "model": "h16-R-L"}
    request = Request.model_validate({**METHOD, **paths, "quantize": ("int8", "lattice@1")})
    return paths, certify_quantization(request, progress=False)


def smoothed(network: torch.nn.Module, ids: np.ndarray, window: int, step: int) -> np.ndarray:
    """log2 of the mixed predictions at every position, (n, V), window by window."""
    rows, begin, first = [], 0, 0
    while first < len(ids):
        part = ids[begin : begin + window]
        asked = torch.from_numpy(np.concatenate([[0], part[:-1]]))[None]
        with torch.no_grad():
            rows.append(network(asked)[0].double().softmax(1).numpy()[first - begin :])
        begin, first = begin + step, begin + len(part)
    return np.log2((1 - ALPHA) * np.concatenate(rows) + ALPHA / V)


def test_bounds_lie_above_the_mean_that_the_source_gives_and_not_far(of_text):
    paths, certificate = of_text
    reference, prediction = read_llama2c(Path(paths["reference"])), certificate.prediction
    assert prediction is not None
    numbers = states(N)
    ids = np.frombuffer(LETTERS, np.uint8)[numbers].astype(np.int64)
    networks = [
        read_llama2c(Path(paths["checkpoint"])),
        *(quantized_version(reference, row.name).network for row in certificate.versions[1:]),
    ]
    base = smoothed(reference, ids, prediction.window, prediction.step)
    chances = CHAIN[np.concatenate([[3], numbers[:-1]])]
    assert [row.name for row in certificate.versions] == ["file", "nf4", "lattice@1"]
    for row, network in zip(certificate.versions, networks, strict=True):
        beyond = base - smoothed(network, ids, prediction.window, prediction.step)
        came = beyond[np.arange(N), ids].mean()
        assert row.mean == pytest.approx(came + 2**-13, abs=1e-6)
        known = (chances * beyond[:, np.frombuffer(LETTERS, np.uint8)]).sum(1).mean()
        assert known < row.value < known + 0.1
        assert row.value == stream(row.losses, 2, 0.05).value  # three versions: two bits


def test_of_classifiers_it_is_about_new_examples(of_examples):
    paths, certificate = of_examples
    assert certificate.theorem == "documents"
    assert "new examples from the same source" in certificate.statement
    assert certificate.versions[0].mean < certificate.versions[0].value < certificate.versions[1].value < 1
    assert "past" not in certificate.statement
    found = verify(certificate, **paths)
    assert (found.level, found.stands) == ("risk", True), found.reason


def test_of_a_text_it_says_what_is_mixed_and_averaged(of_text):
    paths, certificate = of_text
    for words in ("alpha = 0.1", "the pasts of this very text", "not the loss on new text", "holds at once"):
        assert words in certificate.statement
    assert [entry.bits for entry in certificate.entries] == [2, 0]
    for level in ("arithmetic", "message", "risk"):
        found = verify(certificate, level=level, **paths)
        assert found.stands, found.reason
    assert "differences of lattice@1" in found.passed


def test_what_is_written_is_read_again_and_follows_its_schema(of_text, of_examples, tmp_path):
    assert DIFFERENCE_PATH.read_text("utf-8") == difference_schema_text()
    for _, certificate in (of_text, of_examples):
        certificate.save(tmp_path / "c.json")
        assert load_document(tmp_path / "c.json") == certificate
        jsonschema.validate(json.loads((tmp_path / "c.json").read_text()), json.loads(difference_schema_text()))


def restate(document: Document, certificate: DifferenceCertificate) -> None:
    """Write the bounds and the statement that forged sums would have."""
    rows = []
    for row, stated in zip(certificate.versions, document["versions"], strict=True):
        sums = row.losses.model_validate_json(json.dumps(stated["losses"]))
        stated["value"] = stream(sums, 2, 0.05).value
        rows.append(row.model_copy(update={"value": stated["value"]}))
    document["statement"] = write_difference_statement(
        tuple(rows), certificate.delta, certificate.text, certificate.prediction, None, None
    )


def lower_value(document: Document, certificate: DifferenceCertificate) -> None:
    document["versions"][1]["value"] -= 0.001


def lower_sums(document: Document, certificate: DifferenceCertificate) -> None:
    sums = document["versions"][0]["losses"]
    sums["log_sums"] = [None if one is None else one - 0.01 * N for one in sums["log_sums"]]
    restate(document, certificate)


def lower_ceilings(document: Document, certificate: DifferenceCertificate) -> None:
    sums = document["versions"][1]["losses"]
    sums["ceilings"] = sums["losses"]
    restate(document, certificate)


def fewer_bits_a_weight(document: Document, certificate: DifferenceCertificate) -> None:
    document["versions"][1]["bits"] //= 2


def other_values(document: Document, certificate: DifferenceCertificate) -> None:
    document["versions"][2]["values"] = "0" * 64


def unpaid(document: Document, certificate: DifferenceCertificate) -> None:
    document["ledger"][0]["bits"] = 0


def undeclared(document: Document, certificate: DifferenceCertificate) -> None:
    del document["ledger"][1]


def another_centre(document: Document, certificate: DifferenceCertificate) -> None:
    document["versions"][0]["losses"]["centre"] = 0.1


def other_smoothing(document: Document, certificate: DifferenceCertificate) -> None:
    document["prediction"]["alpha"] = 7


def fewer_symbols(document: Document, certificate: DifferenceCertificate) -> None:
    document["versions"][0]["losses"]["n"] -= 1


FORGERIES = [
    (lower_value, "arithmetic", "bounds"),
    (lower_sums, "risk", "differences of file"),
    (lower_ceilings, "risk", "differences of nf4"),
    (fewer_bits_a_weight, "risk", "version nf4"),
    (other_values, "risk", "version lattice@1"),
    (unpaid, "arithmetic", "ledger"),
    (undeclared, "arithmetic", "ledger"),
    (another_centre, "arithmetic", "losses"),
    (other_smoothing, "arithmetic", "losses"),
    (fewer_symbols, "arithmetic", "losses"),
]


@pytest.mark.parametrize(("edit", "level", "check"), FORGERIES, ids=lambda one: getattr(one, "__name__", str(one)))
def test_forgeries_are_refused_at_the_first_level_that_sees_them(of_text, tmp_path, edit, level, check):
    paths, certificate = of_text
    file = forge(certificate, lambda document: edit(document, certificate), tmp_path / "forged.json")
    assert verify(file, level=level, **paths).failed == check
    if level == "risk":
        assert verify(file, level="message").stands


def test_another_reference_another_text_and_what_is_missing_are_refused(of_text, of_examples, tmp_path):
    paths, certificate = of_text
    other = {**paths, "reference": paths["checkpoint"]}
    assert verify(certificate, level="risk", **other).failed == "reference"
    same = {**paths, "checkpoint": paths["reference"]}
    assert verify(certificate, level="risk", **same).failed == "version file"
    text = {**paths, "data": str(save_text(tmp_path, N, seed=9))}
    assert verify(certificate, level="risk", **text).failed == "text"
    with pytest.raises(PacboundError, match=r"needs the reference \(--reference\)"):
        verify(certificate, data=paths["data"], checkpoint=paths["checkpoint"])
    examples, classified = of_examples
    assert verify(classified, level="risk", **{**examples, "data": "digits"}).failed == "data"


CONTRADICTIONS = [
    ({"reference": None}, "got none. Give --reference"),
    ({"checkpoint": None, "quantize": ()}, "Give its file with --checkpoint"),
    ({"disjoint": False}, "Add --disjoint"),
    ({"quantize": ("int4",)}, "a quantizer is one of"),
    ({"quantize": ("int8", "int8")}, "different quantizers"),
    ({"smoothing": 0.2}, "--smoothing is one of"),
    ({"data": "digits"}, "held-out text is needed"),
    ({"data": "nowhere.txt"}, "there is no file"),
    ({"reference": "nowhere.bin"}, "there is no 'nowhere.bin'"),
    ({"context": 32}, "the network knows 16 positions"),
    ({"alphabet": "ascii97"}, "knows 256 symbols and the alphabet has 97"),
    ({"d": 4}, "--d is not for --method quantization-loss"),
    ({"model": "lenet", "smoothing": 0.1}, "--smoothing is not for --method quantization-loss of classifiers"),
]


@pytest.mark.parametrize(("options", "match"), CONTRADICTIONS)
def test_contradictions_are_refused(of_text, options, match):
    paths, _ = of_text
    with pytest.raises(PacboundError, match=match):
        certify_quantization(Request.model_validate({**METHOD, **paths, **options}), progress=False)


def test_a_text_that_changes_while_losses_are_summed_up_is_refused(of_text, tmp_path, monkeypatch):
    paths, _ = of_text
    data = tmp_path / "text.txt"
    data.write_bytes(Path(paths["data"]).read_bytes())

    def count(*arguments: object, **options: object) -> object:
        with open(data, "r+b") as file:  # the file that is mapped
            letter = file.read(1)
            file.seek(0)
            file.write(bytes([letter[0] ^ 1]))
        return difference_sums(*arguments, **options)

    monkeypatch.setattr(quantization, "difference_sums", count)
    asked = {**METHOD, **paths, "data": str(data), "checkpoint": None, "quantize": ("int8",)}
    with pytest.raises(DataError, match="changed during the run"):
        certify_quantization(Request.model_validate(asked), progress=False)


@pytest.mark.parametrize("options", [{"reference": "a.bin"}, {"quantize": ("int8",)}, {"method": "quantization-loss"}])
def test_other_methods_refuse_its_options(options):
    with pytest.raises(PacboundError, match="method quantization-loss"):
        certify(request=Request.model_validate(options))


def test_a_network_of_another_shape_is_refused(of_text, of_examples, tmp_path):
    paths, _ = of_text
    small = str(write(tmp_path / "small.bin", (*SHAPE[:5], 128, 16)))
    with pytest.raises(PacboundError, match="knows 128 symbols and the alphabet has 256"):
        certify_quantization(Request.model_validate({**METHOD, **paths, "checkpoint": small}), progress=False)
    examples, _ = of_examples
    request = Request.model_validate({**METHOD, **examples, "model": "h8-R-L", "quantize": ("int8",)})
    with pytest.raises(PacboundError, match="shape"):
        certify_quantization(request, progress=False)


def test_the_command_writes_shows_reports_and_verifies(of_text, tmp_path):
    paths, certificate = of_text
    file, runner = tmp_path / "c.json", CliRunner()
    networks = ["--data", paths["data"], "--reference", paths["reference"]]
    options = ["--method", "quantization-loss", *networks, "--quantize", "int8,nf4", "--disjoint"]
    run = runner.invoke(app, ["certify", *options, "-o", str(file)])
    assert run.exit_code == 0, run.output
    assert "bits a weight" in run.output
    for format_ in ("text", "markdown", "latex", "json"):
        shown = runner.invoke(app, ["show", str(file), "--format", format_])
        assert shown.exit_code == 0
        assert "nf4" in shown.output
    assert runner.invoke(app, ["verify", str(file), *networks]).exit_code == 0
    page = tmp_path / "page.html"
    assert runner.invoke(app, ["report", str(file), "-o", str(page)]).exit_code == 0
    assert page.read_text("utf-8").count('<svg class="figure"') == 1
    apart = runner.invoke(app, ["compare", str(file)])
    assert isinstance(apart.exception, CertificateError)
    assert "what versions of a network lose" in str(apart.exception)
    assert certificate != load_document(file)


def test_why_examples_repeat_is_declared(of_examples):
    paths, _ = of_examples
    request = Request.model_validate({**METHOD, **paths, "quantize": ("int8",), "repeats": "pens are alike"})
    certificate = certify_quantization(request, progress=False)
    assert sum("says the user: pens are alike" in one for one in certificate.declarations) == 1
    assert verify(certificate, level="arithmetic").stands
