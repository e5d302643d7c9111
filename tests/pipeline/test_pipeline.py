"""From data to certificate and back: every kind of subspace, quantizer and code survives the round trip."""

import copy
import json
import re
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import pacbound as pb
from pacbound.bits.codes import fit_code
from pacbound.bits.message import unpack
from pacbound.bounds.occam import occam_binomial
from pacbound.errors import DataError, ModelError, QuantizeError, RequestError, StateError
from pacbound.methods.table import certify
from pacbound.pipeline import encoding
from pacbound.pipeline import finish as finishing
from pacbound.pipeline.encoding import plan_of
from pacbound.pipeline.finish import finish
from pacbound.pipeline.preparation import Setup, default_dimension, prepare
from pacbound.reports.show import render
from pacbound.request.request import Request
from pacbound.specs.specs import CodebookSpec, CodeSpec, LatticeSpec, ProjectorSpec
from pacbound.subspace.projectors import make_projector
from pacbound.training import plain
from pacbound.training.plain import Candidate, Encoded
from pacbound.training.settings import PosteriorSettings
from pacbound.training.state import Checkpoint
from tests.forge import Document, forge
from tests.several import brief
from tests.tiny import CLASSES, clouds, examples, network, quick


def run(request: Request | None = None, net: nn.Module | str | None = None, **arguments: object) -> pb.Certificate:
    module = network() if net is None else net
    data = arguments.pop("train", None) or clouds()
    return certify(module, data, request=request or quick(batch=60), progress=False, **arguments)  # type: ignore[arg-type]


GOOD = quick(base="values", d=8, epochs=4, batch=60, rate=0.3, beta=1.0)
MANY = 300
NOTHING = Encoded([], 0)  # w = 0 is a candidate all the same


@pytest.fixture(scope="module")
def certificate() -> pb.Certificate:
    """Not vacuous, with errors: 18 of 300 and 83 bits."""
    return run(GOOD, train=clouds(MANY))


def named() -> nn.Sequential:
    """A network with slots that film selects by name."""
    body, _, fc = network()
    return nn.Sequential(OrderedDict(body=body, relu=nn.ReLU(), fc=fc))


def test_a_certificate_stands_at_every_level_and_is_not_vacuous(certificate: pb.Certificate, tmp_path: Path) -> None:
    certificate.save(tmp_path / "c.json")
    for level in ("arithmetic", "message", "risk"):
        result = pb.verify(tmp_path / "c.json", data=clouds(MANY), model=network(), level=level)  # type: ignore[arg-type]
        assert result.stands, result.reason
    assert result.recount == certificate.risk
    assert certificate.hypothesis.projector is not None
    assert certificate.bound.value < 1 - 1 / CLASSES
    assert "no better than guessing" not in certificate.statement


