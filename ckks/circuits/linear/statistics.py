"""Sums, means, variances and covariances of an encrypted table, columns by batch, rows by slot.

A table of n rows and d columns is `encrypt(table.T)`: d ciphertexts of n values each, the other slots zero. Values are
centred before they are multiplied (for E x^2 - (E x)^2 of encrypted numbers would lose all digits where means are
large): mean one level, products one, and the mask that collects results, with its factor 1/n, one.

Covariances. Real columns are added up two at a time, as x_i + i x_j, and one product x_i (x_j + i x_k) holds two of
theirs, so d (d + 1) / 2 pairs take about half as many relinearisations; none can be saved beyond that, since the pairs
are not added up. Sums over rows can: rows are added up in windows of W slots only (W a power of two, at least as many
as results), each product keeps one class of slots modulo W, all are added, and one ciphertext is summed over the
classes. Then slot r holds result r, repeated.

Errors. A centred value x[r] may be 2 b where the table stays below b, but what is formed is summed over all S slots, n
of them rows, and there the sum of |x[r]|^2 is at most n b^2, that of the squares of the table. With an error e[r] of
deviation s, independent from row to row, and never beyond E, Cauchy-Schwarz gives for the sum of x[r] e[r]

    deviation    s (sum |x|^2)^(1/2)             <= S^(1/2) s b (n/S)^(1/2)
    bound        E sum |x| <= E (n sum |x|^2)^(1/2) <= S E b n/S

which is what S values of size b (n/S)^(1/2), and never beyond b n/S, would give (`_size_in_sums`): the error of a
product is not below what is stated in every slot, but in every sum. Errors of means are the same in many rows, and
the rows of x add up to zero: so the products' errors have nothing to do with what they came from (`parted`).
What rounding a mask adds is independent from slot to slot, times a sum of W products, whose rms is at most W times that
of one. |x_i (x_j + i x_k)|^2 = x_i^2 x_j^2 + x_i^2 x_k^2 has a mean of at most 2 (4/3) b^4, since the fourth central
moment of numbers in [-b, b] is at most 4/3 b^4: of two values with shares p, 1 - p it is 16 b^4 u (1 - 3u) for
u = p (1 - p), most at u = 1/6, and no other distribution of that range has a larger one.
"""

from __future__ import annotations

from decimal import Decimal
from itertools import combinations_with_replacement
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from ckks import kernels
from ckks.circuits.linear.diagonals import doublings
from ckks.circuits.linear.folding import folded, twice_real
from ckks.circuits.linear.slots import sum_apart, sum_rotations
from ckks.errors import DomainError, SlotError
from ckks.rlwe import Ciphertext, Noise
from ckks.rlwe import noise as sizes
from ckks.scheme import Evaluator
from ckks.scheme.align import settle, too_deep
from ckks.scheme.meta import Meta, meta_of
from ckks.scheme.params import EXACT

__all__ = ["centred", "covariance", "covariance_rotations", "mean", "total", "total_rotations", "variance"]


def total_rotations(slots: int) -> tuple[int, ...]:
    """Return the rotation steps for `total`, `mean`, `centred` and `variance` of tables in this many slots."""
    return sum_rotations(1, slots)


def covariance_rotations(columns: int, slots: int) -> tuple[int, ...]:
    """Return the rotation steps for `covariance`; the key for complex conjugation is needed too."""
    window = _window(columns, slots)
    steps = {*total_rotations(slots), *sum_rotations(1, window), *sum_rotations(window, slots)}
    return tuple(sorted(steps))


def total(evaluator: Evaluator, table: Ciphertext) -> Ciphertext:
    """Return the sum over the rows of each column, in every slot: no level."""
    rows = _rows(evaluator, table)
    meta = meta_of(table)
    result = sum_apart(evaluator, table)
    # Slots without values are zero: the sum is that of `rows` values, whatever rotations assume.
    most = meta.bound * rows
    summed = meta_of(result).but(bound=min(meta_of(result).bound, most), rms=min(meta_of(result).rms, most))
    return result.with_(meta=summed)


def mean(evaluator: Evaluator, table: Ciphertext, *, everywhere: bool = True) -> Ciphertext:
    """Return the mean over the rows of each column, in every slot: one level.

    Without `everywhere`, in the slots that have rows alone: what can be subtracted from the table, like numpy's.
    """
    rows, table = _rows(evaluator, table), settle(table)
    _need(table, 1, "a mean")
    if not everywhere:
        means = _means(evaluator, table)
        return means.with_(meta=meta_of(means).but(length=rows))
    return _within(evaluator.multiply(total(evaluator, table), 1.0 / rows), table)


def centred(evaluator: Evaluator, table: Ciphertext) -> Ciphertext:
    """Return the table minus the mean of each column, slots without rows zero: one level.

    Twice the table's bound is the bound of the result, unless you know better: `evaluator.with_bound`.
    """
    _rows(evaluator, table)
    table = settle(table)
    _need(table, 1, "centring")
    return _less(evaluator, table, _means(evaluator, table))


