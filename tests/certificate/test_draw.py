"""Drawing from a frozen posterior: noise by hand, ln dQ/dP by scipy and mpmath, refusals, and the promise itself."""

import functools
import hashlib
import json
import math
from collections.abc import Callable

import mpmath
import numpy as np
import pytest
import safetensors.numpy
from scipy.stats import multivariate_normal

from pacbound.bounds.draw import single_draw
from pacbound.bounds.occam import occam_kl
from pacbound.certificate.draw import Drawn, draw, freeze, noise
from pacbound.errors import CertificateError
from pacbound.specs.specs import DrawSpec

Tensors = dict[str, np.ndarray]


def spec_of(raw: bytes, scale_index: int = 24, index: int = 1) -> DrawSpec:
    return DrawSpec(scale_index=scale_index, index=index, sha256=hashlib.sha256(raw).hexdigest(), size=len(raw))


def posterior(d: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A mean (d,) and a lower factor (d, d) with entries of order 0.1, float32."""
    rng = np.random.default_rng(seed)
    factor = np.tril(rng.normal(0, 0.03, (d, d)))
    factor[np.diag_indices(d)] = rng.uniform(0.02, 0.3, d)
    return rng.normal(0, 0.3, d).astype(np.float32), factor.astype(np.float32)


def drawn(mean: np.ndarray, factor: np.ndarray, scale_index: int = 24, index: int = 1) -> Drawn:
    raw = freeze(mean, factor, scale_index)
    return draw(raw, spec_of(raw, scale_index, index), len(mean))


def test_the_noise_is_that_of_the_formula_and_never_changes() -> None:
    """Golden: a change is a breaking release. By mpmath from the words of Philox."""
    key = np.frombuffer(hashlib.sha256(b"posterior|pacbound-draw-1|1").digest()[:16], "<u8").astype(np.uint64)
    words = [int(word) for word in np.random.Philox(key=key, counter=0).random_raw(4)]
    expected = []
    with mpmath.workdps(50):
        for w, v in ((words[0], words[1]), (words[2], words[3])):
            radius = mpmath.sqrt(-2 * mpmath.log((mpmath.mpf(w) + 0.5) / 2**64))
            angle = 2 * mpmath.pi * v / mpmath.mpf(2) ** 64
            expected += [float(radius * mpmath.cos(angle)), float(radius * mpmath.sin(angle))]
    assert noise(b"posterior", 1, 4).tolist() == expected
    assert noise(b"posterior", 1, 3).tolist() == expected[:3]
    assert [value.hex() for value in expected] == GOLDEN


GOLDEN = [
    "-0x1.5841fdb9a03dap-6",
    "0x1.2e338cc2caf14p-2",
    "0x1.001095582042fp-3",
    "-0x1.e0f3c3ce2533ap-1",
]


def test_the_noise_is_standard_normal() -> None:
    z = noise(b"any", 7, 20000)
    assert abs(z.mean()) < 4 / math.sqrt(20000)
    assert abs((z**2).mean() - 1) < 4 * math.sqrt(2 / 20000)
    assert abs((z**4).mean() - 3) < 4 * math.sqrt(96 / 20000)
    assert abs((z[::2] * z[1::2]).mean()) < 4 / math.sqrt(10000)


def test_every_file_and_every_index_has_its_own_noise() -> None:
    first = noise(b"a", 1, 8)
    for raw, index in ((b"b", 1), (b"a", 2), (b"a", 11)):
        assert not np.isclose(noise(raw, index, 8), first).any()


@pytest.mark.parametrize(("d", "scale_index"), [(1, 24), (2, 0), (7, 40), (30, 24)])
def test_the_log_density_ratio_is_that_of_two_gaussians_at_the_draw(d: int, scale_index: int) -> None:
    mean, factor = posterior(d, seed=d)
    raw = freeze(mean, factor, scale_index)
    made = drawn(mean, factor, scale_index)
    wide = factor.astype(float)
    h = mean + wide @ noise(raw, 1, d)
    s2 = 2.0 ** (-scale_index / 8)
    ratio = multivariate_normal(mean.astype(float), wide @ wide.T).logpdf(h)
    ratio -= multivariate_normal(np.zeros(d), s2 * np.eye(d)).logpdf(h)
    assert made.coefficients.dtype == np.float32
    assert made.coefficients == pytest.approx(h, rel=1e-6)
    assert made.nats == pytest.approx(ratio, abs=1e-8 * max(1, abs(ratio)))
    assert made.bits == math.ceil(made.nats / math.log(2))


def test_the_ratio_is_rounded_up_and_by_little() -> None:
    d = 40
    mean, factor = posterior(d, seed=5)
    z = noise(freeze(mean, factor, 24), 1, d)
    with mpmath.workdps(50):
        rows = [[mpmath.mpf(float(value)) for value in row] for row in factor]
        noises = [mpmath.mpf(value) for value in z.tolist()]
        h = [float(m) + mpmath.fdot(row, noises) for m, row in zip(mean, rows, strict=True)]
        exact = mpmath.fsum(y**2 for y in h) * mpmath.mpf(2) ** 3 / 2 - mpmath.fsum(y**2 for y in noises) / 2
        exact -= mpmath.fsum(mpmath.log(rows[i][i]) for i in range(d)) + d * mpmath.mpf(24) / 16 * mpmath.log(2)
        nats = drawn(mean, factor).nats
        assert 0 <= nats - exact < 1e-9


def test_a_posterior_that_is_the_prior_has_no_ratio_to_pay() -> None:
    made = drawn(np.zeros(5, np.float32), 0.25 * np.eye(5, dtype=np.float32), scale_index=32)
    assert 0 <= made.nats < 1e-12


def _with(change: Callable[[Tensors], object], format: str = "pacbound-draw-1") -> bytes:
    tensors = safetensors.numpy.load(freeze(*posterior(4), 24))
    change(tensors)
    return safetensors.numpy.save(tensors, metadata={"format": format})


def _set(name: str, place: int, value: float) -> Callable[[Tensors], object]:
    return lambda tensors: tensors[name].__setitem__(place, value)


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (_with(_set("mean", 0, math.nan)), "at most 2\\^20"),
        (_with(_set("mean", 0, 1e30)), "at most 2\\^20"),
        (_with(_set("factor", 1, math.inf)), "at most 2\\^20"),
        (_with(_set("factor", 0, 0.0)), "diagonal"),
        (_with(_set("factor", 9, -0.1)), "diagonal"),
        (_with(_set("scale_index", 0, 25)), "one prior"),
        (_with(lambda t: t.update(extra=np.zeros(1))), "holds"),
        (_with(lambda t: t.update(mean=t["mean"].astype(np.float64))), "holds"),
        (_with(lambda t: t.update(mean=t["mean"][:3])), "holds"),
        (_with(lambda t: t.pop("factor")), "holds"),
        (_with(lambda t: None, format="pacbound-draw-2"), "holds"),
        (freeze(*posterior(4), 24)[:-1], "not a safetensors file"),
        (b"", "not a safetensors file"),
        (b"\x02\0\0\0\0\0\0\0[]", "not a safetensors file"),
    ],
)
def test_a_file_that_is_no_posterior_is_refused(raw: bytes, why: str) -> None:
    with pytest.raises(CertificateError, match=why):
        draw(raw, spec_of(raw), 4)


def _reheaded(change: Callable[[bytes], bytes]) -> bytes:
    """The same tensors under another header: their values, names and metadata are read alike."""
    raw = freeze(*posterior(4), 24)
    length = int.from_bytes(raw[:8], "little")
    header = change(raw[8 : 8 + length])
    return len(header).to_bytes(8, "little") + header + raw[8 + length :]


@pytest.mark.parametrize(
    "change",
    [
        lambda header: header + b" " * 8,
        lambda header: header.rstrip() + b"\n" * (len(header) - len(header.rstrip())),
        lambda header: header.replace(b'"dtype"', b'"\\u0064type"'),
        lambda header: header.replace(b":", b": "),
        lambda header: json.dumps(dict(reversed(json.loads(header).items()))).encode(),
    ],
)
def test_bytes_of_the_header_that_say_nothing_are_refused_for_they_would_choose_the_noise(
    change: Callable[[bytes], bytes],
) -> None:
    raw = _reheaded(change)
    if raw == freeze(*posterior(4), 24):
        pytest.fail("the header was not changed")
    with pytest.raises(CertificateError, match=r"byte for byte|safetensors file"):
        draw(raw, spec_of(raw), 4)


def test_a_file_other_than_the_declared_is_refused_before_it_is_read() -> None:
    honest, other = freeze(*posterior(4), 24), freeze(*posterior(4, seed=1), 24)
    with pytest.raises(CertificateError, match="not the one declared"):
        draw(other, spec_of(honest), 4)
    with pytest.raises(CertificateError, match="of 5 coefficients"):
        draw(honest, spec_of(honest), 5)


def kl_to_half(share: float) -> float:
    """kl(share || 1/2) in nats."""
    return math.log(2) + sum(p * math.log(p) for p in (share, 1 - share) if p > 0)


def test_the_exponential_moment_behind_the_theorem_is_met_almost_with_equality() -> None:
    """E over the sample and the draw of e^{n kl(Lh||L)} dP/dQ(h) = xi(n), for a Q that follows the sample.

    A linear classifier of Gaussian inputs with coin-flip labels: every h has risk 1/2, and Q is the conjugate
    posterior of a regression. A term forgotten in the ratio, or noise that knows the sample, moves the mean.
    """
    n, repeats, rng = 3, 1500, np.random.default_rng(0)
    xi = sum(math.comb(n, k) * (k / n) ** k * (1 - k / n) ** (n - k) for k in range(n + 1))
    total = 0.0
    for _ in range(repeats):
        signed = rng.normal(size=(n, 2))  # y x
        mean = 0.3 * signed.mean(0)
        made = drawn(mean.astype(np.float32), np.array([[0.6, 0], [0.1, 0.6]], np.float32), scale_index=16)
        wrong = int((signed @ made.coefficients < 0).sum())
        total += math.exp(n * kl_to_half(wrong / n) - made.nats)
    assert total / repeats == pytest.approx(xi, rel=0.06)


def regression(rng: np.random.Generator, n: int, d: int) -> tuple[np.ndarray, np.ndarray]:
    """A sample y x (n, d) with coin-flip labels, and the mean that fits it."""
    signed = rng.normal(size=(n, d))
    return signed, signed.mean(0).astype(np.float32)


@functools.cache
def drawn_once(d: int, n: int) -> list[tuple[np.ndarray, np.ndarray, Drawn]]:
    """Of 200 samples each with the mean that fits it, and a draw about it."""
    rng, factor = np.random.default_rng(1), 0.05 * np.eye(d, dtype=np.float32)
    samples = [regression(rng, n, d) for _ in range(200)]
    return [(signed, mean, drawn(mean, factor, scale_index=32)) for signed, mean in samples]


def violations(d: int, n: int, forget_ratio: bool = False, known_seed: bool = False) -> float:
    """Share of 200 samples on which the bound lies below the risk 1/2."""
    broken = 0
    for signed, mean, made in drawn_once(d, n):
        h = made.coefficients if not known_seed else mean * 0.01
        # with z known, mean = h - L z and L = s I give ln dQ/dP (h) = (|h|^2 / s^2 - |z|^2) / 2, which is small
        bits = 0 if forget_ratio or known_seed else made.bits
        broken += single_draw(int((signed @ h < 0).sum()), n, bits, 0.05).value < 0.5
    return broken / 200


def test_the_promise_holds_for_a_posterior_that_follows_the_sample() -> None:
    assert violations(d=40, n=60) <= 0.05


def test_the_promise_breaks_where_the_ratio_is_not_paid_or_the_noise_was_known() -> None:
    assert violations(d=40, n=60, forget_ratio=True) > 0.5
    assert violations(d=40, n=60, known_seed=True) > 0.9


def test_the_draw_is_no_message_so_its_ratio_gives_another_bound_than_a_message_of_that_length() -> None:
    assert single_draw(100, 1437, 300, 0.05).value > occam_kl(100, 1437, 300, 0.05).value