def test_the_errors_are_those_of_the_network_rebuilt_by_hand(certificate: pb.Certificate) -> None:
    """Symbols from the message, matrix written out, network written out."""
    spec, symbols, _ = unpack(certificate.payload(), certificate.hypothesis)
    assert isinstance(spec.quantizer, LatticeSpec)
    assert spec.code is not None
    assert spec.projector is not None
    w = (symbols.astype(float) - spec.code.levels // 2) * 2 ** (-spec.quantizer.step_index / 8)
    he = [np.sqrt(2 / 6)] * 48 + [0.1] * 8 + [np.sqrt(2 / 8)] * 24 + [0.1] * 3
    scale = 2 ** (np.round(8 * np.log2(np.array(he) * np.sqrt(83))) / 8)
    theta0 = torch.cat([p.detach().reshape(-1) for p in network().parameters()]).double().numpy()
    theta = theta0 + scale * (make_projector(spec.projector).as_matrix().double().numpy() @ w)
    x, y = (part.numpy() for part in clouds(MANY))
    logits = np.maximum(x @ theta[:48].reshape(8, 6).T + theta[48:56], 0) @ theta[56:80].reshape(3, 8).T + theta[80:]
    ranked = np.sort(logits, 1)
    assert np.all(ranked[:, -1] - ranked[:, -2] > 1e-3)  # no near tie in this sample
    assert certificate.risk.errors == int((logits.argmax(1) != y).sum())


def test_the_bound_is_that_of_the_errors_and_of_every_bit(certificate: pb.Certificate) -> None:
    bits = sum(entry.bits for entry in certificate.ledger.entries)
    assert certificate.bound.value == occam_binomial(int(certificate.risk.errors), MANY, bits, 0.05).value
    assert bits == certificate.message.bits  # the data are the user's: no entry for tuned defaults
    declared = [entry.item for entry in certificate.ledger.entries if entry.kind == "declared"]
    assert declared == ["task", "format", "architecture", "theta0"]


def test_equal_requests_give_equal_cores_and_other_seeds_others(certificate: pb.Certificate) -> None:
    assert run(GOOD, train=clouds(MANY)).core_digest == certificate.core_digest
    other = GOOD.model_copy(update={"encoder_seed": 1})
    assert run(other, train=clouds(MANY)).core_digest != certificate.core_digest


def test_the_callers_module_and_its_mode_are_untouched_and_irrelevant() -> None:
    net = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Dropout(0.4), nn.Linear(8, CLASSES)).train()
    net[1].running_mean += 0.3
    before = copy.deepcopy(net.state_dict())
    in_train = run(net=net)
    assert all(part.training for part in net.modules())
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert run(net=net.eval()).core_digest == in_train.core_digest
    assert pb.verify(in_train, data=clouds(), model=net.train()).stands


def two_blocks(*arguments: Any) -> PosteriorSettings:
    """A posterior that is rounded in one part and the rest, so that it trains in 4 stages, and not refined."""
    return brief(*arguments).model_copy(update={"blocks": 2, "refine_rounds": 0})


PROJECTORS = ["fastfood", "cosine", "sparse", "kron", "kron_qr", "dense", "film", "identity", "ekfac",
              "dense+permuted:sparse", "permuted:film"]  # fmt: skip


@pytest.mark.parametrize("encoder", ["posterior", "plain", "codebook"])
@pytest.mark.parametrize("projector", PROJECTORS)
def test_every_projector_and_encoder_goes_through_certify_save_load_verify(
    projector: str, encoder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoding, "posterior_settings", two_blocks)
    plain = {} if encoder == "posterior" else {"beta": 0.3, "rate": 0.1}
    request = Request.model_validate(
        {"projector": projector, "encoder": encoder, "d": 10, "epochs": 1, "batch": 30, **plain}
    )
    setup = prepare(named(), clouds(60), None, request, "zero_one")
    made = trained(setup)
    assert made.hypothesis.projector == setup.projector
    made.save(tmp_path / "c.json")
    assert pb.Certificate.load(tmp_path / "c.json") == made
    result = pb.verify(tmp_path / "c.json", data=clouds(60), model=named())
    assert (result.stands, result.level, result.reason) == (True, "risk", None)
    assert result.recount == made.risk


@pytest.mark.parametrize("code", ["gaussian", "laplace", "adaptive", "static"])
@pytest.mark.parametrize("encoder", ["lattice", "codebook"])
def test_every_code_and_encoder_goes_through_the_round_trip(code: str, encoder: str, tmp_path: Path) -> None:
    symbols = np.array([0, 1, 2, 2, 2, 3, 4, 2, 1, 2], np.int32)
    setup = prepare(network(), clouds(), None, quick(d=10), "zero_one")
    book = CodebookSpec(centroids=(0xB800, 0xB400, 0, 0x3400, 0x3800))
    quantizer = book if encoder == "codebook" else LatticeSpec(step_index=16)
    chosen = Candidate(symbols, quantizer, fit_code(symbols, 5, (code,)))  # type: ignore[arg-type]
    made = force(setup, chosen)
    assert made.hypothesis == setup.spec(chosen)
    assert made.hypothesis.code is not None
    assert made.hypothesis.code.kind == code
    made.save(tmp_path / "c.json")
    assert pb.verify(tmp_path / "c.json", data=clouds(), model=network()).stands


