"""A learner of the head of a frozen network: what reaches the head is computed once, and nothing else changes."""

import hashlib
from pathlib import Path

import pytest
import torch
from safetensors.torch import load

import pacbound as pb
from pacbound.methods.table import certify
from pacbound.networks.trained import train_only
from pacbound.picking.selection import Selection
from pacbound.request.request import Request
from tests.picking.task import PLAIN, noisy, recipe
from tests.pipeline.test_trained_part import net

EXAMPLES = noisy(100)


def selection(**fields: object) -> Selection:
    return Selection(train_only(net(), "head.*"), EXAMPLES, PLAIN, recipe(**fields))


def test_the_same_examples_are_picked_and_the_same_network_is_made_as_by_asking_the_whole() -> None:
    quick, slow = selection(), selection()
    slow.frozen, slow.theta0 = None, slow.whole
    ends = [list(one.rounds(5, progress=False))[-1] for one in (quick, slow)]
    assert ends[0].picked.tolist() == ends[1].picked.tolist()
    files = [load(one.file_of(end)) for one, end in zip((quick, slow), ends, strict=True)]
    assert files[0].keys() == files[1].keys()
    for name, tensor in files[0].items():
        assert torch.allclose(tensor, files[1][name], atol=1e-4), name


def test_what_is_frozen_stays_what_theta0_is_running_statistics_included() -> None:
    for chosen in (selection(), selection(order="worst")):
        *_, last = chosen.rounds(3, progress=False)
        made, start = load(chosen.file_of(last)), net().state_dict()
        frozen = [name for name in start if name.startswith("body.")]
        assert all(torch.equal(made[name], start[name]) for name in frozen)
        assert not torch.equal(made["head.2.weight"], start["head.2.weight"])


def test_the_frozen_part_is_asked_about_each_example_once() -> None:
    chosen = selection()
    assert chosen.frozen is not None
    asked: list[int] = []
    chosen.frozen.module.body.register_forward_pre_hook(lambda part, given: asked.append(len(given[0])))
    list(chosen.rounds(4, progress=False))
    assert sum(asked) - 3 == EXAMPLES.n  # one and two are asked about first, to size the batches


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("picks") / "c.json"
    request = Request.model_validate(
        {
            "method": "picks",
            "base": "values",
            "train": "head.*",
            "pick_steps": 25,
            "pick_epochs": 0,
            "pick_first": 8,
            "max_picks": 20,
        }
    )
    certify(net(), EXAMPLES, request=request, state=path.with_suffix(".state"), progress=False).save(path)
    return path


def test_its_certificate_stands_at_level_replay_and_holds_the_whole_network(certificate: Path) -> None:
    verdict = pb.verify(certificate, data=EXAMPLES, model=net(), level="replay")
    assert verdict.stands
    assert verdict.replay is not None
    assert verdict.replay.reproduced
    made = pb.Certificate.load(certificate)
    assert made.hypothesis.train == "head.*"
    assert made.hypothesis.quantizer.recipe.augmentation == "none"
    raw = made.beside()
    assert hashlib.sha256(raw).hexdigest() == made.hypothesis.quantizer.sha256
    assert load(raw).keys() == net().state_dict().keys()


def test_what_reached_the_head_lies_beside_it_for_another_run(certificate: Path) -> None:
    (kept,) = certificate.parent.glob("frozen-*.npy")
    assert kept.stat().st_size > EXAMPLES.n * 4 * 4
