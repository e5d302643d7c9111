"""Method picks end to end: what a certificate of it holds, where theta0 may come from, and every refusal."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

import pacbound as pb
from pacbound.bounds.inversion import binomial_tail_inverse, preference_inverse
from pacbound.errors import ModelError, RequestError
from pacbound.methods.picks import recipe_of
from pacbound.networks.frozen import freeze_network, thaw_network
from pacbound.request.request import Request
from tests.methods.task import N, original, save_original, unlabelled
from tests.tiny import clouds, network

pytestmark = pytest.mark.usefixtures("brief_start")


def asked(**options: object) -> Request:
    quick = {"pick_first": 8, "pick_growth": 8, "pick_steps": 25, "pick_epochs": 1, "max_picks": 40}
    return Request.model_validate({"method": "picks", **quick, **options})


@pytest.fixture(scope="module")
def certificate() -> pb.Certificate:
    return pb.certify(network(), clouds(N), request=asked(), progress=False)


def test_it_stands_and_is_made_again_bit_for_bit(certificate: pb.Certificate) -> None:
    counted = pb.verify(certificate, clouds(N), network()).require()
    assert counted.level == "risk"
    again = pb.verify(certificate, clouds(N), network(), level="replay").require()
    assert again.replay is not None
    assert again.replay.reproduced
    assert again.replay.value == certificate.bound.value
    words = ["the learner of the recipe" in " ".join(one.unchecked) for one in (counted, again)]
    assert words == [True, False]  # the author's word, until it is run again


def test_the_file_beside_it_is_the_network_that_was_counted(certificate: pb.Certificate) -> None:
    module, (x, y), part = network(seed=3), clouds(N), certificate.picks
    assert part is not None
    thaw_network(module, certificate.beside())
    wrong = module(x).argmax(1) != y
    outside = torch.ones(N, dtype=torch.bool)
    outside[torch.from_numpy(part.order(N))] = False
    assert (certificate.risk.errors, part.errors) == (int(wrong.sum()), int((wrong & outside).sum()))
    assert certificate.bound.value == preference_inverse(part.picked + part.errors, N, certificate.ledger.bits, 0.05)


def test_the_classical_bound_stands_beside_and_is_no_smaller(certificate: pb.Certificate) -> None:
    beside = next(other for other in certificate.also if getattr(other, "theorem", "") == "picks_classical")
    assert 1 >= beside.value > certificate.bound.value  # type: ignore[union-attr]


def test_theta0_may_be_trained_on_a_share_of_the_sample() -> None:
    made = pb.certify(network(), clouds(N), request=asked(prior_share=0.5, max_picks=12), progress=False)
    assert (made.data.n, made.hypothesis.base.kind) == (N // 2, "split")
    assert pb.verify(made, clouds(N), network(), level="replay").require().stands
    assert "apart from 120 others that theta0 was trained on" in made.statement


@pytest.mark.parametrize("new_head", [False, True])
def test_theta0_may_be_a_checkpoint_that_has_not_seen_the_sample(tmp_path: Path, new_head: bool) -> None:
    file = tmp_path / "theta0.safetensors"
    file.write_bytes(freeze_network(original()))
    request = asked(checkpoint=str(file), disjoint=True, new_head=new_head, max_picks=12)
    made = pb.certify(network(), clouds(N, seed=5), request=request, progress=False)
    assert pb.verify(made, clouds(N, seed=5), network(), level="replay", checkpoint=file).require().stands
    assert made.picks is not None
    first = made.picks.rounds[0]  # of theta0, before anything is picked: good as it is, unless its head is new
    assert first.picked == 0
    assert (first.left(N) < N / 10) is not new_head


def test_a_picked_network_stands_in_for_an_original_and_sees_true_labels_alone(tmp_path: Path) -> None:
    file = save_original(tmp_path)
    said = {"method": "surrogate", "surrogate": "h8-R-L", "earlier_looks": 0, "surrogate_by": "picks"}
    request = asked(checkpoint=str(file), max_picks=12, **said)
    made = pb.certify(network(), clouds(N), unlabelled=unlabelled(), request=request, progress=False)
    given = {"data": clouds(N), "model": network(), "checkpoint": file, "unlabelled": unlabelled()}
    assert pb.verify(made, **given).require().level == "risk"
    assert pb.verify(made, **given, level="replay").require().stands
    (one, other), part = made.parts, made.picks
    assert part is not None
    bits = made.ledger.bits
    assert one.value == preference_inverse(part.picked + part.errors, N, bits, one.delta)
    assert other.value == binomial_tail_inverse(other.differing, other.inputs.m, other.bits, other.delta)  # type: ignore[union-attr]
    assert one.value + other.value <= made.bound.value <= one.value + other.value + 1e-12
    assert {entry.item for entry in made.entries} >= {"recipe", "stop", "split of delta", "looks"}
    # another original, the same labels: the same picks
    save_file(network(seed=9).state_dict(), file)
    twin = pb.certify(network(), clouds(N), unlabelled=unlabelled(), request=request, progress=False)
    assert twin.picks == part
    assert twin.beside() == made.beside()


@pytest.mark.parametrize("option", [{"d": 16}, {"encoder_seeds": 2}, {"theorem": "occam_binomial"}])
def test_a_picked_network_that_stands_in_has_no_use_for_options_of_codes_either(option: dict, tmp_path: Path) -> None:
    said = {"method": "surrogate", "surrogate": "h8-R-L", "earlier_looks": 0, "surrogate_by": "picks"}
    request = asked(checkpoint=str(save_original(tmp_path)), **said, **option)
    with pytest.raises(RequestError, match="is for networks that are coded"):
        pb.certify(network(), clouds(N), unlabelled=unlabelled(), request=request, progress=False)


def test_a_seed_is_paid_for_and_picks_other_examples(certificate: pb.Certificate) -> None:
    other = pb.certify(network(), clouds(N), request=asked(seed=1), progress=False)
    bits = [{e.item: e.bits for e in made.entries}["recipe"] for made in (certificate, other)]
    assert bits[1] == bits[0] + 2
    assert other.picks is not None
    assert certificate.picks is not None
    assert other.picks.order(N).tolist() != certificate.picks.order(N).tolist()


def test_at_most_so_many_are_picked_and_a_short_budget_stops_before_the_first() -> None:
    few = pb.certify(network(), clouds(N), request=asked(max_picks=10), progress=False)
    assert few.picks is not None
    assert max(one.picked for one in few.picks.rounds) <= 10
    none = pb.certify(network(), clouds(N), request=asked(budget=1e-9), progress=False)
    assert none.picks is not None
    assert [one.picked for one in none.picks.rounds] == [0]
    assert pb.verify(none, clouds(N), network(), level="replay").require().stands


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"d": 16}, "--d is for networks that are coded"),
        ({"epochs": 3}, "--epochs is for networks that are coded"),
        ({"theorem": "occam_kl"}, "--theorem is for networks that are coded"),
        ({"loss": "error_probability"}, "the loss is zero_one"),
        ({"pick_growth": 7}, "growth is one of .*, got 7"),
        ({"surrogate_by": "picks"}, "--surrogate-by goes with --method surrogate"),
        ({"checkpoint": "nowhere.pt"}, "say it with --disjoint"),
    ],
)
def test_what_it_cannot_use_is_refused(options: dict[str, object], said: str) -> None:
    with pytest.raises(RequestError, match=said):
        pb.certify(network(), clouds(N), request=asked(**options), progress=False)


def test_a_learning_that_leaves_the_numbers_is_refused() -> None:
    x, y = clouds(N)
    with pytest.raises(ModelError, match="Give a lower --pick-rate"):
        pb.certify(network(), (x * 8e37, y), request=asked(pick_rate=30000), progress=False)


def test_the_recipe_follows_the_shape_where_nobody_says() -> None:
    shapes: dict[tuple[int, ...], str] = {
        (6,): "none",
        (28, 28): "elastic",
        (1, 8, 8): "elastic",
        (3, 32, 32): "flip_crop",
    }
    assert {shape: recipe_of(asked(), shape).augmentation for shape in shapes} == shapes
    with pytest.raises(RequestError, match="is for images"):
        pb.certify(network(), clouds(N), request=asked(augmentation="affine"), progress=False)