def test_another_shape_of_inputs_in_the_record_is_not_what_the_message_says() -> None:
    x, y = clouds()
    x = x.unsqueeze(1)
    net = nn.Sequential(nn.Flatten(), nn.Linear(x.shape[2], 3))
    setup = prepare(net, (x, y), None, Request(projector="ekfac", d=8, epochs=4, batch=30, encoder="plain"), "zero_one")
    made = trained(setup)
    assert pb.verify(made, data=(x, y), model=net).stands
    projector = made.hypothesis.projector
    assert projector is not None
    assert projector.shape == x.shape[1:]
    changed = projector.model_copy(update={"shape": x.shape[2:]})  # which this network takes, too
    forged = made.model_copy(update={"hypothesis": made.hypothesis.model_copy(update={"projector": changed})})
    found = pb.verify(forged.model_copy(update={"digest": forged.expected_digest()}), data=(x, y), model=net)
    assert not found.stands


def force(setup: Setup, candidate: Candidate) -> pb.Certificate:
    """The certificate of one candidate, good or bad, by the same finish: w = 0 is made to lose."""
    original = finishing.finish_one
    try:
        finishing.finish_one = lambda setup, _, count: original(setup, candidate, count)
        return finish(setup, NOTHING, {}, False)
    finally:
        finishing.finish_one = original


def trained(setup: Setup) -> pb.Certificate:
    """The certificate of what was trained, good or bad."""
    return force(setup, encoding.encode(setup, Checkpoint(None, ""), False).candidates[-1])


def test_w_zero_wins_on_random_labels_and_the_statement_says_what_that_is_worth(tmp_path: Path) -> None:
    x, _ = clouds(90)
    y = torch.randint(0, 3, (90,), generator=torch.Generator().manual_seed(5))
    made = run(quick(epochs=6), train=(x, y))
    assert made.hypothesis.projector is None
    assert made.bound.value >= 1 - 1 / 3
    assert made.statement.endswith("This is vacuous: no better than guessing.")
    made.save(tmp_path / "c.json")
    assert pb.verify(tmp_path / "c.json", data=(x, y), model=network()).stands


def test_the_smallest_bound_among_the_candidates_and_w_zero_is_issued(monkeypatch: pytest.MonkeyPatch) -> None:
    setup = prepare(network(), clouds(MANY), None, GOOD, "zero_one")
    worthless = Candidate(np.zeros(8, np.int32), LatticeSpec(step_index=8), CodeSpec(kind="adaptive", levels=3))
    good = encoding.encode(setup, Checkpoint(None, ""), False).candidates
    values = [force(setup, candidate).bound.value for candidate in (worthless, *good)]
    zero = finish(setup, NOTHING, {}, False).bound.value
    best = finish(setup, Encoded([worthless, *good], 0), {}, False)
    assert best.bound.value == min(*values, zero) < min(zero, values[0])
    none = best.risk.model_copy(update={"errors": 0})
    monkeypatch.setattr(finishing, "_by_one_pass", lambda *_: none)  # by which the shortest message is the best
    assert finish(setup, Encoded([worthless, *good], 0), {}, False).core_digest == best.core_digest


def test_values_are_the_base_only_by_the_users_word_and_a_seed_without_it(certificate: pb.Certificate) -> None:
    assert certificate.hypothesis.base.kind == "values"
    assert certificate.hypothesis.model == "user"
    seeded = run(quick(seed=5))
    assert (seeded.hypothesis.base.kind, seeded.hypothesis.base.seed) == ("seeded", 5)
    assert pb.verify(seeded, data=clouds(), model=network(9)).stands  # its own values do not matter
    named_one = run(quick(d=8), net="mlp")
    assert (named_one.hypothesis.model, named_one.hypothesis.base.kind) == ("mlp", "seeded")
    assert pb.verify(named_one, data=clouds()).stands


def test_other_values_of_the_users_module_fail_at_the_network(certificate: pb.Certificate) -> None:
    other = network()
    with torch.no_grad():
        other[0].bias[0] += 1e-6
    result = pb.verify(certificate, data=clouds(MANY), model=other)
    assert (result.stands, result.failed) == (False, "network")


