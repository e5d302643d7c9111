"""Our Adam against torch's, bit for bit."""

import subprocess
import sys

import pytest
import torch
from torch import Tensor

from pacbound.networks.adam import Adam

SHAPES = ((8, 6), (8,), (257, 257), ())  # one of them is large


def run(kind: type, decay: float, dtype: torch.dtype, steps: int) -> list[Tensor]:
    """Values after steps of two groups whose rates and momenta move; one tensor lacks a gradient now and then."""
    generator = torch.Generator().manual_seed(0)
    values = [torch.randn(shape, generator=generator).to(dtype).requires_grad_() for shape in SHAPES]
    groups = [{"params": values[:2], "weight_decay": decay}, {"params": values[2:], "weight_decay": 0.0}]
    adam = kind(groups, 0.01, betas=(0.9, 0.99))
    for step in range(steps):
        adam.param_groups[1].update(lr=0.02 / (step + 1), betas=(0.85 + step / 1000, 0.999))
        adam.zero_grad()
        assert all(value.grad is None for value in values)
        for number, value in enumerate(values):
            noise = torch.randn(value.shape, generator=generator).to(dtype)
            value.grad = None if number == 1 and step % 3 == 0 else noise
        adam.step()
    return [value.detach() for value in values]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize(("decay", "theirs"), [(0.0, torch.optim.Adam), (0.05, torch.optim.AdamW)])
def test_every_bit_is_that_of_torch(decay: float, theirs: type, dtype: torch.dtype) -> None:
    for ours, other in zip(run(Adam, decay, dtype, 60), run(theirs, decay, dtype, 60), strict=True):
        assert torch.equal(ours, other)


def test_training_without_curvature_does_not_import_the_compiler_of_torch() -> None:
    program = (
        "import sys, pacbound as pb\nfrom tests.tiny import clouds, quick\n"
        "pb.certify('h4-R-L', clouds(60), request=quick(model='h4-R-L', epochs=1, d=2), progress=False)\n"
        "print('torch._dynamo' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False"]
