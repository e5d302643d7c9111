"""Certify and verify a random transformer of 11, 30 or 124 million parameters; print seconds and peak memory by stage.

    python tests/benchmarks/large.py SIZE FOLDER [EPOCHS [SEQUENCES]]

A thousand sequences of 64 tokens in two classes, d = 1024. The line of JSON at the end is what the benchmark reads.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import pacbound as pb
from pacbound.pipeline import finish, preparation
from pacbound.pipeline.forecast import Forecast, forecast
from pacbound.pipeline.preparation import prepare
from pacbound.threads import one_thread
from pacbound.training import progressive

T = TypeVar("T")

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


class Clock:
    """CPU seconds and peak memory by stage, so that a busy machine is no matter; inner stages are not in the outer."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.peaks_gb: dict[str, float] = {}
        self.open, self.since = ["other"], time.process_time()

    def turn(self) -> None:
        """Book what passed since the last turn on the stage that is open."""
        stage, now = self.open[-1], time.process_time()
        self.seconds[stage] = round(self.seconds.get(stage, 0.0) + now - self.since, 2)
        self.peaks_gb[stage] = max(self.peaks_gb.get(stage, 0.0), peak_gb_since_asked())
        self.since = now

    def of(self, stage: str, act: Callable[..., T]) -> Callable[..., T]:
        """Return the act, booked on a stage."""

        def booked(*given: object, **named: object) -> T:
            self.turn()
            self.open.append(stage)
            try:
                return act(*given, **named)
            finally:
                self.turn()
                self.open.pop()
                print(f"{stage:12} {self.seconds[stage]:8.1f} CPU s, peak {self.peaks_gb[stage]:.2f} GB", flush=True)

        return booked


def peak_gb_since_asked() -> float:
    """Peak memory since this was last asked, in GB."""
    status = Path("/proc/self/status").read_text("ascii").splitlines()
    kilobytes = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    Path("/proc/self/clear_refs").write_text("5", "ascii")
    return kilobytes * 1024 / 1e9


def watch(clock: Clock) -> None:
    """Book the functions in which the stages of a certification happen."""
    for place, name, stage in (
        (preparation, "_refuse_undetermined", "checks"),
        (progressive, "train", "training"),
        (progressive._Run, "_spectrum", "curvature"),
        (progressive, "with_block", "rounding"),
        (progressive, "_survivors", "rounding"),
        (progressive, "best_point", "survivors"),
        (progressive, "refine", "refinement"),
        (finish, "best_of", "counting"),
    ):
        setattr(place, name, clock.of(stage, getattr(place, name)))


def main(size: str, folder: str, epochs: str = "4", n: str = "1000") -> None:
    time.perf_counter = time.process_time  # what the forecast times
    clock = Clock()
    watch(clock)
    vocabulary, width, depth = SIZES[size]
    pairs = sequences(int(n), vocabulary)
    before = peak_gb_since_asked()
    file = Path(folder) / f"{size}.json"
    request = pb.Request(d=COEFFICIENTS, epochs=int(epochs))
    network = Transformer(vocabulary, width, depth)

    @one_thread()
    def planned() -> Forecast:
        return forecast(prepare(network, pairs, None, request, "zero_one", planned=True))

    plan = clock.of("forecast", planned)()
    print(plan.stages, f"{plan.seconds:.0f} s, {plan.memory_bytes / 1e9:.2f} GB", flush=True)
    made = clock.of("rest", pb.certify)(network, pairs, request=request, progress=False)
    made.save(file)
    print(made.statement, made.ledger.bits, "bits", made.environment.seconds, flush=True)
    clock.of("message", lambda: pb.verify(file, level="message").require())()
    clock.of("risk", lambda: pb.verify(file, data=pairs, model=network, level="risk").require())()
    print(
        json.dumps(
            {
                "D": plan.D, "bound": made.bound.value, "bits": made.ledger.bits, "before_gb": before,
                "seconds": clock.seconds, "peaks_gb": clock.peaks_gb,
                "forecast": plan.stages, "forecast_gb": plan.memory_bytes / 1e9,
            }
        )
    )  # fmt: skip


if __name__ == "__main__":
    main(*sys.argv[1:])
