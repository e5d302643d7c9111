"""The losses of a decoded sequence network, in bits a symbol: one number for each unit, in float64, on the CPU.

Windows: a window of a stream begins at every multiple of the step; the first predicts all its symbols, a later one
those that no earlier one did, the last `step` of it. Every window is read from the start symbol on: a prediction is a
function of at most `window - 1` symbols before it. A position, and the first window of a document, has its own.
"""

import math
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..bounds.losses import LossSums, joined, loss_sums
from ..data.pairs import Pairs
from ..data.texts import Text
from ..errors import ModelError
from ..progress import hidden, tqdm
from ..specs.language import KAPPAS, TOLERANCE_BITS, PredictionSpec, UnitsSpec
from ..subspace.random import raw_words
from ..threads import measured_threads, tick
from .risk import zero_one

BATCH_SYMBOLS = 1 << 16  # positions at a time, over all rows of a batch
BATCH_LOGITS = 1 << 22  # numbers at a time
PROBED_WINDOWS = 4  # to find how many threads predict fastest
ALONG = 128  # parts of the units whose mean losses are kept for a plot

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Units:
    """Where each unit begins and ends in a text, (units, 2). apart: whether what stands before one is not its past.

    answers: where in each unit the symbols begin that are predicted, (units,); the first where there is none.
    """

    spans: NDArray[np.int64]
    apart: bool
    answers: NDArray[np.int64] | None = None


@dataclass(frozen=True)
class Predicted:
    """What a network says of some symbols, before smoothing: rows of a block.

    own: probability of the symbol that came, (m,). tops: distributions (m, predicted). lengths: symbols of each unit,
    (units,), whose sum is m. led: of answers, whether the symbol that came leads all others by more than a near-tie,
    (m,) bool.
    """

    own: Vector
    tops: Vector
    lengths: NDArray[np.int64]
    led: NDArray[np.bool_] | None = None


def units_of(text: Text, spec: UnitsSpec) -> Units | None:
    """Return the units of a text: drawn positions, or documents; None of a stream. Raises: DataError.

    The shortest documents come first, since rows of one batch have one length.
    """
    if spec.separator is not None:
        spans = text.documents(bytes.fromhex(spec.separator))
        return Units(spans[np.argsort(spans[:, 1] - spans[:, 0], kind="stable")], apart=True)
    if spec.count is None or spec.seed is None:
        return None
    drawn = draw_positions(text.n, spec.count, spec.seed)
    return Units(np.stack([drawn, drawn + 1], axis=1), apart=False)


def answers_of(pairs: Pairs, prediction: PredictionSpec) -> Units:
    """Return the units of pairs, the shortest first, since rows of one batch have one length.

    Raises: DataError for a pair that is longer than a window.
    """
    pairs.check_fit(prediction.window)
    spans = pairs.spans[np.argsort(pairs.spans[:, 2] - pairs.spans[:, 0], kind="stable")]
    return Units(spans[:, [0, 2]], apart=True, answers=spans[:, 1])


