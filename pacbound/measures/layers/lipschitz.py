"""Lipschitz constants, in the Euclidean and the maximum norm, of the operations between layers that have no parameters.

`operation` looks at one call of a traced network and returns `Fixed`, or the reason why no constant is known.
Constants are upper bounds; where they are attained the comment says so.
"""

import math
import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...models.published import PIXEL_MAXIMUM, Pixels

GELU: Final = 0.5 * (1 + math.erf(1)) + math.exp(-1) / math.sqrt(math.pi) + 1e-12  # derivative of x Phi(x) at sqrt 2
GELU_TANH: Final = 1.12899307  # largest derivative, 1.128993068..., at x = 1.4185
SILU: Final = 1.09983933  # largest derivative of x / (1 + exp(-x)), 1.099839320..., at x = 2.3994
MISH: Final = 1.08849817  # largest derivative of x tanh(ln(1 + exp x)), 1.088498161..., at x = 1.4906
HARDSWISH: Final = 1.5  # derivative of x (x + 3) / 6 at x = 3
SMOOTH: Final = 20.0  # softplus is replaced by the identity where beta x is larger, a jump below 3e-9
HARDSIGMOID: Final = 0.16666668  # torch multiplies by 1/6 rounded to float32
SELU: Final = 1.7580994  # scale times alpha, the slope just below 0


Channels = Literal["alike", "moved", "lost"]  # kept and treated alike; entries may change channel; some may be dropped
SEVERITY: Final[tuple[Channels, ...]] = ("alike", "moved", "lost")


@dataclass(frozen=True)
class Fixed:
    """An operation without parameters.

    lipschitz: constant in the Euclidean norm; in the maximum norm it is the same where `averages` is false (functions
    of single entries, moves of entries), and 1 where it is true (means and maxima). keeps_zero: whether it maps 0 to 0.
    channels: what it does to them.
    """

    lipschitz: float
    keeps_zero: bool = True
    averages: bool = False
    channels: Channels = "alike"

    @property
    def maximum(self) -> float:
        """Lipschitz constant in the maximum norm."""
        return 1.0 if self.averages else self.lipschitz


SAME = Fixed(1.0)
MOVED = Fixed(1.0, keeps_zero=False)
SHUFFLED = Fixed(1.0, channels="moved")
SLICED = Fixed(1.0, channels="lost")

MODULES: dict[type[nn.Module], Fixed] = {
    nn.Identity: SAME, nn.Flatten: SAME, nn.Unflatten: SHUFFLED, nn.Dropout: SAME, nn.Dropout1d: SAME,
    nn.Dropout2d: SAME, nn.Dropout3d: SAME, nn.ReLU: SAME, nn.ReLU6: SAME, nn.Tanh: SAME, nn.Tanhshrink: SAME,
    nn.Softsign: SAME,
    nn.Hardtanh: MOVED, nn.SiLU: Fixed(SILU), nn.Hardswish: Fixed(HARDSWISH), nn.Mish: Fixed(MISH),
    nn.SELU: Fixed(SELU), nn.ZeroPad2d: SAME,
    nn.Sigmoid: Fixed(0.25, keeps_zero=False), nn.Hardsigmoid: Fixed(HARDSIGMOID, keeps_zero=False),
    nn.Softmax: MOVED, nn.ChannelShuffle: SHUFFLED, nn.PixelShuffle: SHUFFLED,
    nn.PixelUnshuffle: SHUFFLED,
}  # fmt: skip

METHODS: dict[str, Fixed] = (
    dict.fromkeys(("flatten", "contiguous", "relu", "relu_", "tanh", "tanh_", "clone", "detach", "neg", "abs"), SAME)
    | dict.fromkeys(
        ("view", "reshape", "permute", "transpose", "squeeze", "unsqueeze", "t", "unflatten", "swapaxes", "movedim",
         "view_as", "reshape_as"), SHUFFLED)
    | dict.fromkeys(("float", "double"), SAME)
    | {"sigmoid": Fixed(0.25, keeps_zero=False)}
)  # fmt: skip

