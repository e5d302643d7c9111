"""Look for what a network holds beside its parameters and buffers: state that no seed renews and no ledger counts.

The walk follows attributes, containers, closures, defaults, globals and other modules that a forward names, down from
the network. What it finds is refused by its path. `rebuilt.py` tests the same promise from the other side, by the
program that the network runs. What neither sees: numbers written into the source of a class, which are part of the
architecture; a Python or torch that was itself changed; files, clocks and networks that a forward reads.
"""

import array
import dis
import functools
import io
import logging
import numbers
import sys
import types
import weakref
from collections import deque
from collections.abc import Iterable, Mapping, Set

import numpy as np
import torch
from torch import Tensor, nn

from ..errors import ModelError

MAX_FLOATS = 16  # of one container or object: pixel means and the like
MAX_NUMBERS = 64
MAX_TEXT = 128
MAX_INT_BITS = 64
HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
STANDARD = frozenset(vars(nn.Module())) | {"_forward_hooks_with_kwargs"}
# packages whose code is taken as it is installed; what their instances hold is looked at
LIBRARIES = frozenset(
    {"torch", "torchvision", "timm", "transformers", "peft", "numpy", "einops", "pacbound", *sys.stdlib_module_names}
) - {"__main__"}
CONTAINERS = (list, tuple, Set, deque, Mapping)
HEAP_TYPE = 1 << 9  # flag of a class that is no part of the interpreter's own C code
ARRAYS = (np.ndarray, array.array, bytearray, memoryview, torch.UntypedStorage, torch.TypedStorage, torch.Generator)
HARMLESS = (logging.Logger, logging.LoggerAdapter, torch.dtype, torch.device, torch.Size, type(None), range, slice)
PLAIN = (str, bytes, bool, int, float, complex)
# run when a class or an object is made, never when a network answers
MAKING = frozenset({"__init__", "__new__", "__init_subclass__", "__post_init__", "__repr__", "__dataclass_fields__"})


def from_library(kind: object) -> bool:
    """Whether a class or function is one that an installed package of `LIBRARIES` defines, not one that says so."""
    module = str(getattr(kind, "__module__", "") or "")
    if isinstance(kind, type) and not kind.__flags__ & HEAP_TYPE:
        return True
    if module.partition(".")[0] not in LIBRARIES:
        return False
    if isinstance(kind, types.FunctionType):
        home = getattr(sys.modules.get(module), "__file__", None)
        return kind.__code__.co_filename == home or kind.__code__.co_filename.startswith("<")
    found: object = sys.modules.get(module)
    for name in str(getattr(kind, "__qualname__", "")).split("."):
        found = getattr(found, name, None)
    return found is kind


def refuse_hidden(module: nn.Module) -> None:
    """Refuse a network that holds numbers, modules or code outside its parameters, buffers and classes.

    Raises: ModelError that names the path of what it found.
    """
    walk = _Walk(module)
    for name, part in module.named_modules():
        walk.part(name or type(module).__name__, part)
    for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
        if not from_library(type(tensor)):
            walk.refuse(name, f"a tensor of the class {type(tensor).__name__}")
        walk.mapping(name, vars(tensor))


