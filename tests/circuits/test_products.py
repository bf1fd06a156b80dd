"""Encrypted matrices times encrypted matrices, one block and many."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from kit import Kit, at_the_ends, make_kit
from params import insecure_small

from ckks import error_bound
from ckks.circuits import MatrixProduct
from ckks.errors import LevelError, MissingKey, ParameterError, SlotError
from ckks.scheme.meta import meta_of


def by_shifts(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The sum over k as the module states it, entry by entry."""
    d, out = len(a), np.zeros_like(a)
    for i in range(d):
        for j in range(d):
            for k in range(d):
                sigma = a[i, (i + (j + k)) % d]  # phi^k: sigma A at column j + k
                tau = b[((i + k) + j) % d, j]  # psi^k: tau B at row i + k
                out[i, j] += sigma * tau
    return out


@cache
def product_of(size: int, keys: str = "hoisted") -> MatrixProduct:
    return MatrixProduct(size, keys=keys)


@cache
def kit_of(size: int, n: int, keys: str = "hoisted") -> Kit:
    """Exactly the keys that are listed."""
    product = product_of(size, keys)
    return make_kit(insecure_small(n, depth=4), rotations=product.rotations, conjugation=product.conjugation)


@pytest.mark.parametrize(("size", "n"), [(2, 32), (4, 32), (8, 128)])
@pytest.mark.parametrize("keys", ["hoisted", "minimal"])
def test_one_block(size, n, keys):
    product, kit, rng = product_of(size, keys), kit_of(size, n, keys), np.random.default_rng(1)
    a, b = at_the_ends(rng, (size, size)), rng.uniform(-1, 1, (size, size))
    assert np.allclose(by_shifts(a, b), a @ b)
    assert keys == "hoisted" or len(product.rotations) <= 6
    x, y = (kit.encrypt(product.pack(matrix), slots=size**2) for matrix in (a, b))
    for left, right in ((x, y), (x, kit.evaluator.bring(y, 3))):
        result = product.multiply(kit.evaluator, left, right)
        assert result.level == min(left.level, right.level) - 3 and result.parts == 2
        assert meta_of(result).scale == kit.params.scale_at(result.level)
        found = product.unpack(kit.decrypt(result), (size, size))
        assert np.abs(found - a @ b).max() <= error_bound(result) <= 2.0**-18
        assert np.abs(a @ b).max() <= meta_of(result).bound


@pytest.mark.parametrize("shapes", [((4, 4), (4, 7)), ((7, 5), (5, 3)), ((9, 12), (12, 6))])
def test_blocks(shapes):
    product, kit, rng = product_of(4), kit_of(4, 32), np.random.default_rng(2)
    a, b = (rng.uniform(-1, 1, shape) for shape in shapes)
    packed = [p if p.ndim == 3 else p[None, None] for p in map(product.pack, (a, b))]
    result = product.multiply(kit.evaluator, *(kit.encrypt(p, slots=16) for p in packed))
    assert result.shape == (packed[0].shape[0], packed[1].shape[1])
    found = product.unpack(kit.decrypt(result), (len(a), b.shape[1]))
    assert np.abs(found - a @ b).max() <= error_bound(result)


def test_packing_is_undone():
    product = product_of(4)
    for shape in ((4, 4), (3, 2), (9, 5)):
        matrix = np.random.default_rng(3).uniform(-1, 1, shape)
        assert np.array_equal(product.unpack(product.pack(matrix), shape), matrix)
    with pytest.raises(SlotError, match="needed 2 x 1 blocks of 16"):
        product.unpack(np.zeros(16), (5, 4))
    with pytest.raises(SlotError, match="two axes"):
        product.pack(np.zeros(4))


def test_refusals():
    product, kit = product_of(4), kit_of(4, 32)
    x = kit.encrypt(np.ones(16), slots=16)
    for size in (3, 0, 1, 2.0):
        with pytest.raises(ParameterError, match="power of two"):
            MatrixProduct(size)
    with pytest.raises(SlotError, match="needed 16"):
        product.multiply(kit.evaluator, x, kit.encrypt(np.ones(8), slots=8))
    with pytest.raises(SlotError, match=r"\(p, q\) and \(q, r\)"):
        product.multiply(kit.evaluator, x, kit.encrypt(np.ones((2, 2, 16)), slots=16))
    with pytest.raises(SlotError, match=r"\(p, q\) and \(q, r\)"):
        product.multiply(kit.evaluator, *[kit.encrypt(np.ones((2, 3, 16)), slots=16)] * 2)
    with pytest.raises(LevelError):
        product.multiply(kit.evaluator, x, kit.evaluator.bring(x, 2))
    few = make_kit(insecure_small(32, depth=4), rotations=[1], conjugation=True)
    with pytest.raises(MissingKey, match="rotation by"):
        product.multiply(few.evaluator, *[few.encrypt(np.ones(16), slots=16)] * 2)
