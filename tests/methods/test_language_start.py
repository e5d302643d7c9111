"""Theta0 of a language model from the first share of a text: what it saw, what the statement is about, forgeries."""

import time
from pathlib import Path

import pytest
import torch
from pacbound_cli.main import app
from safetensors.torch import load, save
from typer.testing import CliRunner

from pacbound.certificate.language import LanguageCertificate
from pacbound.certificate.language_recheck import theta0_bits
from pacbound.certificate.language_statement import write_language_statement
from pacbound.data.texts import map_text
from pacbound.errors import PacboundError
from pacbound.methods.language import certify_language, forecast_language
from pacbound.networks.hypothesis import Hypothesis
from pacbound.pipeline import language_start
from pacbound.pipeline.language import held_out_stream
from pacbound.request.request import Request
from pacbound.verification.language_losses import rebuild_language_base
from pacbound.verification.verification import verify
from tests.forge import Document, forge
from tests.killed import resumed
from tests.markov import save_text

N, SHARE = 4800, 0.25
QUICK = {
    "task": "lm", "model": "E4-gru4-L", "alphabet": "ascii97", "epochs": 12, "context": 16, "d": 24, "seed": 3,
    "prior_share": SHARE,
}  # fmt: skip

pytestmark = pytest.mark.usefixtures("brief_start")


def asked(folder: Path, n: int = N, **options: object) -> Request:
    return Request.model_validate({**QUICK, "data": str(save_text(folder, n)), **options})


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path, LanguageCertificate]:
    """Text, file of the certificate, and the certificate, read from it."""
    folder = tmp_path_factory.mktemp("split")
    request = asked(folder, held_out=0.1)
    file = folder / "c.json"
    certify_language(request, progress=False).save(file)
    return request.data, file, LanguageCertificate.load(file)


def test_the_statement_is_about_the_rest_alone(split):
    path, _, certificate = split
    whole = round(0.9 * N)
    first = whole // 4
    assert certificate.hypothesis.base.split is not None
    assert (certificate.hypothesis.base.split.first, certificate.hypothesis.base.split.whole) == (first, whole)
    assert certificate.losses.n == certificate.text.symbols == whole - first
    assert certificate.text.begin == first
    assert f"follow the first {first:,} bytes, on which theta0 was trained" in certificate.statement
    assert any(f"the first {first} bytes" in one for one in certificate.declarations)
    bits = {entry.item: entry.bits for entry in certificate.entries}
    assert bits["split"] == 7  # seed 0 by a gamma code, and one of 64 parts
    assert Path(path).stat().st_size == N


def test_theta0_learned_from_the_first_share_and_costs_no_bits(split):
    _, _, certificate = split
    bits = certificate.ledger.bits_of("counted")
    assert bits < 24 * 8
    uniform = next(one for one in certificate.predictors if one.name == "uniform")
    assert certificate.stated_bound.value < 0.5 * uniform.value
    spec = certificate.hypothesis
    assert theta0_bits(spec, certificate.text.alphabet, certificate.prediction, certificate.units) < 250


def test_it_stands_at_every_level_and_with_its_file_alone(split, tmp_path):
    path, file, certificate = split
    for level in ("arithmetic", "message", "risk"):
        found = verify(file, level=level, data=path)
        assert found.stands, found.reason
    assert "held-out losses" in found.passed
    alone = tmp_path / "alone.json"
    alone.write_bytes(file.read_bytes())
    assert verify(alone, level="message").stands
    found = verify(alone, level="risk", data=path)
    assert not found.stands
    assert certificate.hypothesis.base.file in (found.reason or "")


def test_another_theta0_is_refused(split, tmp_path):
    path, file, certificate = split
    copied, name = tmp_path / "c.json", certificate.hypothesis.base.file
    copied.write_bytes(file.read_bytes())
    tensors = {key: value + 0.01 for key, value in load((file.parent / name).read_bytes()).items()}
    (tmp_path / name).write_bytes(save(tensors))
    assert not verify(copied, level="risk", data=path).stands


def test_another_beginning_of_the_text_is_refused(split, tmp_path):
    path, file, _ = split
    raw = bytearray(Path(path).read_bytes())
    raw[10] = raw[11] if raw[10] != raw[11] else (set(raw) - {raw[10]}).pop()
    other = tmp_path / "markov.txt"
    other.write_bytes(bytes(raw))
    found = verify(file, level="risk", data=str(other))
    assert (found.stands, found.failed) == (False, "text")
    rest = tmp_path / "rest.txt"
    rest.write_bytes(Path(path).read_bytes()[1080:4320])
    found = verify(file, level="risk", data=str(rest))
    assert (found.stands, found.failed) == (False, "text")


def test_held_out_text_that_theta0_was_trained_on_does_not_stand(split, tmp_path):
    path, _, certificate = split
    held = next(one for one in certificate.predictors if one.name == "held_out")
    assert held.text is not None
    first = map_text(path, "ascii97", begin=0, count=certificate.text.begin).over(certificate.text.alphabet)
    network = Hypothesis.unpack(
        certificate.payload(), certificate.hypothesis, rebuild_language_base(certificate, None)
    ).network()
    made = held_out_stream(network, first, certificate.prediction, certificate.stated_bound.delta, progress=False)

    def seen(document):
        document["also"][-1] = made.model_dump(mode="json")

    forge(certificate, seen, tmp_path / "c.json")
    (tmp_path / certificate.hypothesis.base.file).write_bytes(certificate.theta0())
    assert verify(tmp_path / "c.json", level="message").stands
    found = verify(tmp_path / "c.json", level="risk", data=path)
    assert (found.stands, found.failed) == (False, "held-out text")