def test_fewer_errors_than_counted_are_caught_at_level_risk(certificate: pb.Certificate, tmp_path: Path) -> None:
    def lower(document: Document) -> None:
        document["risk"]["errors"] -= 1

    assert certificate.risk.errors > 0
    path = forge(certificate, lower, tmp_path / "c.json", consistent=True)
    assert pb.verify(path, level="message").stands
    result = pb.verify(path, data=clouds(MANY), model=network())
    assert (result.stands, result.failed) == (False, "errors")


def test_other_data_are_refused(certificate: pb.Certificate) -> None:
    x, y = clouds(MANY)
    moved = x.clone()
    moved[3, 2] += 1e-6
    relabelled = y.clone()
    relabelled[0] = 1
    for data in ((moved, y), (x, relabelled), (x[:-1], y[:-1]), (x.double(), y)):
        assert pb.verify(certificate, data=data, model=network()).failed == "data"


@pytest.mark.parametrize("theorem", ["occam_kl", "occam_hoeffding", "pac_bayes_kl", "catoni_grid"])
def test_a_theorem_by_name_is_the_headline_and_the_default_stands_beside_it(theorem: str) -> None:
    made = run(quick(theorem=theorem, delta=0.01))
    assert (made.bound.theorem, made.bound.delta) == (theorem, 0.01)
    beside = [other for other in made.also if other.kind == "bound" and other.sample == "train"]
    assert [(other.theorem, other.delta, other.bits) for other in beside] == [
        ("occam_binomial", 0.01, made.ledger.bits)
    ]
    expected = occam_binomial(int(made.risk.errors), 120, made.ledger.bits, 0.01).value
    assert beside[0].value == expected <= made.bound.value
    assert pb.verify(made, data=clouds(), model=network()).stands


def test_a_theorem_about_counts_is_refused_for_another_loss_before_training() -> None:
    with pytest.raises(RequestError, match="occam_binomial holds for counted errors, got the loss 'error_probability'"):
        run(quick(theorem="occam_binomial"), loss="error_probability")


def test_held_out_examples_give_a_test_bound_and_never_touch_the_headline(certificate: pb.Certificate) -> None:
    held_out = examples(60, seed=1)
    made = run(GOOD, train=clouds(MANY), test=held_out)
    assert (made.bound, made.risk, made.message) == (certificate.bound, certificate.risk, certificate.message)
    (test,) = [other for other in made.also if other.kind == "bound"]
    assert (test.sample, test.theorem, test.n, test.bits) == ("test", "test_set", 60, 0)
    assert test.value == occam_binomial(int(test.errors), 60, 0, 0.05).value
    assert 0 <= test.errors < 30


def test_held_out_examples_may_lack_the_last_class_and_are_of_the_samples_type() -> None:
    x, y = clouds(90, 7)
    made = run(GOOD, train=clouds(MANY), test=(x[y < CLASSES - 1], y[y < CLASSES - 1]))
    assert [other.n for other in made.also if other.kind == "bound"] == [60]
    with pytest.raises(DataError, match=r"like those of training, \(6,\) float32 in 3 classes, got \(6,\) uint8"):
        run(test=((x * 10).to(torch.uint8), y))


@pytest.mark.parametrize("base", ["seeded", "values"])
def test_the_official_test_split_stands_only_beside_a_network_that_nobody_trained(base: str) -> None:
    asked = quick(base=base, d=4, batch=500)
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    made = pb.certify(net, "digits", request=asked, progress=False)
    assert [other.n for other in made.also if other.kind == "bound"] == ([360] if base == "seeded" else [])
    assert "had no part in the weights" not in render(made)
    if base == "values":
        vouched = pb.certify(net, "digits", test="digits", request=asked, progress=False)
        assert [other.n for other in vouched.also if other.kind == "bound"] == [360]
        assert "if its examples had no part in the weights that were handed over" in render(vouched)


def test_the_majority_class_stands_beside_the_bound() -> None:
    x, y = clouds(90)
    y[:20] = 1
    made = run(quick(), train=(x, y))
    (baseline,) = [other for other in made.also if other.kind == "baseline"]
    assert baseline.errors == 90 - int((y == 1).sum())


