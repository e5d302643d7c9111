"""Somebody else's network: the copy is private, what cannot be used is refused with what to do, no traceback leaves."""

import threading
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import pacbound as pb
from pacbound.errors import ModelError, PacboundError
from pacbound.models.others import failures, private_copy
from tests.tiny import clouds, network, quick

FEATURES, CLASSES = 6, 3


def plain(self: Any, x: Tensor) -> Tensor:
    return self.layer(x)


class Linear(nn.Module):
    """A layer, and a forward of one's own."""

    def __init__(self, forward: Callable[[Any, Tensor], object] = plain, **held: object) -> None:
        super().__init__()
        self.layer = nn.Linear(FEATURES, CLASSES)
        self.own = forward
        self.__dict__.update(held)

    def forward(self, x: Tensor) -> object:
        return self.own(self, x)


class Silent(Linear):
    """Whose train() returns nothing, and so does eval()."""

    def train(self, mode: bool = True) -> None:  # type: ignore[override]
        super().train(mode)


class Itself(Linear):
    def __deepcopy__(self, memo: object) -> "Itself":
        return self


def first(change: Callable[[nn.Module], object]) -> nn.Module:
    """A network whose first layer was changed in the way of older torch, and that has run once."""
    net = network()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        change(net[0])
    net(torch.ones(2, FEATURES))
    return net


def pruned(layer: nn.Module) -> None:
    from torch.nn.utils import prune

    prune.l1_unstructured(layer, "weight", 0.5)


def wrapped_in_parallel() -> nn.Module:
    return nn.DataParallel(network())


def scripted() -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return nn.Sequential(torch.jit.script(network()), nn.Identity())


def compiled() -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.compile(network())


COPIES = [
    (lambda: first(nn.utils.weight_norm), "torch.nn.utils.parametrizations.weight_norm"),
    (lambda: first(nn.utils.spectral_norm), "torch.nn.utils.parametrizations.spectral_norm"),
    (lambda: first(pruned), "torch.nn.utils.prune.remove"),
    (lambda: Linear(seen=nn.Linear(2, 2)(torch.ones(2))), "seen keeps the result of a computation"),
    (lambda: Linear(lock=threading.Lock()), "cannot pickle"),
    (lambda: Linear(steps=(k for k in ())), "cannot pickle"),
    (Itself, "shares its tensors"),
    (scripted, "give the Python module that it was made from"),
    (wrapped_in_parallel, r"in \.module: give that"),
    (compiled, r"in \._orig_mod: give that"),
    (lambda: network().to("meta"), "device meta"),
]


@pytest.mark.parametrize(("build", "says"), COPIES)
def test_what_cannot_be_copied_is_refused_with_a_remedy(build: Callable[[], nn.Module], says: str) -> None:
    with pytest.raises(ModelError, match=says):
        private_copy(build())


@pytest.mark.parametrize("method", ["subspace", "direct"])
@pytest.mark.parametrize(("build", "says"), COPIES[:4])
def test_certify_refuses_it_too(method: str, build: Callable[[], nn.Module], says: str) -> None:
    with pytest.raises(ModelError, match=says):
        pb.certify(build(), clouds(), request=pb.Request(method=method), progress=False)


def test_a_copy_shares_nothing_and_keeps_ties() -> None:
    net = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 4))
    net[2].weight = net[0].weight
    own = private_copy(net)
    with torch.no_grad():
        own[0].weight.zero_()  # type: ignore[index]
    assert own[2].weight is own[0].weight  # type: ignore[index]
    assert net[0].weight.abs().sum() > 0
    mine, theirs = ({t.data_ptr() for t in part.state_dict().values()} for part in (own, net))
    assert mine.isdisjoint(theirs)


def in_place(self: Any, x: Tensor) -> Tensor:
    x -= 1
    return self.layer(x)


def on_values(self: Any, x: Tensor) -> Tensor:
    return self.layer(x) if float(x.detach().sum()) > -1e9 else x[:, :CLASSES]


FORWARDS = [
    (in_place, "it changed them in place"),
    (on_values, r"without \.item\(\)"),
    (lambda self, x: self.layer(F.dropout(x)), "two answers to one input"),
    (lambda self, x: self.layer(x) + torch.randn(CLASSES), "two answers to one input"),
    (lambda self, x: {}["features"], "features"),
    (lambda self, x: (self.layer(x),), "got tuple"),
    (lambda self, x: {"logits": self.layer(x)}, "got dict"),
    (lambda self, x: None, "got NoneType"),
    (lambda self, x: self.layer(x.view(120, -1)), "reads batches of examples"),
    (lambda self, x: self.layer(x) if len(x) > 1 else x["alone"], "."),
    (lambda self, x: torch.from_numpy(self.layer(x).detach().numpy()), "."),
]


@pytest.mark.parametrize("module_and_reason", FORWARDS)
def test_a_forward_that_cannot_be_certified_is_refused_with_a_remedy(module_and_reason: Any) -> None:
    forward, says = module_and_reason
    with pytest.raises(PacboundError, match=says):
        pb.certify(Linear(forward), clouds(), request=pb.Request(d=4, epochs=1, base="seeded"), progress=False)


@pytest.fixture(scope="module")
def certificate() -> pb.Certificate:
    return pb.certify(Linear(), clouds(), request=quick(base="seeded"), progress=False)


@pytest.mark.parametrize("forward", [forward for forward, _ in FORWARDS if forward is not on_values])
def test_verify_says_what_a_network_raises(
    certificate: pb.Certificate, forward: Callable[[Any, Tensor], object]
) -> None:
    result = pb.verify(certificate, data=clouds(), model=Linear(forward))
    if result.stands:  # it answers as it should
        assert result.recount == certificate.risk
    else:
        assert result.failed in ("network", "errors")


def test_a_train_that_returns_nothing_is_no_obstacle() -> None:
    asked = quick(base="seeded", method="subspace")
    certificate = pb.certify(Silent(), clouds(), request=asked, progress=False)
    assert pb.verify(certificate, data=clouds(), model=Silent()).stands
    pb.certify(Silent(), clouds(), request=pb.Request(method="direct", epochs=6, batch=60), progress=False)


def test_a_batch_normalisation_without_statistics_is_refused() -> None:
    net = nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5, track_running_stats=False), nn.Linear(5, 3))
    with pytest.raises(ModelError, match="batch"):
        pb.certify(net, clouds(), request=pb.Request(base="seeded"), progress=False)


def test_measure_refuses_a_script_and_a_forward_that_fails() -> None:
    with pytest.raises(ModelError, match="give the Python module"):
        pb.measure(scripted(), data=clouds(), measures=("stable_rank",))
    with pytest.raises(ModelError, match="features"):
        pb.measure(Linear(lambda self, x: {}["features"]), data=clouds(), measures=("stable_rank", "ntk"))


@pytest.mark.parametrize("model", [Linear, lambda x: x, 3])
def test_what_is_no_network_is_refused(model: object) -> None:
    with pytest.raises(ModelError, match="an instance, not its class"):
        pb.certify(model, clouds(), progress=False)  # type: ignore[arg-type]


def test_refusals_full_disks_and_our_own_faults_stay_what_they_are() -> None:
    for cause in (ModelError("a"), OSError("b"), KeyboardInterrupt()):
        with pytest.raises(type(cause)) as raised, failures("certify"):
            raise cause
        assert raised.value is cause
    with pytest.raises(KeyError), failures("certify", others=False):
        raise KeyError("c")
    with pytest.raises(ModelError, match=r"certify: .* KeyError: 'c'"), failures("certify"):
        raise KeyError("c")
