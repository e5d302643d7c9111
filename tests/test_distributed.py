"""Several processes on one run: they divide the work without remainder or repetition, and end as one would."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

import pacbound as pb
from pacbound.distributed import alike, each, first, leads, processes, refuse_several, share, summed, turns
from pacbound.errors import QuantizeError
from pacbound.networks.hypothesis import make_base, make_subspace
from pacbound.networks.passes import readings
from pacbound.networks.risk import evaluate
from pacbound.pipeline import encoding
from pacbound.specs.specs import ProfileSpec, ProjectorSpec
from pacbound.subspace import curvature as curvatures
from pacbound.subspace.curvature import Rows, curvature
from pacbound.subspace.low_rank import low_rank_curvature
from pacbound.subspace.subspace import Subspace
from pacbound.training.fit import Sample
from pacbound.training.joint import batch_loss
from pacbound.training.refine import best_point, refine
from pacbound.training.rounding import prices_of
from pacbound.training.settings import PosteriorSettings
from pacbound.training.state import Checkpoint
from tests.several import Ended, brief, command, joined, several
from tests.tiny import clouds, decoded, examples, network, save_clouds

pytestmark = pytest.mark.one_worker

N, D_SMALL = 1001, 12  # three batches of 500, the last of one example
TRAINING = ("certify", "--data", "clouds.npz", "--d", "16", "--epochs", "12", "--batch", "50", "--model", "h8-R-L")


def returned(ended: list[Ended]) -> list[object]:
    """What every process returned; all have ended well."""
    assert [one.code for one in ended] == [0] * len(ended), [one.err for one in ended]
    return [one.returned for one in ended]


def divided() -> dict[str, object]:
    """What each way to divide work gives this process, in plain numbers."""
    return {
        "first": first(lambda: os.environ["RANK"]),
        "each": list(each(range(7), lambda item: (item, os.environ["RANK"]))),
        "alone": list(each(range(2), lambda _: processes())),
        "alike": alike(lambda: os.environ["RANK"]),
        "share": share(torch.arange(7)).tolist(),
        "turns": list(turns(7)),
        "sum": summed(torch.tensor([1.0, float(os.environ["RANK"])])).tolist(),
        "leads": leads(),
        "refusals": [refusal(way) for way in ("first", "each", "alike")],
    }


def refusal(way: str) -> str:
    """What this process is told where another one, or it, refuses; it goes on together with the others."""

    def refuse() -> None:
        if os.environ["RANK"] == ("0" if way == "first" else "1"):
            raise QuantizeError(f"{os.environ['RANK']} refuses")

    ways = {"first": lambda: first(refuse), "each": lambda: list(each("abc", lambda _: refuse()))}
    try:
        ways.get(way, lambda: alike(refuse))()
    except QuantizeError as cause:
        return str(cause)
    return ""


@pytest.mark.parametrize("size", [2, 3])
def test_work_is_divided_without_remainder_or_repetition(size: int, tmp_path: Path) -> None:
    told = returned(several(size, joined, divided, folder=tmp_path))
    for rank, one in enumerate(told):
        assert isinstance(one, dict)
        assert one["first"] == "0"
        assert one["each"] == [(item, str(item % size)) for item in range(7)]
        assert one["alone"] == [1, 1]
        assert one["alike"] == str(rank)
        assert one["sum"] == [size, sum(range(size))]
        assert one["leads"] == (rank == 0)
        assert one["refusals"] == ["0 refuses", "1 refuses", "1 refuses"]
    for name in ("share", "turns"):
        parts = [one[name] for one in told]  # type: ignore[index]
        assert sorted(item for part in parts for item in part) == list(range(7))
        assert max(map(len, parts)) - min(map(len, parts)) <= 1


class Found(NamedTuple):
    """What processes find of one message and one point of the subspace."""

    errors: int
    loss: float
    asked: int  # inputs that this process asked its network about
    logits: bytes
    gradients: list[Tensor]
    numbers: list[tuple[float, int]]  # loss and errors of a batch
    told: int  # numbers that this process added up with the others for these gradients
    fisher: Tensor
    low_rank: Tensor
    refined: list[object]


def problem() -> tuple[Subspace, Sample]:
    base = make_base(network(), 0)
    return make_subspace(base, ProjectorSpec(kind="dense", D=base.layout.D, d=D_SMALL), True), Sample(*clouds(N))


BATCHES = (torch.arange(3, 10), torch.arange(2), torch.arange(N))  # 7 and 2 examples, and all
MESSAGE = (np.arange(8) % 5 + 2).astype(np.int32)
PROFILE = ProfileSpec(scale_index=20, kap=44, c0=20, c1=4, c2=1)


def found() -> Found:
    """Everything that several processes divide, on a problem of milliseconds."""
    hypothesis, asked = decoded(network(), MESSAGE), [0]

    def watched(x: Tensor) -> Tensor:
        asked[0] += len(x)
        return hypothesis(x)

    logits = torch.cat([reading.logits for reading in readings(watched, clouds(N)[0], progress=False)])
    subspace, sample = problem()
    subspace.approximate = subspace.call  # type: ignore[method-assign]  # not in bfloat16
    w, all_reduce, told = torch.full((D_SMALL,), 0.3, requires_grad=True), torch.distributed.all_reduce, [0]

    def counted(tensor: Tensor) -> None:
        told[0] += tensor.numel()
        all_reduce(tensor)

    torch.distributed.all_reduce = counted
    losses = [batch_loss(subspace, sample, w, rows, "cross_entropy") for rows in BATCHES]
    torch.distributed.all_reduce = all_reduce
    rows = Rows(subspace, sample.x, lambda generator: 0.1 * torch.randn(D_SMALL, generator=generator))
    seeded = torch.Generator().manual_seed
    prices, rng = prices_of(PROFILE, D_SMALL), np.random.default_rng(0)
    tries = [rng.integers(-4, 5, D_SMALL).astype(np.int32) for _ in range(3)]
    settings = PosteriorSettings(refine_rounds=2, refine_trials=6)
    point = refine(subspace, sample, best_point(subspace, sample, tries, prices, 72), prices, settings, progress=False)
    return Found(
        evaluate(hypothesis, examples(N), progress=False).errors,
        evaluate(hypothesis, examples(N), "error_probability", progress=False).errors,
        asked[0],
        logits.numpy().tobytes(),
        [torch.autograd.grad(loss, w)[0] for loss, _ in losses],
        [(float(loss.detach()), errors) for loss, errors in losses],
        told[0],
        curvature(rows, 1234, seeded(1), progress=False),
        low_rank_curvature(rows, 500, seeded(2), rank=6, progress=False).dense(),
        [point.integers.tolist(), point.errors, point.bound],
    )


@pytest.fixture(scope="module")
def found_by(tmp_path_factory: pytest.TempPathFactory) -> dict[int, list[object]]:
    """What one process finds, whose chunks of the curvature have randomness of their own too, and what three do."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(curvatures, "processes", lambda: 3)
        alone = found()
    return {1: [alone], 3: returned(several(3, joined, found, folder=tmp_path_factory.mktemp("found")))}