def variance(evaluator: Evaluator, table: Ciphertext, *, ddof: int = 0) -> Ciphertext:
    """Return the variance over the rows of each column, in every slot: three levels.

    Args:
        evaluator: with keys for `total_rotations` and relinearisation.
        table: (d, n), or a single column (n,).
        ddof: the sum is divided by n - ddof.
    """
    divisor, table = _divisor(evaluator, table, ddof), settle(table)
    _need(table, 3, "a variance")
    x = centred(evaluator, table)
    size = _size_in_sums(table, meta_of(x))
    squares = evaluator.square(x)
    squares = squares.with_(noise=_product_size(evaluator, x, x, size, size))
    summed = sum_apart(evaluator, squares)
    most = meta_of(table).bound ** 2
    rows = meta_of(table).length
    summed = summed.with_(meta=meta_of(summed).but(bound=rows * most, rms=min(meta_of(summed).rms, rows * most)))
    return evaluator.multiply(summed, 1.0 / divisor)


def covariance(evaluator: Evaluator, table: Ciphertext, *, ddof: int = 0) -> Ciphertext:
    """Return the covariance matrix of the columns: three levels, one ciphertext.

    Args:
        evaluator: with keys for `covariance_rotations`, conjugation and relinearisation.
        table: (d, n), real.
        ddof: the sums are divided by n - ddof.

    Returns:
        w^2 values in w^2 slots, w the power of two from d: entry (i, j) at slot w i + j, and where i or j is d or
        more, zero. Decrypted, `values.reshape(w, w)[:d, :d]` is the matrix.

    Raises:
        SlotError: no batch of columns, or more results than slots.
        DomainError: complex values.
        LevelError: fewer than three levels.
    """
    divisor, table = _divisor(evaluator, table, ddof), settle(table)
    if len(table.shape) != 1:
        raise SlotError(f"a table of batch shape {table.shape}; needed (d,): a ciphertext for each column")
    if not meta_of(table).real:
        raise DomainError("covariances of complex values; needed real ones (two products share a ciphertext)")
    columns, slots = table.shape[0], meta_of(table).slots
    window, width = _window(columns, slots), _power(columns)
    _need(table, 3, "a covariance")
    x = _less(evaluator, table, _packed_means(evaluator, table) if columns > 1 else _means(evaluator, table))
    pairs = list(combinations_with_replacement(range(columns), 2))
    products = []  # (pair in the real part, pair in the imaginary part or None)
    for i in range(columns):
        others = [j for k, j in pairs if k == i]
        products += [
            (i, others[at], others[at + 1] if at + 1 < len(others) else None) for at in range(0, len(others), 2)
        ]
    left = _gathered(x, [i for i, _, _ in products])
    turned = evaluator.times_i(x)
    right = _gathered(x, [j for _, j, _ in products])
    double = [at for at, (_, _, k) in enumerate(products) if k is not None]
    if double:
        both = evaluator.add(_gathered(right, double), _gathered(turned, [products[at][2] or 0 for at in double]))
        right = _replaced(right, double, both)
    one = _size_in_sums(table, meta_of(x))
    pair = sqrt(2) if double else 1.0
    two = one.scaled(pair)  # of x_j + i x_k
    product = evaluator.multiply(left, right)
    sums = sum_apart(evaluator, product.with_(noise=_product_size(evaluator, left, right, one, two)), 1, window)
    masks = np.zeros((len(products), slots), dtype=np.complex128)
    for mask, (i, j, k) in zip(masks, products, strict=True):
        for column, factor in ((j, 0.5), (k, -0.5j)):
            if column is not None:
                for at in {width * i + column, width * column + i}:
                    mask[at::window] = factor / divisor
    chosen = evaluator.multiply(sums, masks, rescale=False)
    kept = evaluator.sum(chosen)
    # No slot is kept of two products: their sum is as large as the largest of them.
    share, largest = meta_of(table).length / slots, pair * window * meta_of(table).bound ** 2
    size = Noise(largest * sqrt(share * 4 / 3), largest * share).scaled(float(meta_of(sums).scale))
    kept = kept.with_(
        meta=meta_of(kept).but(bound=meta_of(chosen).bound, rms=meta_of(chosen).rms),
        noise=_kept_size(
            evaluator, sums, size, EXACT.divide(meta_of(chosen).scale, meta_of(sums).scale), 0.5 / divisor
        ),
    )
    result = twice_real(evaluator, folded(evaluator, evaluator.rescale(kept), doublings(window, slots)))
    most = meta_of(table).bound ** 2 * meta_of(table).length / divisor
    meta = meta_of(result)
    return result.with_(meta=Meta(meta.scale, window, width * width, True, min(meta.bound, most), min(meta.rms, most)))


# ---- helpers -------------------------------------------------------------------------------------------------------


def _power(n: int) -> int:
    return 1 << (n - 1).bit_length()


def _window(columns: int, slots: int) -> int:
    window = _power(columns) ** 2
    if columns < 1 or window > slots:
        raise SlotError(f"covariances of {columns} columns need {window} slots; there are {slots}: split the columns")
    return window


