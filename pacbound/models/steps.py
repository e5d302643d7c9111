"""What the steps of a network do to units, by name: what `walk` knows. Anything else, nobody follows."""

import operator
import re

import torch
from torch import fx, nn
from torch.nn import functional as F

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
ENTRYWISE_MODULES = {
    "ReLU", "LeakyReLU", "GELU", "SiLU", "Tanh", "Sigmoid", "ELU", "CELU", "SELU", "Mish", "Identity", "Dropout",
    "Dropout1d", "Dropout2d", "Dropout3d", "AlphaDropout", "Hardtanh", "ReLU6", "Hardswish", "Hardsigmoid", "Softplus",
    "Softsign", "LogSigmoid", "Softshrink", "Hardshrink", "Tanhshrink", "Threshold",
}  # fmt: skip
MOVING_MODULES = {
    "Flatten", "Unflatten", "ChannelShuffle", "PixelShuffle", "PixelUnshuffle", "ZeroPad1d", "ZeroPad2d", "ZeroPad3d",
    "ReflectionPad1d", "ReflectionPad2d", "ReplicationPad1d", "ReplicationPad2d", "CircularPad1d", "CircularPad2d",
    "UpsamplingNearest2d",
}  # fmt: skip
POOL = re.compile(r"(?:adaptive_?)?(?:max|avg|lp)_?pool([123])d", re.IGNORECASE)
ENTRYWISE = {
    "relu", "relu_", "leaky_relu", "leaky_relu_", "gelu", "silu", "tanh", "tanh_", "sigmoid", "sigmoid_", "elu", "celu",
    "selu", "mish", "relu6", "hardtanh", "hardswish", "hardsigmoid", "softplus", "softsign", "logsigmoid", "dropout",
    "dropout2d", "neg", "negative", "abs", "exp", "log1p", "sqrt", "rsqrt", "square", "sin", "cos", "erf", "clamp",
    "clip", "clamp_min", "clamp_max", "float", "double", "half", "bfloat16", "to", "type", "contiguous", "clone",
    "detach", "cpu",
}  # fmt: skip
ARITHMETIC = {
    "add", "add_", "iadd", "sub", "sub_", "isub", "subtract", "mul", "mul_", "imul", "multiply", "div", "div_",
    "truediv", "itruediv", "divide", "true_divide", "pow", "maximum", "minimum",
}  # fmt: skip
MOVING = {
    "flatten", "reshape", "view", "squeeze", "unsqueeze", "permute", "transpose", "swapaxes", "movedim", "flip", "roll",
    "narrow", "select", "chunk", "split", "unbind", "cat", "concat", "concatenate", "stack", "pad", "getitem", "expand",
    "repeat", "tile", "unflatten", "channel_shuffle", "pixel_shuffle", "pixel_unshuffle", "reshape_as", "view_as",
}  # fmt: skip
REDUCTIONS = {"mean", "sum", "amax", "amin"}
CONSTANTS = {"zeros_like", "ones_like", "full_like", "new_zeros", "new_ones", "new_full", "new_tensor"}
SIZES = {"size", "dim", "ndimension", "numel", "getattr"}


def is_of_torch(n: fx.Node) -> bool:
    """Whether a call is one of a tensor's methods or of torch's functions, whatever a user calls theirs."""
    name = getattr(n.target, "__name__", "")
    return n.op == "call_method" or any(getattr(home, name, None) is n.target for home in (torch, F, operator))


def as_torch_made_it(module: nn.Module) -> bool:
    """Whether a module does what its class in torch.nn says: no hooks, no forward of its own."""
    hooks = (module._forward_hooks, module._forward_pre_hooks)
    return type(module).__module__.startswith("torch.nn.modules.") and "forward" not in vars(module) and not any(hooks)
