"""Certify and verify a random transformer of 11, 30 or 124 million parameters; print seconds and peak memory by stage.

    python tests/benchmarks/large.py SIZE FOLDER [EPOCHS [SEQUENCES]]

A thousand sequences of 64 tokens in two classes, d = 1024. The line of JSON at the end is what the benchmark reads.
"""

import json
import resource
import sys
import time
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import pacbound as pb
from pacbound.pipeline.forecast import forecast
from pacbound.pipeline.preparation import prepare

SIZES = {"11M": (10_000, 320, 6), "30M": (25_000, 512, 5), "124M": (50_257, 768, 12)}  # vocabulary, width, depth
LENGTH, CLASSES, COEFFICIENTS, HEAD = 64, 2, 1024, 64


class Block(nn.Module):
    """Attention to what came before, and two layers."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.heads = width // HEAD
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.asked, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        parts = self.asked(self.norm1(x)).unflatten(2, (3, self.heads, HEAD)).permute(2, 0, 3, 1, 4)
        seen = F.scaled_dot_product_attention(parts[0], parts[1], parts[2], is_causal=True)
        x = x + self.out(seen.transpose(1, 2).flatten(2))
        return x + self.down(F.gelu(self.up(self.norm2(x))))


class Transformer(nn.Module):
    """Logits over the classes, from what stands at the last token."""

    def __init__(self, vocabulary: int, width: int, depth: int) -> None:
        super().__init__()
        self.words, self.places = nn.Embedding(vocabulary, width), nn.Embedding(LENGTH, width)
        self.blocks = nn.ModuleList(Block(width) for _ in range(depth))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        h = self.words(x) + self.places(torch.arange(x.shape[1], device=x.device))
        for block in self.blocks:
            h = block(h)
        return self.head(self.norm(h[:, -1]))


def sequences(n: int, vocabulary: int) -> tuple[Tensor, Tensor]:
    """Random tokens; the last one says the class by its half of the vocabulary."""
    x = torch.randint(vocabulary, (n, LENGTH), generator=torch.Generator().manual_seed(0))
    return x, (x[:, -1] >= vocabulary // 2).long()


def peak() -> float:
    """Peak memory so far, in GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def main(size: str, folder: str, epochs: str = "4", n: str = "1000") -> None:
    started, found = time.process_time(), {}

    def note(stage: str) -> None:
        nonlocal started
        found[stage] = round(time.process_time() - started, 1)
        print(f"{stage:12} {found[stage]:8.1f} CPU s, peak {peak():.2f} GB", flush=True)
        started = time.process_time()

    vocabulary, width, depth = SIZES[size]
    pairs, before = sequences(int(n), vocabulary), peak()
    file = Path(folder) / f"{size}.json"
    request = pb.Request(d=COEFFICIENTS, epochs=int(epochs))
    network = Transformer(vocabulary, width, depth)
    note("built")
    plan = forecast(prepare(network, pairs, None, request, "zero_one"))
    note("forecast")
    print(plan.stages, f"{plan.seconds:.0f} s, {plan.memory_bytes / 1e9:.2f} GB", flush=True)
    made = pb.certify(network, pairs, request=request, progress=False)
    note("certify")
    made.save(file)
    print(made.statement, made.ledger.bits, "bits", made.environment.seconds, flush=True)
    whole = peak()
    pb.verify(file, level="message").require()
    note("message")
    pb.verify(file, data=pairs, model=network, level="risk").require()
    note("risk")
    seconds = sum((made.environment.seconds or {}).values())
    print(
        json.dumps(
            {
                "D": plan.D, "peak_gb": peak(), "seconds": found,
                "forecast_seconds": plan.seconds, "real_seconds": seconds,
                "forecast_gb": plan.memory_bytes / 1e9, "real_gb": whole - before,
            }
        )
    )  # fmt: skip


if __name__ == "__main__":
    main(*sys.argv[1:])
