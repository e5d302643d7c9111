"""Test what a seed promises: that parameters, buffers and the input determine the answer, and nothing else does.

A network of somebody's own code is traced into a program of torch's operators, once for each of two batch sizes.
Whatever a forward reads besides parameters, buffers and input stands in that program as a constant, however it was
hidden; so the program, which refers to no object of this process, is all there is of the network in any other. Run
with other parameters and with all of them zero it must answer as the network does. Last, untrained networks must not
know the labels. Networks that installed packages alone define have nothing to hide in, once `hidden.py` has looked.
"""

import copy
import math
from collections.abc import Callable
from functools import partial

import torch
from scipy.special import bdtrc
from torch import Tensor, nn
from torch.func import functional_call
from torch.fx import GraphModule
from torch.utils._pytree import tree_leaves

from ..data.examples import Examples
from ..data.preprocess import preprocessed
from ..errors import ModelError, first_line
from ..models.others import private_copy
from ..models.reference import initialise
from ..specs.specs import CHECKPOINT_KINDS, PreprocessSpec
from ..subspace.curvature import LARGE
from ..subspace.random import normals, permutation
from .hidden import from_library
from .hypothesis import Base
from .passes import batch_for
from .risk import zero_one

MAX_CONSTANTS = 16  # numbers in captured tensors: pixel means and the like
MAX_LITERALS = 32  # different numbers among the arguments of operators
BATCHES = (1, 5)
ASKED_ANEW = 5
ROWS, LABELLED_ROWS = 500, 200
LARGE_ROWS = 60  # of most questions to a network of more than LARGE parameters; whole batches, as a program takes them
NEVER_BITS = 40  # a chance below 2^-40 is taken for none
MAX_DRAWS, FIRST_DRAWS = 100, 3
HANDED_OVER = ("values", *CHECKPOINT_KINDS)

OTHERWISE = (
    "make_base: parameters, buffers and the input determine a network, got one whose traced program answers "
    "otherwise with other parameters or inputs: it reads something else. Keep numbers in parameters and "
    "buffers, and use torch on the input alone."
)

Named = dict[str, Tensor]


def check_promise(base: Base, examples: Examples, preprocess: PreprocessSpec) -> None:
    """Refuse a base whose network is not determined by its parameters, its buffers and the input.

    Where values are handed over, a network that cannot be traced passes: their digest is in the certificate, and the
    user vouches for them.
    Raises: ModelError.
    """
    if all(from_library(type(part)) for part in base.module.modules()):
        return
    chosen = torch.from_numpy(permutation(0, "networks/rebuilt/rows", examples.n))[:ROWS]
    x, y = preprocessed(examples.x[chosen], preprocess), examples.y[chosen]
    few = LARGE_ROWS if base.layout.D > LARGE else ROWS
    with torch.no_grad():  # asked of a copy, which may remember it
        at_once = batch_for(private_copy(base.module), x)
    check_memory(base.module, x[:few], at_once)
    seeded = base.origin.kind not in HANDED_OVER
    for batch in BATCHES:
        _check_program(base.module, x[: max(at_once, 2 * max(BATCHES))], batch, few, seeded)
    if seeded:
        _check_untrained(base.module, x[:LABELLED_ROWS], y[:LABELLED_ROWS], examples.classes, at_once)


@torch.no_grad()
def check_memory(module: nn.Module, rows: Tensor, batch: int) -> None:
    """Refuse a forward that remembers what it was asked: numbers that it writes, or answers that follow from them.

    One copy is asked about all `rows` (n, ...) first, `batch` at a time, another is new at each of the questions. What
    a forward writes elsewhere than into its modules is not copied and not seen here.
    """
    asked, new = private_copy(module), private_copy(module)
    for some in rows.split(batch):
        asked(some)
    for part, other in zip(asked.modules(), new.modules(), strict=False):
        written = {name: value for name, value in vars(part).items() if type(value) in (bool, int, float)}
        changed = [name for name, value in written.items() if vars(other).get(name, math.nan) != value]
        if changed:
            raise ModelError(
                f"make_base: a network answers each input by itself, but the forward of {type(part).__name__} writes "
                f"the number {changed[0]}, which it may read at the next. Leave attributes alone in forward."
            )
    for row in rows[:ASKED_ANEW].split(1):
        _compare(
            asked(row),
            private_copy(module)(row),
            "make_base: a network answers each input by itself, got one whose answers follow from what it was asked "
            "before. Leave attributes alone in forward, or freeze what it collects.",
        )