@pytest.mark.parametrize("loss", ["error_probability", "top_5"])
def test_other_losses_stand_too_with_held_out_examples(loss: str) -> None:
    made = run(loss=loss, test=examples(60, 1))
    assert made.risk.loss == loss
    assert made.bound.theorem == ("occam_kl" if loss == "error_probability" else "occam_binomial")
    result = pb.verify(made, data=clouds(), model=network())
    assert result.stands, result.reason


def test_a_loss_of_ones_own_stands_as_far_as_it_can_be_checked() -> None:
    made = run(loss=lambda logits, y: (logits.argmax(1) != y).float() / 2, test=examples(60, 1))
    assert (made.risk.loss, made.bound.theorem) == ("custom", "occam_kl")
    assert made.bound.value < 1
    assert pb.verify(made, level="message").stands
    with pytest.raises(RequestError, match="the loss 'custom'"):
        pb.verify(made, data=clouds(), model=network())


class Pairs(torch.utils.data.Dataset[tuple[np.ndarray, int]]):
    """A map-style data set of arrays."""

    x, y = clouds()

    def __len__(self) -> int:
        return 120

    def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
        if index >= 120:
            raise IndexError
        return self.x[index].numpy(), int(self.y[index])


def test_a_map_style_data_set_arrays_and_tensors_are_one_sample() -> None:
    x, y = Pairs.x, Pairs.y
    first = run(train=(x, y)).core_digest
    assert run(train=Pairs()).core_digest == first
    assert run(train=(x.numpy(), y.numpy())).core_digest == first
    assert run(train=torch.utils.data.TensorDataset(x, y)).core_digest == first


def test_a_reference_network_certifies_pixels_by_constants() -> None:
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(60) % 2
    x = torch.randint(0, 60, (60, 1, 4, 4), generator=generator, dtype=torch.uint8)
    x[y == 1, :, :2] += 150
    made = trained(prepare("cnn", (x, y), None, quick(d=16), "zero_one"))
    assert (made.hypothesis.model, made.hypothesis.preprocess.name) == ("cnn", "photo")
    result = pb.verify(made, data=(x, y))
    assert (result.stands, result.recount) == (True, made.risk)


def test_the_default_encoder_beats_guessing_and_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoding, "posterior_settings", brief)
    made = run(Request(d=32, epochs=8, batch=60), train=clouds(600))
    assert made.hypothesis.quantizer is not None
    assert made.hypothesis.quantizer.kind == "trellis"
    assert made.bound.value < 0.3
    assert pb.verify(made, data=clouds(600), model=network()).stands


@pytest.mark.parametrize(
    ("encoder", "name", "value"),
    [
        ("posterior", "step", 0.1),
        ("posterior", "levels", 9),
        ("posterior", "codebook_init", "uniform"),
        ("posterior", "code", ("static",)),
        ("posterior", "rate", 0.1),
        ("plain", "levels", 9),
        ("plain", "codebook_init", "uniform"),
        ("codebook", "step", 0.1),
        ("weights", "levels", 9),
    ],
)
def test_an_option_of_another_encoder_is_refused_and_not_ignored(encoder: str, name: str, value: object) -> None:
    with pytest.raises(RequestError, match=f"the {encoder} encoder has no use for {name}"):
        run(Request.model_validate({"d": None if encoder == "weights" else 8, "encoder": encoder, name: value}))


@pytest.mark.parametrize(("name", "value"), [("d", 8), ("projector", "dense"), ("layer_scale", False)])
def test_options_of_subspaces_are_refused_where_there_is_none(name: str, value: object) -> None:
    with pytest.raises(RequestError, match=f"--{name.replace('_', '-')} is of a subspace, and --encoder weights has"):
        run(Request.model_validate({"encoder": "weights", name: value}))


def test_the_paper_preset_runs_and_says_where_it_differs() -> None:
    request = pb.preset("lotfi2022").model_copy(update={"epochs": 4, "batch": 30, "d": 20})
    made = run(request)
    assert (made.bound.theorem, made.hypothesis.layer_scale) == ("catoni_grid", False)
    assert "occam_binomial" in [other.theorem for other in made.also if other.kind == "bound"]
    assert pb.verify(made, data=clouds(), model=network()).stands
    spec = prepare(network(), clouds(), None, request, "zero_one").projector
    assert spec == ProjectorSpec(kind="kron_qr", D=83, d=20)


