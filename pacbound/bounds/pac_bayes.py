"""PAC-Bayes bounds: statements about the average over a randomised predictor Q, for a prior P fixed before the data.

`bits` is KL(Q || P) / ln 2. A point mass on one decoded network has KL = (message bits) ln 2, so the same
call bounds that network too; for it the Occam bounds are tighter. `errors` is then n times the average
over Q of the empirical risk. All statements but `catoni_fixed` hold for all Q simultaneously; so does it,
for its one C.
"""

import math

from flint import arb

from ..errors import BoundError
from .balls import IID, RANDOMISED, UNIT_LOSS, check, claim, empirical_risk, log_inverse, nats_of, rounded_up, working
from .claims import Bound
from .inversion import kl_inverse_upper

CATONI_GRID_ALPHA = 1e-4  # the published constant: lambda runs over powers of 1 + alpha
_ASSUMES = (IID, UNIT_LOSS, RANDOMISED)


def pac_bayes_kl(errors: float, n: int, bits: float, delta: float) -> Bound:
    """Bound the average risk by sup { p : kl(r || p) <= (KL + ln(2 sqrt(n) / delta)) / n }, r = errors/n.

    Reference: Maurer 2004, "A note on the PAC Bayesian theorem" (arXiv cs/0411099), Theorem 5; his n >= 8
    is needed only for xi(n) <= 2 sqrt(n), which also holds for n = 1..7.

    Args: errors: n times the average empirical risk. n: examples. bits: KL / ln 2. delta: in (0, 1).

    Raises: BoundError outside the ranges.

    Assumes: i.i.d. examples; loss in [0, 1]; the prior was fixed before the sample.
    Rounds: up; the upper end of the inversion is proved outside by a ball.
    """
    check("pac_bayes_kl", errors, n, bits, delta)
    with working():
        value = kl_inverse_upper(empirical_risk(errors, n), _maurer_nats(n, bits, delta) / n)
        return claim("pac_bayes_kl", value, delta, "Maurer 2004, Theorem 5", _ASSUMES)


def pac_bayes_kl_xi(errors: float, n: int, bits: float, delta: float) -> Bound:
    """Bound the average risk by sup { p : kl(r || p) <= (KL + ln(xi(n) / delta)) / n }, r = errors/n.

    xi(n) = sum_{k=0..n} C(n,k) (k/n)^k (1-k/n)^(n-k), about sqrt(pi n / 2), where `pac_bayes_kl` has 2 sqrt(n).

    Reference: Maurer 2004, "A note on the PAC Bayesian theorem" (arXiv cs/0411099), the proof of Theorem 5
    before xi(n) is replaced.

    Args: errors: n times the average empirical risk. n: examples. bits: KL / ln 2. delta: in (0, 1).

    Raises: BoundError outside the ranges.

    Assumes: i.i.d. examples; loss in [0, 1]; the prior was fixed before the sample.
    Rounds: up; ln xi(n) is a ball, and the upper end of the inversion is proved outside by another.
    """
    check("pac_bayes_kl_xi", errors, n, bits, delta)
    with working():
        nats = nats_of(bits) + log_xi(n) + log_inverse(delta)
        value = kl_inverse_upper(empirical_risk(errors, n), nats / n)
        return claim("pac_bayes_kl_xi", value, delta, "Maurer 2004, proof of Theorem 5, exact xi(n)", _ASSUMES)


def mcallester(errors: float, n: int, bits: float, delta: float) -> Bound:
    """Bound the average risk by r + sqrt((KL + ln(2 sqrt(n) / delta)) / (2n)), r = errors/n.

    Pinsker's relaxation of `pac_bayes_kl`, kept because it is the form most often printed.

    Reference: McAllester 1999, "PAC-Bayesian model averaging", with Maurer 2004, Theorem 5.

    Args: errors: n times the average empirical risk. n: examples. bits: KL / ln 2. delta: in (0, 1).

    Raises: BoundError outside the ranges.

    Assumes: i.i.d. examples; loss in [0, 1]; the prior was fixed before the sample.
    Rounds: up, in ball arithmetic.
    """
    check("mcallester", errors, n, bits, delta)
    with working():
        value = empirical_risk(errors, n) + (_maurer_nats(n, bits, delta) / (2 * n)).sqrt()
        return claim("mcallester", value, delta, "McAllester 1999 with Maurer 2004, Theorem 5", _ASSUMES)


