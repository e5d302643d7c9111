"""From the published recipe to ours, one rung at a time, on MNIST with seed 0: bits, error, bound, minutes.

LeNet up to rung 9, one lattice up to rung 10, which changes the network to `lenet1`; then two lattices under a trellis,
one behind edges, and one behind moments, for which the Fisher is then measured again in parts and before blocks, of
twelve examples a coefficient, the directions are the leading ones, and bars stand beside the edges.

Every rung is a certificate NAME.json beside this file; finished ones are skipped, unfinished ones resumed. Rungs that
begin alike share their training: a rung that goes on where a stage of another ended takes its state from there and its
minutes with it, so that the time in a certificate is that of the rung from its beginning. Without the other's state it
trains from the beginning, to the same end. --quick: digits and a few steps, in a temporary folder: checks the script.

1, 2, 14 to 16: the commands of results/lotfi2022, plain and features, whose certificates are taken over where they are
of the same network. 3 to 13: each changes one part. without_...: rung 8 less one part.
"""

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from torch import Tensor

import pacbound as pb
from pacbound.pipeline.encoding import plan_of
from pacbound.pipeline.finish import finish
from pacbound.pipeline.preparation import Setup, prepare, sample_of
from pacbound.training.progressive import Task, encode_posterior
from pacbound.training.settings import PosteriorSettings
from pacbound.training.state import Checkpoint

FOLDER = Path(__file__).parent
sys.path.insert(0, str(FOLDER.parent))
from table import table  # noqa: E402

REQUESTS = {
    "1_published": pb.preset("lotfi2022"),
    "2_plain": pb.Request(encoder="plain"),
    "14_fisher_in_parts": pb.Request(projector="fastfood"),
    "15_leading_directions": pb.Request(),
    "16_bars": pb.Request(),
}
ELSEWHERE = {
    "1_published": "lotfi2022/mnist",
    "2_plain": "plain/mnist",
    "14_fisher_in_parts": "features/mnist-seed_0",
    "15_leading_directions": "features/mnist_ekfac-seed_0",
    "16_bars": "features/mnist_bars-seed_0",
}
MOMENTS = "moments-edges1-c8k5-R-A4s3-L"
NETWORKS = {
    "10_network": "lenet1",
    "11_trellis": "lenet1",
    "12_edges": "edges2-c12k5-R-A4s3-L",
    "13_moments": MOMENTS,
    "14_fisher_in_parts": MOMENTS,
    "15_leading_directions": MOMENTS,
    "16_bars": "moments-bars1-c8k5-R-A4s3-L",
}
REQUEST = pb.Request(data="mnist", model="lenet", projector="fastfood")
SMOOTH, BOUNDED = 1, 2  # places of the stages in progressive.py
ONCE = {"refreshes": 1, "fisher_examples": 8000}
ONE_LATTICE = {**ONCE, "trellis": False}
BLOCKS = {**ONE_LATTICE, "refine_rounds": 0}
ONE_SHOT = {**BLOCKS, "blocks": 1}
CROSS_ENTROPY = {**ONE_SHOT, "bounded": False}


@dataclass(frozen=True)
class Rung:
    """Changes to the default settings; the rung and the stage (None: the last) at whose end it begins."""

    changes: dict[str, object] = field(default_factory=dict)
    after: tuple[str, int | None] | None = None


RUNGS = {
    "3_independent_rounding": Rung({**CROSS_ENTROPY, "identity": True, "beam": 1}),
    "4_babai_rounding": Rung({**CROSS_ENTROPY, "beam": 1}, ("3_independent_rounding", SMOOTH)),
    "5_beam": Rung(CROSS_ENTROPY, ("3_independent_rounding", SMOOTH)),
    "6_bounded_loss": Rung({**ONE_SHOT, "refreshes": 0}, ("3_independent_rounding", SMOOTH)),
    "7_fisher_again": Rung(ONE_SHOT, ("3_independent_rounding", SMOOTH)),
    "8_blocks": Rung(BLOCKS, ("7_fisher_again", BOUNDED)),
    "9_refinement": Rung(ONE_LATTICE, ("8_blocks", None)),
    "10_network": Rung(ONE_LATTICE),
    "11_trellis": Rung(ONCE),
    "12_edges": Rung(ONCE),
    "13_moments": Rung(ONCE),
    "without_beam": Rung({**BLOCKS, "beam": 1}, ("7_fisher_again", BOUNDED)),
    "without_bounded_loss": Rung({**BLOCKS, "bounded": False}, ("3_independent_rounding", SMOOTH)),
    "without_fisher_again": Rung({**BLOCKS, "refreshes": 0}, ("6_bounded_loss", BOUNDED)),
    "without_curvature": Rung({**BLOCKS, "curvature": False}),
}