def smaller_share(document: Document, certificate: LanguageCertificate) -> None:
    """As if theta0 had seen less of what the statement is about."""
    split = certificate.hypothesis.base.split
    assert split is not None
    document["hypothesis"]["base"]["split"]["parts"] = 8
    document["statement"] = write_language_statement(
        certificate.stated_bound.value, 0.05, certificate.losses.n, certificate.text, certificate.units,
        split.model_copy(update={"parts": 8}),
    )  # fmt: skip


def shuffled(document: Document, certificate: LanguageCertificate) -> None:
    document["hypothesis"]["base"]["split"]["seed"] = 1


def all_of_it(document: Document, certificate: LanguageCertificate) -> None:
    """As if the statement were about the whole text."""
    document["text"]["begin"] = 0


def as_a_seed(document: Document, certificate: LanguageCertificate) -> None:
    """A theta0 that nobody trained."""
    document["hypothesis"]["base"] = {"kind": "seeded", "seed": 3, "sha256": None, "disjoint": False}
    document["statement"] = write_language_statement(
        certificate.stated_bound.value, 0.05, certificate.losses.n, certificate.text, certificate.units
    )


FORGERIES = [
    (smaller_share, "arithmetic", "hypothesis"),
    (shuffled, "arithmetic", "hypothesis"),
    (all_of_it, "arithmetic", "hypothesis"),
    (as_a_seed, "message", "decode"),
]


@pytest.mark.parametrize(("edit", "level", "check"), FORGERIES, ids=[one[0].__name__ for one in FORGERIES])
def test_forged_splits_are_refused_at_the_first_level_that_sees_them(split, tmp_path, edit, level, check):
    path, _, certificate = split
    file = forge(certificate, lambda document: edit(document, certificate), tmp_path / "forged.json")
    found = verify(file, level=level, data=path)
    assert not found.stands
    assert found.failed == check


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Request, LanguageCertificate]:
    request = asked(tmp_path_factory.mktemp("undisturbed"), 900, epochs=34)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(language_start, "LEAST_STEPS", 20)
        return request, certify_language(request, progress=False)


@pytest.mark.parametrize("saves", [5, 25])  # in the training of theta0, and after it
def test_a_killed_run_goes_on_as_if_nothing_had_happened(undisturbed, tmp_path, monkeypatch, saves):
    request, whole = undisturbed
    monkeypatch.setattr(language_start, "LEAST_STEPS", 20)
    assert resumed(request, tmp_path / "c.json.state", monkeypatch, saves).core_digest == whole.core_digest


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"statement": "documents", "separator": "\\n"}, "--prior-share is for --statement stream"),
        ({"prior_share": None, "start_minutes": 1.0}, "Give --prior-share"),
        ({"encoder": "codebook"}, "encoded by posterior or plain"),
    ],
)
def test_contradictions_are_refused_before_anything_is_trained(tmp_path, options, match):
    with pytest.raises(PacboundError, match=match):
        certify_language(asked(tmp_path, **options), progress=False)


def test_a_forecast_counts_the_training_of_theta0(tmp_path):
    with_it = forecast_language(asked(tmp_path))
    assert with_it.losses == N - N // 4
    assert with_it.d == 24


def test_a_forecast_counts_the_optimiser_of_both_trainings(tmp_path, monkeypatch):
    now, step, pause = [0.0], torch.optim.Adam.step, 0.02

    def slow(self, *rest):
        now[0] += pause
        return step(self, *rest)

    monkeypatch.setattr(time, "perf_counter", lambda: now[0])  # time passes in the steps of Adam alone
    monkeypatch.setattr(torch.optim.Adam, "step", slow)
    monkeypatch.setattr(language_start, "LEAST_STEPS", 300)
    steps = {"epochs": 100, "encoder": "plain"}
    alone, with_start = (forecast_language(asked(tmp_path, **steps, prior_share=share)) for share in (None, 0.25))
    assert alone.seconds == pytest.approx(alone.steps * pause)
    assert with_start.seconds == pytest.approx((with_start.steps + 300) * pause)  # of theta0


def test_the_command_writes_theta0_beside_the_certificate(tmp_path):
    request = asked(tmp_path)
    options = ["--task", "lm", "--data", request.data, "--model", "E4-W2-L", "--alphabet", "ascii97", "--d", "8"]
    file = tmp_path / "c.json"
    run = CliRunner().invoke(
        app, ["certify", *options, "--context", "16", "--epochs", "10", "--prior-share", "0.5", "-o", str(file)]
    )
    assert run.exit_code == 0, run.output
    assert "trained on a part of the sample" in run.output
    assert not list(tmp_path.glob("*.state*"))
    assert (tmp_path / LanguageCertificate.load(file).hypothesis.base.file).exists()
    assert CliRunner().invoke(app, ["verify", str(file), "--data", request.data]).exit_code == 0