def draw_positions(n: int, count: int, seed: int) -> NDArray[np.int64]:
    """Return `count` positions below n, ascending, independent and exactly uniform: words that would favour some of
    them are left out.
    """
    stream, whole = "networks/predictions/positions", (1 << 64) // n * n
    words = raw_words(seed, stream, count + 64 + count // 8)
    kept = words if whole == 1 << 64 else words[words < np.uint64(whole)]
    assert len(kept) >= count  # n is at most 2^40, so that one word in 2^24 is left out
    return np.sort((kept[:count] % np.uint64(n)).astype(np.int64))


def predict(
    network: nn.Module, text: Text, prediction: PredictionSpec, units: Units | None, progress: bool = True,
    most: int | None = None,
) -> Iterator[Predicted]:  # fmt: skip
    """Yield what a network predicts, unit after unit. most: units after which to stop.

    Raises: ModelError where the network answers in another shape, or with something that is not finite.
    """
    window, step = prediction.window, prediction.step
    n = text.n if most is None else min(most, text.n)
    spans = _stream_spans(n, window, step) if units is None else _unit_spans(units, window, most)
    rows = max(1, min(BATCH_SYMBOLS, BATCH_LOGITS // text.alphabet.predicted) // window)
    total = n if units is None else len(units.spans)
    with tqdm(total=total, desc="counting", unit="symbols", unit_scale=True, disable=hidden(progress)) as bar:
        for batch in _batches(spans, rows):
            made = _predict_batch(network, text, batch, units is not None and units.answers is not None)
            yield made
            bar.update(int(made.lengths.sum()) if units is None else len(made.lengths))


def _stream_spans(n: int, window: int, step: int) -> Iterator[tuple[int, int, int]]:
    """(begin of the window, first predicted, end) over a stream."""
    begin, first = 0, 0
    while first < n:
        end = min(begin + window, n)
        yield begin, first, end
        first, begin = end, begin + step


def _unit_spans(units: Units, window: int, most: int | None) -> Iterator[tuple[int, int, int]]:
    firsts = units.spans[:, 0] if units.answers is None else units.answers
    for (start, stop), first in zip(units.spans[:most].tolist(), firsts.tolist(), strict=False):
        yield (start, first, min(stop, start + window)) if units.apart else (max(0, stop - window), start, stop)


def _batches(spans: Iterator[tuple[int, int, int]], rows: int) -> Iterator[list[tuple[int, int, int]]]:
    """Rows of one batch have one shape, so that no padding can reach a prediction."""
    held: list[tuple[int, int, int]] = []
    for span in spans:
        if held and (len(held) == rows or span[2] - span[0] != held[0][2] - held[0][0]):
            yield held
            held = []
        held.append(span)
    if held:
        yield held


@torch.no_grad()
@torch.autocast("cpu", enabled=False)
def _predict_batch(network: nn.Module, text: Text, batch: list[tuple[int, int, int]], led: bool) -> Predicted:
    size, start = text.alphabet.predicted, text.alphabet.start
    symbols = np.stack([text.symbols(begin, end) for begin, _, end in batch])
    known = np.where(symbols < size, symbols, start)
    inputs = torch.from_numpy(np.concatenate([np.full((len(batch), 1), start), known[:, :-1]], axis=1))
    logits = network(inputs)
    shape = tuple(logits.shape)
    if shape[:-1] != symbols.shape or shape[-1] < size or not bool(torch.isfinite(logits).all()):
        raise ModelError(
            f"predict: a network answers symbols {tuple(inputs.shape)} with finite logits, {size} of each, got "
            f"{shape}. Give the network that was certified."
        )
    p = logits[..., :size].double().softmax(-1)
    chosen = torch.from_numpy(np.minimum(symbols, size - 1))[..., None]
    own = np.where(symbols < size, p.gather(-1, chosen)[..., 0].numpy(), 0.0)
    keep = [slice(first - begin, end - begin) for begin, first, end in batch]
    clear = _led(logits[..., :size], symbols) if led else None
    return Predicted(
        np.concatenate([own[k, part] for k, part in enumerate(keep)]),
        torch.cat([p[k, part] for k, part in enumerate(keep)]).numpy(),
        np.array([end - first for _, first, end in batch], np.int64),
        None if clear is None else np.concatenate([clear[k, part] for k, part in enumerate(keep)]),
    )


def _led(logits: Tensor, symbols: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether each symbol (rows, m) is the clear winner of its logits (rows, m, size); an unknown one never is."""
    known = symbols < logits.shape[-1]
    asked = torch.from_numpy(np.where(known, symbols, 0))
    lost = zero_one(logits.flatten(0, 1), asked.flatten()).numpy() > 0
    return known & ~lost.reshape(symbols.shape)


def predicting(
    network: nn.Module, text: Text, prediction: PredictionSpec, units: Units | None
) -> AbstractContextManager[None]:
    """Predict with as many threads as predict a few windows fastest."""
    few = PROBED_WINDOWS * (prediction.window if units is None else 1)
    return measured_threads(lambda: list(predict(network, text, prediction, units, False, few)))


def count_wrong(
    network: nn.Module, pairs: Pairs, prediction: PredictionSpec, units: Units, progress: bool = True
) -> int:
    """Count the pairs whose answer greedy decoding does not give.

    An answer is given where each of its symbols, after the prompt and the symbols of the answer before it, is the
    clear winner: then greedy decoding writes it, and stops where it ends. A near-tie counts as an error.
    Raises: ModelError as `predict` does.
    """
    wrong = 0
    with predicting(network, pairs, prediction, units):
        for block in predict(network, pairs, prediction, units, progress):
            assert block.led is not None
            edges = np.concatenate([[0], np.cumsum(block.lengths)[:-1]])
            wrong += int((~np.logical_and.reduceat(block.led, edges)).sum())
            tick("counting")
    return wrong


def block_losses(made: Predicted, alpha: float, size: int, entropy: bool) -> tuple[Vector, Vector]:
    """Return losses X and entropies H, (m,) each, in bits, of the smoothed predictions over `size` symbols.

    X is at most log2(size / alpha). Entropies are zeros where nobody asks for them.
    """
    floor = alpha / size
    losses = -np.log2((1 - alpha) * made.own + floor)
    if not entropy:
        return losses, np.zeros_like(losses)
    smoothed = (1 - alpha) * made.tops + floor
    others = size - made.tops.shape[1]
    return losses, -(smoothed * np.log2(smoothed)).sum(1) - others * floor * math.log2(floor)


def sum_losses(
    network: nn.Module, text: Text, prediction: PredictionSpec, units: Units | None,
    tolerance: float = TOLERANCE_BITS, progress: bool = True,
) -> tuple[LossSums, tuple[float, ...]]:  # fmt: skip
    """Sum up the losses of all units, `tolerance` bits added to each; return also their means along the units.

    Raises: ModelError where the network answers in another shape, or with something that is not finite.
    """
    size, ceiling, parts = text.alphabet.size, prediction.ceiling(text.alphabet.size), []
    n = text.n if units is None else len(units.spans)
    bins = min(ALONG, n)
    along, place = np.zeros(bins), 0
    with predicting(network, text, prediction, units):
        for block in predict(network, text, prediction, units, progress):
            losses, centres = unit_losses(block, prediction, size, units is not None)
            parts.append(loss_sums(losses + tolerance, centres, ceiling))
            along += np.bincount((place + np.arange(len(losses))) * bins // n, losses, bins)
            place += len(losses)
            tick("counting")
    counts = np.bincount(np.arange(n) * bins // n, minlength=bins) if n <= BATCH_SYMBOLS else n / bins
    return joined(parts), tuple(round(float(mean), 4) for mean in along / counts)


def unit_losses(block: Predicted, prediction: PredictionSpec, size: int, apart: bool) -> tuple[Vector, Vector | float]:
    """Return the losses of the units of a block in bits and their centres, before any tolerance.

    apart: whether each unit has one loss, the mean of its symbols', and all of them one centre.
    """
    losses, entropies = block_losses(block, prediction.smoothing, size, not apart)
    if not apart:
        assert prediction.kappa is not None
        return losses, KAPPAS[prediction.kappa] * entropies
    assert prediction.constant is not None
    edges = np.concatenate([[0], np.cumsum(block.lengths)[:-1]])
    return np.add.reduceat(losses, edges) / block.lengths, prediction.constant