ZOO = {
    "bf16": lambda: network().bfloat16(),
    "float64": lambda: network().double(),
    "frozen layer": lambda: _with(network(), lambda net: net[0].requires_grad_(False)),
    "batch norm": lambda: nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Linear(8, CLASSES)),
    "integer buffer": lambda: _with(network(), lambda net: net.register_buffer("steps", torch.tensor(3))),
}
LISTED = {"integer buffer": ("steps",)}


def _with(net: nn.Sequential, change: object) -> nn.Sequential:
    change(net)  # type: ignore[operator]
    return net


@pytest.mark.parametrize("name", ZOO)
def test_networks_of_the_zoo_are_certified_and_verified(name: str, tmp_path: Path) -> None:
    net = ZOO[name]()
    made = trained(prepare(net, clouds(), None, quick(frozen_buffers=LISTED.get(name, ())), "zero_one"))
    made.save(tmp_path / "c.json")
    result = pb.verify(tmp_path / "c.json", data=clouds(), model=net)
    assert result.stands, result.reason
    assert made.bound.value < 1


def test_a_float_buffer_that_is_named_is_certified_and_verified_and_one_that_is_not_is_refused() -> None:
    class Scaled(nn.Module):
        def __init__(self, factor: float) -> None:
            super().__init__()
            self.inner = network()
            self.register_buffer("factor", torch.tensor(factor))

        def forward(self, x: Tensor) -> Tensor:
            return self.inner(x * self.factor)

    with pytest.raises(pb.PacboundError, match="factor"):
        run(net=Scaled(0.5))
    made = run(quick(frozen_buffers=("factor",)), net=Scaled(0.5))
    assert pb.verify(made, data=clouds(), model=Scaled(0.5)).stands
    assert pb.verify(made, data=clouds(), model=Scaled(0.25)).failed == "network"


class Remembering(nn.Module):
    """A table of answers in an integer buffer, for which an encoder would have to pay."""

    def __init__(self, answers: Tensor) -> None:
        super().__init__()
        self.last = nn.Linear(6, CLASSES)
        self.register_buffer("answers", answers)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(x) + (torch.arange(CLASSES) == self.answers[0]).float()


@pytest.mark.parametrize("dtype", [torch.int64, torch.int8, torch.bool])
def test_no_buffer_of_any_type_enters_a_seeded_network_without_a_word(dtype: torch.dtype) -> None:
    net = nn.Sequential(network())
    net.register_buffer("answers", torch.ones(4).to(dtype))
    asked = quick(base="seeded")
    with pytest.raises(ModelError, match=r"answers belongs to .* list it: frozen_buffers=\('answers',\)"):
        run(asked, net=net)


def test_a_listed_buffer_is_declared_and_pinned() -> None:
    answers = torch.tensor([1, 2, 0])
    made = run(quick(base="seeded", frozen_buffers=("answers",)), net=Remembering(answers))
    assert any(line.startswith("the buffers of the network were fixed before") for line in made.declarations)
    assert made.hypothesis.base.constants is not None
    assert pb.verify(made, data=clouds(), model=Remembering(answers)).stands
    result = pb.verify(made, data=clouds(), model=Remembering(answers.flip(0)))
    assert result.failed == "network"
    assert "constants" not in run(quick(base="seeded")).hypothesis.base.model_dump(mode="json")


@pytest.mark.parametrize(
    ("net", "complaint"),
    [
        (nn.Linear(6, 2), r"\(batch, 3 or more\) for 3 classes, got torch.float32 \(2, 2\)"),
        (nn.Linear(5, 3), r"reads batches of examples \(6,\)"),
        (nn.Sequential(nn.Linear(6, 3), nn.Unflatten(1, (3, 1))), r"got torch.float32 \(2, 3, 1\)"),
        (nn.RNN(6, 3), "got tuple"),
    ],
)
def test_a_network_that_cannot_answer_is_refused_before_training(net: nn.Module, complaint: str) -> None:
    with pytest.raises(ModelError, match=complaint):
        run(net=net)


