"""Each kind of projector against a dense matrix written from its definition by other means."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.linalg import hadamard
from torch import nn

from pacbound.errors import SubspaceError
from pacbound.specs.specs import ProjectorSpec
from pacbound.subspace import explicit, random, transforms
from pacbound.subspace.layout import Layout
from pacbound.subspace.projectors import make_projector
from tests.cases import PROJECTORS, matrix_of, small_network
from tests.subspace.test_random import stream_words

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "projectors.json").read_text())


def _matrix(kind: str, D: int, d: int, seed: int = 3, layout: Layout | None = None) -> np.ndarray:
    spec = ProjectorSpec.model_validate({"kind": kind, "D": D, "d": d, "seed": seed})
    return make_projector(spec, layout).as_matrix().numpy()


@pytest.mark.parametrize(("D", "d"), [(50, 8), (64, 8), (40, 5), (13, 11), (7, 7), (5, 1), (1, 1), (300, 129)])
def test_fastfood_is_its_dense_product_of_hadamard_matrices(D: int, d: int) -> None:
    p = 1 << math.ceil(math.log2(d))
    blocks = math.ceil(D / p)
    h = hadamard(p) / math.sqrt(p)
    b = np.diag(random.signs(3, "fastfood/input", p))
    shuffle = np.eye(p)[random.permutation(3, "fastfood/order", p)]
    g = random.signs(3, "fastfood/blocks", p * blocks).reshape(p, blocks)
    dense = np.zeros((p * blocks, p))
    for j in range(blocks):
        dense[j::blocks] = h @ np.diag(g[:, j]) @ shuffle @ h @ b
    expected = dense[:D, :d] * math.sqrt(p / D)
    np.testing.assert_allclose(_matrix("fastfood", D, d), expected, atol=1e-6)


def test_fastfood_without_cuts_has_orthonormal_columns() -> None:
    matrix = _matrix("fastfood", 512, 64)
    np.testing.assert_allclose(matrix.T @ matrix, np.eye(64), atol=1e-5)


def test_fastfood_rows_look_like_independent_normal_rows() -> None:
    matrix = _matrix("fastfood", 1 << 14, 256) * math.sqrt(1 << 14)
    assert abs((matrix**4).mean() - 3) < 0.1
    neighbours = (matrix[:-1] * matrix[1:]).sum(1) / 256
    assert abs(neighbours.std() - 1 / 16) < 0.005


def test_fastfood_of_many_factors_agrees_with_a_transform_by_butterflies() -> None:
    p = 1 << 13
    w = np.random.default_rng(0).standard_normal(p)

    def butterflies(x: np.ndarray) -> np.ndarray:
        y, width = x.copy(), 1
        while width < p:
            pairs = y.reshape(-1, 2, width)
            y = np.stack([pairs[:, 0] + pairs[:, 1], pairs[:, 0] - pairs[:, 1]], 1).reshape(-1)
            width *= 2
        return y / math.sqrt(p)

    mixed = butterflies(w * random.signs(0, "fastfood/input", p))[random.permutation(0, "fastfood/order", p)]
    expected = butterflies(mixed * random.signs(0, "fastfood/blocks", p))
    projector = make_projector(ProjectorSpec(kind="fastfood", D=p, d=p))
    found = projector.project(torch.from_numpy(w).float()).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-4)


def _tiled_by_hand(D: int, d: int, seed: int) -> np.ndarray:
    """Write the rows of tiled fastfood out one by one, as the format's text defines them, from Philox up."""
    p = next(2**m for m in range(40) if 2**m >= d)
    size = min(p, 64)

    def signs(stream: str, n: int) -> list[int]:
        words = stream_words(seed, stream, math.ceil(n / 64))
        return [2 * (words[i // 64] >> i % 64 & 1) - 1 for i in range(n)]

    b, s = signs("tiled/input", p), signs("tiled/signs", size * math.ceil(D / size))
    orders = [sorted(range(p), key=stream_words(seed, f"tiled/order {k}", p).__getitem__) for k in range(8)]

    def hadamard_entry(i: int, j: int, order: int) -> float:
        return (-1) ** (i & j).bit_count() / math.sqrt(order)

    whole = np.array([[hadamard_entry(i, j, p) * b[j] for j in range(d)] for i in range(p)])
    rows = np.zeros((D, d))
    for r in range(D):
        tile, inside = divmod(r, p)
        start = inside - inside % size  # of its group of consecutive rows
        for c in range(size):
            weight = hadamard_entry(inside % size, c, size) * s[r - inside % size + c]
            rows[r] += weight * whole[orders[tile % 8][start + c]]
    return rows * math.sqrt(p / D)


@pytest.mark.parametrize(
    ("D", "d"), [(50, 8), (64, 8), (13, 11), (7, 7), (5, 1), (1, 1), (300, 129), (1300, 100), (1030, 33), (9, 3)]
)
def test_tiled_fastfood_is_its_definition_written_out(D: int, d: int) -> None:
    np.testing.assert_allclose(_matrix("tiled", D, d), _tiled_by_hand(D, d, 3), atol=1e-6)


def test_tiled_fastfood_without_cuts_has_orthonormal_columns() -> None:
    matrix = _matrix("tiled", 9 * 128, 100)
    np.testing.assert_allclose(matrix.T @ matrix, np.eye(100), atol=1e-5)


def test_tiled_fastfood_rows_look_like_independent_normal_rows() -> None:
    matrix = _matrix("tiled", 1 << 14, 200) * math.sqrt(1 << 14)
    fourth = 3 - 2 / 64  # of a sum of 64 signs
    assert abs((matrix**4).mean() - fourth) < 0.1
    assert abs((matrix**4).mean(0) - fourth).max() < 0.5  # of every column
    gram = matrix[::37] @ matrix[::37].T / 200
    different = np.abs(gram[~np.eye(len(gram), dtype=bool)])
    assert different.max() < 0.9  # no two rows coincide up to sign
    assert abs(math.sqrt((different**2).mean()) - 1 / math.sqrt(200)) < 0.01


def test_tiled_fastfood_gives_weights_a_multiple_of_its_tile_apart_more_than_one_group_of_numbers() -> None:
    p, tiles = 256, 16
    one_group = np.concatenate([np.arange(64) + p * tile for tile in range(tiles)])
    assert np.linalg.matrix_rank(_matrix("tiled", p * tiles, p)[one_group]) > 3 * 64


def test_tiled_fastfood_is_one_matrix_in_any_chunks_and_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = ProjectorSpec(kind="tiled", D=30_001, d=200, seed=9)
    generator = torch.Generator().manual_seed(0)
    w, v = torch.randn(3, 200, generator=generator), torch.randn(3, 30_001, generator=generator)
    threads, found = torch.get_num_threads(), []
    for entries, count in ((1 << 18, 1), (1 << 18, 2), (1 << 18, 3), (1, 1), (20_000, 1)):
        monkeypatch.setattr(transforms, "_CHUNK_ENTRIES", entries)
        torch.set_num_threads(count)
        projector = make_projector(spec)
        found.append((projector.project(w), projector.adjoint(v), projector.project(w[1])))
    torch.set_num_threads(threads)
    assert all(torch.equal(found[0][part], other[part]) for other in found[:3] for part in range(3))
    for rows, back, single in found[1:]:
        torch.testing.assert_close(rows, found[0][0], rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(back, found[0][1], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(single, rows[1], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("D", "d"), [(12, 5), (30, 30), (37, 8), (1, 1)])
def test_cosine_is_the_explicit_matrix_of_cosines(D: int, d: int) -> None:
    frequencies = random.permutation(3, "cosine/frequencies", D)[:d]
    angles = np.pi * (np.arange(D)[:, None] + 0.5) * frequencies[None, :] / D
    columns = np.cos(angles) * np.where(frequencies == 0, math.sqrt(1 / D), math.sqrt(2 / D))
    expected = random.signs(3, "cosine/signs", D)[:, None] * columns
    np.testing.assert_allclose(_matrix("cosine", D, d), expected, atol=1e-6)


@pytest.mark.parametrize("kind", ["kron", "kron_qr"])
@pytest.mark.parametrize(("D", "d"), [(53, 9), (53, 11), (49, 9), (5, 4), (3, 2)])
def test_kron_is_a_permuted_kronecker_product_beside_its_leftover_block(kind: str, D: int, d: int) -> None:
    a, b = math.isqrt(D), math.isqrt(d)

    def factor(side: str) -> np.ndarray:
        drawn = random.normals(3, f"{kind}/{side}", a * b).reshape(a, b).astype(np.float64)
        if kind == "kron":
            return drawn / math.sqrt(a)
        return np.column_stack(gram_schmidt(drawn))

    def gram_schmidt(drawn: np.ndarray) -> list[np.ndarray]:
        columns: list[np.ndarray] = []
        for column in drawn.T:
            rest = column - sum((c * (c @ column) for c in columns), np.zeros(a))
            columns.append(rest / np.linalg.norm(rest))
        return columns

    expected = np.zeros((D, d))
    expected[: a * a, : b * b] = np.kron(factor("left"), factor("right"))
    rows, columns = D - a * a, d - b * b
    if rows * columns:
        leftover = random.normals(3, f"{kind}/leftover", rows * columns).reshape(rows, columns)
        expected[a * a :, b * b :] = leftover / math.sqrt(rows)
    order = random.permutation(3, f"{kind}/order", D)
    np.testing.assert_allclose(_matrix(kind, D, d), expected[order], atol=1e-5)


def test_kron_refuses_leftover_coefficients_that_would_reach_nothing() -> None:
    with pytest.raises(SubspaceError, match=r"D = 49 is a square, d must be one, got d = 10. Choose d = 9"):
        _matrix("kron", 49, 10)


@pytest.mark.parametrize(("D", "d"), [(100, 6), (2215, 9), (3, 2), (1, 1)])
def test_sparse_columns_have_one_entry_in_each_stratum(D: int, d: int) -> None:
    matrix, r = _matrix("sparse", D, d), round(math.sqrt(D))
    for column in matrix.T:
        rows = np.flatnonzero(column)
        assert [row * r // D for row in rows] == [int(row * r / D) for row in rows]
        strata = [next(i for i in range(r) if i * D // r <= row < (i + 1) * D // r) for row in rows]
        assert strata == list(range(r))
        np.testing.assert_allclose(np.abs(column[rows]), 1 / math.sqrt(r), rtol=1e-6)


def test_sparse_entries_come_from_the_streams() -> None:
    matrix = _matrix("sparse", 100, 2)
    words = random.raw_words(3, "sparse/positions", 20) >> np.uint64(32)
    signs = random.signs(3, "sparse/signs", 20)
    expected = np.zeros((100, 2))
    for index in range(20):
        expected[10 * (index % 10) + int(words[index]) * 10 // 2**32, index // 10] = signs[index] / math.sqrt(10)
    np.testing.assert_allclose(matrix, expected, rtol=1e-6)


def test_dense_is_normal_numbers_over_the_root_of_D(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = random.normals(3, "dense/rows 0", 35 * 4).reshape(35, 4) / math.sqrt(35)
    np.testing.assert_allclose(_matrix("dense", 35, 4), expected, rtol=1e-6)
    monkeypatch.setattr(explicit, "_CHUNK_ENTRIES", 42)  # 10 rows of 4 in a chunk
    chunks = [random.normals(3, f"dense/rows {first}", 4 * min(10, 35 - first)) for first in (0, 10, 20, 30)]
    expected = np.concatenate(chunks).reshape(35, 4) / math.sqrt(35)
    np.testing.assert_allclose(_matrix("dense", 35, 4), expected, rtol=1e-6)


def test_a_dense_matrix_too_big_to_keep_is_the_same_matrix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(explicit, "_CHUNK_ENTRIES", 1000)
    spec = ProjectorSpec(kind="dense", D=777, d=30, seed=9)
    kept = make_projector(spec)
    monkeypatch.setattr(explicit, "_STORED_BYTES", 0)
    redrawn = make_projector(spec)
    generator = torch.Generator().manual_seed(0)
    w, v = torch.randn(2, 30, generator=generator), torch.randn(2, 777, generator=generator)
    torch.testing.assert_close(redrawn.project(w), kept.project(w), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(redrawn.adjoint(v), kept.adjoint(v), rtol=1e-4, atol=1e-5)
    assert torch.equal(redrawn.as_matrix(), kept.as_matrix())


def test_film_moves_only_the_slots_it_selects_by_name() -> None:
    layout = Layout.of(small_network())
    matrix = _matrix("film", layout.D, 6, layout=layout)
    chosen = np.concatenate([np.arange(s.start, s.stop) for s in layout.slots if s.name.startswith(("norm", "fc"))])
    expected = np.zeros((layout.D, 6))
    drawn = random.normals(3, "film/rows 0", len(chosen) * 6).reshape(-1, 6)
    expected[chosen] = drawn / math.sqrt(len(chosen))
    np.testing.assert_allclose(matrix, expected, rtol=1e-6)


def test_film_needs_a_layout_with_a_matching_slot() -> None:
    with pytest.raises(SubspaceError, match="Pass the layout"):
        _matrix("film", 10, 2)
    layout = Layout.of(nn.Sequential(nn.Linear(2, 2)))
    with pytest.raises(SubspaceError, match=r"some slot's name holds bn, fc, norm or classifier, got 0.weight"):
        _matrix("film", 6, 2, layout=layout)


def test_sum_is_the_scaled_sum_and_permuted_reorders_rows() -> None:
    parts = tuple(ProjectorSpec(kind=kind, D=60, d=9, seed=4) for kind in ("dense", "kron", "sparse"))
    matrices = [make_projector(part).as_matrix().numpy() for part in parts]
    total = make_projector(ProjectorSpec(kind="sum", D=60, d=9, parts=parts)).as_matrix().numpy()
    np.testing.assert_allclose(total, sum(matrices) / math.sqrt(3), atol=1e-6)
    shuffled = make_projector(ProjectorSpec(kind="permuted", D=60, d=9, seed=8, parts=parts[:1])).as_matrix().numpy()
    np.testing.assert_array_equal(shuffled, matrices[0][random.permutation(8, "permuted/order", 60)])
    assert not np.array_equal(shuffled, matrices[0])


def test_a_sum_of_equal_parts_is_refused_because_it_is_no_isometry() -> None:
    part = ProjectorSpec(kind="dense", D=10, d=2)
    with pytest.raises(SubspaceError, match="parts must differ"):
        make_projector(ProjectorSpec(kind="sum", D=10, d=2, parts=(part, part)))


def test_more_coefficients_than_parameters_and_foreign_layouts_are_refused() -> None:
    with pytest.raises(SubspaceError, match="d is at most D, got d = 11 and D = 10"):
        _matrix("dense", 10, 11)
    with pytest.raises(SubspaceError, match="D is the layout's 6, got 10"):
        _matrix("dense", 10, 2, layout=Layout.of(nn.Linear(2, 2)))


def test_golden_entries_hold_on_every_machine() -> None:
    assert set(GOLDEN) == {case.name for case in PROJECTORS}
    for case in PROJECTORS:
        matrix = matrix_of(case)
        for i, j, value in GOLDEN[case.name]:
            if case.spec.kind in ("dense", "sparse", "film", "identity"):
                assert matrix[i, j].item() == value
            else:
                assert matrix[i, j].item() == pytest.approx(value, abs=1e-5 / math.sqrt(case.spec.D))
