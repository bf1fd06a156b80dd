"""Evaluator: arithmetic on ciphertexts, levels and scales included.

Whoever has the evaluation keys can run it; nothing here can decrypt. Rules that hold for every method:

- inputs are never changed; the level and scale of the result are what `Meta` and `level` say;
- a product costs one level, and two ciphertexts of different levels combine as long as one is left to align them;
- plain operands may be numbers, arrays of shape (..., n), or Plaintexts; Python integers multiply for free.
"""

from __future__ import annotations

from cmath import isfinite
from collections.abc import Sequence
from decimal import Decimal
from functools import lru_cache
from math import hypot, log2, sqrt
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ckks import kernels
from ckks.errors import BasisMismatch, LevelError, MissingKey, ParameterError, RangeError, SlotError
from ckks.kernels import Words
from ckks.rlwe import (
    Ciphertext,
    EvaluationKeys,
    Noise,
    Plaintext,
    apply_automorphism,
    automorphism_sum,
    divide_by_level,
    hoisted_automorphisms,
    multiply,
    relinearise,
    tensor,
    tensor_sum,
)
from ckks.rlwe.keys import ALL_KEYS
from ckks.scheme.align import (
    align,
    bring,
    can_reach,
    multiply_exact,
    multiply_towards,
    rescaled_scale,
    residues_of,
    settle,
    too_deep,
)
from ckks.scheme.encoder import (
    Encoder,
    as_numbers,
    check_magnitude,
    checked_bound,
    checked_scale,
    exact_round,
)
from ckks.scheme.lost import precision_lost
from ckks.scheme.meta import Meta, meta_of
from ckks.scheme.params import EXACT, CKKSParams

Operand = Ciphertext | Plaintext | ArrayLike


