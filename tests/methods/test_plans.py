"""Dry runs: each method's plan has the items of the certificate that follows, and does none of its work."""

from pathlib import Path

import numpy as np
import pytest

import pacbound as pb
from pacbound.errors import ModelError, RequestError
from pacbound.methods.plans import plans
from pacbound.pipeline.forecast import Forecast
from tests.methods.task import N, save_original, unlabelled
from tests.tiny import clouds


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "planned.py").write_text("from tests.tiny import network as build\n")
    save_original(tmp_path)
    x, y = clouds(N)
    np.savez("sample.npz", x=x.numpy(), y=y.numpy())
    np.savez("inputs.npz", x=unlabelled().numpy())
    return tmp_path


def asked(method: str, **options: object) -> pb.Request:
    common = {"data": "sample.npz", "model": "planned:build", "checkpoint": "original.safetensors", "epochs": 3}
    return pb.Request.model_validate({**common, "method": method, **options})


INPUTS = {
    "unlabelled": "inputs.npz",
    "earlier_looks": 0,
    "surrogate": "mlp",
    "encoder": "plain",
    "d": 16,
    "batch": 60,
    "rate": 0.1,
    "epochs": 3,
}


@pytest.mark.parametrize(("method", "options"), [("direct", {}), ("surrogate", INPUTS)])
def test_the_ledger_has_the_items_of_the_certificate_that_follows(
    folder: Path, method: str, options: dict[str, object]
) -> None:
    before = sorted(folder.iterdir())
    request = asked(method, **options)
    plan = plans(request)[method]
    assert isinstance(plan, Forecast)
    assert sorted(path for path in folder.iterdir() if path.suffix != "" or path.is_file()) == before
    made = pb.certify(request=request, progress=False)
    assert {entry.item for entry in plan.ledger} == {entry.item for entry in made.ledger.entries}
    assert (plan.n, plan.d) == (N, None if method == "direct" else 16)
    assert plan.epochs == round(made.environment.epochs or 0)
    assert 0.3 < plan.bits / made.ledger.bits < 4


def test_auto_plans_each_method_with_the_price_of_the_list(folder: Path) -> None:
    found = plans(asked("auto", prior_share=0.5, **INPUTS))
    assert list(found) == ["subspace", "prior", "direct", "surrogate", "surrogate_prior", "picks"]
    for plan in found.values():
        assert isinstance(plan, Forecast), plan
        assert next(entry.bits for entry in plan.ledger if entry.item == "methods") == 3


def test_one_that_would_be_refused_is_refused_now(folder: Path) -> None:
    (folder / "original.safetensors").write_bytes(b"nothing")
    with pytest.raises(ModelError, match="no safetensors file"):
        plans(asked("direct"))
    found = plans(asked("auto"))
    assert isinstance(found["subspace"], Forecast)
    assert "no safetensors file" in str(found["direct"])
    with pytest.raises(RequestError, match="--unlabelled"):
        plans(asked("surrogate"))
