"""Redundancy of a network by the K/R ratio, from its design and from the numerical ranks of its kernels.

K/R compares the output channels of a block with the rank behind them; above 1, some of the parameters that are counted
do not add to what the sample has to determine. Huang, Si, Zheng, Li 2021, arXiv:2112.04857. The argument is exact for
linear activations; with others the ratio is an indicator, and no probability follows from it.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from ...bounds.claims import Measure
from ...errors import ModelError
from ..layers.layers import LayerRecord, layers_of
from ..layers.wiring import Wiring
from .designs import Design, blocks_in
from .dimension import savings
from .ranks import ERROR, THRESHOLD, output_ranks, ranks_for_error
from .sample_complexity import gauge_saving_bits, tucker_counts

SOURCE = "Huang, Si, Zheng, Li 2021, arXiv:2112.04857"
BITS_PER_NUMBER = 32  # of a parameter as a float32
FROM_MEMORY = ("funnel",)  # designs whose published form could not be checked


def measure(model: nn.Module, example_input: Tensor, data: object = None) -> tuple[Measure, ...]:
    """Measure the redundancy of a network; values of several layers are sums of K over sums of R, or plain sums.

    redundancy_k_over_r and what follows from the design are left out for a network that torch.fx cannot trace or that
    has one layer only.

    Args: model: in any mode; it is copied. example_input: (batch, ...) as the network reads it. data: not read.
    Returns: measures whose names begin with `redundancy`; per_layer names blocks by their first layer.
    Raises: ModelError where no layer can be expressed, or where a kernel is not finite.
    """
    records = layers_of(model, example_input).records
    if not records:
        raise ModelError(
            f"redundancy: a network has a Linear or Conv layer, got {type(model).__name__} in which none is expressed."
        )
    try:
        wiring = Wiring(model, example_input)
        designs = blocks_in(wiring)
    except ModelError:  # numerical ranks need no arrangement
        return _numerical(records)
    if not designs:
        return _numerical(records)
    counted = {record.name for record in records}
    saved = {n: float(v) for n, v in savings(wiring, designs, example_input).items() if n in counted}
    merged = {d.name: saved.pop(d.name, 0.0) for d in designs} | saved
    return (*_structural(designs, sum(record.weight.numel() for record in records), merged), *_numerical(records))


def _structural(designs: Sequence[Design], naive: int, merged: dict[str, float]) -> tuple[Measure, ...]:
    return (
        Measure(
            name="redundancy_k_over_r",
            value=sum(d.outputs for d in designs) / sum(d.rank for d in designs),
            unit="ratio",
            per_layer={d.name: d.ratio for d in designs},
            reference=f"{SOURCE}; designs: {', '.join(sorted({d.kind for d in designs}))}",
            verified=not any(d.kind in FROM_MEMORY for d in designs),
        ),
        _measure("naive_parameters", naive, "parameters", {}, "weights of all layers, without biases and norms", True),
        _measure("sample_dimension", naive - sum(merged.values()), "parameters", {}, "d_M, linear activations", False),
        _measure("difference", sum(merged.values()), "parameters", merged, "d# - d_M, no weight taken twice", False),
        _bits("merge_bits", {d.name: _merge_bits(d, merged) for d in designs}, "exact merge into the next layer"),
        _bits("gauge_bits", {d.name: _gauge_bits(d) for d in designs}, "gauge fixing; overlaps with exact merge"),
    )


def _numerical(records: Sequence[LayerRecord]) -> tuple[Measure, ...]:
    ranks = {r.name: output_ranks(r.kernel, r.groups) for r in records}
    outputs = {r.name: r.out_channels for r in records}
    tucker = {r.name: float(_tucker_parameters(r)) for r in records}
    return (
        _ratio("threshold", outputs, {k: v.threshold for k, v in ranks.items()}, f"sigma > {THRESHOLD} max", True),
        _ratio("error", outputs, {k: v.error for k, v in ranks.items()}, f"relative error {ERROR}", True),
        _ratio("vbmf", outputs, {k: v.vbmf for k, v in ranks.items()}, "Nakajima et al. 2013, JMLR 14:1-37", False),
        _measure(
            "tucker_parameters", sum(tucker.values()), "parameters", tucker, f"HOSVD at relative error {ERROR}", True
        ),
    )


def _ratio(rule: str, outputs: dict[str, int], ranks: dict[str, int], how: str, verified: bool) -> Measure:
    per_layer = {name: outputs[name] / rank for name, rank in ranks.items()}
    value = sum(outputs.values()) / sum(ranks.values())
    return _measure(f"k_over_r_{rule}", value, "ratio", per_layer, f"numerical rank, {how}", verified)


def _tucker_parameters(record: LayerRecord) -> int:
    """Numbers of the cheaper of the full kernel and its truncated HOSVD."""
    kernel = record.kernel
    if record.groups > 1:
        return kernel.numel()
    outer, *ranks = ranks_for_error(kernel, "tucker")
    return min(kernel.numel(), tucker_counts(kernel.shape[1:], ranks, 0, kernel.shape[0], outer).naive)


def _merge_bits(design: Design, saved: dict[str, float]) -> int:
    if not design.exact_merge or design.kind == "ghost":  # its cheap maps bend: there is no linear factor to merge
        return 0
    return BITS_PER_NUMBER * min(design.redundancy, int(saved[design.name]))


def _gauge_bits(design: Design) -> int:
    return 0 if design.gauge is None else gauge_saving_bits(*design.gauge, BITS_PER_NUMBER)


def _bits(name: str, per_block: dict[str, int], how: str) -> Measure:
    per_layer = {block: float(bits) for block, bits in per_block.items()}
    return _measure(name, sum(per_block.values()), "bits", per_layer, f"{how}, {BITS_PER_NUMBER} bits a number", True)


def _measure(name: str, value: float, unit: str, per_layer: dict[str, float], how: str, verified: bool) -> Measure:
    return Measure(
        name=f"redundancy_{name}", value=float(value), unit=unit, per_layer=per_layer,
        reference=f"{SOURCE}; {how}", verified=verified,
    )  # fmt: skip
