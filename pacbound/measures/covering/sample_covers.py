"""Covering numbers on the sample, of chains and of residual networks: how far apart outputs are, root mean square.

The class: kernels with operator norm at most s_i and (2,1) distance at most b_i to fixed ones; blocks
h(x) = after(g(x) + main(x)) with a fixed or a learned shortcut g. Graf et al. 2022, arXiv:2202.08070, cover it to bound
a Rademacher complexity; the metric entropy itself is below, beside the published ones for chains.
"""

from fractions import Fraction
from typing import Final

import numpy as np

from ...errors import BoundError
from ..rademacher.capacity import NetworkClass, covered_layers
from ..rademacher.complexity import FLOAT_SLACK, entropy

REFERENCE: Final = "proved in pacbound, after Graf et al. 2022, arXiv:2202.08070"


def sample_cover_nats(network: NetworkClass, data_norm: float, n: int, eps: float) -> float:
    """Bound ln N(eps) of the class, distance sqrt(sum_i ||f(x_i) - f'(x_i)||^2 / n) over the n examples, rounded up.

    ln N <= sum_i min{ k_i ln 2W_i, ln C(2W_i + k_i - 1, k_i) }, k_i = ceil(A_i^2 / e_i^2), over layers with b_i > 0,
    for any split sum_i e_i = eps (a few are tried); k_i = 0 where A_i <= e_i. A_i = b_i u_i v_i / sqrt n, u_i the
    largest norm that enters layer i, v_i the product of the Lipschitz constants behind it: of blocks behind its own, of
    what follows the addition, and of the layers behind it on its own path.
    Proof: (1) one layer on inputs Z gives conv_K(Z) - conv_K0(Z) in b ||Z|| times the hull of 2W points of norm at most
    1, so that uniform means of k of them come within b ||Z|| / sqrt k (Maurey); projected onto the convex set that the
    layer may reach they are in the class and no farther. (2) In the order of computation, let an element of a cover
    replace each layer, chosen for the Z that the elements before it give; its norm is at most u_i, since they are in
    the class. In a block main and shortcut read the same Z and are added: changing a layer of one path by e moves the
    sum by at most e times what is behind it on this path, the other path being the same term in both sums. The
    triangle inequality adds the e_i, and the numbers of choices multiply.

    Args: network: class, fixed before or paid for where a bound is meant. data_norm: ||X|| over all examples.
    Raises: BoundError unless eps > 0.
    """
    if not 0 < eps < float("inf"):
        raise BoundError(f"sample_cover_nats: eps is finite and > 0, got {eps!r}.")
    covered = covered_layers(network, data_norm, n, 1.0, Fraction(1))
    if not covered:
        return 0.0
    scales = np.sqrt(np.array([float(layer.squared) for layer in covered])) * (1 + FLOAT_SLACK)
    sizes = np.array([layer.parameters for layer in covered], dtype=np.float64)
    return float(entropy(scales, sizes, np.array([eps]))[0]) * (1 + FLOAT_SLACK)