def rivasplata_quadratic(errors: float, n: int, bits: float, delta: float) -> Bound:
    """Bound the average risk by (sqrt(r + B) + sqrt(B))^2, B = (KL + ln(2 sqrt(n) / delta)) / (2n), r = errors/n.

    Reference: Rivasplata, Tankasali and Szepesvari 2019, "PAC-Bayes with backprop" (arXiv 1908.07380);
    Perez-Ortiz et al. 2021, "Tighter risk certificates for neural networks", the quadratic bound.

    Args: errors: n times the average empirical risk. n: examples. bits: KL / ln 2. delta: in (0, 1).

    Raises: BoundError outside the ranges.

    Assumes: i.i.d. examples; loss in [0, 1]; the prior was fixed before the sample.
    Rounds: up, in ball arithmetic.
    """
    check("rivasplata_quadratic", errors, n, bits, delta)
    with working():
        half = _maurer_nats(n, bits, delta) / (2 * n)
        value = ((empirical_risk(errors, n) + half).sqrt() + half.sqrt()) ** 2
        return claim("rivasplata_quadratic", value, delta, "Rivasplata et al. 2019; Perez-Ortiz et al. 2021", _ASSUMES)


def thiemann_lambda(errors: float, n: int, bits: float, delta: float) -> Bound:
    """Bound the average risk by r/(1-l/2) + (KL + ln(2 sqrt(n)/delta)) / (n l (1-l/2)), at the best l in (0, 2).

    The inequality holds for all l at once, so l may be minimised over; the minimiser is
    l = 2 / (sqrt(2 n r / (KL + ln(2 sqrt(n)/delta)) + 1) + 1).

    Reference: Thiemann, Igel, Wintenberger and Seldin 2017, "A strongly quasiconvex PAC-Bayesian bound"
    (arXiv 1608.05610), Theorem 3 and its minimiser.

    Args: errors: n times the average empirical risk. n: examples. bits: KL / ln 2. delta: in (0, 1).

    Raises: BoundError outside the ranges.

    Assumes: i.i.d. examples; loss in [0, 1]; the prior was fixed before the sample.
    Rounds: up, in ball arithmetic, at a float64 l; any l is valid.
    """
    check("thiemann_lambda", errors, n, bits, delta)
    with working():
        risk, nats = empirical_risk(errors, n), _maurer_nats(n, bits, delta)
        best = arb(2.0 / (math.sqrt(2.0 * float(errors) / float(nats) + 1.0) + 1.0))
        value = risk / (1 - best / 2) + nats / (n * best * (1 - best / 2))
        return claim("thiemann_lambda", value, delta, "Thiemann et al. 2017, Theorem 3", _ASSUMES)


def tolstikhin_seldin(errors: float, n: int, bits: float, delta: float) -> Bound:
    """Bound the average risk by r + sqrt(2 r c) + 2c, c = (KL + ln(2 sqrt(n) / delta)) / n, r = errors/n.

    Reference: Tolstikhin and Seldin 2013, "PAC-Bayes-empirical-Bernstein inequality", the relaxation of
    the kl inequality that they compare with.

    Args: errors: n times the average empirical risk. n: examples. bits: KL / ln 2. delta: in (0, 1).

    Raises: BoundError outside the ranges.

    Assumes: i.i.d. examples; loss in [0, 1]; the prior was fixed before the sample.
    Rounds: up, in ball arithmetic.
    """
    check("tolstikhin_seldin", errors, n, bits, delta)
    with working():
        risk, c = empirical_risk(errors, n), _maurer_nats(n, bits, delta) / n
        return claim(
            "tolstikhin_seldin", risk + (2 * risk * c).sqrt() + 2 * c, delta, "Tolstikhin and Seldin 2013", _ASSUMES
        )


def catoni_fixed(errors: float, n: int, bits: float, delta: float, C: float = 2.0) -> Bound:
    """Bound the average risk by (1 - exp(-C r - (KL + ln(1/delta)) / n)) / (1 - exp(-C)), r = errors/n.

    No sqrt(n) term, and the price is that ONE C is fixed before the sample: minimising over C afterwards
    is invalid without a union bound (`catoni_grid` has one).

    Reference: Catoni 2007, "PAC-Bayesian supervised classification" (arXiv 0712.0248), Theorem 1.2.6; in this
    form Germain et al. 2009, "PAC-Bayesian learning of linear classifiers", Corollary 2.2.

    Args: errors: n times the average empirical risk. n: examples. bits: KL / ln 2. delta: in (0, 1).
        C: > 0, fixed before the sample.

    Raises: BoundError outside the ranges.

    Assumes: i.i.d. examples; loss in [0, 1]; the prior and C were fixed before the sample.
    Rounds: up, in ball arithmetic.
    """
    check("catoni_fixed", errors, n, bits, delta)
    if not (math.isfinite(C) and C > 0):
        raise BoundError(f"catoni_fixed: C is finite and > 0, got {C}. Fix it before the sample is seen, e.g. 2.")
    with working():
        exponent = C * empirical_risk(errors, n) + (nats_of(bits) + log_inverse(delta)) / n
        value = (-exponent).expm1() / (-arb(C)).expm1()
        reference = "Catoni 2007, Theorem 1.2.6; Germain et al. 2009, Corollary 2.2"
        return claim("catoni_fixed", value, delta, reference, (*_ASSUMES, f"C = {C} was fixed before the sample"))