class _Walk:
    """What was seen of a network, and what belongs to it."""

    def __init__(self, module: nn.Module) -> None:
        """Note what is registered."""
        self.owned = {id(tensor) for tensor in [*module.parameters(), *module.buffers()]}
        self.parts = {id(part) for part in module.modules()}
        self.seen: set[int] = set()
        self.kept: list[object] = []  # so that an id is not given away twice during the walk

    def refuse(self, path: str, found: str) -> None:
        """Raise the ModelError of a path."""
        raise ModelError(
            f"make_base: a network holds its numbers as parameters and buffers, got {path}: {found}, which no seed "
            "renews and no ledger counts. Register it: modules as submodules, what is trained as parameters, constants "
            "as buffers (register_buffer) listed with frozen_buffers; code belongs into the class."
        )

    def part(self, path: str, part: nn.Module) -> None:
        """Look at one registered module."""
        for name in HOOKS:
            if hooks := getattr(part, name, None):
                first = next(iter(hooks.values()))
                hook = getattr(first, "__qualname__", type(first).__name__)
                remedy = "for torch.nn.utils.weight_norm or spectral_norm use torch.nn.utils.parametrizations"
                self.refuse(f"{path}.{name}", f"the hook {hook} ({remedy})")
        own = {name: value for name, value in _attributes(part).items() if name not in STANDARD}
        for name, value in own.items():
            if callable(value) and callable(getattr(type(part), name, None)):
                self.refuse(f"{path}.{name}", "a method replaced on the instance")
        self.mapping(path, own, counted=not from_library(type(part)))
        self.kind(path, type(part))

    def mapping(self, path: str, named: Mapping[str, object], counted: bool = True) -> None:
        """Look at attributes by name; all plain numbers among them count together."""
        for name, value in named.items():
            self.look(f"{path}.{name}", value, counted)
        found = [value for value in named.values() if isinstance(value, numbers.Number)]
        floats = [value for value in found if not isinstance(value, numbers.Integral)]
        if counted and len(floats) > MAX_FLOATS:
            self.refuse(path, f"{len(floats)} attributes that are numbers")

    def look(self, path: str, value: object, counted: bool = True) -> None:
        """Look at any object; `counted`: whether plain numbers and text in it are limited."""
        if type(value) in PLAIN:
            self.plain(path, value, counted)
            return
        if isinstance(value, HARMLESS) and from_library(type(value)):
            return
        if id(value) in self.seen or id(value) in self.owned or id(value) in self.parts:
            return
        self.seen.add(id(value))
        self.kept.append(value)
        if isinstance(value, Tensor):
            self.refuse(path, f"a tensor of shape {tuple(value.shape)} that is neither parameter nor buffer")
        if isinstance(value, nn.Module):
            self.refuse(path, f"a module {type(value).__name__} that is not registered")
        if isinstance(value, ARRAYS):
            self.refuse(path, f"an array of the type {type(value).__name__}")
        if isinstance(value, CONTAINERS):
            self.container(path, value, counted)
        elif isinstance(value, types.ModuleType):
            return  # what is named of it is looked at where it is named
        elif isinstance(value, type):
            self.kind(path, value)
        else:
            self.thing(path, value, counted)

    def plain(self, path: str, value: object, counted: bool) -> None:
        """Refuse text and integers that are long enough to hold a code."""
        if counted and isinstance(value, (str, bytes)) and len(value) > MAX_TEXT:
            self.refuse(path, f"{len(value):,} characters of text")
        if isinstance(value, int) and value.bit_length() > MAX_INT_BITS:
            self.refuse(path, f"an integer of {value.bit_length():,} bits")

    def container(self, path: str, value: Iterable, counted: bool) -> None:
        """Look at every element, and refuse more numbers than constants need."""
        leaves = list(_leaves(value))
        found = [leaf for leaf in leaves if isinstance(leaf, numbers.Number) and not isinstance(leaf, bool)]
        floats = [number for number in found if not isinstance(number, numbers.Integral)]
        if counted and (len(floats) > MAX_FLOATS or len(found) > MAX_NUMBERS):
            self.refuse(path, f"a {type(value).__name__} of {len(found):,} numbers")
        text = sum(len(leaf) for leaf in leaves if isinstance(leaf, (str, bytes)))
        if counted and text > MAX_NUMBERS * MAX_TEXT:
            self.refuse(path, f"a {type(value).__name__} of {text:,} characters of text")
        for leaf in leaves:
            self.look(f"{path}[...]", leaf, counted)
        if hasattr(value, "__dict__"):
            self.mapping(path, vars(value), counted)

    def thing(self, path: str, value: object, counted: bool) -> None:
        """Look at a function, a method, or an object of any class."""
        if isinstance(value, functools.partial):
            self.container(path, (value.func, value.args, value.keywords), counted)
        elif isinstance(value, types.MethodType):
            self.look(f"{path}.__self__", value.__self__, counted)
            self.look(path, value.__func__, counted)
        elif isinstance(value, (staticmethod, classmethod)):
            self.look(path, value.__func__, counted)
        elif isinstance(value, property):
            self.container(path, [value.fget], counted)
        elif isinstance(value, weakref.ref):
            self.look(path, value(), counted)
        elif isinstance(value, types.FunctionType):
            self.function(path, value)
        elif hasattr(value, "cache_info") and hasattr(value, "__wrapped__"):
            if value.cache_info().currsize:
                self.refuse(path, f"a function that remembers {value.cache_info().currsize} answers")
            self.look(path, value.__wrapped__, counted)
        elif isinstance(value, io.IOBase) or _of(value, "ctypes") or _unseen(value):
            self.refuse(path, f"a {type(value).__name__}, whose content cannot be looked at")
        elif not _of(value, "transformers"):
            self.mapping(path, _attributes(value), counted)
            self.kind(path, type(value))

    def kind(self, path: str, kind: type) -> None:
        """Look at class attributes and methods of classes that no library defined."""
        for base in kind.__mro__:
            if from_library(base) or id(base) in self.seen:
                continue
            self.seen.add(id(base))
            for name, value in vars(base).items():
                if name not in MAKING and not (name.startswith("__") and not callable(value)):
                    self.look(f"{path}.{name}", value)

    def function(self, path: str, function: types.FunctionType) -> None:
        """Look at what a function of the user's own closes over, takes by default, or names."""
        if from_library(function):
            return
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            try:
                self.look(f"{path} ({name})", cell.cell_contents)
            except ValueError:  # a cell that is empty so far
                continue
        self.container(f"{path} (defaults)", [function.__defaults__ or (), function.__kwdefaults__ or {}], True)
        self.mapping(path, vars(function))
        spoken = _names(function.__code__)
        named = {name: function.__globals__[name] for name in spoken["GLOBAL"] if name in function.__globals__}
        named |= {name: sys.modules[name] for name in spoken["IMPORT"] if name in sys.modules}
        for name, value in named.items():
            self.look(f"{path} ({name})", value)
            if isinstance(value, types.ModuleType) and value.__name__.partition(".")[0] not in LIBRARIES:
                for inner in spoken["ATTR"] & set(vars(value)):
                    self.look(f"{path} ({name}.{inner})", vars(value)[inner])