def test_what_is_divided_is_what_one_process_finds(found_by: dict[int, list[object]]) -> None:
    (alone,), parts = found_by[1], found_by[3]
    assert isinstance(alone, Found)
    assert sum(part.asked for part in parts) == alone.asked  # type: ignore[attr-defined]
    for part in parts:
        assert isinstance(part, Found)
        assert 0 < part.asked < 0.6 * alone.asked
        assert (part.errors, part.loss, part.logits) == (alone.errors, alone.loss, alone.logits)
        assert part.refined == alone.refined
        assert part.told == len(BATCHES) * (D_SMALL + 2)
        for name in ("gradients", "fisher", "low_rank"):
            torch.testing.assert_close(getattr(part, name), getattr(alone, name), rtol=1e-4, atol=1e-6)
    assert 0 < alone.errors < N
    assert alone.refined[1] != 0


@pytest.mark.parametrize("size", [1, 3])
def test_the_gradient_of_a_batch_is_that_of_its_mean_loss(size: int, found_by: dict[int, list[object]]) -> None:
    part = found_by[size][-1]
    assert isinstance(part, Found)
    subspace, sample = problem()
    for rows, gradient, (value, errors) in zip(BATCHES, part.gradients, part.numbers, strict=True):
        w = torch.full((D_SMALL,), 0.3, requires_grad=True)
        logits = subspace.call(w, sample.x[rows])
        loss = F.cross_entropy(logits, sample.y[rows])
        torch.testing.assert_close(gradient, torch.autograd.grad(loss, w)[0], rtol=1e-3, atol=1e-5)
        assert value == pytest.approx(float(loss.detach()), rel=1e-4)
        assert errors == int((logits.argmax(1) != sample.y[rows]).sum())


