"""Networks that keep what they learned outside parameters and buffers: each way is refused by its path."""

import array
import functools
import logging
import sys
import threading
import types
import weakref
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pacbound.errors import ModelError
from pacbound.models.reference import build
from pacbound.networks.hidden import refuse_hidden
from pacbound.networks.hypothesis import make_base, make_zero_base
from pacbound.specs.specs import REFERENCE_MODELS

W = torch.randn(16, 4, generator=torch.Generator().manual_seed(0))
FLOATS = W.flatten().tolist()
LOCAL = threading.local()
LOCAL.W = W
ELSEWHERE = types.ModuleType("elsewhere")
ELSEWHERE.W = W  # type: ignore[attr-defined]


class Plain(nn.Module):
    def __init__(self, **held: object) -> None:
        super().__init__()
        self.head = nn.Linear(16, 4)
        for name, value in held.items():
            object.__setattr__(self, name, value)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(x)


class Activation:
    def __init__(self) -> None:
        self.inner = {"deep": [W]}

    def __call__(self, x: Tensor) -> Tensor:
        return x


class Slots:
    __slots__ = ("kept",)

    def __init__(self) -> None:
        self.kept = W


class OnClass(Plain):
    table = W


class ByProperty(Plain):
    @property
    def table(self) -> Tensor:
        return W

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.table


class ByGetattr(Plain):
    def __getattr__(self, name: str) -> object:
        return W if name == "table" else super().__getattr__(name)


class ByGlobal(Plain):
    def forward(self, x: Tensor) -> Tensor:
        return x @ W


class ByModule(Plain):
    def forward(self, x: Tensor) -> Tensor:
        return x @ ELSEWHERE.W  # type: ignore[attr-defined]


class ByImport(Plain):
    def forward(self, x: Tensor) -> Tensor:
        import elsewhere

        return x @ elsewhere.W


class ByThread(Plain):
    def forward(self, x: Tensor) -> Tensor:
        return x @ LOCAL.W


class ByDefault(Plain):
    def forward(self, x: Tensor, table: Tensor = W) -> Tensor:
        return x @ table


@functools.lru_cache
def remembered() -> Tensor:
    return torch.ones(3)


class ByCache(Plain):
    def forward(self, x: Tensor) -> Tensor:
        return x + remembered()


class ByClosure(Plain):
    def forward(self, x: Tensor) -> Tensor:
        return next(x @ weights for weights in (W,))


def replaced() -> nn.Module:
    original, other = Plain(), Plain()
    original.forward = lambda x: other.forward(x)  # type: ignore[method-assign]
    return original


def hooked() -> nn.Module:
    module = Plain()
    module.head.register_forward_hook(lambda part, given, answer: answer + given[0] @ W)
    return module


def before_hooked() -> nn.Module:
    module = Plain()
    module.register_forward_pre_hook(lambda part, given: given)
    return module


def on_a_parameter() -> nn.Module:
    module = Plain()
    module.head.weight.kept = W  # type: ignore[attr-defined]
    return module


class Subclass(nn.Parameter):
    pass


def subclassed() -> nn.Module:
    module = Plain()
    module.head.weight = Subclass(torch.zeros(4, 16))
    return module