@torch.no_grad()
def _check_program(module: nn.Module, rows: Tensor, batch: int, few: int, required: bool) -> None:
    """Trace the network for one batch size, and compare the program with it on inputs `rows` (n, ...) and others.

    few: of the rows, asked all at once, that the program answers too.
    """
    from torch.fx.experimental.proxy_tensor import make_fx  # takes seconds to load, and most networks do without

    x = rows[torch.arange(batch) % len(rows)]

    def run(named: Named, x: Tensor) -> Tensor:
        answer: Tensor = functional_call(module, named, (x,))
        return answer

    try:
        program = make_fx(run)(_own(module), x)
    except Exception as cause:  # whatever a user's own code raises where its tensors have no values
        if not required:
            return
        raise ModelError(
            "make_base: a network drawn from a seed is traced, to see that nothing but its parameters decides, got "
            f"the error {first_line(cause)[:200]!r}. Write its forward without .item(), numpy or conditions on values "
            "(torch.where), or hand its values over with base values."
        ) from None
    _check_constants(program)
    others = _others(x)
    makers: list[Callable[[nn.Module], Named]] = [_own, partial(_drawn, seed=1), partial(_drawn, seed=2), _zero]
    for make in makers:  # in turn: each is large
        named = make(module)
        for inputs in (x, x.flip(0), *others):
            _compare(run(named, inputs), program(named, inputs))
    if batch > 1 and len(rows) >= batch:  # a forward may treat large batches in another way
        rows, named = rows[: len(rows) // batch * batch], _drawn(module, 3)
        _compare(run(named, rows)[:few], torch.cat([program(named, inputs) for inputs in rows[:few].split(batch)]))


def _others(x: Tensor) -> tuple[Tensor, ...]:
    """Inputs like x (n, ...) that stand in no sample: noise, or the same numbers of tokens in other orders."""
    if not x.dtype.is_floating_point:
        return x.flip(-1), x.roll(1, -1)
    noise = torch.from_numpy(normals(0, "networks/rebuilt/x", x.numel())).reshape(x.shape).to(x.dtype)
    return noise, 10 * noise


def _check_constants(program: GraphModule) -> None:
    """Refuse constants that could hold what was learned, and operators that are not torch's own."""
    constants, literals = 0, set()
    for node in program.graph.nodes:
        if node.op == "get_attr":
            constants += getattr(program, node.target).numel()
        elif node.op == "call_function" and isinstance(node.target, torch._ops.OpOverload):
            if node.target.namespace not in ("aten", "prims"):
                raise ModelError(
                    f"make_base: a network runs torch's own operators, got {node.target}, which may hold anything. "
                    "Write it in torch."
                )
            schema = {argument.name: str(argument.type) for argument in node.target._schema.arguments}
            given = {**dict(zip(schema, node.args, strict=False)), **node.kwargs}
            for name, value in given.items():
                number = schema.get(name) == "number"
                literals |= {leaf for leaf in tree_leaves(value) if isinstance(leaf, float) or (number and leaf)}
    if constants > MAX_CONSTANTS or len(literals) > MAX_LITERALS:
        what = f"{constants} numbers in tensors" if constants > MAX_CONSTANTS else f"{len(literals)} numbers"
        raise ModelError(
            f"make_base: a forward computes with its parameters, buffers and input, got {what} besides, more than "
            "constants need. Register them: what is trained as parameters, constants as buffers (register_buffer) "
            "listed with frozen_buffers."
        )


@torch.no_grad()
def _check_untrained(module: nn.Module, x: Tensor, y: Tensor, classes: int, batch: int) -> None:
    """Refuse a network that knows the labels y (n,) of x (n, ...), asked `batch` at a time, whatever its parameters.

    Let a_i be the accuracy with parameters from seed i. Outputs of a network drawn from a seed change places without
    changing its distribution, so E[a_i] <= 1/classes, draws are independent, and the chance that the product of the
    classes * a_i ever reaches 2^40 is at most 2^-40 (Ville's inequality). With all parameters zero nothing is random:
    there accuracy is compared with the share of the most frequent class, by the binomial tail.
    """
    blank = copy.deepcopy(module)
    for parameter in blank.parameters():
        parameter.zero_()
    right = _right(blank, x, y, batch)
    most = int(torch.bincount(y).max()) / len(y)
    known = bool(right) and bdtrc(right - 1, len(y), most) < 2.0**-NEVER_BITS
    bits = 0.0
    for draw in range(MAX_DRAWS):
        if known:
            raise ModelError(
                "make_base: a network drawn from a seed has learned nothing, got one that knows the labels of this "
                "sample with other seeds or with all parameters zero. What it learned is no part of its parameters: "
                "remove it, or hand the network over with base values and your word for it."
            )
        if draw >= FIRST_DRAWS and bits < draw / 4:
            return
        initialise(blank, draw + 1)
        right = _right(blank, x, y, batch)
        bits += math.log2(classes * right / len(y)) if right else -math.inf
        known = bits >= NEVER_BITS


def _right(module: nn.Module, x: Tensor, y: Tensor, batch: int) -> int:
    """How many of x (n, ...) get their label of y (n,)."""
    logits = torch.cat([module(rows) for rows in x.split(batch)])
    return len(y) - int(zero_one(logits, y).sum())


def _own(module: nn.Module) -> Named:
    """Copies of the parameters and buffers by name."""
    return {name: tensor.detach().clone() for name, tensor in [*module.named_parameters(), *module.named_buffers()]}


def _drawn(module: nn.Module, seed: int) -> Named:
    """Parameters and statistics drawn from a seed; other buffers as they are."""
    named, parameters = _own(module), dict(module.named_parameters())
    for position, (name, tensor) in enumerate(named.items()):
        values = torch.from_numpy(normals(seed, f"networks/rebuilt/{position}", tensor.numel())).reshape(tensor.shape)
        if name.endswith("running_var"):
            tensor.copy_(values.abs() + 0.5)
        elif name.endswith("running_mean") or name in parameters:
            tensor.copy_(values / math.sqrt(max(1, math.prod(tensor.shape[1:]))))
    return named


def _zero(module: nn.Module) -> Named:
    """Parameters all zero, buffers as they are."""
    parameters = dict(module.named_parameters())
    return {name: torch.zeros_like(tensor) if name in parameters else tensor for name, tensor in _own(module).items()}


def _compare(one: Tensor, other: Tensor, complaint: str = OTHERWISE) -> None:
    """Refuse answers that differ by more than rounding. Raises: ModelError that says the complaint."""
    finite = one[torch.isfinite(one)].abs()
    atol = 1e-4 * float(finite.max() if len(finite) else 0.0) + 1e-10
    if one.shape != other.shape or not torch.allclose(one, other, rtol=1e-4, atol=atol, equal_nan=True):
        raise ModelError(complaint)
