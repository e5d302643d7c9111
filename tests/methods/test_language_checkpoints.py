"""A language model that starts from a checkpoint: what is added to it, what stands beside it, and what is refused."""

from pathlib import Path

import numpy as np
import pytest

from pacbound.certificate.language import LanguageCertificate
from pacbound.errors import PacboundError
from pacbound.methods.language import certify_language
from pacbound.reports.shared import UNSEEN
from pacbound.reports.show import render
from pacbound.request.request import Request
from pacbound.verification.verification import verify
from tests.forge import forge
from tests.killed import whole_and_resumed
from tests.markov import save_text
from tests.models.test_llama import write

SHAPE = (8, 12, 1, 4, 2, 256, 16)  # of a checkpoint of llama2.c that reads bytes, 16 at most


@pytest.fixture(scope="module")
def adapted(tmp_path_factory) -> tuple[dict[str, str], LanguageCertificate]:
    folder = tmp_path_factory.mktemp("adapted")
    paths = {"data": str(save_text(folder, 2000)), "checkpoint": str(write(folder / "tiny.bin", SHAPE))}
    options = {"task": "lm", **paths, "disjoint": True, "d": 64, "epochs": 22, "rate": 0.02, "held_out": 0.1}
    return paths, certify_language(Request.model_validate(options), progress=False)


def test_a_subspace_is_added_to_a_checkpoint_which_stands_beside_it_at_0_bits(adapted):
    paths, certificate = adapted
    beside = {one.name: one for one in certificate.predictors}
    assert certificate.hypothesis.base.kind == "checkpoint"
    assert certificate.prediction.window == 16
    assert certificate.stated_bound.value < beside["theta0"].value
    assert beside["theta0"].bits < 60 < certificate.message.bits
    assert "says the user" in " ".join(certificate.declarations)
    found = verify(certificate, level="risk", **paths)
    assert found.stands, found.reason
    assert {"theta0", "held-out losses"} <= set(found.passed)
    held = next(line for line in render(certificate).splitlines() if line.strip().startswith("held-out text"))
    assert held.endswith(UNSEEN)  # nobody said that the checkpoint had not seen them


def test_another_checkpoint_or_none_is_no_theta0(adapted, tmp_path):
    paths, certificate = adapted
    other = tmp_path / "other.bin"
    raw = bytearray(Path(paths["checkpoint"]).read_bytes())
    raw[4000:4004] = np.float32(0.5).tobytes()
    other.write_bytes(bytes(raw))
    assert verify(certificate, level="risk", data=paths["data"], checkpoint=str(other)).failed == "network"
    with pytest.raises(PacboundError, match="needs the checkpoint"):
        verify(certificate, level="risk", data=paths["data"])


def test_theta0_beside_it_cannot_be_made_worse_or_better_than_it_is(adapted, tmp_path):
    paths, certificate = adapted

    def better(document):
        beside = next(one for one in document["also"] if one.get("name") == "theta0")
        beside["bits"] = 0

    assert verify(forge(certificate, better, tmp_path / "forged.json"), level="arithmetic").failed == "other bounds"

    def lower(document):
        beside = next(one for one in document["also"] if one.get("name") == "theta0")
        sums = beside["sums"]
        sums["log_sums"] = [None if one is None else one - 0.05 * sums["n"] for one in sums["log_sums"]]

    found = verify(forge(certificate, lower, tmp_path / "forged.json"), level="risk", **paths)
    assert found.failed == "theta0"


@pytest.mark.parametrize(
    ("options", "match"),
    [({"context": 32}, "knows 16 positions, got --context 32"), ({"model": "E4-L"}, "says what network it is")],
)
def test_a_checkpoint_says_what_network_it_is_and_how_far_it_looks(adapted, options, match):
    paths, _ = adapted
    with pytest.raises(PacboundError, match=match):
        certify_language(Request.model_validate({"task": "lm", **paths, "disjoint": True, **options}), progress=False)


def test_a_text_outside_the_vocabulary_is_refused(tmp_path):
    checkpoint = write(tmp_path / "small.bin", (8, 12, 1, 4, 2, 100, 16))
    options = {"task": "lm", "data": str(save_text(tmp_path, 500)), "checkpoint": str(checkpoint), "disjoint": True}
    with pytest.raises(PacboundError, match="knows 100 symbols and the alphabet has 256"):
        certify_language(Request.model_validate(options), progress=False)


def test_a_run_that_was_killed_ends_in_the_same_certificate(tmp_path, monkeypatch):
    data = str(save_text(tmp_path, 1500))
    request = Request.model_validate({"task": "lm", "data": data, "model": "E4-W2-L", "epochs": 40, "context": 16})
    whole, resumed = whole_and_resumed(request, tmp_path / "run.state", monkeypatch)
    assert resumed.core_digest == whole.core_digest