FUNCTIONS: dict[object, Fixed] = {
    F.relu: SAME, torch.relu: SAME, F.relu6: SAME, torch.tanh: SAME, F.tanh: SAME, torch.flatten: SAME,
    torch.reshape: SHUFFLED, torch.permute: SHUFFLED, torch.transpose: SHUFFLED, torch.squeeze: SHUFFLED,
    torch.unsqueeze: SHUFFLED,
    operator.neg: SAME, torch.neg: SAME, torch.abs: SAME, F.silu: Fixed(SILU), F.hardswish: Fixed(HARDSWISH),
    F.mish: Fixed(MISH),
    F.selu: Fixed(SELU), torch.sigmoid: Fixed(0.25, keeps_zero=False), F.sigmoid: Fixed(0.25, keeps_zero=False),
    F.dropout: SAME, F.softsign: SAME, F.pixel_shuffle: SHUFFLED, F.channel_shuffle: SHUFFLED,
}  # fmt: skip

Values = tuple[object, ...]


def of_module(module: nn.Module, entering: tuple[int, ...]) -> Fixed | None:
    """Constant of a parameter-free module on an input of shape `entering` (batch, ...), or None where unknown."""
    kind = type(module)
    if kind in MODULES:
        return MODULES[kind]
    if not kind.__module__.startswith("torch.nn.") and kind is not Pixels:
        return None  # a subclass may compute anything
    if isinstance(module, Pixels):
        return _pixels(module)
    if isinstance(module, nn.LeakyReLU | nn.ELU):
        return Fixed(max(1.0, abs(module.negative_slope if isinstance(module, nn.LeakyReLU) else module.alpha)))
    if isinstance(module, nn.CELU):
        return SAME if module.alpha > 0 else None  # the derivative is exp(x / alpha) below 0
    if isinstance(module, nn.Softplus):
        return MOVED if module.beta > 0 and module.threshold >= SMOOTH else None
    if isinstance(module, nn.GELU):
        return Fixed(GELU if module.approximate == "none" else GELU_TANH)
    if isinstance(module, nn.MaxPool1d | nn.MaxPool2d | nn.MaxPool3d):
        sides = len(entering) - 2
        return _max_pool(sides, module.kernel_size, module.stride, module.dilation)
    if isinstance(module, nn.AvgPool1d | nn.AvgPool2d | nn.AvgPool3d):
        sides = len(entering) - 2
        plain = module.count_include_pad and not module.ceil_mode
        if getattr(module, "divisor_override", None) is not None:
            return None
        return _mean_pool(sides, module.kernel_size, module.stride, plain)
    if isinstance(module, nn.AdaptiveAvgPool1d | nn.AdaptiveAvgPool2d | nn.AdaptiveAvgPool3d):
        return _adaptive(entering[2:], module.output_size, mean=True)
    if isinstance(module, nn.AdaptiveMaxPool1d | nn.AdaptiveMaxPool2d | nn.AdaptiveMaxPool3d):
        return _adaptive(entering[2:], module.output_size, mean=False)
    return None


def slopes(module: nn.PReLU) -> Fixed:
    """Constant of a PReLU: its steepest slope; channels may be exchanged only where they share one."""
    steepest = max(1.0, float(module.weight.detach().abs().max()))
    return Fixed(steepest, channels="alike" if module.weight.numel() == 1 else "lost")


def of_constant(name: str, data: Tensor, constant: Tensor, reversed_: bool) -> Fixed | None:
    """Constant of data + c, data - c, data * c, data / c for a tensor c that is the same for every example.

    Args: name: of the function. data: (batch, ...). reversed_: whether c stands first.
    """
    whole = constant.ndim < data.ndim or constant.shape[:1] == (1,)
    if not whole or torch.broadcast_shapes(data.shape, constant.shape) != data.shape:
        return None
    values = constant.detach().to(torch.float64).abs()
    if not bool(torch.isfinite(values).all()):
        return None
    channels: Channels = "alike" if len(torch.unique(values)) == 1 else "lost"
    if name in ("add", "iadd", "add_", "sub", "isub", "sub_"):
        return Fixed(1.0, keeps_zero=not bool(values.any()), channels=channels)
    if name in ("mul", "imul", "mul_", "multiply"):
        return Fixed(float(values.max()), channels=channels)
    if name in ("truediv", "itruediv", "div", "div_", "divide") and not reversed_ and float(values.min()) > 0:
        return Fixed(1 / float(values.min()), channels=channels)
    return None


def _pixels(module: Pixels) -> Fixed:
    """x / 255 less the mean over std: the steepest channel, all of them together where one grey image fills them."""
    slopes = [1 / (PIXEL_MAXIMUM * std) for std in module.std]
    slope = math.hypot(*slopes) if module.shape[0] < len(slopes) else max(slopes)
    return Fixed(slope, keeps_zero=not any(module.mean))