def test_grey_pictures_without_an_axis_of_channels_are_refused_with_the_axis_that_is_missing() -> None:
    x, y = torch.rand(60, 6, 6), torch.arange(60) % 3
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3))
    with pytest.raises(ModelError, match=r"examples \(6, 6\) .* It reads \(1, 6, 6\): store .* as x\[:, None\]"):
        run(train=(x, y), test=None, net=net)
    run(train=(x[:, None], y), test=None, net=net)
    with pytest.raises(ModelError, match="Bring a network for such inputs"):
        run(train=(x, y), test=None, net=nn.Sequential(nn.Flatten(), nn.Linear(6, 3)))


def test_more_outputs_than_classes_in_the_sample_are_no_obstacle() -> None:
    assert run(net=nn.Linear(6, 5)).bound.value <= 1


def test_a_test_sample_of_another_shape_is_refused() -> None:
    with pytest.raises(DataError, match=r"like those of training, \(6,\) float32 in 3 classes, got \(5,\)"):
        run(test=(torch.zeros(6, 5), torch.arange(6) % 3))


@pytest.mark.parametrize("share", [None, 0.5])
def test_test_examples_that_stand_in_the_sample_are_refused(share: float | None) -> None:
    x, y = clouds(MANY)
    for k in (0, MANY - 1):  # whichever part theta0 was trained on
        test = (torch.cat([examples(60, 1).x, x[k : k + 1]]), torch.cat([examples(60, 1).y, y[k : k + 1]]))
        with pytest.raises(DataError, match=r"the 61 test inputs .* 300 training examples, got 1 that stand in both"):
            run(GOOD.model_copy(update={"prior_share": share}), train=(x, y), test=test)


def test_training_that_diverges_is_refused_with_a_remedy() -> None:
    with pytest.raises(QuantizeError, match=r"[Ll]ower"):
        run(quick(rate=1e35))