def catoni_grid(errors: float, n: int, bits: float, delta: float) -> Bound:
    """Bound the average risk by inf over lambda > 1 of (1 - exp(-a q)) / (1 - exp(-a)), a = lambda/n, as published.

    q = r + ((1 + alpha)/lambda) [KL + ln(1/delta) + 2 ln(2 + ln(lambda)/ln(1 + alpha))], r = errors/n,
    alpha = 1e-4. The union bound over the powers of 1 + alpha is the last term, so any lambda found by any
    search is valid; this one is a grid and a refinement, where an unconstrained search stalls at high risk.

    Reference: Catoni 2007, "PAC-Bayesian supervised classification" (arXiv 0712.0248), Theorem 1.2.6
    with a union over lambda, as used by Zhou et al. 2019 (arXiv 1804.05862) and Lotfi et al. 2022 (arXiv 2211.13609).

    Args: errors: n times the average empirical risk. n: examples. bits: KL / ln 2. delta: in (0, 1).

    Raises: BoundError outside the ranges.

    Assumes: i.i.d. examples; loss in [0, 1]; the prior was fixed before the sample.
    Rounds: up, in ball arithmetic, at a float64 ln(lambda).
    """
    check("catoni_grid", errors, n, bits, delta)
    with working():
        risk, nats = empirical_risk(errors, n), nats_of(bits) + log_inverse(delta)
        log_lambda = arb(_best_log_lambda(float(risk), float(nats), n))
        alpha = arb(CATONI_GRID_ALPHA)
        union = 2 * (2 + log_lambda / alpha.log1p()).log()
        q = risk + (1 + alpha) * (-log_lambda).exp() * (nats + union)
        a = log_lambda.exp() / n
        value = (-a * q).expm1() / (-a).expm1()
        reference = "Catoni 2007, Theorem 1.2.6 and union over lambda, as in Lotfi et al. 2022"
        return claim("catoni_grid", value, delta, reference, _ASSUMES)


def log_xi(n: int) -> arb:
    """Return ln xi(n) as a ball, by xi(n) = e^n n^-n Gamma(n+1, n).

    From sum_k C(n,k) (k/n)^k (1-k/n)^(n-k) = sum_{j=0..n} n! / ((n-j)! n^j), an incomplete gamma function.
    Where the ball is useless, 2 sqrt(n) stands in: it is never smaller.

    Args: n: >= 1. Returns: ball at PRECISION bits.
    """
    with working():
        size = arb(n)
        exact = size.gamma_upper(size + 1).log() + size - size * size.log()
        ceiling = (2 * size.sqrt()).log()
        return exact if rounded_up(exact) <= rounded_up(ceiling) else ceiling


def _maurer_nats(n: int, bits: float, delta: float) -> arb:
    """Return KL + ln(2 sqrt(n) / delta)."""
    return nats_of(bits) + (2 * arb(n).sqrt()).log() + log_inverse(delta)


def _best_log_lambda(risk: float, nats: float, n: int) -> float:
    """Return ln(lambda) > 0 near the minimum of `catoni_grid`, in float64: a grid, then golden sections."""
    log_base = math.log1p(CATONI_GRID_ALPHA)

    def value(g: float) -> float:
        q = risk + (1.0 + CATONI_GRID_ALPHA) * math.exp(-g) * (nats + 2.0 * math.log(2.0 + g / log_base))
        a = math.exp(g) / n
        return math.expm1(-a * q) / math.expm1(-a)

    # lambda = e^7 n makes 1 - exp(-lambda/n) equal to 1 in float64: nothing is gained beyond
    step = (math.log(n) + 7.0) / 256.0
    best = min(range(1, 257), key=lambda i: value(i * step)) * step
    low, high = max(best - step, step * 1e-6), best + step
    golden = (math.sqrt(5.0) - 1.0) / 2.0
    for _ in range(60):
        left, right = high - golden * (high - low), low + golden * (high - low)
        low, high = (low, right) if value(left) <= value(right) else (left, high)
    return (low + high) / 2.0
