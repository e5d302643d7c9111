"""A loss of the user's own: certified, and counted again by whoever has the function."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from pacbound_cli.main import app
from torch import Tensor
from typer.testing import CliRunner

import pacbound as pb
from pacbound.errors import RequestError
from pacbound.methods.table import certify
from pacbound.networks.risk import evaluate, loss_function
from tests.tiny import clouds, decoded, examples, network, quick


def half_brier(logits: Tensor, y: Tensor) -> Tensor:
    """Half the squared distance of the probabilities to the label, in [0, 1], shape (batch,)."""
    p = logits.double().softmax(1)
    return ((p - torch.nn.functional.one_hot(y, p.shape[1])) ** 2).sum(1).clamp(max=2) / 2


def nothing(logits: Tensor, y: Tensor) -> Tensor:
    return torch.ones(len(y))


def test_a_custom_loss_is_counted_again_with_its_function_and_only_with_it() -> None:
    certificate = certify(network(), clouds(), request=quick(d=4, epochs=1), loss=half_brier, progress=False)
    assert (certificate.risk.loss, certificate.stated_bound.theorem) == ("custom", "occam_kl")
    result = pb.verify(certificate, data=clouds(), model=network(), loss=half_brier)
    assert (result.stands, result.level, result.recount) == (True, "risk", certificate.risk)
    assert pb.verify(certificate, data=clouds(), model=network(), loss=nothing).failed == "errors"
    with pytest.raises(RequestError, match=r"a function of its author's \(--loss\)"):
        pb.verify(certificate, data=clouds(), model=network())
    assert pb.verify(certificate).level == "message"


def with_a_memory() -> Callable[[Tensor, Tensor], Tensor]:
    """A loss that repeats what it first said of an example: whether all that it was asked about are wrong."""
    said: dict[bytes, float] = {}

    def loss(logits: Tensor, y: Tensor) -> Tensor:
        bad = float((logits.argmax(1) != y).all())
        rows = zip(logits.numpy(), y.tolist(), strict=True)
        return torch.tensor([said.setdefault(row.round(2).tobytes() + bytes([label]), bad) for row, label in rows])

    return loss


def test_a_loss_that_remembers_is_asked_about_each_example_alone_first() -> None:
    request = quick(d=4, epochs=1)
    plain = certify(network(), clouds(), request=request, progress=False).risk
    found = certify(network(), clouds(), request=request, loss=with_a_memory(), progress=False).risk
    assert found.errors >= plain.errors - 1 > 0


def test_a_loss_that_remembers_counts_what_it_said_alone() -> None:
    plain = evaluate(decoded(network()), examples(), progress=False)
    assert evaluate(decoded(network()), examples(), with_a_memory(), progress=False).errors >= plain.errors - 1 > 0


def test_a_loss_may_write_into_what_it_is_given() -> None:
    def writes(logits: Tensor, y: Tensor) -> Tensor:
        wrong = (logits.argmax(1) != y).double()
        logits.zero_()
        y.zero_()
        return wrong

    request = quick(d=4, epochs=1)
    plain = certify(network(), clouds(), request=request, progress=False)
    found = certify(network(), clouds(), request=request, loss=writes, progress=False)
    assert found.data == plain.data
    assert abs(found.risk.errors - plain.risk.errors) < 1


def test_a_loss_of_the_package_is_its_own_whatever_is_given() -> None:
    certificate = certify(network(), clouds(), request=quick(d=4, epochs=1), progress=False)
    assert pb.verify(certificate, data=clouds(), model=network(), loss=nothing).recount == certificate.risk


def test_a_function_is_found_by_module_and_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mylosses.py").write_text(
        "import torch\ndef always(logits, y):\n    return torch.full((len(y),), 0.25)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    name, function = loss_function("mylosses:always")
    assert (name, function(torch.zeros(2, 3), torch.zeros(2)).tolist()) == ("custom", [0.25, 0.25])
    with pytest.raises(RequestError, match="has no 'never'"):
        loss_function("mylosses:never")


def test_the_command_line_certifies_and_verifies_a_custom_loss(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    Path("ownlosses.py").write_text("import torch\ndef half(logits, y):\n    return torch.full((len(y),), 0.5)\n")
    options = ["--loss", "ownlosses:half", "--model", "L", "--encoder", "plain", "--d", "4", "--epochs", "1"]
    done = CliRunner().invoke(app, ["certify", *options, "-o", "c.json"])
    assert done.exit_code == 0, done.output
    assert "pacbound verify c.json --loss ownlosses:half" in " ".join(done.stderr.split())
    done = CliRunner().invoke(app, ["verify", "c.json", "--loss", "ownlosses:half"])
    assert (done.exit_code, "stands, at level risk" in done.stdout) == (0, True)
