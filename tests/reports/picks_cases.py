"""Certificates of picks whose every number is right, without any training: their network file is a few bytes."""

import hashlib

import numpy as np

from pacbound.bits.message import pack
from pacbound.bounds.claims import RiskEstimate
from pacbound.bounds.preference import picks, picks_classical
from pacbound.certificate import Certificate, DataRecord, OtherBound
from pacbound.certificate.accounting import complete
from pacbound.certificate.picked import PicksPart, RoundRecord
from pacbound.specs.picks import PicksSpec, RecipeSpec, sizes
from pacbound.specs.specs import BaseOrigin, HypothesisSpec

NETWORK = b"a network"
ROUNDS = ((0, 40, 16), (16, 100, 4), (20, 1000, 5), (25, 59_975, 600), (31, 59_969, 2), (33, 59_967, 0))


def picked(
    n: int = 60_000,
    indices: np.ndarray | None = None,
    errors: int = 600,
    stop: int = 3,
    rounds: tuple[tuple[int, int, int], ...] = ROUNDS,
    data: dict[str, object] | None = None,
    **recipe: object,
) -> Certificate:
    """Picks of a network of 16, 20, 25, ... examples that stopped at place `stop` of the sizes.

    indices: the picks, by default as many of the last examples as the stop says. rounds: (picked, asked, wrong).
    """
    spec = PicksSpec(
        recipe=RecipeSpec.model_validate(recipe), stop=stop, sha256=hashlib.sha256(NETWORK).hexdigest(),
        size=len(NETWORK),
    )  # fmt: skip
    size = sizes(spec.recipe, n)[stop] if stop < 63 else 33
    chosen = np.arange(n)[::-1][:size] if indices is None else indices
    described = HypothesisSpec(
        model="lenet", layout_digest="1" * 64, base=BaseOrigin(seed=3), layer_scale=False, quantizer=spec
    )
    record = DataRecord.model_validate(
        {"name": "mnist", "digest": "a" * 64, "n": n, "classes": 10, "distinct": n, **(data or {})}
    )
    message, coded = pack(described, np.zeros(0, np.int32))
    ledger = complete(coded, described, record.name, record.digest)
    part = PicksPart.of(
        chosen.astype(np.int64), errors, n, tuple(RoundRecord(picked=p, asked=a, wrong=w) for p, a, w in rounds)
    )
    other = picks_classical(part.picked, errors, n, ledger.bits, 0.05)
    return Certificate.issue(
        bound=picks(part.picked, errors, n, ledger.bits, 0.05),
        risk=RiskEstimate(errors=errors + min(1, len(chosen)), n=n, data_digest=record.digest),
        ledger=ledger,
        message=message,
        data=record,
        hypothesis=described,
        beside=NETWORK,
        picks=part,
        also=(
            OtherBound(
                sample="train", value=other.value, theorem="picks_classical", delta=0.05, errors=errors, n=n,
                bits=ledger.bits,
            ),
        ),
    )  # fmt: skip