HIDDEN: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "tensor": (lambda: Plain(table=W), r"Plain\.table: a tensor of shape \(16, 4\)"),
    "scalar tensor": (lambda: Plain(table=W[0, 0]), r"Plain\.table: a tensor of shape \(\)"),
    "array": (lambda: Plain(table=W.numpy()), r"Plain\.table: an array of the type ndarray"),
    "tensor in containers": (lambda: Plain(table=({"a": [W]},)), r"Plain\.table\[\.\.\.\]: a tensor"),
    "numbers": (lambda: Plain(table=FLOATS), r"Plain\.table: a list of 64 numbers"),
    "numbers of numpy": (lambda: Plain(table=[np.float32(v) for v in FLOATS]), "a list of 64 numbers"),
    "numbers in a dictionary": (lambda: Plain(table=dict(enumerate(FLOATS))), "a dict of 128 numbers"),
    "many attributes": (lambda: Plain(**{f"w{k}": v for k, v in enumerate(FLOATS)}), "64 attributes that are numbers"),
    "text": (lambda: Plain(table="abcd" * 100), "400 characters of text"),
    "bytes": (lambda: Plain(table=W.numpy().tobytes()), "256 characters of text"),
    "a long integer": (lambda: Plain(table=1 << 2000), "an integer of 2,001 bits"),
    "an array of Python": (lambda: Plain(table=array.array("f", FLOATS)), "an array of the type array"),
    "a view of a dictionary": (lambda: Plain(table=dict(enumerate(FLOATS)).values()), "dict_values"),
    "a generator of random numbers": (lambda: Plain(table=torch.Generator()), "an array of the type Generator"),
    "a module in a list": (
        lambda: Plain(parts=[nn.Linear(16, 4)]),
        r"parts\[\.\.\.\]: a module Linear that",
    ),
    "an object that is called": (lambda: Plain(act=Activation()), r"act\.inner\[\.\.\.\]: a tensor"),
    "a method of an object": (lambda: Plain(act=Activation().__call__), r"act\.__self__\.inner"),
    "a partial": (lambda: Plain(act=functools.partial(torch.matmul, other=W)), r"act\[\.\.\.\]: a tensor"),
    "a weak reference": (lambda: Plain(act=weakref.ref(W)), r"act: a tensor"),
    "slots": (lambda: Plain(act=Slots()), r"act\.kept: a tensor"),
    "a namespace": (lambda: Plain(act=types.SimpleNamespace(kept=W)), r"act\.kept: a tensor"),
    "class": (OnClass, r"OnClass\.table: a tensor"),
    "property": (ByProperty, r"ByProperty\.table.*\(W\): a tensor"),
    "__getattr__": (ByGetattr, r"ByGetattr\.__getattr__ \(W\): a tensor"),
    "global": (ByGlobal, r"ByGlobal\.forward \(W\): a tensor"),
    "another module": (ByModule, r"ByModule\.forward \(ELSEWHERE\.W\): a tensor"),
    "an import in the forward": (ByImport, r"ByImport\.forward \(elsewhere\.W\): a tensor"),
    "a local of threads": (ByThread, r"\(LOCAL\)\.W: a tensor"),
    "default": (ByDefault, r"ByDefault\.forward \(defaults\)\[\.\.\.\]: a tensor"),
    "a function inside": (ByClosure, r"ByClosure\.forward \(W\): a tensor"),
    "cache": (ByCache, r"\(remembered\): a function that remembers 1 answers"),
    "forward replaced": (replaced, r"Plain\.forward: a method replaced on the instance"),
    "hook": (hooked, r"head\._forward_hooks: the hook hooked\.<locals>\.<lambda>"),
    "hook before": (before_hooked, r"Plain\._forward_pre_hooks: the hook"),
    "attribute of a parameter": (on_a_parameter, r"head\.weight\.kept: a tensor"),
    "class of a parameter": (subclassed, r"head\.weight: a tensor of the class Subclass"),
}


@pytest.mark.parametrize("way", HIDDEN)
def test_what_a_network_holds_elsewhere_is_refused_by_its_path(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    make, found = HIDDEN[way]
    monkeypatch.setitem(sys.modules, "elsewhere", ELSEWHERE)
    remembered()
    for base in (lambda module: make_base(module, 0), lambda module: make_base(module, None), make_zero_base):
        with pytest.raises(ModelError, match=found):
            base(make())


def test_a_class_that_says_it_belongs_to_torch_is_looked_at_all_the_same() -> None:
    class Claims(Plain):
        table = W

    Claims.__module__ = "torch.nn.modules.linear"
    with pytest.raises(ModelError, match=r"Claims\.table: a tensor"):
        refuse_hidden(Claims())


@pytest.mark.parametrize(("ancestor", "home"), [(logging.LoggerAdapter, "mine"), (object, "transformers.mine")])
def test_ancestors_and_names_of_a_library_hide_nothing(ancestor: type, home: str) -> None:
    class Holder(ancestor):  # type: ignore[misc]
        def __init__(self) -> None:
            self.table = W

    Holder.__module__ = home
    with pytest.raises(ModelError, match=r"Plain\.held\.table: a tensor"):
        refuse_hidden(Plain(held=Holder()))


class Honest(nn.Module):
    """What people write: sizes, small constants, functions of torch, tied layers, parametrizations, statistics."""

    widths = (16, 32, 64)
    mean = (0.4914, 0.4822, 0.4465)

    def __init__(self) -> None:
        super().__init__()
        self.scale, self.name, self.act = 0.5, "honest", torch.relu
        self.layers = nn.ModuleList([nn.Linear(16, 16) for _ in range(3)])
        self.first = self.layers[0]  # the same, by another name
        self.order = [self.layers[1], self.layers[2].weight]
        self.norm = nn.BatchNorm1d(16)
        self.lstm = nn.LSTM(16, 4)
        self.bounded = nn.utils.parametrizations.weight_norm(nn.Linear(4, 4))

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = self.act(layer(x)) * self.scale
        return self.bounded(self.lstm(self.norm(x))[0])


def test_honest_networks_pass() -> None:
    honest = [Honest(), nn.TransformerEncoderLayer(16, 4, activation=torch.nn.functional.gelu)]
    honest += [build(name, (3, 32, 32), 10) for name in REFERENCE_MODELS]
    assert [refuse_hidden(network) for network in honest] == [None] * len(honest)
