"""Train a network without certifying it: initialised at a stable rank, kept inside norm balls, or both.

What is written is a checkpoint for `certify --method direct` or `measure`. Georgiev et al. 2021, arXiv:2110.02333, for
stable ranks; Graf et al. 2022, arXiv:2202.08070, for training inside balls.
"""

import copy
import math
from pathlib import Path

from pydantic import Field
from safetensors.torch import save_file
from torch import nn

from ..data.preprocess import treated
from ..data.registry import load_any
from ..data.user import PLAIN
from ..errors import ModelError, RequestError, first_line
from ..measures.layers.layers import layers_of
from ..measures.layers.operator_norms import operator_norm
from ..measures.stable_rank.stable_rank import measure_stable_rank, stable_rank_init_
from ..models.loading import network_for, treatment
from ..models.reference import initialise
from ..records import Record
from ..request.reading import Reading
from ..threads import one_thread
from ..training.constrained import ConstrainedPlan, Knobs, error_rate, train_constrained
from ..training.fit import Sample


class Epoch(Record):
    """The state after some epochs, 0 being the start: stable ranks and operator norms (upper ends) by layer.

    error: share of errors on the training sample, in [0, 1].
    """

    epoch: int
    error: float
    stable_rank: dict[str, float]
    operator_norm: dict[str, float]


class Training(Record):
    """What a training did: its options, and the curve. No figure of it is a bound."""

    model: str
    data: str
    n: int
    epochs: int
    rate: float
    batch: int
    seed: int
    stable_rank: float | None = None
    lipschitz: float | None = None
    distance: float | None = None
    curve: tuple[Epoch, ...] = Field(default=())


@one_thread()
def train(
    model: nn.Module | str,
    data: object,
    output: str | Path,
    *,
    epochs: int = 20,
    stable_rank: float | None = None,
    lipschitz: float | None = None,
    distance: float | None = None,
    rate: float = 0.01,
    batch: int = 100,
    seed: int = 0,
    data_dir: str | Path | None = None,
    reading: Reading = PLAIN,
    preprocess: str = "auto",
    tokenizer: str | Path | None = None,
    standardise: str | Path | None = None,
) -> Training:
    """Initialise a network, train it by SGD with momentum, and write its weights.

    Args: model: a network, which is not touched, or what `load_model` takes; either is initialised from the seed.
        data: Examples, tensors, a data set, or what `load` takes. output: a .safetensors file. epochs: 0 initialises
        only. stable_rank: of every layer at the start. lipschitz, distance: balls that every layer stays in, operator
        norm and (2,1) distance to the start. rate, batch: of SGD. data_dir: the folder of named data sets. reading,
        preprocess, tokenizer, standardise: how the sample is read, as for certify.
    Returns: the options and a row for every epoch.
    Raises: RequestError for options out of range; ModelError, DataError where something cannot be loaded or trained.
    """
    path = Path(output)
    if path.suffix != ".safetensors" or not path.parent.is_dir():
        raise RequestError(f"train: the output is a .safetensors file in a folder that exists, got {str(output)!r}.")
    if epochs < 0:
        raise RequestError(f"train: epochs are 0 (initialise only) or more, got {epochs}.")
    examples = load_any(data, data_dir, reading=reading)
    name = model if isinstance(model, str) else type(model).__name__
    spec = treatment(name, examples.preprocess, preprocess, tokenizer, standardise)
    built = copy.deepcopy(model)
    if isinstance(built, str):
        built = network_for(built, examples.x, spec, examples.classes)[0]
    sample = Sample(treated(examples.x, spec), examples.y)
    initialise(built, seed)
    if stable_rank is not None:
        stable_rank_init_(built, stable_rank, seed)
    curve = [_row(0, built, sample)]
    if epochs:
        knob = Knobs(math.inf if lipschitz is None else lipschitz, math.inf if distance is None else distance)
        bounded = lipschitz is not None or distance is not None
        knobs = dict.fromkeys(curve[0].stable_rank, knob) if bounded else {}
        plan = ConstrainedPlan(epochs=epochs, batch=batch, rate=rate, seed=seed)
        try:
            built = train_constrained(
                built, sample, knobs, plan, lambda epoch, network: curve.append(_row(epoch, network, sample))
            ).module
        except RuntimeError as why:  # of torch, in somebody else's network
            raise ModelError(f"train: gradients reach the parameters of the network, got {first_line(why)}.") from None
    save_file({key: value.contiguous().clone() for key, value in built.state_dict().items()}, path)
    return Training(
        model=name, data=examples.name, n=sample.n, epochs=epochs, rate=rate, batch=batch, seed=seed,
        stable_rank=stable_rank, lipschitz=lipschitz, distance=distance, curve=tuple(curve),
    )  # fmt: skip


def _row(epoch: int, network: nn.Module, sample: Sample) -> Epoch:
    frozen = copy.deepcopy(network).eval()
    ranks = next(m for m in measure_stable_rank(frozen, sample.x[:1]) if m.name == "stable_rank_reshaped")
    records = layers_of(frozen, sample.x[:1]).records
    tops = {r.name: operator_norm(r).upper for r in records if r.padding_mode in ("zeros", "circular")}
    return Epoch(epoch=epoch, error=error_rate(frozen, sample), stable_rank=dict(ranks.per_layer), operator_norm=tops)