def test_a_later_phase_that_fails_leaves_the_messages_of_earlier_ones(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    honest, calls = plain.to_lattice, [0]

    def second_time_broken(*arguments: object) -> object:
        calls[0] += 1
        if calls[0] > 1:
            raise QuantizeError("Lattice: broken for the test.")
        return honest(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(plain, "to_lattice", second_time_broken)
    made = run(GOOD, train=clouds(MANY))
    assert made.hypothesis.projector is not None
    assert "broken for the test. Going on with the messages of earlier phases." in caplog.text


@pytest.mark.parametrize("scale", [1e-6, 300.0])
def test_a_prior_scale_that_leaves_the_header_still_ends_in_a_certificate_that_stands(
    scale: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        encoding, "posterior_settings", lambda *a: two_blocks(*a).model_copy(update={"first_scale": scale})
    )
    made = run(Request(d=8, epochs=5, batch=60), train=clouds(MANY))
    assert pb.verify(made, data=clouds(MANY), model=network(), level="risk").require().stands


def test_examples_that_change_between_two_passes_are_refused() -> None:
    sample = examples()
    setup = prepare(network(), sample, None, quick(), "zero_one")
    sample.x[0, 0] += 1
    with pytest.raises(DataError, match="changed between two passes"):
        finish(setup, NOTHING, {}, False)


@pytest.mark.parametrize(
    ("n", "d"),
    [
        (1, 16),
        (130, 16),
        (178, 16),
        (419, 32),
        (1000, 128),
        (1437, 256),
        (2900, 256),
        (10_000, 512),
        (60_000, 1024),
        (10**6, 4096),
    ],
)
def test_the_default_dimension_is_near_5_6_roots_of_n_and_less_of_small_samples(n: int, d: int) -> None:
    assert default_dimension(n) == d


def test_a_subspace_is_never_larger_than_the_network() -> None:
    assert prepare(network(), clouds(), None, quick(d=5000), "zero_one").projector.d == 83


def test_a_budget_becomes_a_plan_of_epochs_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    setup = prepare(network(), clouds(), None, quick(epochs=None, budget=2.0), "zero_one")
    seconds = [1.5]
    monkeypatch.setattr(encoding, "seconds_an_epoch", lambda *_: seconds[0])
    checkpoint = Checkpoint(tmp_path / "s", setup.key)
    assert sum(plan_of(setup, checkpoint).epochs) == pytest.approx(80, abs=2)
    checkpoint.save({})
    seconds[0] = 0.01
    assert sum(plan_of(setup, Checkpoint(tmp_path / "s", setup.key)).epochs) == pytest.approx(80, abs=2)
    with pytest.raises(RequestError, match="not both"):
        plan_of(prepare(network(), clouds(), None, quick(budget=2.0), "zero_one"), Checkpoint(None, ""))


@pytest.mark.parametrize(
    ("encoder", "needed"), [("posterior", "1 times .* 0.71 minutes"), ("plain", "3 times .* 1.5 minutes")]
)
def test_a_budget_below_the_shortest_plan_is_refused_with_the_minutes_it_takes(
    encoder: str, needed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoding, "seconds_an_epoch", lambda *_: 30.0)
    setup = prepare(network(), clouds(), None, Request(encoder=encoder, d=8, budget=0.7), "zero_one")
    with pytest.raises(RequestError, match=f"passes {needed} on this machine, got a budget of 0.7"):
        plan_of(setup, Checkpoint(None, ""))


def test_a_budget_cuts_the_examples_of_the_curvature_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    setup = prepare(network(), clouds(), None, Request(d=8, budget=2.0), "zero_one")
    given: list[float] = []

    def within(rows: object, seconds: float, most: int, generator: object) -> int:
        given.append(seconds)
        assert most == 12 * 4 * 8  # four Fishers of 8 coefficients
        return 300

    monkeypatch.setattr(encoding, "examples_within", within)
    checkpoint = Checkpoint(tmp_path / "s", setup.key)
    for _ in range(2):
        plan = plan_of(setup, checkpoint)
        assert isinstance(plan, PosteriorSettings)
        assert plan.fisher_examples == 75  # a quarter of 300
    assert given == [pytest.approx(18.0)]


def test_a_state_belongs_to_one_request_one_network_and_one_sample(tmp_path: Path) -> None:
    def key(**changes: object) -> str:
        request = quick(**{k: v for k, v in changes.items() if k not in ("net", "data", "name")})
        return prepare(changes.get("net", network()), changes.get("data", clouds()), None, request, "zero_one").key

    x, y = clouds()
    pixels = (x.abs() * 20).to(torch.uint8).view(-1, 1, 6)
    keys = [
        key(), key(d=8), key(rate=0.01), key(base="values"), key(base="values", net=network(1)), key(net=named()),
        key(data=(x + 1, y)),
        key(data=pb.Examples("pixels", pixels, y, 3, "ink"), net=nn.Sequential(nn.Flatten(), network())),
        key(data=pb.Examples("pixels", pixels, y, 3, "photo"), net=nn.Sequential(nn.Flatten(), network())),
    ]  # fmt: skip
    assert key() == keys[0]
    assert len(set(keys)) == len(keys)
    Checkpoint(tmp_path / "s", keys[0]).save({})
    with pytest.raises(StateError, match="another request"):
        run(quick(d=8), state=tmp_path / "s")


def test_the_certificate_names_versions_and_seconds_and_no_place(certificate: pb.Certificate) -> None:
    environment = json.loads(certificate.to_json())["environment"]
    assert set(environment["versions"]) == {"pacbound", "torch", "numpy", "constriction", "python-flint", "python"}
    assert set(environment["seconds"]) == {"preparation", "checks", "training", "counting"}
    assert environment["epochs"] == GOOD.epochs
    assert re.search(r"/|\\\\", json.dumps(json.loads(certificate.to_json())["environment"])) is None


def test_tuned_data_pay_for_the_look_at_them() -> None:
    sample = pb.load("digits").subset(range(60))
    made = run(quick(d=8), net="mlp", train=sample)
    choices = [(entry.item, entry.bits) for entry in made.ledger.entries if entry.kind == "choice"]
    assert choices == [("package defaults", 8)]
    assert made.ledger.bits == made.message.bits + 8
