"""Method surrogate: what is composed, what must not reach what, and every refusal."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

import pacbound as pb
from pacbound.certificate.accounting import Comparison
from pacbound.data.inputs import Inputs
from pacbound.errors import DataError, ModelError, PacboundError, RequestError
from pacbound.methods import surrogate as method
from pacbound.methods.surrogate import distilled, fixed, refuse_followed_prior
from pacbound.methods.work import Work
from pacbound.networks.checkpoints import file_digest
from pacbound.networks.hypothesis import make_base
from pacbound.networks.original import check_answers, clear_answers, count_differing, load_original
from pacbound.pipeline.preparation import prepare
from pacbound.reports.show import render
from pacbound.specs.specs import PreprocessSpec
from tests.methods.task import M, N, arguments, certified, original, request, save_original, unlabelled
from tests.tiny import clouds, examples, network, quick

pytestmark = pytest.mark.usefixtures("brief_start")


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_original(tmp_path_factory.mktemp("original"))


@pytest.fixture(scope="module")
def certificate(file: Path) -> pb.Certificate:
    return certified(file)


def answers_by_hand(certificate: pb.Certificate) -> Tensor:
    """What the decoded surrogate answers to the unlabelled inputs."""
    from pacbound.models.loading import load_model
    from pacbound.networks.hypothesis import Hypothesis

    base = make_base(load_model("mlp", (6,), 3)[0], 0)
    return Hypothesis.unpack(certificate.payload(), certificate.hypothesis, base)(unlabelled()).argmax(1)


def test_the_certificate_is_about_the_file_and_stands_at_every_level(file: Path, certificate: pb.Certificate) -> None:
    result = pb.verify(certificate, **arguments(file)).require()
    assert result.level == "risk"
    assert {"checkpoint", "network", "errors", "inputs", "overlap", "original", "disagreement"} <= set(result.passed)
    part = certificate.comparison
    assert part is not None
    assert f"the original network, whose file has SHA-256 {part.original.sha256}, on new data" in certificate.statement
    assert f"m = {M:,} unlabelled inputs" in certificate.statement
    assert certificate.bound.theorem == "disagreement"
    assert certificate.hypothesis.base.kind == "seeded"


def test_the_count_is_that_of_both_networks_and_the_sum_that_of_both_parts(certificate: pb.Certificate) -> None:
    one, other = certificate.parts
    theirs = original()(unlabelled()).argmax(1)
    assert certificate.comparison is not None
    assert certificate.comparison.differing == int((answers_by_hand(certificate) != theirs).sum()) > 0
    assert certificate.bound.value == pytest.approx(one.value + other.value, abs=1e-15)
    assert one.delta + other.delta <= 0.05


def test_both_parts_pay_for_the_split_and_the_looks(file: Path, certificate: pb.Certificate) -> None:
    bits = {entry.item: (entry.kind, entry.bits) for entry in certificate.entries}
    assert bits["split of delta"] == ("choice", 4)
    assert bits["looks"] == ("choice", 1)
    assert certificate.comparison is not None
    assert certificate.comparison.bits == 5
    later = certified(file, earlier_looks=2)
    # the third look: 3 * 4 for its share, and (m + 1)^2 outcomes of the two counts before it
    assert next(entry.bits for entry in later.entries if entry.item == "looks") == int(
        np.ceil(np.log2(12 * (M + 1) ** 2))
    )
    assert later.bound.value > certificate.bound.value
    assert later.payload() == certificate.payload()


def test_copies_among_the_unlabelled_inputs_are_refused(file: Path) -> None:
    with pytest.raises(DataError, match=rf"got {M:,} unlabelled inputs .*--repeats"):
        certified(file, inputs=unlabelled().repeat(2, 1))


def test_defaults_tuned_on_either_sample_are_paid() -> None:
    from pacbound.bits.ledger import Ledger
    from pacbound.certificate.accounting import complete
    from tests.forge import spec_of

    def items(data: str, inputs: str) -> list[str]:
        return [e.item for e in complete(Ledger(), spec_of(8), data, "", compared=Comparison(inputs, 10, 1)).entries]

    assert "package defaults" in items("mine", "mnist")
    assert "package defaults" in items("mnist", "mine")
    assert "package defaults" not in items("mine", "mine")


def always(answer: int) -> Callable[[Tensor], Tensor]:
    """An original of one answer."""
    return lambda x: torch.full((len(x),), answer)


def test_the_original_steers_the_encoder_and_nothing_that_is_fixed_before() -> None:
    work = Work(network(), None, None, None, request(Path(__file__)), None, None, None, False)
    train = examples(N)
    one, other = (distilled(work, train, always(answer)) for answer in (0, 1))
    assert torch.equal(one.base.theta0, other.base.theta0)
    assert one.projector == other.projector
    assert one.base.origin == other.base.origin
    assert one.key != other.key  # an unfinished run of one is not gone on with by the other
    assert torch.equal(one.train.y, train.y), "errors are counted on the labels"


def test_theta0_of_a_split_learns_the_labels_of_its_part_and_the_original_answers_for_the_rest_alone() -> None:
    work = Work(network(), None, None, None, request(Path(__file__), prior_share=0.25), None, None, None, False)
    asked: list[Tensor] = []

    def answer(x: Tensor) -> Tensor:
        asked.append(x)
        return torch.full((len(x),), len(asked))

    one, other = (distilled(work, examples(N), answer) for _ in range(2))
    assert one.split is not None
    assert [len(x) for x in asked] == [one.train.n, one.train.n] == [N - N // 4] * 2
    assert all(torch.equal(x, one.split.rest.x) for x in asked)
    assert (one.base.origin, one.theta0) == (other.base.origin, other.theta0)
    flipped = replace(examples(N), y=(examples(N).y + 1) % 3)
    assert distilled(work, flipped, answer).theta0 != one.theta0, "labels are what theta0 learns"


def test_the_surrogate_reads_inputs_in_its_own_way() -> None:
    chosen = request(Path(__file__), preprocess="photo", surrogate_preprocess="ink")
    work = Work(network(), None, None, None, chosen, None, None, None, False)
    pixels = replace(examples(N), x=(40 * clouds(N)[0] + 100).clamp(0, 255).to(torch.uint8))
    assert fixed(work, pixels, "subspace").preprocess.name == "ink"


def test_theta0_that_could_follow_the_original_is_refused(file: Path) -> None:
    work = Work(network(), None, None, None, request(file), None, None, None, False)
    setup, theirs = distilled(work, examples(N), always(0)), file_digest(file)
    values = replace(setup, base=make_base(original(), None))
    with pytest.raises(RequestError, match=r"must not follow the original.*theta0 from values"):
        refuse_followed_prior(values, theirs)
    weights = prepare(network(), clouds(N), None, quick(checkpoint=str(file), disjoint=True, model="user"), "zero_one")
    with pytest.raises(RequestError, match="theta0 from checkpoint"):
        refuse_followed_prior(weights, theirs)
    refuse_followed_prior(weights, "0" * 64)
    with pytest.raises(RequestError, match="in the network 'user'"):
        refuse_followed_prior(replace(setup, model="user"), theirs)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"checkpoint": None}, "the original network comes from a file"),
        ({"base": "values"}, "never theta0 of the surrogate"),
        ({"disjoint": True}, "never theta0 of the surrogate"),
        ({"new_head": True}, "never theta0 of the surrogate"),
        ({"surrogate": "mymodule:net"}, "auto, one of lenet"),
        ({"loss": "top_5"}, "the loss is zero_one"),
        ({"posterior": "draw"}, "decoded and bounded by occam_binomial"),
        ({"surrogate_checkpoint": "w.pt"}, "no network for them"),
        ({"surrogate": "tests.tiny:network", "surrogate_checkpoint": "w.pt"}, "say it with --disjoint"),
        ({"start_minutes": 1}, "Give --prior-share"),
        ({"theorem": "catoni_grid"}, "decoded and bounded by occam_binomial"),
    ],
)
def test_what_has_no_meaning_beside_a_surrogate_is_refused(file: Path, options: dict[str, Any], complaint: str) -> None:
    with pytest.raises(RequestError, match=complaint):
        pb.certify(
            network(), clouds(N), unlabelled=unlabelled(), progress=False,
            request=quick(**{"method": "surrogate", "checkpoint": str(file), "earlier_looks": 0, **options}),
        )  # fmt: skip


def test_the_network_and_the_inputs_must_be_named(file: Path) -> None:
    with pytest.raises(RequestError, match="name its network with --model"):
        pb.certify("auto", clouds(N), unlabelled=unlabelled(), request=request(file))
    with pytest.raises(RequestError, match="Give --unlabelled, such as mnist:test:1/2"):
        pb.certify(network(), clouds(N), request=request(file))


@pytest.mark.parametrize("options", [{"surrogate": "lenet"}, {"earlier_looks": 1}, {"surrogate_checkpoint": "w.pt"}])
def test_the_options_of_a_surrogate_are_refused_elsewhere(options: dict[str, Any]) -> None:
    with pytest.raises(RequestError, match="goes with --method surrogate"):
        pb.certify(network(), clouds(N), request=quick(**options))
    with pytest.raises(RequestError, match="--unlabelled goes with --method surrogate"):
        pb.certify(network(), clouds(N), request=quick(), unlabelled=unlabelled())


def test_one_input_of_the_sample_among_the_unlabelled_is_refused(file: Path) -> None:
    inputs = unlabelled()
    inputs[77] = clouds(N)[0][5]
    with pytest.raises(DataError, match=r"unlabelled inputs .* got 1 that stand in both"):
        certified(file, inputs)
    with pytest.raises(DataError, match=f"got {N} that stand in both"):
        certified(file, clouds(N)[0])


@pytest.mark.parametrize("among", ["training examples", "unlabelled inputs"])
def test_one_example_of_the_sample_or_the_unlabelled_among_the_test_examples_is_refused(file: Path, among: str) -> None:
    x, y = clouds(90, 11)
    other = clouds(N)[0] if among == "training examples" else unlabelled()
    test = (torch.cat([x, other[:1]]), torch.cat([y, y[:1]]))
    with pytest.raises(DataError, match=rf"91 test inputs .* {among}, got 1 that stand in both"):
        pb.certify(network(), clouds(N), test=test, unlabelled=unlabelled(), request=request(file), progress=False)


@pytest.mark.parametrize("inputs", [torch.zeros(5, 7), torch.full((5, 6), float("nan")), torch.zeros(5, 6).long()])
def test_inputs_of_another_shape_or_kind_are_refused(file: Path, inputs: Tensor) -> None:
    with pytest.raises(DataError):
        certified(file, inputs)


def test_labels_beside_the_inputs_are_never_read(file: Path, certificate: pb.Certificate, tmp_path: Path) -> None:
    class Poison:
        def __getattribute__(self, name: str) -> object:
            raise AssertionError(f"a label was asked for {name}")

    poisoned = certified(file, (unlabelled(), Poison()))
    assert poisoned.core_digest == certificate.core_digest


def test_a_network_that_does_not_fit_its_file_or_the_data_is_refused(file: Path) -> None:
    def attempt(module: nn.Module) -> None:
        pb.certify(module, clouds(N), unlabelled=unlabelled(), request=request(file), progress=False)

    with pytest.raises(ModelError, match="has the parameters of"):
        attempt(nn.Linear(6, 3))
    with pytest.raises(PacboundError):
        attempt(nn.Sequential(nn.Flatten(0), nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3)))


def test_near_ties_and_broken_numbers_of_either_network_count_as_differing() -> None:
    logits = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0 - 5e-5], [float("nan"), 1.0], [1.0, float("inf")]])
    assert clear_answers(logits).tolist() == [0, 1, -1, -1, -1]
    inputs = Inputs("mine", torch.eye(2)[[0, 1, 0]])

    def near(x: Tensor) -> Tensor:
        return torch.ones(len(x), 2)

    def clear(x: Tensor) -> Tensor:
        return x

    from pacbound.certificate.parts import OriginalNetwork
    from pacbound.networks.original import Original

    def as_original(function: nn.Module) -> Original:
        return Original(function, OriginalNetwork(sha256="0" * 64, values="0" * 64, model="user"))

    class Swapped(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.flip(1)

    assert count_differing(clear, as_original(nn.Identity()), inputs, False) == 0
    assert count_differing(near, as_original(nn.Identity()), inputs, False) == 3
    assert count_differing(near, as_original(_Ones()), inputs, False) == 3, "two ties are no agreement"
    assert count_differing(clear, as_original(Swapped()), inputs, False) == 3


def test_an_original_that_looks_at_its_neighbours_late_in_the_inputs_is_refused() -> None:
    from pacbound.certificate.parts import OriginalNetwork
    from pacbound.networks.original import Original

    class Late(nn.Module):
        """The answer of another input of the batch, where one of the last inputs stands in it."""

        def forward(self, x: Tensor) -> Tensor:
            return x.roll(1, 0) if bool((x.abs() > 2).any()) else x

    inputs = Inputs("mine", torch.cat([torch.eye(2).repeat(300, 1), torch.tensor([[3.0, 0.0]])]))
    late = Original(Late(), OriginalNetwork(sha256="0" * 64, values="0" * 64, model="user"))
    for pair in ((lambda x: x, late), (late, late)):
        with pytest.raises(ModelError, match="other inputs of its batch"):
            count_differing(*pair, inputs, False)


def test_inputs_on_which_the_networks_differ_in_any_pass_count() -> None:
    from pacbound.certificate.parts import OriginalNetwork
    from pacbound.networks.original import Original

    def shaky(x: Tensor) -> Tensor:
        """A clear winner in batches; alone a near tie, moved by less than half its margin."""
        return torch.stack([torch.ones(len(x)), 1 - 1.3e-4 + 0.4e-4 * (len(x) == 1) * x[:, 0]], 1)

    def settled(x: Tensor) -> Tensor:
        """The other way round."""
        return torch.stack([torch.ones(len(x)), 1 - 0.9e-4 - 0.4e-4 * (len(x) == 1) * x[:, 0]], 1)

    class First(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.tensor([[1.0, 0.0]]).expand(len(x), 2)

    first = Original(First(), OriginalNetwork(sha256="0" * 64, values="0" * 64, model="user"))
    inputs = Inputs("mine", torch.eye(2)[[0, 1, 0, 0, 1]])
    assert count_differing(shaky, first, inputs, False) == 3
    assert count_differing(settled, first, inputs, False) == 5


class _Ones(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.ones(len(x), 2)


def test_the_original_is_not_touched_and_read_in_float32(file: Path) -> None:
    module = network(5).double()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    loaded = load_original(module, "user", file, (), PreprocessSpec())
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    x = clouds(4)[0]
    assert torch.equal(loaded(x), original()(x).detach())


def test_another_state_dict_of_the_same_file_is_not_the_original(tmp_path: Path) -> None:
    """Both answer alike, so that only their values tell them apart."""
    state = original().state_dict()
    twin = {name: value * (1 + 1e-6) for name, value in state.items()}
    torch.save({"model": state, "ema": twin}, tmp_path / "two.pt")
    made = certified(tmp_path / "two.pt", key="model")
    given = arguments(tmp_path / "two.pt")
    assert pb.verify(made, **given, key="model").stands
    result = pb.verify(made, **given, key="ema")
    assert (result.failed, "--key" in str(result.reason)) == ("original", True)


def test_a_repeated_run_is_the_same_look_and_another_surrogate_the_next(file: Path, tmp_path: Path) -> None:
    state = tmp_path / "state"

    def looks(**options: Any) -> int:
        made = pb.certify(
            network(), clouds(N), unlabelled=unlabelled(), request=request(file, **options), state=state, progress=False
        )
        assert made.comparison is not None
        return made.comparison.looks

    assert looks() == 1
    assert looks() == 1  # the state is kept: the same surrogate is compared again


def test_another_file_of_theta0_under_the_same_message_is_another_look(file: Path, tmp_path: Path) -> None:
    """Nothing is trained, so that both messages are w = 0, which says nothing of the file it starts from."""

    def made(seed: int) -> pb.Certificate:
        start = save_file_of(seed, tmp_path / f"{seed}.pt")
        options = {"surrogate": "h8-R-L", "surrogate_checkpoint": str(start), "disjoint": True, "rate": 1e-9}
        asked = request(file, **options).model_copy(update={"epochs": 1})
        return pb.certify(
            network(),
            clouds(N),
            unlabelled=unlabelled(),
            request=asked,
            state=tmp_path / f"{seed}.state",
            progress=False,
        )

    one, other = made(1), made(2)
    assert one.payload() == other.payload()
    assert one.comparison is not None
    assert other.comparison is not None
    assert one.comparison.differing != other.comparison.differing
    assert (one.comparison.looks, other.comparison.looks) == (1, 2)


def save_file_of(seed: int, path: Path) -> Path:
    """Write some theta0 of the network h8-R-L."""
    from pacbound.models.loading import load_model

    start = load_model("h8-R-L", (6,), 3)[0]
    values = dict(zip(start.state_dict(), original(seed).state_dict().values(), strict=True))
    torch.save(values, path)
    return path


def test_held_out_labels_give_the_simple_bound_and_a_plain_sentence(file: Path, certificate: pb.Certificate) -> None:
    held_out = pb.certify(
        network(), clouds(N), test=clouds(90, 11), unlabelled=unlabelled(), request=request(file), progress=False
    )
    other = held_out.also[0]
    x, y = clouds(90, 11)
    assert other.errors == int((original()(x).argmax(1) != y).sum())
    assert (other.kind, other.n) == ("bound", 90)
    assert other.value < held_out.bound.value
    assert "here the simple bound is the better one" in render(held_out)
    assert "simple bound" not in render(certificate)
    assert held_out.stated_bound == certificate.stated_bound
    shown = " ".join(render(certificate).split())
    assert "It is about the original network in float32" in shown
    assert "surrogate's risk at most" in shown
    assert "both differ with probability at most" in shown


class Collects(nn.Module):
    """Takes off the mean of the first batch that it ever sees."""

    mean: torch.Tensor | None = None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.mean is None:
            self.mean = x.mean(0)
        return x - self.mean


def test_an_original_that_remembers_what_it_was_asked_is_refused() -> None:
    from pacbound.certificate.parts import OriginalNetwork
    from pacbound.networks.original import Original

    remembers = Original(Collects(), OriginalNetwork(sha256="0" * 64, values="0" * 64, model="user"))
    with pytest.raises(ModelError, match="follow from what it was asked before"):
        check_answers(remembers, torch.randn(50, 3), 3)


@pytest.fixture(scope="module")
def split(file: Path) -> pb.Certificate:
    return certified(file, prior_share=0.5)


def saved(certificate: pb.Certificate, folder: Path) -> Path:
    certificate.save(folder / "made.json")
    return folder / "made.json"


def said(certificate: pb.Certificate) -> set[str]:
    return {entry.item for entry in certificate.entries if entry.kind == "declared"}


def test_a_surrogate_from_half_of_the_sample_stands_and_is_bounded_on_the_rest(
    file: Path, split: pb.Certificate, certificate: pb.Certificate, tmp_path: Path
) -> None:
    result = pb.verify(saved(split, tmp_path), **arguments(file)).require()
    assert {"split", "overlap", "errors", "disagreement"} <= set(result.passed)
    part = split.hypothesis.base.split
    assert part is not None
    assert (part.first, part.rest, split.risk.n, split.data.n) == (N // 2, N // 2, N // 2, N // 2)
    assert f"apart from {N // 2} others that theta0 was trained on, the error of the original network" in (
        split.statement
    )
    assert {"theta0", "labels", "inputs"} <= said(split)
    assert not {"labels", "apart"} & said(certificate)
    assert split.bound.value < certificate.bound.value


def test_an_input_that_theta0_saw_among_the_unlabelled_is_refused_and_caught(
    file: Path, split: pb.Certificate, tmp_path: Path
) -> None:
    from pacbound.data.registry import load_any, load_inputs
    from pacbound.data.split import split_examples
    from tests.forge import Document, forge

    part = split.hypothesis.base.split
    assert part is not None
    inputs = unlabelled()
    inputs[3] = split_examples(load_any(clouds(N)), part.seed, part.parts).first.x[0]
    with pytest.raises(DataError, match="got 1 that stand in both"):
        certified(file, inputs, prior_share=0.5)

    def edit(document: Document) -> None:
        document["parts"][1]["inputs"].update(digest=load_inputs(inputs).digest())

    split.save(tmp_path / "honest.json")
    forged = forge(split, edit, tmp_path / "forged.json")
    assert pb.verify(forged, **{**arguments(file), "unlabelled": inputs}).failed == "overlap"


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights that were trained on other examples than the sample and the inputs."""
    from safetensors.torch import save_file

    path = tmp_path_factory.mktemp("backbone") / "backbone.safetensors"
    module = network(4)
    x, y = clouds(400, 21)
    adam = torch.optim.Adam(module.parameters(), 0.02)
    for _ in range(60):
        adam.zero_grad()
        nn.functional.cross_entropy(module(x), y).backward()
        adam.step()
    save_file(module.state_dict(), path)
    return path