class Evaluator:
    """Evaluates circuits over one parameter set. Immutable, without scratch space: share it between threads.

    Args:
        params: the parameter set.
        keys: relinearisation and Galois keys, as far as the circuit needs them.
    """

    def __init__(self, params: CKKSParams, keys: EvaluationKeys | None = None) -> None:
        """Keep the keys."""
        if keys is not None and not isinstance(keys, EvaluationKeys):
            raise TypeError(
                f"expected EvaluationKeys, found {type(keys).__name__}; KeyGenerator.evaluation_keys makes them"
            )
        if keys is not None and keys.params != params:
            raise BasisMismatch("the evaluation keys belong to other parameters than this evaluator")
        self.params = params
        self.keys = keys if keys is not None else EvaluationKeys(params)
        self.encoder = Encoder(params)

    # ---- sums ----------------------------------------------------------------------------------------------------

    def add(self, a: Ciphertext, b: Operand) -> Ciphertext:
        """Return a + b. Slots without values stay zero, whether b is a number or an array."""
        return self._combine(a, b, subtract=False)

    def subtract(self, a: Ciphertext, b: Operand) -> Ciphertext:
        """Return a - b; see `add`."""
        return self._combine(a, b, subtract=True)

    def negate(self, a: Ciphertext) -> Ciphertext:
        """Return -a."""
        self.check(a)
        return Ciphertext.of(a.params, kernels.neg(a.basis.plan, a.words), a.level, a.meta, a.noise)

    def sum(self, a: Ciphertext, axis: int = 0) -> Ciphertext:
        """Return the sum over one batch axis."""
        self.check(a)
        if not -len(a.shape) <= axis < len(a.shape) or not a.shape[axis]:
            raise SlotError(
                f"sum over axis {axis} of a batch {a.shape}; needed an existing, non-empty batch axis (sum_slots adds "
                "up the slots of each ciphertext)"
            )
        axis %= len(a.shape)
        terms = np.moveaxis(a.words, axis, 0) if axis else a.words
        ones = np.ones((len(terms), len(a.basis)), dtype=np.uint64)
        meta, size = _of_sum(len(terms), meta_of(a), a.noise)
        self._check_room(meta, a.level)
        return Ciphertext.of(a.params, kernels.weighted_sum(a.basis.plan, terms, ones), a.level, meta, size)

    # ---- products ------------------------------------------------------------------------------------------------

    def multiply(self, a: Ciphertext, b: Operand, *, rescale: bool = True) -> Ciphertext:
        """Return a b: relinearised and rescaled, one level lower (integers: at the same level).

        With rescale=False the result stays at its level with the product of the scales; sums of such products share
        one rescale, which the next multiplication does by itself if nobody did before.
        """
        self.check(a)
        if isinstance(b, Ciphertext):
            return self._multiply_ciphertexts(a, b, rescale)
        if isinstance(b, (int, np.integer)) and not isinstance(b, (bool, np.bool_)):
            return self._multiply_integer(a, int(b))
        if isinstance(b, Plaintext):
            return self._multiply_plaintext(a, b, rescale)
        a = settle(a)
        if a.level == 0:
            raise too_deep("multiply", 1, a)
        values = as_numbers(b)
        target, scale = self._plain_scale(a)
        if values.ndim == 0:
            product = self._multiply_constant(a, values.item(), scale)
        else:
            plaintext = self._encode_like(a, values, scale)
            self._warn_if_lost(float(np.abs(values).max(initial=0.0)), scale)
            product = self._multiply_plaintext(a, plaintext, rescale=False)
        return self._rescale_to(product, target) if rescale else product

    def square(self, a: Ciphertext, *, rescale: bool = True) -> Ciphertext:
        """Return a^2."""
        return self.multiply(a, a, rescale=rescale)

    def tensor(self, a: Ciphertext, b: Ciphertext) -> Ciphertext:
        """Return the three-part product at the lower level, scales multiplied: neither relinearised nor rescaled.

        The raw product: scales need not agree. `multiply` aligns first, so that its result is canonical.
        """
        a, b, meta, size = self._product(a, b)
        return tensor(a, b, size).with_(meta=meta)

    def dot(self, a: Ciphertext, b: Ciphertext, *, rescale: bool = True) -> Ciphertext:
        """Return sum over k of a[k] b[k] along the first batch axis, with one relinearisation and one rescale."""
        self.check(a)
        self.check(b)
        if not a.shape or not b.shape or a.shape[0] != b.shape[0] or not a.shape[0]:
            raise SlotError(f"dot of batches {a.shape} and {b.shape}; needed first axes of equal length, not 0")
        a, b = align(settle(a), settle(b), "dot")
        if rescale and a.level == 0:
            raise too_deep("dot", 1, a)
        a, b, meta, size = self._product(a, b)
        meta, size = _of_sum(a.shape[0], meta, size)
        self._check_room(meta, a.level)
        return self.relinearise(tensor_sum(a, b, size).with_(meta=meta), rescale=rescale)

    def weighted_sum(
        self, a: Ciphertext, weights: ArrayLike, *, rescale: bool = True, scale: Decimal | float | None = None
    ) -> Ciphertext:
        """Return sum over k of weights[k] a[k] along the first batch axis: one level, no keys.

        Args:
            a: a batch (K, ...), for instance one ciphertext per feature column.
            weights: K real numbers, the same for all slots; or (M, K), which gives a batch of M results.
            rescale: as for `multiply`.
            scale: of the weights; unless given, the one that leads to the canonical scale a level lower. With one, a
                is taken as it is, whatever its scale, and so is the result: scales multiply, and are divided by the
                level's primes where `rescale` asks for that.
        """
        self.check(a)
        w = as_numbers(weights)
        if w.dtype.kind == "c" or w.ndim not in (1, 2) or not a.shape or w.shape[-1] != a.shape[0] or not w.size:
            raise SlotError(
                f"weights of shape {w.shape} for a batch {a.shape}; needed real weights (K,) or (M, K) with K = "
                f"{a.shape[0] if a.shape else '(no batch axis)'}"
            )
        check_magnitude(w, float("inf"))
        if scale is None:
            a = settle(a)
        if a.level == 0 and (rescale or scale is None):
            raise too_deep("weighted_sum", 1, a)
        meta = meta_of(a)
        if scale is None:
            target, scale = self._plain_scale(a)
        else:
            scale = checked_scale(scale)
            target = EXACT.divide(EXACT.multiply(meta.scale, scale), self.params.level_factor(a.level))
        self._warn_if_lost(float(np.abs(w).max(initial=0.0)), scale)
        rows = w.reshape(-1, w.shape[-1])
        out = kernels.empty((len(rows), *a.words.shape[1:]))
        residues, lost_1, lost_2 = _scaled_weights(rows.tobytes(), rows.shape, scale, a.basis.moduli)
        for row, result in zip(residues, out, strict=True):
            kernels.weighted_sum(a.basis.plan, a.words, row, result)
        # The metadata covers the heaviest row.
        heaviest = float(np.abs(rows).max())
        l1 = np.abs(rows).sum(axis=1).max()
        l2 = heaviest * np.sqrt(((rows / (heaviest or 1.0)) ** 2).sum(axis=1)).max()
        factor, share = float(scale), 2 * meta.slots / self.params.ring_degree  # rounding: as in `multiply_towards`
        size = a.noise.resized(
            a.noise.std * l2 * factor + meta.message.std * lost_2 / sqrt(share),
            a.noise.bound * (l1 * factor + lost_1) + meta.message.bound * lost_1,
        )
        summed = meta.but(
            scale=EXACT.multiply(meta.scale, scale), bound=meta.bound * float(l1), rms=meta.rms * float(l2)
        )
        self._check_room(summed, a.level)
        ct = Ciphertext.of(a.params, out if w.ndim == 2 else out[0], a.level, summed, size)
        return self._rescale_to(ct, target) if rescale else ct

    # ---- levels and scales ---------------------------------------------------------------------------------------

    def relinearise(self, a: Ciphertext, *, rescale: bool = False) -> Ciphertext:
        """Return a two-part ciphertext of the same values; with `rescale`, both divisions in one."""
        self.check(a)
        if not rescale:
            return relinearise(a, self.keys.relin_key())
        if a.level == 0:
            raise too_deep("rescale", 1, a)
        meta = meta_of(a).but(scale=rescaled_scale(a))
        self._check_room(meta, a.level - 1)
        return relinearise(a, self.keys.relin_key(), rescale=True).with_(meta=meta)

    def rescale(self, a: Ciphertext) -> Ciphertext:
        """Return the same values one level lower: words and scale divided by the primes of the level."""
        self.check(a)
        if a.level == 0:
            raise too_deep("rescale", 1, a)
        return self._rescale_to(a, rescaled_scale(a))

    def drop(self, a: Ciphertext, level: int) -> Ciphertext:
        """Return the same values at a lower level, the scale untouched (a view: nothing is computed)."""
        self.check(a)
        self.params.check_level(level)
        if level > a.level:
            raise LevelError(f"cannot raise a ciphertext from level {a.level} to {level}; only bootstrapping could")
        self._check_room(meta_of(a), level)
        return a.at_level(level)

    def bring(self, a: Ciphertext, level: int, scale: Decimal | None = None) -> Ciphertext:
        """Return the same values at `level` and `scale` (canonical unless given): an integer product, rescales."""
        self.check(a)
        exact = self.params.scale_at(level) if scale is None else checked_scale(scale)
        if not can_reach(a, level, exact):
            raise too_deep(f"bringing this scale to level {level}", 1 + level, a)
        self._check_room(meta_of(a).but(scale=exact), level)
        return bring(a, level, exact)

    def with_scale(self, a: Ciphertext, scale: Decimal | float) -> Ciphertext:
        """Return the same words read at another scale: values times (old scale / new scale), for free."""
        self.check(a)
        meta, exact = meta_of(a), checked_scale(scale)
        factor = float(EXACT.divide(meta.scale, exact))
        return a.with_(meta=meta.but(scale=exact, bound=meta.bound * factor, rms=meta.rms * factor))

    def with_bound(self, a: Ciphertext, bound: float, rms: float | None = None) -> Ciphertext:
        """Return the same ciphertext under a promise of yours: |value| <= bound at every slot."""
        self.check(a)
        declared, expected = (checked_bound(v) if v else 0.0 for v in (bound, bound if rms is None else rms))
        return a.with_(meta=meta_of(a).but(bound=declared, rms=expected))

    # ---- slots ---------------------------------------------------------------------------------------------------

    def rotate(self, a: Ciphertext, steps: int) -> Ciphertext:
        """Return the slots moved `steps` to the left, cyclically: out[j] = a[j + steps]."""
        return self.rotate_many(a, (steps,))[0]

    def rotate_many(self, a: Ciphertext, steps: Sequence[int]) -> list[Ciphertext]:
        """Return one rotation for each of `steps`; they share the decomposition of a (hoisting)."""
        elements = self.rotation_elements(a, steps)
        rotated = hoisted_automorphisms(a, tuple(elements), self.keys)
        whole = [meta_of(a).but(length=meta_of(a).slots)] * len(elements)
        return [a if g == 1 else rotated[g].with_(meta=meta) for g, meta in zip(elements, whole, strict=True)]

    def rotate_sum(self, a: Ciphertext, steps: Sequence[int]) -> Ciphertext:
        """Return the sum of the rotations by each of `steps`, 0 included where listed: one division for all of them.

        Cheaper, and a little more precise, than adding up `rotate_many`: see `rlwe.automorphism_sum`.
        """
        elements, count = self.rotation_elements(a, steps), len(steps)
        if not count:
            raise SlotError("a sum of no rotations; needed at least one")
        meta = meta_of(a).but(length=meta_of(a).slots, bound=meta_of(a).bound * count, rms=meta_of(a).rms * count**0.5)
        self._check_room(meta, a.level)
        if set(elements) == {1}:
            return self.multiply(a, count).with_(meta=meta)
        return automorphism_sum(a, elements, self.keys).with_(meta=meta)

    def rotation_elements(self, a: Ciphertext, steps: Sequence[int]) -> list[int]:
        """Return the Galois element of each rotation, 1 for none; raise MissingKey, naming all that have no key."""
        self.check(a)
        elements = [self._rotation_element(a, k) for k in steps]
        missing: dict[int, None] = {}
        for k, g in zip(steps, elements, strict=True):
            try:
                _ = g == 1 or self.keys.galois_key(g)
            except MissingKey:
                missing[int(k)] = None
        if missing:
            shown = ", ".join(map(str, list(missing)[:16])) + ", ..." * (len(missing) > 16)
            raise MissingKey(
                f"no key for rotation by {shown} slots; make it with keygen.evaluation_keys(secret, rotations=[{shown}]"
                f"), {ALL_KEYS}"
            )
        return elements

    def times_i(self, a: Ciphertext) -> Ciphertext:
        """Return i a: a product with X^(N/2), which is exact and costs no level."""
        self.check(a)
        words = kernels.mul(a.basis.plan, a.words, self.encoder.constant_words(1j, Decimal(1), a.level))
        return Ciphertext.of(a.params, words, a.level, meta_of(a).but(real=False), a.noise)

    def conjugate(self, a: Ciphertext) -> Ciphertext:
        """Return the complex conjugate of every slot."""
        self.check(a)
        return apply_automorphism(a, 2 * self.params.ring_degree - 1, self.keys)

    def sum_slots(self, a: Ciphertext, count: int | None = None) -> Ciphertext:
        """Return, in every slot j, a[j] + ... + a[j + count - 1] (cyclic).

        count is a power of two, all slots unless given. Rotations by 1, 2, 4, ... count/2, each followed by a sum.
        """
        self.check(a)
        slots = meta_of(a).slots
        count = slots if count is None else count
        if count < 1 or count & (count - 1) or count > slots:
            raise SlotError(f"sum over {count} slots; needed a power of two from 1 to {slots}")
        step = 1
        while step < count:
            a = self.add(a, self.rotate(a, step))
            step *= 2
        return a

    # ---- helpers -------------------------------------------------------------------------------------------------

    def check(self, *cts: Ciphertext) -> None:
        """Raise unless all of these are ciphertexts of this evaluator's parameters."""
        for ct in cts:
            if not isinstance(ct, Ciphertext):
                raise TypeError(f"expected a Ciphertext, found {type(ct).__name__}; encrypt it, or pass .ciphertext")
            if ct.params is not self.params and ct.params != self.params:
                raise BasisMismatch("the ciphertext belongs to other parameters than this evaluator")

    def _combine(self, a: Ciphertext, b: Operand, *, subtract: bool) -> Ciphertext:
        self.check(a)
        kernel = kernels.sub if subtract else kernels.add
        if isinstance(b, Ciphertext):
            self.check(b)
            a, b = align(a, b, "subtract" if subtract else "add")
            if meta_of(a).slots != meta_of(b).slots:
                raise SlotError(f"operands with {meta_of(a).slots} and {meta_of(b).slots} slots; pack both alike")
            meta = meta_of(a).plus(meta_of(b))
            self._check_room(meta, a.level)
            plan, parts = a.basis.plan, max(a.parts, b.parts)
            words = kernel(plan, _padded(a, parts), _padded(b, parts))
            return Ciphertext.of(a.params, words, a.level, meta, a.noise + b.noise)
        if not isinstance(b, Plaintext):
            values = as_numbers(b)
            if values.ndim == 0:
                return self._add_constant(a, -values.item() if subtract else values.item())
            b = self._encode_like(a, values, meta_of(a).scale)
        if meta_of(a).slots != meta_of(b).slots:
            raise SlotError(f"operands with {meta_of(a).slots} and {meta_of(b).slots} slots; pack both alike")
        if b.params != self.params or b.level < a.level or meta_of(b).scale != meta_of(a).scale:
            raise BasisMismatch(
                "a plaintext is added at the level and scale of the ciphertext; encode it with level=ct.level, "
                "scale=ct.meta.scale, or pass the bare array"
            )
        meta = meta_of(a).plus(meta_of(b))
        self._check_room(meta, a.level)
        message = b.words[..., : len(a.basis), :]
        try:
            shape = a.shape if a.shape == b.shape else np.broadcast_shapes(a.shape, b.shape)
        except ValueError:
            raise SlotError(f"batches {a.shape} and {b.shape} do not broadcast") from None
        words = kernels.empty((*shape, *a.words.shape[-3:]))
        words[..., 1:, :, :] = a.words[..., 1:, :, :]
        kernel(a.basis.plan, a.words[..., 0, :, :], message, words[..., 0, :, :])
        return Ciphertext.of(a.params, words, a.level, meta, a.noise + b.noise)

    def _add_constant(self, a: Ciphertext, value: complex) -> Ciphertext:
        _check_finite(value)
        meta = meta_of(a)
        if meta.length < meta.slots:  # slots without values stay zero: rotations, sums and polynomials see them
            return self._combine(a, np.full(meta.length, value), subtract=False)
        added = meta.but(bound=abs(value), rms=abs(value), real=complex(value).imag == 0)
        result = meta.plus(added)
        self._check_room(result, a.level)
        words = kernels.empty(a.words.shape)
        words[..., 1:, :, :] = a.words[..., 1:, :, :]
        first, plan = a.words[..., 0, :, :], a.basis.plan
        if complex(value).imag:
            constant = self.encoder.constant_words(value, meta.scale, a.level)
            kernels.add(plan, first, constant, words[..., 0, :, :])
        else:  # a real constant is one in NTT form too
            residues = _scaled_constant(complex(value).real, meta.scale, a.basis.moduli)
            kernels.add_scalar(plan, first, residues, words[..., 0, :, :])
        return Ciphertext.of(a.params, words, a.level, result, a.noise + Noise(0.5, 1.0))

    def _multiply_ciphertexts(self, a: Ciphertext, b: Ciphertext, rescale: bool) -> Ciphertext:
        self.check(b)
        key, square = self.keys.relin_key(), a is b
        a = settle(a)
        b = a if square else settle(b)
        lower = a if a.level <= b.level else b
        if rescale and lower.level == 0:
            raise too_deep("multiply", 1, lower)
        a, b = align(a, b, "multiply")
        if rescale and a.level == 0:
            raise too_deep("multiply", 2, lower)
        a, b, meta, size = self._product(a, b)
        product = multiply(a, b, key, size, rescale=rescale)
        if rescale:
            meta = meta.but(scale=EXACT.divide(meta.scale, self.params.level_factor(a.level)))
            self._check_room(meta, product.level)
        return product.with_(meta=meta)

    def _product(self, a: Ciphertext, b: Ciphertext) -> tuple[Ciphertext, Ciphertext, Meta, Noise]:
        """Both at the lower level, with the metadata and the error of their product before any division."""
        self.check(a, b)
        level, square = min(a.level, b.level), a is b
        a, b = a.at_level(level), b.at_level(level)
        x, y = meta_of(a), meta_of(b)
        if x.slots != y.slots:
            raise SlotError(f"operands with {x.slots} and {y.slots} slots; pack both alike")
        meta = x.times(y, EXACT.multiply(x.scale, y.scale))
        self._check_room(meta, level)
        one, other = b.noise.weighed(x.message), a.noise.weighed(y.message)
        # The two terms of a square are one error twice, not two independent ones.
        size = (one.scaled(2) if square else one + other) + a.noise.times(b.noise)
        return a, b, meta, size

    def _multiply_plaintext(self, a: Ciphertext, b: Plaintext, rescale: bool) -> Ciphertext:
        if b.params != self.params or b.level < a.level:
            raise BasisMismatch(
                f"plaintext of level {b.level} for a ciphertext of level {a.level}; encode it with level={a.level}"
            )
        if rescale and a.level == 0:
            raise too_deep("multiply", 1, a)
        x, y = meta_of(a), meta_of(b)
        if x.slots != y.slots:
            raise SlotError(f"operands with {x.slots} and {y.slots} slots; pack both alike")
        meta = x.times(y, EXACT.multiply(x.scale, y.scale))
        self._check_room(meta, a.level)
        message = b.words[..., None, : len(a.basis), :]
        words = kernels.mul(a.basis.plan, a.words, message)
        size = b.noise.weighed(x.message) + a.noise.weighed(y.message) + a.noise.times(b.noise)
        product = Ciphertext.of(a.params, words, a.level, meta, size)
        return self.rescale(product) if rescale else product

    def _multiply_constant(self, a: Ciphertext, value: complex, scale: Decimal) -> Ciphertext:
        _check_finite(value)
        meta = meta_of(a).times_constant(value, EXACT.multiply(meta_of(a).scale, scale))
        self._check_room(meta, a.level)
        self._warn_if_lost(abs(value), scale)
        if complex(value).imag == 0:
            ratio = EXACT.multiply(EXACT.create_decimal(complex(value).real), scale)
            return multiply_towards(a, ratio, meta.scale).with_(meta=meta)
        constant = self.encoder.constant_words(value, scale, a.level)
        words = kernels.mul(a.basis.plan, a.words, constant)
        message, share = meta_of(a).message, 2 * meta.slots / self.params.ring_degree  # as in `multiply_towards`
        size = a.noise.scaled(abs(value) * float(scale)) + Noise(message.std / sqrt(share), message.bound)
        return Ciphertext.of(a.params, words, a.level, meta, size)

    def _multiply_integer(self, a: Ciphertext, value: int) -> Ciphertext:
        meta = meta_of(a).times_constant(value, meta_of(a).scale)
        self._check_room(meta, a.level)
        return multiply_exact(a, value).with_(meta=meta)

    def _plain_scale(self, a: Ciphertext) -> tuple[Decimal, Decimal]:
        """(canonical scale one level down, scale of a plain factor that leads there).

        For a canonical a the factor has its scale, exactly: all products that wait for a rescale then add up.
        """
        target, current = self.params.scale_at(a.level - 1), meta_of(a).scale
        if current == self.params.scale_at(a.level):
            return target, current
        return target, EXACT.divide(EXACT.multiply(target, self.params.level_factor(a.level)), current)

    def _warn_if_lost(self, size: float, scale: Decimal) -> None:
        """Warn when a plain factor (the largest of several) keeps fewer than ten bits."""
        if size > 0 and size * float(scale) < 2**10:
            precision_lost(
                f"the constant {size:g} keeps {max(0.0, log2(size * float(scale))):.0f} bits at scale "
                f"2^{log2(scale):.1f}; use parameters with a larger scale"
            )

    def _rescale_to(self, a: Ciphertext, scale: Decimal) -> Ciphertext:
        meta = meta_of(a).but(scale=scale)
        self._check_room(meta, a.level - 1)
        return divide_by_level(a).with_(meta=meta)

    def _encode_like(self, a: Ciphertext, values: Any, scale: Decimal) -> Plaintext:
        meta = meta_of(a)
        if values.shape[-1] not in (meta.length, meta.slots):
            raise SlotError(
                f"operand of shape {values.shape} for ciphertexts of {meta.length} values; the last axes have to agree "
                f"(or have all {meta.slots} slots)"
            )
        check_magnitude(values, float("inf"))
        bound = float(np.abs(values).max(initial=0.0))
        plaintext = self.encoder.encode(
            values, level=a.level, scale=scale, slots=meta.slots, bound=max(bound, 2.0**-300)
        )
        rms = float(np.sqrt(np.mean(np.abs(values / bound) ** 2))) * bound if bound else 0.0
        return plaintext.with_(meta=meta_of(plaintext).but(rms=rms))

    def _check_room(self, meta: Meta, level: int) -> None:
        """Refuse results whose declared size does not fit the modulus: they would wrap around."""
        room = self.params.room(level)
        wanted = log2(max(meta.bound, 2.0**-1000)) + log2(float(meta.scale))
        if wanted > room:
            raise RangeError(
                f"values may reach {meta.bound:.3g} at scale 2^{log2(float(meta.scale)):.1f}, beyond the modulus "
                f"of level {level} (2^{room:.1f} with sign); declare a smaller bound with encrypt(..., bound=...) "
                "or with_bound, or use parameters with a larger value_range"
            )

    def _rotation_element(self, a: Ciphertext, steps: int) -> int:
        if isinstance(steps, bool) or not isinstance(steps, (int, np.integer)):
            raise ParameterError(f"rotation by {steps!r}; needed an integer number of slots")
        n, slots = self.params.ring_degree, meta_of(a).slots
        if steps % slots == 0:
            return 1
        # Sparse slots repeat with their period, so any of these rotations will do: take one that has a key.
        first, period = pow(5, int(steps) % (n // 2), 2 * n), pow(5, slots, 2 * n)
        g = first
        for _ in range(n // 2 // slots):
            if g in self.keys.galois:
                return g
            g = g * period % (2 * n)
        return first


@lru_cache(maxsize=1024)
def _scaled_constant(value: float, scale: Decimal, moduli: tuple[int, ...]) -> Words:
    """Residues (limbs,) of round(scale value); kept, as those of weights are."""
    residues = residues_of(exact_round(value, scale), moduli)
    residues.flags.writeable = False
    return residues


def _of_sum(count: int, meta: Meta, size: Noise) -> tuple[Meta, Noise]:
    """Metadata and error of a sum of so many messages that are alike, their errors independent."""
    total = meta.but(bound=meta.bound * count, rms=meta.rms * count**0.5)
    return total, size.resized(size.std * count**0.5, size.bound * count)


@lru_cache(maxsize=64)
def _scaled_weights(
    data: bytes, shape: tuple[int, int], scale: Decimal, moduli: tuple[int, ...]
) -> tuple[Words, float, float]:
    """Residues (M, K, limbs) of round(scale w) for float64 weights w, (M, K), given as bytes; and what rounding lost.

    That is the largest l1 and l2 norm of a row of roundings, in integers. Weights stay with a model while inputs come
    and go; and arithmetic on Python's integers takes longer for some weights than for others, which is nobody's
    business.
    """
    rows = np.frombuffer(data, dtype=np.float64).reshape(shape)
    residues = np.empty((*shape, len(moduli)), dtype=np.uint64)
    lost_1 = lost_2 = 0.0
    for row, result in zip(rows, residues, strict=True):
        exact = [EXACT.multiply(EXACT.create_decimal(float(v)), scale) for v in row]
        integers = [int(EXACT.to_integral_value(v)) for v in exact]
        off = [abs(float(EXACT.subtract(v, n))) for v, n in zip(exact, integers, strict=True)]
        lost_1, lost_2 = max(lost_1, sum(off)), max(lost_2, hypot(*off))
        result[...] = [[n % q for q in moduli] for n in integers]
    residues.flags.writeable = False
    return residues, lost_1, lost_2


def _check_finite(value: complex) -> None:
    if not isfinite(value):
        check_magnitude(np.asarray(value), float("inf"))


def _padded(ct: Ciphertext, parts: int) -> Any:
    """The words with zero polynomials appended up to `parts`."""
    if ct.parts == parts:
        return ct.words
    words = kernels.zeros((*ct.shape, parts, *ct.words.shape[-2:]))
    words[..., : ct.parts, :, :] = ct.words
    return words
