"""The formats by name: one explicit table."""

import json
from collections.abc import Callable, Sequence
from typing import Literal

from ...certificate.canonical import Json
from ...errors import RequestError
from .annex_iv import annex_iv
from .cyclonedx import bill_of_materials
from .in_toto import claim
from .mlflow_batch import log_batch
from .model_card import model_card
from .rows import rows
from .subject import Exported

Format = Literal["model-card", "in-toto", "cyclonedx", "mlflow", "csv", "annex-iv"]
FORMATS: tuple[Format, ...] = Format.__args__  # type: ignore[attr-defined]


def export(exported: Sequence[Exported], format: Format) -> str:
    """Return certificates in one of FORMATS, without a final newline; all but csv take exactly one.

    Raises: RequestError where there are several; VerificationError where it does not stand, csv apart.
    """
    if format == "csv":
        return rows(exported)
    if len(exported) != 1:
        raise RequestError(f"export: {format} is about one certificate, got {len(exported)}. For several there is csv.")
    return ONE[format](exported[0].require())


def _json(made: Callable[[Exported], dict[str, Json]]) -> Callable[[Exported], str]:
    return lambda exported: json.dumps(made(exported), indent=1, ensure_ascii=False, allow_nan=False)


ONE: dict[Format, Callable[[Exported], str]] = {
    "model-card": model_card,
    "in-toto": _json(claim),
    "cyclonedx": _json(bill_of_materials),
    "mlflow": _json(log_batch),
    "annex-iv": annex_iv,
}