OWN = {"surrogate": "tests.tiny:network", "disjoint": True}


def test_a_surrogate_may_start_from_a_disjoint_checkpoint_of_a_network_of_ones_own(
    file: Path, backbone: Path, tmp_path: Path
) -> None:
    made = certified(file, surrogate_checkpoint=str(backbone), **OWN)
    assert (made.hypothesis.base.kind, made.hypothesis.base.sha256) == ("checkpoint", file_digest(backbone))
    assert {"architecture", "checkpoint", "apart", "inputs"} <= said(made)
    given = {**arguments(file), "surrogate": network()}
    with pytest.raises(RequestError, match="--surrogate-checkpoint"):
        pb.verify(made, **given)
    with pytest.raises(RequestError, match=r"the network of the surrogate \(--surrogate\)"):
        pb.verify(made, **arguments(file), surrogate_checkpoint=backbone)
    assert pb.verify(made, **given, surrogate_checkpoint=backbone).require().level == "risk"
    assert pb.verify(made, **given, surrogate_checkpoint=file).failed == "surrogate's checkpoint"


def test_a_checkpoint_may_be_trained_further_on_a_share_of_the_sample(
    file: Path, backbone: Path, tmp_path: Path
) -> None:
    made = certified(file, surrogate_checkpoint=str(backbone), prior_share=0.25, **OWN)
    base = made.hypothesis.base
    assert base.split is not None
    assert (base.kind, base.split.checkpoint) == ("split", file_digest(backbone))
    assert {"architecture", "theta0", "start", "labels", "apart"} <= said(made)
    assert pb.verify(saved(made, tmp_path), **arguments(file), surrogate=network()).require().level == "risk"


def test_the_original_is_no_start_of_its_surrogate(file: Path) -> None:
    with pytest.raises(RequestError, match="must not follow the original"):
        certified(file, surrogate_checkpoint=str(file), **OWN)
    with pytest.raises(RequestError, match="must not follow the original"):
        certified(file, surrogate_checkpoint=str(file), prior_share=0.5, **OWN)


def test_the_original_saved_again_in_another_form_is_no_start_of_its_surrogate(file: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.pt"
    torch.save({"state_dict": {f"module.{name}": value for name, value in load_file(file).items()}}, again)
    with pytest.raises(RequestError, match="numbers of the original in another form"):
        certified(file, surrogate_checkpoint=str(again), **OWN)


def test_a_certificate_whose_start_is_the_original_in_another_form_does_not_stand(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    again = tmp_path / "again.pt"
    torch.save(load_file(file), again)
    with monkeypatch.context() as patched:
        patched.setattr(method, "contents_digest", lambda path, key=None: str(path))
        made = certified(file, surrogate_checkpoint=str(again), **OWN)
    result = pb.verify(made, **arguments(file), surrogate=network(), surrogate_checkpoint=again)
    assert result.failed == "network"
    assert "numbers of the original" in (result.reason or "")