def _rows(evaluator: Evaluator, table: Ciphertext) -> int:
    evaluator.check(table)
    rows = meta_of(table).length
    if not rows:
        raise SlotError("a table without rows; needed at least one value in each ciphertext")
    return rows


def _divisor(evaluator: Evaluator, table: Ciphertext, ddof: int) -> int:
    rows = _rows(evaluator, table)
    if not 0 <= ddof < rows:
        raise SlotError(f"ddof={ddof} for {rows} rows; needed 0 to {rows - 1}")
    return rows - ddof


def _size_in_sums(table: Ciphertext, x: Meta) -> Noise:
    """Of centred values x, in errors of products that will be summed over all slots: see the module."""
    share = meta_of(table).length / meta_of(table).slots
    largest = meta_of(table).bound * float(x.scale)
    return Noise(largest * sqrt(share), largest * share)


def _product_size(evaluator: Evaluator, a: Ciphertext, b: Ciphertext, of_a: Noise, of_b: Noise) -> Noise:
    """The error of `multiply(a, b)` for factors of these sizes."""
    params, level = evaluator.params, a.level
    size = a.noise.times(of_b).scaled(2) if a is b else b.noise.times(of_a) + a.noise.times(of_b)
    size = size + a.noise.times(b.noise) + sizes.key_switch(params, level)
    return size.parted().scaled(1 / params.level_modulus(level)) + sizes.rounding(params)


def _kept_size(evaluator: Evaluator, sums: Ciphertext, size: Noise, scale: Decimal, factor: float) -> Noise:
    """The error of values of this size, each in the slots where its mask is this factor at this scale, all together.

    The errors of the values do not meet, for no slot is kept of two; the roundings of all masks are everywhere.
    """
    count = sums.shape[0]
    one = evaluator.encoder.rounding(meta_of(sums).but(scale=scale, bound=factor, rms=factor))
    masks = Noise(one.std * sqrt(count), one.bound * count)
    return sums.noise.scaled(factor * float(scale)) + masks.times(size) + sums.noise.times(masks)


def _need(table: Ciphertext, levels: int, what: str) -> None:
    if table.level < levels:
        raise too_deep(what, levels, table)


def _over_rows(table: Ciphertext, factor: float) -> NDArray[np.float64]:
    """factor / n in the slots that have rows."""
    rows = meta_of(table).length
    inverse = np.zeros(meta_of(table).slots)
    inverse[:rows] = factor / rows
    return inverse


def _means(evaluator: Evaluator, table: Ciphertext) -> Ciphertext:
    """The mean of each column, in the slots that have rows."""
    return _within(evaluator.multiply(total(evaluator, table), _over_rows(table, 1.0)), table)


def _packed_means(evaluator: Evaluator, table: Ciphertext) -> Ciphertext:
    """The same for two or more real columns, added up two at a time: half the rotations, and a conjugation."""
    columns = table.shape[0]
    half = columns // 2
    first, second = table[: columns - half], table[columns - half :]
    z = evaluator.add(first[:half], evaluator.times_i(second))
    if columns % 2:
        z = _joined(z, first[half:])
    w = evaluator.multiply(total(evaluator, z), _over_rows(table, 0.5))
    imaginary = twice_real(evaluator, evaluator.negate(evaluator.times_i(w[:half])))
    return _within(_joined(twice_real(evaluator, w), imaginary), table)


def _less(evaluator: Evaluator, table: Ciphertext, means: Ciphertext) -> Ciphertext:
    means = means.with_(meta=meta_of(means).but(length=meta_of(table).length))
    return evaluator.subtract(evaluator.bring(table, means.level), means)


def _joined(a: Ciphertext, b: Ciphertext) -> Ciphertext:
    """Two batches of one level and scale, one after the other; what is known of the first holds for both."""
    words = kernels.empty((len(a.words) + len(b.words), *a.words.shape[1:]))
    words[: len(a.words)], words[len(a.words) :] = a.words, b.words
    return Ciphertext.of(a.params, words, a.level, a.meta, a.noise)


def _within(a: Ciphertext, table: Ciphertext) -> Ciphertext:
    """A mean is no larger than the values."""
    meta, most = meta_of(a), meta_of(table).bound
    return a.with_(meta=meta.but(bound=min(meta.bound, most), rms=min(meta.rms, most)))


def _gathered(a: Ciphertext, items: list[int]) -> Ciphertext:
    """The chosen items of a batch, as a batch."""
    words = kernels.empty((len(items), *a.words.shape[1:]))
    for one, item in zip(words, items, strict=True):
        one[...] = a.words[item]
    return Ciphertext.of(a.params, words, a.level, a.meta, a.noise)


def _replaced(a: Ciphertext, items: list[int], by: Ciphertext) -> Ciphertext:
    """A batch with some items replaced; the metadata is that of the larger ones."""
    words = kernels.empty(a.words.shape)
    words[...] = a.words
    for at, item in enumerate(items):
        words[item] = by.words[at]
    return Ciphertext.of(a.params, words, a.level, by.meta, by.noise)