class Recorder(Checkpoint):
    """A checkpoint that adds up milliseconds over interruptions, and keeps the end of stages that others begin at."""

    def __init__(self, path: Path, key: str, ends: dict[int, int]) -> None:
        """Bind a path and a key. ends: steps of each stage whose end is kept."""
        super().__init__(path, key)
        self.ends = ends
        self.milliseconds = self.note("milliseconds", lambda: [0])
        self.ticked = time.monotonic()

    def save(self, tensors: dict[str, Tensor], force: bool = False) -> None:
        """Save, and first the end of a stage where this is one."""
        self.tick()
        assert self.path is not None
        stage = int(tensors["stage"])
        if "run/steps" in tensors and int(tensors["run/steps"]) == self.ends.get(stage):
            kept = Checkpoint(_end_of(self.path, stage), self.key)
            kept.note("milliseconds", lambda: self.milliseconds)
            kept.save(tensors, force=True)
        super().save(tensors, force)

    def tick(self) -> float:
        """Add the time since the last tick; return the seconds in all."""
        now = time.monotonic()
        self.milliseconds[0] += round(1000 * (now - self.ticked))
        self.ticked = now
        return self.milliseconds[0] / 1000


def _end_of(state: Path, stage: int | None) -> Path:
    return state if stage is None else state.with_name(f"{state.stem}.{stage}.state")


def encoded(setup: Setup, settings: PosteriorSettings, rung: Rung, state: Path) -> pb.Certificate:
    """Encode with the rung's settings from where it begins, and finish as always."""
    if rung.after is not None and not state.exists():
        source = _end_of(state.with_name(f"{rung.after[0]}.state"), rung.after[1])
        if source.exists():
            shutil.copyfile(source, state)
    shared = {other.after[1] for other in RUNGS.values() if other.after and f"{other.after[0]}.state" == state.name}
    steps = {SMOOTH: settings.smooth_steps, BOUNDED: settings.bounded_steps}
    checkpoint = Recorder(state, setup.key, {k: steps[k] for k in shared if k is not None})
    encoded = encode_posterior(Task(setup.subspace(), sample_of(setup), settings, 0, checkpoint))
    return finish(setup, encoded, {"training": checkpoint.tick()})


def certified(name: str, request: pb.Request, folder: Path) -> pb.Certificate:
    """Return the certificate of one rung."""
    asked = requested(name, request)
    if name in REQUESTS:
        return pb.certify(asked.model, asked.data, request=asked, state=folder / f"{name}.state")
    setup = prepare(asked.model, asked.data, None, asked, asked.loss)
    default = plan_of(setup, Checkpoint(None, ""))
    assert isinstance(default, PosteriorSettings)
    rung = RUNGS[name]
    return encoded(setup, default.model_copy(update=rung.changes), rung, folder / f"{name}.state")


def requested(name: str, request: pb.Request) -> pb.Request:
    """What a rung asks for of the data, network and epochs at hand."""
    model = NETWORKS.get(name, request.model) if request == REQUEST else request.model
    at_hand = {"data": request.data, "model": model, "epochs": request.epochs}
    return REQUESTS.get(name, request).model_copy(update=at_hand)


def made_elsewhere(name: str, request: pb.Request) -> Path | None:
    """Return the certificate that another experiment has of the same command, if it has."""
    known = FOLDER.parent / f"{ELSEWHERE.get(name, name)}.json"
    if name not in ELSEWHERE or request != REQUEST or not known.exists():
        return None
    asked = requested(name, request)
    setup = prepare(asked.model, asked.data, None, asked, asked.loss)
    return known if pb.Certificate.load(known).hypothesis.model == setup.model else None


def climb(names: list[str], request: pb.Request, folder: Path) -> None:
    """Make the certificates that are missing."""
    for name in names:
        output = folder / f"{name}.json"
        if output.exists():
            print(f"ablation/{name}: finished, skipped", flush=True)
        elif known := made_elsewhere(name, request):
            shutil.copyfile(known, output)
            print(f"ablation/{name}: as {ELSEWHERE[name]}", flush=True)
        else:
            print(f"ablation/{name}", flush=True)
            certified(name, request, folder).save(output)


@contextmanager
def _place(quick: bool) -> Iterator[Path]:
    if not quick:
        yield FOLDER
        return
    with tempfile.TemporaryDirectory(dir=FOLDER, prefix="quick.") as name:
        yield Path(name)


def main() -> None:
    """Run the rungs named on the command line, or all, and print their table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    every = [*RUNGS, *REQUESTS]
    parser.add_argument("rungs", nargs="*", metavar="RUNG", help=f"of {', '.join(every)}; by default all")
    parser.add_argument("--quick", action="store_true", help="digits and a few steps, in a temporary folder")
    chosen = parser.parse_args()
    if unknown := sorted(set(chosen.rungs) - set(every)):
        parser.error(f"rungs are {', '.join(every)}; got {', '.join(unknown)}")
    request = pb.Request(data="digits", model="mlp", epochs=4) if chosen.quick else REQUEST
    with _place(chosen.quick) as folder:
        climb(chosen.rungs or every, request, folder)
        print(table(folder))


if __name__ == "__main__":
    main()