def _attributes(value: object) -> dict[str, object]:
    """Attributes of an instance, in its dictionary or in slots."""
    found = dict(getattr(value, "__dict__", {}))
    for base in type(value).__mro__:
        slots = vars(base).get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if name not in ("__dict__", "__weakref__") and hasattr(value, name):
                found[name] = getattr(value, name)
    return found


def _leaves(value: object) -> Iterable[object]:
    """Elements of nested containers, keys included."""
    stack, seen = [value], set()
    while stack:
        here = stack.pop()
        if isinstance(here, CONTAINERS):
            if id(here) not in seen:
                seen.add(id(here))
                stack += [*here.keys(), *here.values()] if isinstance(here, Mapping) else here
        else:
            yield here


def _names(code: types.CodeType) -> dict[str, set[str]]:
    """Names that a function and the functions written inside it use, as globals, as attributes and as imports."""
    found: dict[str, set[str]] = {"GLOBAL": set(), "ATTR": set(), "IMPORT": set()}
    for step in dis.get_instructions(code):
        kind = {"LOAD_GLOBAL": "GLOBAL", "LOAD_NAME": "GLOBAL", "IMPORT_NAME": "IMPORT"}.get(step.opname, "ATTR")
        if isinstance(step.argval, str):
            found[kind].add(step.argval)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            for kind, names in _names(constant).items():
                found[kind] |= names
    return found


def _unseen(value: object) -> bool:
    """Whether an object of the interpreter's own hands out elements that nothing else shows: iterators and views."""
    return from_library(type(value)) and hasattr(value, "__iter__") and not hasattr(value, "__dict__")


def _of(value: object, package: str) -> bool:
    return from_library(type(value)) and type(value).__module__.partition(".")[0] == package