def files(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir() if file.name not in ("out", "err", "clouds.npz"))


def folders(folder: Path, *numbers: int) -> Path:
    """A folder for each process, with a sample of so many examples in it; of none there is no sample."""
    for rank, n in enumerate(numbers):
        (folder / str(rank)).mkdir(parents=True)
        if n:
            save_clouds(folder / str(rank), n)
    return folder


def dying(rank: int, saves: int, *arguments: str) -> None:
    """A command during which one process is killed at its so-many-th chance to save; every chance is taken."""
    done, save = [0], Checkpoint.save

    def counting(self: Checkpoint, tensors: dict[str, Tensor], force: bool = False) -> None:
        save(self, tensors, force=True)
        done[0] += 1
        if done[0] == saves and os.environ["RANK"] == str(rank):
            os.kill(os.getpid(), signal.SIGKILL)

    Checkpoint.save = counting  # type: ignore[method-assign]
    command(*arguments)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[pb.Certificate, list[Ended]]:
    """A run of two processes that nobody disturbs."""
    folder = folders(tmp_path_factory.mktemp("whole"), 601, 601)
    ended = several(2, command, *TRAINING, "--output", "mine.json", folder=folder)
    assert [one.code for one in ended] == [0, 0], [one.err for one in ended]
    assert (files(folder / "0"), files(folder / "1")) == (["mine.json"], [])
    return pb.Certificate.load(folder / "0" / "mine.json"), ended


def test_two_processes_write_one_certificate_that_stands(
    whole: tuple[pb.Certificate, list[Ended]], tmp_path: Path
) -> None:
    certificate, ended = whole
    verdict = pb.verify(certificate, data=clouds(601))
    assert (verdict.stands, verdict.level) == (True, "risk")
    assert "written to mine.json" in ended[0].err
    assert (ended[1].out, ended[1].err) == ("", "")
    certificate.save(tmp_path / "mine.json")
    words = ("verify", str(tmp_path / "mine.json"), "--data", "clouds.npz")
    again = several(2, command, *words, folder=folders(tmp_path, 601, 601))
    assert [one.code for one in again] == [0, 0]
    assert "stands, at level risk" in again[0].out
    assert (again[1].out, again[1].err) == ("", "")


def test_theta0_and_what_is_frozen_before_a_trained_part_are_those_of_process_0(tmp_path: Path) -> None:
    words = ("certify", "--data", "clouds.npz", "--model", "h8-R-L", "--prior-share", "0.5", "--train", "head")
    quick = ("--d", "8", "--encoder", "plain", "--epochs", "3", "--output", "mine.json")
    ended = several(2, command, *words, *quick, folder=folders(tmp_path, 601, 601))
    assert [one.code for one in ended] == [0, 0], [one.err for one in ended]
    assert files(tmp_path / "1") == []
    verdict = pb.verify(tmp_path / "0" / "mine.json", data=clouds(601))
    assert (verdict.stands, verdict.level) == (True, "risk")


