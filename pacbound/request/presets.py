"""Named requests: data only."""

import difflib

from ..errors import RequestError
from .request import Request, free_options

PRESETS: dict[str, Request] = {
    "default": Request(),
    # Definitions of Lotfi et al. 2022 (arXiv:2211.13609): one learned codebook, static counts, Catoni over a grid.
    # Their unsound short cuts stay out: every field is in the message, and no bits are credited.
    "lotfi2022": Request(
        encoder="codebook",
        levels=7,
        codebook_init="kmeans",
        code=("static",),
        theorem="catoni_grid",
        projector="kron_qr",
        layer_scale=False,
        d=1000,
        rate=0.003,
        beta=0.0,
    ),
}


def preset(name: str) -> Request:
    """Return the request of that name. Raises: RequestError with the nearest name."""
    if name not in PRESETS:
        near = difflib.get_close_matches(name, PRESETS, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise RequestError(f"preset: one of {', '.join(PRESETS)}, got {name!r}.{hint}")
    return PRESETS[name]


def differences(request: Request) -> list[str]:
    """Return what a request asks for beyond the data and the network that differs from the defaults, in words.

    What only helps the encoder is marked as free; all else is paid in the ledger, or declared.
    """
    default = Request()
    ours = {"data", "model", "test", "budget"}
    changed = [
        name for name in Request.model_fields if name not in ours and getattr(request, name) != getattr(default, name)
    ]
    free = free_options(request)
    return [
        f"{name} = {_shown(getattr(request, name))} ({_by_default(getattr(default, name))}"
        f"{'; free' if name in free else ''})"
        for name in changed
    ]


def _by_default(value: object) -> str:
    return "not given by default" if value is None else f"default {_shown(value)}"


def _shown(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