def of_function(target: object, args: Values, kwargs: dict[str, object]) -> Fixed | None:
    """Constant of a called function with one data tensor among its arguments, or None where unknown."""
    if target in FUNCTIONS:
        return None if target is F.dropout and _argument(args, kwargs, 2, "training", True) else FUNCTIONS[target]
    if target is operator.getitem:
        if not isinstance(args[0], Tensor) or not _basic(args[1]):
            return None
        return SAME if _whole_channels(args[1]) else SLICED
    handler = _HANDLERS.get(target)
    return handler(args, kwargs) if handler is not None and args else None


def of_method(name: str, args: Values, kwargs: dict[str, object]) -> Fixed | None:
    """Constant of a method of the data tensor, or None where unknown."""
    if name == "mean":
        return _mean(args, kwargs)
    handler = _NUMERIC_METHODS.get(name)
    return handler(args, kwargs) if handler is not None else METHODS.get(name)


def _basic(index: object) -> bool:
    """True for slices and integers, which read every entry at most once."""
    parts = index if isinstance(index, tuple) else (index,)
    return all(isinstance(part, slice | int) or part is None or part is Ellipsis for part in parts)


def _whole_channels(index: object) -> bool:
    """True where all of the first two dimensions, examples and channels, is taken."""
    parts = index if isinstance(index, tuple) else (index,)
    return all(part == slice(None) for part in parts[:2])


def _per_dimension(sides: int, value: object) -> tuple[int, ...]:
    """One whole number per dimension, from one for all or a sequence; () where there is none."""
    if isinstance(value, int):
        return (value,) * sides
    return tuple(v for v in value if isinstance(v, int)) if isinstance(value, tuple | list) else ()


def _max_pool(sides: int, kernel: object, stride: object, dilation: object) -> Fixed | None:
    """Per dimension the square root of how many windows read one entry: ceil(k / t), and attained."""
    geometry = _windows(sides, kernel, stride)
    dilations = _per_dimension(sides, dilation)
    if not geometry or len(dilations) != sides:
        return None
    readers = [math.ceil(k * math.gcd(t, d) / t) for (k, t), d in zip(geometry, dilations, strict=True)]
    return Fixed(math.sqrt(math.prod(readers)), averages=True)


def _mean_pool(sides: int, kernel: object, stride: object, plain: bool) -> Fixed | None:
    """Norm of the averaging matrix: rows sum to 1, columns to at most ceil(k / t) / k; equality where k = t."""
    geometry = _windows(sides, kernel, stride)
    if not geometry:
        return None
    return Fixed(math.sqrt(math.prod(math.ceil(k / t) / (k if plain else 1) for k, t in geometry)), averages=True)


def _windows(sides: int, kernel: object, stride: object) -> list[tuple[int, int]]:
    """Kernel and stride of each dimension; [] where they are not whole numbers."""
    kernels = _per_dimension(sides, kernel)
    strides = _per_dimension(sides, kernel if stride is None or stride == () else stride)
    return list(zip(kernels, strides, strict=True)) if len(kernels) == len(strides) == sides else []


