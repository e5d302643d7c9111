"""`module:callable`: the user's own Python, named on the command line or by a caller, never by a certificate."""

import importlib
import inspect
import os
import sys
import traceback
from collections.abc import Callable

from ..errors import PacboundError


def call_named(reference: str, refusal: type[PacboundError], expects: str) -> object:
    """Import `module:callable`, the working folder first, and call it without arguments.

    Args: reference: as typed by the user. refusal: the class to raise. expects: what it returns, for messages.
    Returns: what the callable returns. Raises: `refusal` where it cannot be found or called.
    """
    function = find_named(reference, refusal)
    try:
        inspect.signature(function).bind()
    except TypeError as cause:
        raise refusal(
            f"{reference}: it is called without arguments and returns {expects}, but: {cause}. "
            "Wrap it in a function that fills them in."
        ) from None
    except ValueError:  # some built-in callables have no signature; calling them says more
        pass
    return _run(function, reference, refusal)


def find_named(reference: str, refusal: type[PacboundError]) -> Callable:
    """Import `module:callable`, the working folder first, and return the callable.

    Raises: `refusal` where it cannot be found.
    """
    module_name, _, path = reference.partition(":")
    parts = path.split(".")
    if not all(part.isidentifier() for part in [*module_name.split("."), *parts]):
        raise refusal(f"{reference}: written as module:callable, such as mynet:build.")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        found: object = _run(lambda: importlib.import_module(module_name), reference, refusal)
    except ModuleNotFoundError as cause:
        remedy = "Run from the folder that holds it, or install it."
        if module_name.endswith(".py"):
            remedy = f"Leave the ending out: {module_name.removesuffix('.py')}:{path}."
        raise refusal(
            f"{reference}: the module is importable from the working folder, got: {cause}. {remedy}"
        ) from cause
    for part in parts:
        if not hasattr(found, part):
            raise refusal(f"{reference}: {module_name} has no {path!r}. Define it there.")
        found = getattr(found, part)
    if not callable(found):
        raise refusal(f"{reference}: it is callable, got {type(found).__name__}. Name a function or a class.")
    return found


def _run(function: Callable[[], object], reference: str, refusal: type[PacboundError]) -> object:
    """Run the user's code; what it raises is refused with the place in that code."""
    try:
        return function()
    except (PacboundError, ModuleNotFoundError):
        raise
    except Exception as cause:
        last = traceback.extract_tb(cause.__traceback__)[-1]
        raise refusal(
            f"{reference}: it runs without an error, got {type(cause).__name__}: {cause} "
            f"({os.path.basename(last.filename)}, line {last.lineno}). Mend it there."
        ) from cause
