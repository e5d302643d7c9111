"""What is measured is the decoded network, at its true sizes; what does not apply is named and never 0."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pacbound.bits.message import pack
from pacbound.bounds.claims import RiskEstimate
from pacbound.bounds.table import theorem
from pacbound.certificate import Certificate, DataRecord
from pacbound.certificate.accounting import complete
from pacbound.errors import CertificateError, DataError, ModelError, RequestError
from pacbound.measures import MEASURES
from pacbound.measures.layers.layers import layers_of
from pacbound.measures.measuring import Measured, attach, measure, plot
from pacbound.networks.hypothesis import Hypothesis, make_base
from pacbound.specs.specs import HypothesisSpec
from pacbound.verification.verification import verify
from tests.forge import forge, honest
from tests.tiny import FEATURES, clouds, examples, lattice_spec, network

CHEAP = ("stable_rank", "rademacher", "covering")


def certificate_of(module: nn.Module, **fields: object) -> tuple[Certificate, Hypothesis]:
    """A certificate of a user's network at some symbols, with its errors counted."""
    base, symbols = make_base(module, None), np.array([0, 8, 3, 4, 5, 1, 7, 4, 2, 6, 0, 8, 1, 1, 7, 8], np.int32)
    spec: HypothesisSpec = lattice_spec(base, 16, symbols, **fields)
    message, coded = pack(spec, symbols)
    hypothesis, sample = Hypothesis.unpack(message.payload, spec, base), examples()
    errors = int((hypothesis(sample.x).argmax(1) != sample.y).sum()) + 3  # some room for near-ties
    record = DataRecord(name="clouds", digest=sample.digest(), n=sample.n, classes=3, distinct=sample.n)
    risk = RiskEstimate(errors=errors, n=sample.n, data_digest=record.digest)
    ledger = complete(coded, spec, record.name, record.digest)
    bound = theorem("occam_binomial")(errors, sample.n, ledger.bits, 0.05)
    issued = Certificate.issue(bound=bound, risk=risk, ledger=ledger, message=message, data=record, hypothesis=spec)
    return issued, hypothesis


def table(measured: Measured) -> dict[str, float]:
    return {one.name: one.value for one in measured.measures}


def test_a_network_in_memory_is_measured_and_not_changed() -> None:
    module = network().train()
    before = [p.detach().clone() for p in module.parameters()]
    found = measure(module, data=clouds(), measures=CHEAP)
    assert found.model == "Sequential"
    assert found.refused == {}
    assert {name.split("_")[0] for name in table(found)} == {"stable", "rademacher", "covering"}
    assert module.training
    assert all(torch.equal(a, b) for a, b in zip(before, module.parameters(), strict=True))
    norm = found.measures[[one.name for one in found.measures].index("rademacher_lipschitz")]
    by_hand = math.prod(float(torch.linalg.matrix_norm(module[i].weight.detach(), 2)) for i in (0, 2))
    assert 10**norm.value == pytest.approx(by_hand, rel=1e-4)


def test_a_certificate_is_measured_on_the_decoded_network_from_its_own_start() -> None:
    module = network()
    certificate, hypothesis = certificate_of(module)
    found = table(measure(certificate, module, clouds(), CHEAP))
    decoded = dict(hypothesis._module.named_parameters())
    assert not torch.allclose(decoded["0.weight"], module[0].weight)
    distance = 0.0
    for i in (0, 2):
        moved = decoded[f"{i}.weight"] - module[i].weight
        joint = torch.cat([moved, (decoded[f"{i}.bias"] - module[i].bias)[:, None]], 1)
        distance += float(joint.detach().double().norm(dim=1).sum())
    assert found["rademacher_distance"] == pytest.approx(distance, rel=1e-5)
    assert found == table(measure(certificate, module, examples(), CHEAP))
    own = table(measure(hypothesis._module, data=clouds(), measures=("stable_rank",)))
    assert own.items() <= found.items()


def test_measures_attach_to_a_certificate_that_still_stands(tmp_path: Path) -> None:
    module = network()
    certificate, _ = certificate_of(module)
    measured = measure(certificate, module, clouds(), CHEAP)
    once = attach(certificate, measured)
    assert once.measures == measured.measures
    assert attach(once, measured) == once  # replaced, not repeated
    assert once.digest != certificate.digest
    assert (once.bound, once.entries, once.message) == (certificate.bound, certificate.entries, certificate.message)
    once.save(tmp_path / "a.json")
    assert verify(tmp_path / "a.json", examples(), module).require().level == "risk"


