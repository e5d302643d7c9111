"""Adam, to the last bit that of torch.optim, in half of its time for small networks.

Every optimizer of torch imports the compiler of torch, about a second of a command that needs it for nothing else, and
spends more on a step than the arithmetic of a few hundred numbers does.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

EPS = 1e-8
LARGE = 1 << 16  # numbers of a tensor that is moved alone, so that a step needs no more besides than for one tensor


class Adam:
    """Kingma and Ba 2015 (arXiv:1412.6980v9), algorithm 1; with decay, Loshchilov and Hutter 2019 (arXiv:1711.05101v3).

    As in torch, `param_groups` hold what may change from step to step, `params` aside: lr, betas and weight_decay,
    which is decoupled; `state` holds step, exp_avg and exp_avg_sq of each tensor that has been moved. A tensor without
    a gradient is passed over.
    """

    def __init__(
        self, params: Iterable[Tensor] | Iterable[Mapping[str, Any]], lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
    ) -> None:  # fmt: skip
        """Args: params: tensors, or groups, each a mapping that holds its `params` and whatever is not the default."""
        given = list(params)
        groups = [{"params": given}] if isinstance(given[0], Tensor) else given
        defaults = {"lr": lr, "betas": betas, "weight_decay": 0.0}
        self.param_groups: list[dict[str, Any]] = [{**defaults, **group} for group in groups]  # type: ignore[dict-item]
        self.state: dict[Tensor, dict[str, Tensor]] = {}

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for group in self.param_groups:
            for tensor in group["params"]:
                tensor.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Move every tensor against its gradient."""
        for group in self.param_groups:
            gradients = {tensor: tensor.grad for tensor in group["params"] if tensor.grad is not None}
            alone = [{tensor: gradients.pop(tensor)} for tensor in [*gradients] if tensor.numel() > LARGE]
            for some in (*alone, gradients):
                if some:
                    self._move(some, group["lr"], group["betas"], group["weight_decay"])

    def _move(self, by: dict[Tensor, Tensor], lr: float, betas: tuple[float, float], decay: float) -> None:
        moved, gradients, (first, second) = [*by], [*by.values()], betas
        kept = [self.state[tensor] if tensor in self.state else self._begin(tensor) for tensor in moved]
        steps, means, squares = ([one[part] for one in kept] for part in ("step", "exp_avg", "exp_avg_sq"))
        torch._foreach_add_(steps, 1)
        for tensor in moved if decay else ():
            tensor.mul_(1 - lr * decay)
        torch._foreach_lerp_(means, gradients, 1 - first)
        for square in squares:
            square.mul_(second)  # _foreach_mul_ rounds its factor to bfloat16 first
        torch._foreach_addcmul_(squares, gradients, gradients, 1 - second)
        taken = [step.item() for step in steps]
        roots = torch._foreach_sqrt(squares)
        torch._foreach_div_(roots, [(1 - second**t) ** 0.5 for t in taken])
        torch._foreach_add_(roots, EPS)
        torch._foreach_addcdiv_(moved, means, roots, [-lr / (1 - first**t) for t in taken])

    def _begin(self, tensor: Tensor) -> dict[str, Tensor]:
        zeros = {part: torch.zeros_like(tensor) for part in ("exp_avg", "exp_avg_sq")}
        self.state[tensor] = {"step": torch.tensor(0.0), **zeros}
        return self.state[tensor]
