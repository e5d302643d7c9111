"""Level risk looks at the network that the caller brings as certify does: a seed leaves nothing of what it held."""

import sys
import types

import pytest
import torch
from torch import Tensor, nn

import pacbound as pb
from pacbound.networks import rebuilt
from pacbound.pipeline import preparation
from tests.tiny import clouds, quick

STORED = types.ModuleType("stored")
STORED.W = torch.eye(6)[:, :3] * 8  # type: ignore[attr-defined]


class Reaching(nn.Module):
    """Its answers come from another module, which holds the centres of the clouds."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(x) * 1e-3 + x @ sys.modules["stored"].W  # type: ignore[attr-defined]


def test_verify_refuses_a_network_that_holds_what_no_seed_renews(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "stored", STORED)
    request = quick(d=4, epochs=1, base="seeded")
    with pytest.raises(pb.PacboundError, match="18 numbers in tensors besides"):
        pb.certify(Reaching(), clouds(), request=request, progress=False)
    with monkeypatch.context() as careless:  # a certificate by somebody who left the check out
        careless.setattr(preparation, "check_promise", lambda *_: None)
        certificate = pb.certify(Reaching(), clouds(), request=request, progress=False)
    assert certificate.risk.errors < 3
    assert rebuilt.MAX_CONSTANTS < 18
    result = pb.verify(certificate, data=clouds(), model=Reaching())
    assert (result.stands, result.failed) == (False, "network")
    assert "18 numbers in tensors besides" in str(result.reason)
