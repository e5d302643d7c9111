"""Direct codes of small trained networks, from the weights to a certificate that decodes without them."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from pacbound.certificate.schema import Certificate
from pacbound.errors import ModelError, RequestError
from pacbound.methods.direct.certify import DirectPlan, certify_direct, code_weights, direct_setup, plan_of
from pacbound.methods.direct.method import direct
from pacbound.methods.direct.training import FineTuning, Network, Rounded, curvature, fine_tune, quantized_parts
from pacbound.methods.direct.weights import Weights, weights_of
from pacbound.methods.table import METHODS
from pacbound.models.units import unit_groups
from pacbound.networks.hypothesis import make_zero_base
from pacbound.pipeline.preparation import prepare, sample_of
from pacbound.quantize.tensors import step_size
from pacbound.request.request import Request
from pacbound.specs.tensors import DirectSpec
from pacbound.training.fit import Sample
from pacbound.verification.verification import verify
from tests.tiny import examples, network

SAMPLE, FEW = examples(600), examples(120)
TUNING = FineTuning(keep=0.5, epochs=(2, 4), batch=60, rate=0.03)


@pytest.fixture(scope="module")
def trained() -> nn.Sequential:
    module = network()
    adam = torch.optim.Adam(module.parameters(), 0.02)
    for _ in range(80):
        loss = nn.functional.cross_entropy(module(SAMPLE.x), SAMPLE.y)
        adam.zero_grad()
        loss.backward()
        adam.step()
    return module


@pytest.fixture(scope="module")
def tuned(trained: nn.Sequential) -> Certificate:
    return certify_direct(trained, SAMPLE, plan=DirectPlan(rates=(0.1, 1.0), tuning=(TUNING,)), progress=False)


def test_the_bound_is_not_vacuous_and_says_what_the_order_saved(tuned: Certificate) -> None:
    assert tuned.bound.value < 0.4
    assert [e.kind for e in tuned.entries if e.item == "orbit saving"] == ["derived"]
    assert isinstance(tuned.hypothesis.quantizer, DirectSpec)
    assert tuned.hypothesis.base.kind == "zero"


def test_it_decodes_in_a_folder_without_the_weights(tuned: Certificate, tmp_path: Path) -> None:
    tuned.save(tmp_path / "direct.json")
    again = verify(tmp_path / "direct.json", data=SAMPLE, model=network(5), level="risk")
    assert again.stands, again.reason
    assert {"order", "network", "errors"} <= set(again.passed)


def test_fine_tuning_under_the_code_pays(trained: nn.Sequential, tuned: Certificate) -> None:
    plain = certify_direct(trained, SAMPLE, plan=DirectPlan(rates=(0.1, 1.0)), progress=False)
    assert tuned.bound.value < plain.bound.value


def test_a_file_and_a_module_give_the_same_certificate(trained: nn.Sequential, tmp_path: Path) -> None:
    save_file(trained.state_dict(), tmp_path / "w.safetensors")
    plan = DirectPlan(rates=(1.0,))
    one = certify_direct(trained, FEW, plan=plan, progress=False)
    request = Request(checkpoint=str(tmp_path / "w.safetensors"))
    two = certify_direct(network(9), FEW, request=request, plan=plan, progress=False)
    assert one.core_digest == two.core_digest


def test_the_callers_module_is_left_as_it_was(trained: nn.Sequential) -> None:
    before = {k: v.clone() for k, v in trained.state_dict().items()}
    certify_direct(trained, FEW, plan=DirectPlan(rates=(1.0,)), progress=False)
    assert all(torch.equal(v, trained.state_dict()[k]) for k, v in before.items())


def test_a_name_without_weights_and_weights_that_are_not_finite_are_refused(trained: nn.Sequential) -> None:
    with pytest.raises(RequestError, match="names a network without weights"):
        certify_direct("mlp", SAMPLE, progress=False)
    bad = network()
    bad[0].weight.data[0, 0] = float("nan")
    with pytest.raises(ModelError, match=r"0\.weight"):
        certify_direct(bad, SAMPLE, progress=False)


def parts(trained: nn.Sequential) -> tuple[Weights, Sample]:
    base = make_zero_base(trained)
    return weights_of(trained, base, unit_groups(base.module, base.layout, SAMPLE.x[:2])), Sample(SAMPLE.x, SAMPLE.y)


def test_curvature_is_the_mean_square_of_gradients(trained: nn.Sequential) -> None:
    weights, sample = parts(trained)
    base = make_zero_base(trained)
    few = Sample(sample.x[:40], sample.y[:40])
    found = curvature(base, weights, few, batch=1)
    total = torch.zeros(3)
    for x, y in zip(few.x, few.y, strict=True):
        trained.zero_grad()
        nn.functional.cross_entropy(trained(x[None]), y[None]).backward()
        total += trained[2].bias.grad ** 2  # type: ignore[operator]
    assert np.allclose(found[3], total.numpy() / few.n, rtol=1e-3)


def test_narrow_tensors_answer_as_zeros_in_wide_ones_do(trained: nn.Sequential) -> None:
    weights, _ = parts(trained)
    kept = weights.keep([np.arange(8.0)], [3])
    kept = kept.with_coded(kept.coded())
    net = Network(make_zero_base(trained), kept, SAMPLE.x[:4])
    narrow = net([torch.from_numpy(p) for p in kept.coded()], SAMPLE.x[:20])
    net._narrow = False
    wide = net([torch.from_numpy(p) for p in kept.coded()], SAMPLE.x[:20])
    assert torch.allclose(narrow, wide, atol=1e-5)


def test_fine_tuned_weights_are_multiples_of_their_steps(trained: nn.Sequential) -> None:
    weights, sample = parts(trained)
    for rounded in fine_tune(make_zero_base(trained), weights, sample, TUNING, False):
        assert isinstance(rounded, Rounded)
        assert rounded.weights.groups[0].kept <= 4
        for part, q, index in zip(rounded.weights.coded(), quantized_parts(rounded), rounded.step_indices, strict=True):
            assert np.array_equal(part, (q * step_size(index)).astype(np.float32))


def test_coarser_prices_code_shorter(trained: nn.Sequential) -> None:
    setup = direct_setup(prepare(trained, SAMPLE, None, Request(), "zero_one"))
    weights, _ = parts(trained)
    fisher = curvature(setup.base, weights, sample_of(setup))
    chosen = [code_weights(weights, fisher, price, ("lattice",))[1] for price in (1e-6, 1e-2)]
    zeros = [
        sum(int((c.values == c.coding.table.levels // 2).sum()) for c in cs if c.values is not None) for cs in chosen
    ]  # type: ignore[union-attr]
    assert zeros[0] < zeros[1]


def test_the_method_by_its_name_is_this_one_and_takes_its_epochs() -> None:
    assert METHODS["direct"] is direct
    plan = plan_of(Request(method="direct", epochs=24, beta=1.5, batch=50))
    assert [tuning.keep for tuning in plan.tuning] == [0.125, 0.25]
    assert sum(t.epochs[0] + 2 * t.epochs[1] for t in plan.tuning) == sum(t.passes for t in plan.tuning) == 24
    assert {(t.beta, t.batch) for t in plan.tuning} == {(1.5, 50)}


def test_a_plan_that_makes_no_candidate_is_refused() -> None:
    with pytest.raises(RequestError, match="at least one rate or one tuning makes a candidate, got none"):
        DirectPlan(rates=(), tuning=())


@pytest.mark.parametrize(
    "option", [{"d": 16}, {"disjoint": True}, {"posterior": "draw"}, {"base": "values"}, {"prior_share": 0.5}]
)
def test_options_of_other_methods_are_refused(option: dict[str, object]) -> None:
    with pytest.raises(RequestError, match=f"no use for {next(iter(option))}"):
        certify_direct(network(), SAMPLE, request=Request.model_validate(option), progress=False)


class Cast(nn.Module):
    """A network that insists on float32, as networks that read pixels do."""

    def __init__(self, detached: bool = False) -> None:
        super().__init__()
        self.inner, self.unused, self.detached = network(), nn.Linear(2, 2), detached

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.inner(x.float() @ torch.eye(6))
        return y.detach() if self.detached else y


def test_a_network_that_casts_keeps_its_groups_and_verifies() -> None:
    found = certify_direct(Cast(), FEW, plan=DirectPlan(rates=(1.0,)), progress=False)
    assert isinstance(found.hypothesis.quantizer, DirectSpec)
    assert len(found.hypothesis.quantizer.groups) == len(
        unit_groups(network(), make_zero_base(network()).layout, SAMPLE.x[:2])
    )
    assert verify(found, data=FEW, model=Cast(), level="risk").stands


def test_a_network_without_gradients_is_refused_with_a_remedy() -> None:
    with pytest.raises(ModelError, match="with gradients"):
        certify_direct(Cast(detached=True), FEW, plan=DirectPlan(rates=(1.0,)), progress=False)


def test_scales_that_are_all_1_are_fine_tuned_within_the_alphabet() -> None:
    module = nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 3)).eval()
    plan = DirectPlan(rates=(), tuning=(FineTuning(keep=1.0, epochs=(1, 1), batch=100),))
    found = certify_direct(module, FEW, plan=plan, progress=False)
    assert verify(found, data=FEW, model=module, level="risk").stands