def test_two_processes_come_to_the_bound_of_one(
    whole: tuple[pb.Certificate, list[Ended]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoding, "posterior_settings", brief)
    monkeypatch.setattr(curvatures, "processes", lambda: 2)  # the same randomness of the curvature
    request = pb.Request(d=16, epochs=12, batch=50, model="h8-R-L")
    alone = pb.certify("h8-R-L", clouds(601), request=request, progress=False)
    assert whole[0].stated_bound.value == pytest.approx(alone.stated_bound.value, abs=0.02)


@pytest.mark.parametrize(("rank", "saves"), [(1, 7), pytest.param(0, 12, marks=pytest.mark.slow)])
def test_after_a_process_is_lost_they_begin_again_where_the_state_is(
    rank: int, saves: int, tmp_path: Path, whole: tuple[pb.Certificate, list[Ended]]
) -> None:
    arguments = (*TRAINING, "--output", "mine.json")
    lost = several(2, dying, rank, saves, *arguments, folder=folders(tmp_path, 601, 601))
    assert lost[rank].code == -signal.SIGKILL
    assert lost[1 - rank].code == 2
    assert lost[1 - rank].err.count("pacbound: ") == 1
    assert "that was lost" in lost[1 - rank].err
    assert (files(tmp_path / "0"), files(tmp_path / "1")) == (["mine.json.state"], [])
    again = several(2, command, *arguments, folder=tmp_path)
    assert [one.code for one in again] == [2, 2]
    assert "--resume" in again[0].err + again[1].err
    returned(several(2, command, *arguments, folder=tmp_path, restarts=1))
    assert pb.Certificate.load(tmp_path / "0" / "mine.json").core_digest == whole[0].core_digest
    assert files(tmp_path / "0") == ["mine.json"]


@pytest.mark.parametrize(
    ("sizes", "options", "complaint"),
    [
        ((601, 0), (), "clouds.npz"),
        ((601, 600), (), "same sample, network and options"),
        ((601, 601), ("--method", "picks"), "method picks runs in one process, got 2"),
        ((601, 601), ("--nonsense",), "--nonsense"),
        ((601, 601), ("--output", "no/mine.json"), "Create it first"),
    ],
)
def test_an_error_of_one_process_ends_all_with_one_message(
    sizes: tuple[int, int], options: tuple[str, ...], complaint: str, tmp_path: Path
) -> None:
    ended = several(2, command, *TRAINING, *options, folder=folders(tmp_path, *sizes))
    assert [one.code for one in ended] == [2, 2]
    said = "".join(one.err for one in ended)
    assert complaint in said
    assert said.count("pacbound: ") + said.count("Usage: ") == 1
    assert files(tmp_path / "1") == []


def test_one_process_is_not_refused_what_several_are() -> None:
    refuse_several("anything")
    assert processes() == 1


@pytest.mark.slow
def test_torchrun_starts_them_again_after_one_was_killed(tmp_path: Path) -> None:
    save_clouds(tmp_path, 601)
    program = tmp_path / "killed_once.py"
    program.write_text(
        "import os\nfrom tests.several import command\nfrom tests.test_distributed import TRAINING, dying\n"
        "first = os.environ['TORCHELASTIC_RESTART_COUNT'] == '0'\n"
        "(lambda *words: dying(1, 3, *words) if first else command(*words))(*TRAINING, '--output', 'mine.json')\n"
    )
    run = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--max-restarts", "1", str(program)],
        cwd=tmp_path, capture_output=True, text=True, check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert "got one that was lost" in run.stderr
    assert pb.verify(tmp_path / "mine.json", data=clouds(601)).stands
