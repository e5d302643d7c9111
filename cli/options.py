"""The options of `pacbound certify`, made from the fields of Request: one source for names, help and groups."""

import inspect
import typing
from collections.abc import Callable
from types import NoneType, UnionType
from typing import Annotated, Literal

import typer
from rich.markup import escape

from pacbound.request.reading import Reading
from pacbound.request.request import Request, group_of, help_of, make_request

TREATMENT = ("preprocess", "tokenizer", "standardise")
READING = (*(name for name in Reading.model_fields if name != "name"), *TREATMENT)  # nothing here is certified
PANELS = {
    "Main": "Main options",
    "Data": "Data (how your own source is read)",
    "Statement": "Statement",
    "Network": "Network",
    "Subspace": "Subspace",
    "Picks": "Picks (--method picks; each is coded)",
    "Language": "Language models (--task lm)",
    "Quantization": "Quantization (--method quantization-loss)",
    "Code": "Code (free: only the message counts)",
    "Training": "Training (free: only the message counts)",
}


def request_parameters() -> list[inspect.Parameter]:
    """Return one keyword parameter for each field of Request, None meaning not given."""
    return [_parameter(name) for name in Request.model_fields]


def given(options: dict[str, object]) -> dict[str, object]:
    """Keep the Request options that were given on the command line; comma-separated lists become tuples."""
    chosen = {k: v for k, v in options.items() if k in Request.model_fields and v is not None}
    return {k: tuple(str(v).split(",")) if _is_tuple(k) else v for k, v in chosen.items()}


def with_parameters(function: Callable[..., None], own: list[inspect.Parameter]) -> Callable[..., None]:
    """Give a function that takes **options the signature that typer reads."""
    parameters = request_parameters() + own
    function.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    function.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return function


def with_reading(function: Callable[..., None]) -> Callable[..., None]:
    """Give a function that takes **reading, beside options of its own, those of how a sample is read."""
    own = [p for p in inspect.signature(function).parameters.values() if p.kind is not inspect.Parameter.VAR_KEYWORD]
    parameters = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own] + [_parameter(name) for name in READING]
    function.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    function.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return function


def read_by(reading: dict[str, object], source: str) -> dict[str, object]:
    """Return the arguments of a verb that say how a sample is read. source: the verb. Raises: RequestError."""
    request = make_request(given(reading), source)
    return {"reading": request.reading, **{name: getattr(request, name) for name in TREATMENT}}


def _parameter(name: str) -> inspect.Parameter:
    flag = f"--{name.replace('_', '-')}"
    kind = _simple_type(Request.model_fields[name].annotation)
    default = Request.model_fields[name].default
    shown = ",".join(default) if isinstance(default, tuple) else default
    text = escape(help_of(name) if shown in (None, "") else f"{help_of(name)} [{shown}]")
    flags = f"{flag}/--no-{flag[2:]}" if kind is bool else flag
    option = typer.Option(flags, help=text, rich_help_panel=PANELS[group_of(name)], show_default=False)
    annotation = Annotated[kind | None, option]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def _is_tuple(name: str) -> bool:
    return typing.get_origin(Request.model_fields[name].annotation) is tuple


def _simple_type(annotation: object) -> type:
    """Return the type typer parses: str for names and lists, else int, float or bool."""
    if typing.get_origin(annotation) in (UnionType, typing.Union):
        annotation = next(part for part in typing.get_args(annotation) if part is not NoneType)
    if typing.get_origin(annotation) in (Literal, tuple):
        return str
    return annotation if isinstance(annotation, type) else str