def test_a_draw_is_measured_and_keeps_its_posterior_file(tmp_path: Path) -> None:
    source = Path(__file__).parents[2] / "results" / "draw" / "seed_0.json"
    measured = measure(source, measures=("stable_rank",))
    attach(Certificate.load(source), measured).save(tmp_path / "a.json")
    assert verify(tmp_path / "a.json", level="message").require().stands
    assert Certificate.load(tmp_path / "a.json").measures == measured.measures


def test_the_sample_is_the_certified_one_or_none() -> None:
    certificate, _ = certificate_of(network())
    with pytest.raises(DataError, match="digest"):
        measure(certificate, network(), clouds(seed=1))


def test_files_are_told_apart_by_their_ending(tmp_path: Path) -> None:
    module = network()
    certificate, _ = certificate_of(module)
    certificate.save(tmp_path / "a.json")
    torch.save({"state_dict": module.state_dict()}, tmp_path / "a.pt")
    from_file = measure(tmp_path / "a.json", module, input_shape=(FEATURES,), measures=("stable_rank",))
    assert from_file.measures == measure(certificate, module, clouds(), ("stable_rank",)).measures
    from_weights = measure(tmp_path / "a.pt", network(seed=9), clouds(), ("stable_rank",))
    assert from_weights.measures == measure(module, data=clouds(), measures=("stable_rank",)).measures


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cell, self.head = nn.RNN(3, 4, batch_first=True), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.cell(x)[0][:, -1])


def test_layers_that_no_measure_counts_are_named() -> None:
    module = nn.Sequential(nn.Linear(6, 4), nn.LayerNorm(4), nn.ReLU(), nn.Linear(4, 3))
    found = measure(module, data=clouds(), measures=("stable_rank", "covering"))
    assert list(found.skipped) == ["1"]
    assert "LayerNorm" in found.skipped["1"]
    per_layer = next(one.per_layer for one in found.measures if one.name == "stable_rank_reshaped")
    assert list(per_layer) == ["0", "3"]  # left out, not 0
    normed = nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4), nn.Linear(4, 3))
    assert "training mode" in measure(normed.train(), data=clouds(), measures=("stable_rank",)).skipped["1"]
    assert measure(normed.eval(), data=clouds(), measures=("stable_rank",)).skipped == {}  # folded


def test_what_does_not_apply_is_named_with_its_reason() -> None:
    found = measure(Recurrent(), input_shape=(5, 3), measures=("stable_rank", "rademacher", "covering"))
    assert set(found.refused) == {"rademacher", "covering"}
    assert all(reason for reason in found.refused.values())
    assert not any(one.name.startswith(("rademacher", "covering")) for one in found.measures)
    with pytest.raises(ModelError, match="none of the measures applies"):
        measure(Recurrent(), input_shape=(5, 3), measures=("rademacher",))


@pytest.mark.parametrize(
    ("arguments", "error", "reason"),
    [
        ({"source": network(), "data": clouds(), "measures": ("k",)}, RequestError, "measures are"),
        ({"source": network()}, RequestError, "size of their inputs"),
        ({"source": network(), "input_shape": (0,)}, RequestError, "size of their inputs"),
        ({"source": network(), "data": clouds(), "input_shape": (7,)}, RequestError, "Leave one out"),
        ({"source": "none.pt"}, RequestError, "none of these"),
        ({"source": "org/model"}, RequestError, "hf download org/model"),
        ({"source": 3}, RequestError, "none of these"),
        ({"source": network(), "input_shape": (9,)}, ModelError, "runs on the example"),
    ],
)
def test_bad_input_is_refused_clearly(arguments: dict[str, object], error: type[Exception], reason: str) -> None:
    with pytest.raises(error, match=reason):
        measure(**arguments)  # type: ignore[arg-type]


def test_files_need_their_network(tmp_path: Path) -> None:
    torch.save(network().state_dict(), tmp_path / "a.pt")
    certificate_of(network())[0].save(tmp_path / "a.json")
    (tmp_path / "b.json").write_text("{}")
    with pytest.raises(RequestError, match="--model"):
        measure(tmp_path / "a.pt", data=clouds())
    with pytest.raises(RequestError, match="--model"):
        measure(tmp_path / "a.json", data=clouds())
    with pytest.raises(CertificateError):
        measure(tmp_path / "b.json", network(), clouds())


def test_the_number_of_classes_stands_in_the_file(tmp_path: Path) -> None:
    from pacbound.models.reference import build

    module = build("h5-R-L", (6,), 7)
    torch.save(
        {"state_dict": {f"module.{name}": value for name, value in module.state_dict().items()}}, tmp_path / "a.pt"
    )
    found = measure(tmp_path / "a.pt", "h5-R-L", input_shape=(6,))
    in_memory = measure(module, input_shape=(6,))
    assert [(one.name, one.value) for one in found.measures] == [(one.name, one.value) for one in in_memory.measures]
    assert "Give --data" in found.refused["ntk"]
    torch.save(network().state_dict(), tmp_path / "b.pt")
    with pytest.raises(ModelError, match="has the parameters of"):
        measure(tmp_path / "b.pt", "lenet1", input_shape=(1, 28, 28))


