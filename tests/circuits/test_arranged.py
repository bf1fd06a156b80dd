"""Products of encrypted matrices that were arranged in the clear: one level."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from kit import Kit, at_the_ends, make_kit
from params import insecure_small

from ckks import error_bound, expected_error
from ckks.circuits import ArrangedProduct
from ckks.errors import DomainError, LevelError, MissingKey, ParameterError, SlotError
from ckks.scheme.meta import meta_of


def by_loops(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The sum over k < d/2 as the module states it, entry by entry."""
    d, out = len(a), np.zeros_like(a)

    def left(i: int, c: int) -> complex:
        return complex(a[i, (i + c) % d], -a[i, (i + c + d // 2) % d])

    def right(i: int, c: int) -> complex:
        return complex(b[(i + c) % d, c], b[(i + c + d // 2) % d, c])

    for i in range(d):
        for c in range(d):
            out[i, c] = sum((left(i, c + k) * right((i + k) % d, c)).real for k in range(d // 2))
    return out


@cache
def kit_of(size: int, n: int, keys: str = "hoisted") -> Kit:
    """Exactly the keys that are listed."""
    return make_kit(insecure_small(n, depth=4), rotations=ArrangedProduct(size, keys=keys).rotations, conjugation=True)


def encrypted(kit: Kit, product: ArrangedProduct, a: np.ndarray, b: np.ndarray):
    return (kit.encrypt(packed, slots=product.slots) for packed in (product.pack_left(a), product.pack_right(b)))


@pytest.mark.parametrize(("size", "n"), [(2, 32), (4, 64), (4, 256), (8, 256)])
@pytest.mark.parametrize("keys", ["hoisted", "minimal"])
def test_one_block(size, n, keys):
    product, kit, rng = ArrangedProduct(size, keys=keys), kit_of(size, n, keys), np.random.default_rng(1)
    for a, b in (
        (at_the_ends(rng, (size, size)), rng.uniform(-1, 1, (size, size))),
        (np.ones((size, size)), -np.ones((size, size))),
        (np.eye(size), at_the_ends(rng, (size, size))),
    ):
        assert np.allclose(by_loops(a, b), a @ b)
        x, y = encrypted(kit, product, a, b)
        for left, right in ((x, y), (x, kit.evaluator.bring(y, 1))):
            result = product.multiply(kit.evaluator, left, right)
            assert result.level == min(left.level, right.level) - product.depth and result.parts == 2
            assert meta_of(result).scale == kit.params.scale_at(result.level)
            values = kit.decrypt(result)
            found = product.unpack(values, (size, size))
            assert np.abs(found - a @ b).max() <= error_bound(result) <= 2.0**-14
            assert np.abs(found - a @ b).max() <= 10 * expected_error(result)
            assert np.abs(values.reshape(size, 2, size)[:, 1]).max() <= error_bound(result), "zeros beyond the product"
            assert np.abs(a @ b).max() <= meta_of(result).bound


def test_how_many_keys():
    for size in (2, 4, 8, 64):
        assert len(ArrangedProduct(size).rotations) == size - 2
        assert len(ArrangedProduct(size, keys="minimal").rotations) == min(size - 2, 2)


@pytest.mark.parametrize("shapes", [((4, 4), (4, 7)), ((7, 5), (5, 3)), ((9, 12), (12, 6))])
def test_blocks(shapes):
    product, kit, rng = ArrangedProduct(4), kit_of(4, 64), np.random.default_rng(2)
    a, b = (rng.uniform(-1, 1, shape) for shape in shapes)
    packed = [p if p.ndim == 3 else p[None, None] for p in (product.pack_left(a), product.pack_right(b))]
    result = product.multiply(kit.evaluator, *(kit.encrypt(p, slots=product.slots) for p in packed))
    assert result.shape == (packed[0].shape[0], packed[1].shape[1])
    found = product.unpack(kit.decrypt(result), (len(a), b.shape[1]))
    assert np.abs(found - a @ b).max() <= error_bound(result)


def test_products_of_products():
    product, rng = ArrangedProduct(4), np.random.default_rng(3)
    steps = {*product.rotations, *product.left.rotations, *product.right.rotations}
    kit = make_kit(insecure_small(64, depth=4), rotations=tuple(steps), conjugation=True)
    a, b, c = (rng.uniform(-0.5, 0.5, (4, 4)) for _ in range(3))
    x, y = encrypted(kit, product, a, b)
    ab = product.multiply(kit.evaluator, x, y)
    again = product.left.apply(kit.evaluator, ab)
    assert np.abs(kit.decrypt(again) - product.pack_left(a @ b)).max() <= error_bound(again)
    right = product.right.apply(kit.evaluator, ab)
    assert np.abs(kit.decrypt(right) - product.pack_right(a @ b)).max() <= error_bound(right)
    abc = product.multiply(kit.evaluator, again, kit.encrypt(product.pack_right(c), slots=product.slots))
    assert abc.level == 1
    assert np.abs(product.unpack(kit.decrypt(abc), (4, 4)) - a @ b @ c).max() <= error_bound(abc)


def test_packed_slots_stay_small():
    product, a = ArrangedProduct(4), at_the_ends(np.random.default_rng(4), (4, 4))
    assert np.abs(product.pack_left(a)).max() <= 1
    assert np.abs(product.pack_right(a)).max() <= 1


def test_refusals():
    product, kit = ArrangedProduct(4), kit_of(4, 64)
    x = kit.encrypt(np.ones(32), slots=32)
    for size in (3, 0, 1, 2.0):
        with pytest.raises(ParameterError, match="power of two"):
            ArrangedProduct(size)
    with pytest.raises(DomainError, match="a real one"):
        product.pack_left(1j * np.eye(4))
    with pytest.raises(SlotError, match="two axes"):
        product.pack_right(np.zeros(4))
    with pytest.raises(SlotError, match="needed 2 x 1 blocks of 32"):
        product.unpack(np.zeros(32), (5, 4))
    with pytest.raises(SlotError, match="needed 32"):
        product.multiply(kit.evaluator, x, kit.encrypt(np.ones(16), slots=16))
    with pytest.raises(SlotError, match=r"\(p, q\) and \(q, r\)"):
        product.multiply(kit.evaluator, x, kit.encrypt(np.ones((2, 2, 32)), slots=32))
    with pytest.raises(SlotError, match=r"\(p, q\) and \(q, r\)"):
        product.multiply(kit.evaluator, *[kit.encrypt(np.ones((2, 3, 32)), slots=32)] * 2)
    with pytest.raises(LevelError):
        product.multiply(kit.evaluator, x, kit.evaluator.bring(x, 0))
    few = make_kit(insecure_small(64, depth=4), rotations=[2], conjugation=True)
    with pytest.raises(MissingKey, match="rotation by"):
        product.multiply(few.evaluator, *[few.encrypt(np.ones(32), slots=32)] * 2)
