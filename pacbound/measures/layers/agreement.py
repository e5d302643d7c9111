"""Does a traced network compute what the network computes? What was recorded is run on its own and compared.

A trace misses hooks on the network, branches on values, writes through views and whatever else a forward pass does
behind its tensors. Every constant that is read off it would then be about another function, so a difference anywhere
is a refusal.
"""

import math
from collections.abc import Callable
from typing import Final

import torch
from torch import Tensor, fx, nn
from torch.utils._pytree import tree_map

from ...errors import first_line
from ...models.others import private_copy
from .operator_norms import apply
from .readings import readings
from .tracing import Step, Walk

SCALES: Final = (1e-2, 1.0, 1e2)
ROWS: Final = 4
SEED: Final = 20_231
STEP: Final = 1e-4  # of finite differences, relative to the input
LEAST: Final = 1e-5  # difference relative to the largest output: parametrized weights are read in float32

Function = Callable[[Tensor], Tensor]


class Replay(fx.Interpreter):
    """Run the recorded steps by their records: layers as linear maps in float64, the rest without side effects."""

    def __init__(self, walk: Walk) -> None:
        """Args: walk: of one example; its graph may have moved to float64 since."""
        super().__init__(walk.module)
        self._steps = walk.steps
        self._until = ""
        self._reached: Tensor | None = None

    def run_node(self, n: fx.Node) -> object:
        """Run one node on copies of its arguments, so that nothing is overwritten."""
        args, kwargs = tree_map(_separate, self.fetch_args_kwargs_from_env(n))
        step = self._steps.get(n)
        value = self._module(str(n.target), step, args, kwargs) if n.op == "call_module" else None
        if value is None:
            value = getattr(self, n.op)(n.target, args, kwargs)
        if step is not None and step.name == self._until and isinstance(value, Tensor):
            self._reached = value
        return value

    def _module(self, name: str, step: Step | None, args: tuple[Tensor, ...], kwargs: dict[str, object]) -> object:
        if step is not None and step.folded:
            return args[0]
        if step is not None and step.record is not None:
            record, value = step.record, apply(step.record, args[0].to(torch.float64))
            if record.bias is None:
                return value
            return value + (record.bias if record.kind == "dense" else record.bias.reshape(-1, *[1] * (value.ndim - 2)))
        module = self.module.get_submodule(name)
        return type(module).forward(module, *args, **kwargs)

    def up_to(self, step: str, x: Tensor) -> Tensor:
        """What the step makes of x, in float64."""
        self._until = step
        self.run(x.to(torch.float64))
        if self._reached is None:
            raise RuntimeError(f"no step {step}")
        return self._reached


def _separate(value: object) -> object:
    return value.clone() if isinstance(value, Tensor) else value


def disagreement(walk: Walk, graph: fx.GraphModule, network: nn.Module, example: Tensor) -> str:
    """Say where the recorded steps and the network differ, on inputs of several scales and batches; "" if nowhere.

    Args: walk: of the example. graph: the traced network. network: a copy of its own, in evaluation mode.
    """
    rows = len(example) + 1
    try:
        with torch.no_grad():
            read = readings(network, example)
            if read:
                return f"the network reads numbers from its data ({read}), and is another map for other data"
            again = Walk(graph, frozenset())
            again.run(drawn(example, 1.0, rows))
            if [step.fixed for step in again.steps.values()] != [step.fixed for step in walk.steps.values()]:
                return "the network is another map for other numbers of examples"
            replay, exact = Replay(walk), _in_float64(network, example)
            graph.double()
            for scale in SCALES:
                x = drawn(example, scale, rows)
                found = exact(x)
                if not _close(found, replay.run(x.to(torch.float64))):
                    return f"what was traced and the network differ on inputs of scale {scale:g}"
            alone = x[:1]
            if len(found) != rows or not _close(found[:1], exact(alone)):
                return "what the network makes of an example depends on the others beside it"
            if not _close(exact(alone), replay.run(alone.to(torch.float64))):
                return "what was traced and the network differ on one example"
    except Exception as why:  # the network of somebody else, on inputs of ours
        return f"the network does not run on {rows} random examples at a time: {first_line(why)}"
    return ""


def steepest(model: nn.Module, example: Tensor) -> tuple[float, float]:
    """Largest slopes ||f(a) - f(b)|| / ||a - b|| found, in the Euclidean and the maximum norm: lower ends of constants.

    Raises: ModelError where the network cannot be copied.
    """
    network = private_copy(model)
    function: Function = _in_float64(network, example)
    exact = function is not network and example.is_floating_point()
    best = [0.0, 0.0]
    for scale in SCALES:
        a = drawn(example, scale, ROWS)
        near = STEP * scale * torch.randn(a.shape, generator=torch.Generator().manual_seed(SEED + 1))
        others = [a.flip(0), -a, *([a + near, a + STEP * scale * _direction(function, a)] if exact else [])]
        for b in others:
            with torch.no_grad():
                moved = (function(a) - function(b)).double().flatten(1)
            apart = (a.double() - b.double()).flatten(1)
            for index, order in enumerate((2.0, math.inf)):
                sizes = apart.norm(order, dim=1)
                ratios = (moved.norm(order, dim=1) / sizes)[sizes > 0]
                best[index] = max(best[index], *ratios[torch.isfinite(ratios)].tolist(), 0.0)
    slack = 1e-6 if exact else 1e-3
    return best[0] * (1 - slack), best[1] * (1 - slack)


def drawn(example: Tensor, scale: float, rows: int) -> Tensor:
    """Random inputs (rows, ...) of the example's shape and dtype; whole numbers from 0 to 255 where it holds such."""
    generator = torch.Generator().manual_seed(SEED + round(10 * math.log10(scale)))
    shape = (rows, *example.shape[1:])
    if example.is_floating_point():
        return (scale * torch.randn(shape, generator=generator, dtype=torch.float64)).to(example.dtype)
    return torch.randint(0, 128, shape, generator=generator).to(example.dtype)


def _direction(function: Function, x: Tensor) -> Tensor:
    """Of the gradient of a random functional of the outputs, entries of mean square 1; 0 where there is none."""
    entering = x.detach().clone().requires_grad_()
    try:
        with torch.enable_grad():
            leaving = function(entering)
            random = torch.randn(leaving.shape, generator=torch.Generator().manual_seed(SEED), dtype=leaving.dtype)
            (found,) = torch.autograd.grad((leaving * random).sum(), entering)
    except RuntimeError:  # a network that cuts gradients off
        return torch.zeros_like(x)
    size = float(found.square().mean().sqrt())
    return found / size if math.isfinite(size) and size > 0 else torch.zeros_like(x)


def _close(found: Tensor, expected: object) -> bool:
    if not isinstance(expected, Tensor) or found.shape != expected.shape:
        return False
    size, tolerance = float(found.abs().max()), max(LEAST, 4 * math.sqrt(torch.finfo(found.dtype).eps))
    if not math.isfinite(size):
        return True  # overflow says nothing
    return float((found.double() - expected.double()).abs().max()) <= tolerance * size


def _in_float64(network: nn.Module, example: Tensor) -> Function:
    """The network in float64 where it runs in it, else as it is; called on inputs of the example's dtype."""
    double = private_copy(network).double()

    def exact(x: Tensor) -> Tensor:
        result: Tensor = double(x.double())
        return result

    try:
        with torch.no_grad():
            exact(example)
    except Exception:  # a forward pass that casts
        return network
    return exact