def test_the_plot_is_an_svg_that_repeats_itself(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="the report extra is not installed")
    measured = measure(network(), data=clouds(), measures=("stable_rank",))
    plot(measured, tmp_path / "a.svg")
    plot(measured, tmp_path / "b.svg")
    drawn = (tmp_path / "a.svg").read_text()
    assert "<svg" in drawn
    assert all(f"<!-- layer {name} -->" in drawn for one in measured.measures for name in one.per_layer)
    assert drawn == (tmp_path / "b.svg").read_text()
    with pytest.raises(RequestError, match=r"\.svg"):
        plot(measured, tmp_path / "a.png")
    with pytest.raises(RequestError, match="written"):
        plot(measured, tmp_path / "none" / "a.svg")


def test_sizes_come_from_the_data(tmp_path: Path) -> None:
    module = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.Flatten(), nn.LazyLinear(2))
    x = torch.randn(4, 1, 5, 6)
    module(x)
    found = measure(module, data=(x, torch.tensor([0, 1, 0, 1])), measures=("rademacher",))
    norm = {one.name: one for one in found.measures}["rademacher_data_norm"].value
    assert norm == pytest.approx(float(x.norm()), rel=1e-6)
    assert layers_of(module, x[:1]).records[0].input_size == (5, 6)


def test_measures_are_not_attached_to_a_certificate_that_does_not_stand(tmp_path: Path) -> None:
    path = forge(honest(), lambda document: document["bound"].update(value=0.001), tmp_path / "forged.json")
    measured = Measured(model="lenet", measures=(), refused={}, skipped={})
    with pytest.raises(CertificateError, match="the certificate stands before measures are attached, got bound"):
        attach(Certificate.load(path), measured)


class Fussy(nn.Module):
    """A network that fails in its own way: for the first calls, always, or only with other inputs."""

    def __init__(self, error: Exception | None = None, most: int = 10**9) -> None:
        super().__init__()
        self.layer, self.error, self.most = nn.Linear(FEATURES, 3), error, most

    def forward(self, x: Tensor) -> Tensor:
        if self.error is not None and len(x) > self.most:
            raise self.error
        return self.layer(x)


@pytest.mark.parametrize("error", [KeyError("h"), AttributeError("none"), ZeroDivisionError("0"), AssertionError("a")])
def test_a_network_that_fails_is_refused_without_a_traceback(error: Exception) -> None:
    with pytest.raises(ModelError, match="none of the measures applies"):
        measure(Fussy(error, 0), data=clouds())


def test_a_measure_that_fails_loses_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> tuple[()]:
        raise KeyError("h")

    monkeypatch.setattr("pacbound.measures.covering.covering.measure", fails)
    found = measure(network(), data=clouds(), measures=("covering", "stable_rank"))
    assert "KeyError" in found.refused["covering"]
    assert any(one.name.startswith("stable_rank") for one in found.measures)


class Aside(nn.Module):
    """Features that a hook keeps for the forward pass."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[str, Tensor] = {}
        self.a, self.b = nn.Linear(FEATURES, 5), nn.Linear(5, 3)
        self.a.register_forward_hook(lambda module, args, output: self.kept.__setitem__("h", output))

    def forward(self, x: Tensor) -> Tensor:
        self.a(x)
        return self.b(self.kept["h"])


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated", "ignore:.*torch.jit")
@pytest.mark.parametrize("name", [name for name in MEASURES if name != "flatness"])  # which is of a certificate
def test_scripts_and_features_kept_by_hooks_are_refused_by_every_measure(name: str) -> None:
    x, y = clouds()

    def scripted() -> nn.Module:
        return torch.jit.script(nn.Sequential(nn.Linear(FEATURES, 5), nn.ReLU(), nn.Linear(5, 3)))

    for make, reason in ((scripted, "TorchScript"), (Aside, "hook")):
        with pytest.raises(ModelError, match=reason):
            measure(make(), data=(x, y), measures=(name,))
        with pytest.raises(ModelError, match=reason):
            tuple(MEASURES[name](make(), x[:1], (x, y)))


@pytest.mark.filterwarnings("ignore:`torch.nn.utils.weight_norm`")
def test_old_weight_norm_and_pruning_are_refused_with_their_remedy() -> None:
    net = nn.Sequential(nn.utils.weight_norm(nn.Linear(FEATURES, 5)), nn.ReLU(), nn.Linear(5, 3))
    with pytest.raises(ModelError, match="remove_weight_norm"):
        measure(net, data=clouds())
