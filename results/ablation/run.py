"""From the published recipe to ours, one rung at a time, on MNIST with seed 0: bits, error, bound, seconds.

Every rung is a certificate of its own; finished ones are skipped, unfinished ones resumed. Name rungs to choose.
"""

import sys
import time
from pathlib import Path

import pacbound as pb
from pacbound.pipeline import finish
from pacbound.preparation import Setup, prepare, sample_of
from pacbound.training.plain import Candidate
from pacbound.training.progressive import PosteriorSettings, encode_posterior
from pacbound.training.state import Checkpoint

FOLDER = Path(__file__).parent
DATA = "mnist"
REQUESTS = {"1_published": pb.preset("lotfi2022"), "2_plain": pb.Request(encoder="plain")}
ONE_SHOT = {"blocks": 1, "refine_rounds": 0}
CROSS_ENTROPY = {**ONE_SHOT, "bounded": False}
SETTINGS = {
    "3_posterior_independent_rounding": {**CROSS_ENTROPY, "identity": True, "beam": 1},
    "4_babai_rounding": {**CROSS_ENTROPY, "beam": 1},
    "5_beam": CROSS_ENTROPY,
    "6_bounded_loss": {**ONE_SHOT, "refresh": False},
    "7_fisher_again": ONE_SHOT,
    "8_blocks": {"refine_rounds": 0},
    "9_refinement": {},
    "no_curvature": {"curvature": False},
}


def certificate_of(setup: Setup, changes: dict[str, object], state: Path) -> pb.Certificate:
    """Encode with the default settings but for the changes, and finish as always."""
    started = time.monotonic()
    settings = PosteriorSettings(**changes)
    messages = encode_posterior(setup.subspace(), sample_of(setup), settings, 0, Checkpoint(state, setup.key))
    return finish(setup, [Candidate(*message) for message in messages], {"training": time.monotonic() - started})


def main() -> None:
    """Run the rungs named on the command line, or all."""
    for name in sys.argv[1:] or [*REQUESTS, *SETTINGS]:
        output, state = FOLDER / f"{name}.json", FOLDER / f"{name}.json.state"
        if output.exists():
            continue
        print(name, flush=True)
        if name in REQUESTS:
            request = REQUESTS[name]
            certificate = pb.certify("auto", DATA, request=request, state=state)
        else:
            request = pb.Request()
            setup = prepare("auto", DATA, None, request, request.loss)
            certificate = certificate_of(setup, SETTINGS[name], state)
        certificate.save(output)
        state.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
