"""A corpus that is too large to be evaluated: 100 MB of a Markov source, of which 100,000 positions are drawn.

    python results/language/positions.py     writes positions.json and prints what the whole corpus says

The network sees two symbols, so that its average loss over all of the corpus follows from how often each triple occurs:
the bound of 100,000 positions is held against that.
"""

import resource
import tempfile
from pathlib import Path

import numpy as np
import torch

from pacbound.methods.language import certify_language
from pacbound.networks.hypothesis import Hypothesis
from pacbound.request.request import Request
from pacbound.verification.language_losses import rebuild_language_base

LETTERS = b"\nabcdefg"
CHAINS, LENGTH = 20_000, 5_000  # of letters, one chain after the other
OPTIONS = {"task": "lm", "alphabet": "ascii97", "model": "E8-W2-h16-tanh-L", "context": 8, "statement": "positions"}


def write_corpus(path: Path, seed: int = 0) -> None:
    """Write chains of a source of order one, 100 MB, a few MB at a time."""
    rng = np.random.default_rng(seed)
    edges = rng.dirichlet(np.full(len(LETTERS), 0.3), len(LETTERS)).cumsum(1)
    with path.open("wb") as file:
        for _ in range(0, CHAINS, 1000):
            state, made = np.zeros(1000, np.int64), np.empty((1000, LENGTH), np.uint8)
            for t in range(LENGTH):
                state = np.minimum((rng.random((1000, 1)) > edges[state]).sum(1), len(LETTERS) - 1)
                made[:, t] = np.frombuffer(LETTERS, np.uint8)[state]
            file.write(made.tobytes())


def average_loss(network: torch.nn.Module, raw: np.ndarray, listed: bytes, alpha: float) -> float:
    """The mean smoothed loss over the corpus, in bits, from the counts of triples."""
    numbers = np.zeros(256, np.int64)
    numbers[np.frombuffer(listed, np.uint8)] = np.arange(size := len(listed))
    counts = np.zeros(size**3)
    for start in range(0, len(raw), 1 << 22):
        s = numbers[raw[max(0, start - 2) : start + (1 << 22)]]
        counts += np.bincount((s[:-2] * size + s[1:-1]) * size + s[2:], minlength=size**3)
    past = torch.cartesian_prod(torch.arange(size), torch.arange(size))
    with torch.no_grad():
        p = network(past)[:, -1].double().softmax(-1).numpy().reshape(-1)
    losses = -np.log2((1 - alpha) * p + alpha / 97)
    return float((counts * losses).sum() / counts.sum())


def main() -> None:
    """Make the corpus, certify, and say what the whole of it says."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "markov.txt"
        write_corpus(path)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        certificate = certify_language(Request.model_validate({**OPTIONS, "data": str(path)}), progress=False)
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 2**10
        base = rebuild_language_base(certificate, None)
        network = Hypothesis.unpack(certificate.payload(), certificate.hypothesis, base).network()
        listed = certificate.text.alphabet.listed or b""
        raw = np.memmap(path, np.uint8, mode="r")
        whole = average_loss(network, raw, listed, certificate.prediction.smoothing)
    certificate.save(Path(__file__).with_name("positions.json"))
    print(
        f"corpus {certificate.text.bytes:,} bytes, {certificate.losses.n:,} positions drawn, {grown:.0f} MiB more held"
    )
    print(f"mean {certificate.mean:.4f}, whole corpus {whole:.4f}, certified {certificate.stated_bound.value:.4f}")


if __name__ == "__main__":
    main()