def _adaptive(sizes: tuple[int, ...], target: object, mean: bool) -> Fixed | None:
    """Adaptive pooling: windows of equal length, or overlapping ones of length floor to ceil that read twice."""
    goals = target if isinstance(target, tuple | list) else (target,) * len(sizes)
    total = 1.0
    for size, goal in zip(sizes, goals, strict=True):
        windows = size if goal is None else goal
        if not isinstance(windows, int) or windows > size:
            return None
        total *= (1 if size % windows == 0 else 2) / (size // windows if mean else 1)
    return Fixed(math.sqrt(total), averages=True)


def _argument(args: Values, kwargs: dict[str, object], position: int, name: str, default: object) -> object:
    return args[position] if len(args) > position else kwargs.get(name, default)


def _mean(args: Values, kwargs: dict[str, object]) -> Fixed | None:
    """Averaging over whole dimensions: 1 / sqrt(entries averaged), attained by constants."""
    tensor = args[0]
    dims = _argument(args, kwargs, 1, "dim", None)
    if not isinstance(tensor, Tensor) or dims is None:
        return None
    listed = [d % tensor.ndim for d in _per_dimension(1, dims)]
    if 0 in listed or not listed:
        return None
    root = math.sqrt(math.prod(tensor.shape[d] for d in listed))
    return Fixed(1 / root, averages=True, channels="lost" if 1 in listed else "alike")


def _function_max_pool(args: Values, kwargs: dict[str, object]) -> Fixed | None:
    stride, dilation = _argument(args, kwargs, 2, "stride", None), _argument(args, kwargs, 4, "dilation", 1)
    return _max_pool(_sides(args), _argument(args, kwargs, 1, "kernel_size", None), stride, dilation)


def _function_mean_pool(args: Values, kwargs: dict[str, object]) -> Fixed | None:
    if _argument(args, kwargs, 6, "divisor_override", None) is not None:
        return None
    ceil = _argument(args, kwargs, 4, "ceil_mode", False)
    included = _argument(args, kwargs, 5, "count_include_pad", True)
    kernel, stride = _argument(args, kwargs, 1, "kernel_size", None), _argument(args, kwargs, 2, "stride", None)
    return _mean_pool(_sides(args), kernel, stride, plain=bool(included) and not ceil)


def _function_adaptive(args: Values, kwargs: dict[str, object]) -> Fixed | None:
    tensor = args[0]
    if not isinstance(tensor, Tensor):
        return None
    return _adaptive(tuple(tensor.shape[2:]), _argument(args, kwargs, 1, "output_size", None), mean=True)


def _pad(args: Values, kwargs: dict[str, object]) -> Fixed | None:
    if _argument(args, kwargs, 2, "mode", "constant") != "constant":
        return None
    return SAME if not _argument(args, kwargs, 3, "value", None) else MOVED


def _leaky(args: Values, kwargs: dict[str, object]) -> Fixed | None:
    return _slope(_argument(args, kwargs, 1, "negative_slope", 0.01))


def _elu(args: Values, kwargs: dict[str, object]) -> Fixed | None:
    return _slope(_argument(args, kwargs, 1, "alpha", 1.0))


def _celu(args: Values, kwargs: dict[str, object]) -> Fixed | None:
    alpha = _argument(args, kwargs, 1, "alpha", 1.0)
    return SAME if isinstance(alpha, int | float) and alpha > 0 else None


def _softplus(args: Values, kwargs: dict[str, object]) -> Fixed | None:
    beta, threshold = _argument(args, kwargs, 1, "beta", 1), _argument(args, kwargs, 2, "threshold", SMOOTH)
    plain = isinstance(beta, int | float) and isinstance(threshold, int | float) and beta > 0 and threshold >= SMOOTH
    return MOVED if plain else None


def _gelu(args: Values, kwargs: dict[str, object]) -> Fixed | None:
    return Fixed(GELU if kwargs.get("approximate", "none") == "none" else GELU_TANH)


def _slope(value: object) -> Fixed | None:
    return Fixed(max(1.0, abs(value))) if isinstance(value, int | float) else None


def _times(args: Values, kwargs: dict[str, object]) -> Fixed | None:
    factor = _number(args, kwargs)
    return None if factor is None else Fixed(abs(factor))


def _over(args: Values, kwargs: dict[str, object]) -> Fixed | None:
    divisor = _number(args, kwargs)
    return (
        None
        if kwargs.get("rounding_mode") or not divisor or not isinstance(args[0], Tensor)
        else Fixed(1 / abs(divisor))
    )


def _shift(args: Values, kwargs: dict[str, object]) -> Fixed | None:
    return None if _number(args, kwargs) is None else MOVED


def _number(args: Values, kwargs: dict[str, object]) -> float | None:
    """The operand that is a number, of two of which the other is the data tensor."""
    operands = (*args[:2], kwargs.get("other"))
    numbers = [float(value) for value in operands if isinstance(value, int | float)]
    return numbers[0] if len(numbers) == 1 and math.isfinite(numbers[0]) else None


def _sides(args: Values) -> int:
    tensor = args[0]
    return tensor.ndim - 2 if isinstance(tensor, Tensor) else 0


_HANDLERS: dict[object, Callable[[Values, dict[str, object]], Fixed | None]] = {
    F.max_pool1d: _function_max_pool, F.max_pool2d: _function_max_pool, torch.max_pool2d: _function_max_pool,
    F.avg_pool2d: _function_mean_pool, F.adaptive_avg_pool2d: _function_adaptive, F.pad: _pad,
    F.leaky_relu: _leaky, F.elu: _elu, F.celu: _celu, F.softplus: _softplus, F.gelu: _gelu, torch.mean: _mean,
    operator.mul: _times, torch.mul: _times, operator.truediv: _over, torch.div: _over,
    operator.add: _shift, operator.sub: _shift, torch.add: _shift, torch.sub: _shift,
}  # fmt: skip
_NUMERIC_METHODS = {"mul": _times, "div": _over, "add": _shift, "sub": _shift}
