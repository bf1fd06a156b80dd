"""The textbook CKKS of examples/: within a worst-case bound, short, and sharing no code with ckks.

The bounds hold for every choice of randomness. They are on slots, before division by the scale;
B = 21 is the largest error coefficient, and coefficients below c mean slots below N c:

    encoding           N/2                  every coefficient rounded, by at most 1/2
    fresh encryption   N (2 N B + B)        e v + e_0 + e_1 s, with |v|, |s| <= 1
    key switching      N (N B/2 + (1+N)/2)  d e/P with |d| <= Q/2 = P/2, then two parts rounded
    rescaling          N (1+N)/2            two parts rounded
"""

from __future__ import annotations

import ast
import importlib.util
import subprocess
import sys
from math import sqrt
from pathlib import Path
from random import Random

import naive
import pytest

PATH = Path(__file__).parents[2] / "examples" / "textbook_ckks.py"
B = 21
EPS = 2.0**-52


@pytest.fixture(scope="module")
def ckks():
    """The example as a module."""
    spec = importlib.util.spec_from_file_location("textbook_ckks", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(params=[8, 16, 32], ids="N={}".format)
def toy(request, ckks):
    """(module, n, secret, relinearisation key, x, y, fresh encryption of x, and of y)."""
    n = request.param
    rng = Random(n)
    x, y = ([complex(rng.uniform(-1, 1), rng.uniform(-1, 1)) for _ in range(n // 2)] for _ in range(2))
    s = ckks.ternary(n)
    public, relin = ckks.public_key(s), ckks.switching_key(ckks.times(s, s, ckks.P), s)
    encrypted = [ckks.encrypt(ckks.encode(z), public) for z in (x, y)]
    return ckks, n, s, relin, x, y, *encrypted


def size(slots) -> float:
    """The largest modulus of a slot."""
    return max(abs(z) for z in slots)


def double_error(n, slots) -> float:
    """Doubles in encoding and decoding: (N + 12) 2^-52 sum |m_k| each, |m_k| <= max |z|."""
    return 2 * n * (n + 12) * EPS * (size(slots) + 1)


def fresh_error(ckks, n, slots) -> float:
    """Encoding and public-key encryption."""
    return n * (0.5 + 2 * n * B + B) / ckks.SCALE + double_error(n, slots)


def switch_error(ckks, n) -> float:
    """Key switching, at the scale of its input."""
    return n * (n * B / 2 + (1 + n) / 2)


def product_error(ckks, n, x, x_error, y, y_error) -> float:
    """(x + e)(y + e') - x y, then key switching at scale D^2, then rescaling to D."""
    cross = size(x) * y_error + size(y) * x_error + x_error * y_error
    return cross + switch_error(ckks, n) / ckks.SCALE**2 + n * (1 + n) / 2 / ckks.SCALE


def check(decrypted, expected, bound) -> None:
    """Every slot within the bound, and the bound worth having: below 2^-20."""
    assert bound < 2**-20
    assert len(decrypted) == len(expected)
    assert max(abs(z - w) for z, w in zip(decrypted, expected, strict=True)) <= bound


# ---- what it computes --------------------------------------------------------------------------


def test_encoding_rounds_the_exact_coefficients(toy):
    ckks, n, _, _, x, *_ = toy
    m = ckks.encode(x)
    # Doubles put a coefficient off by at most (N + 12) 2^-52 D max |z| < 2^-5: rounded, by 1.
    assert max(abs(c - d) for c, d in zip(m, naive.encode(x, ckks.SCALE), strict=True)) <= 1
    check(ckks.decode(m), x, n / 2 / ckks.SCALE + double_error(n, x))


def test_ring_operations_against_the_oracles(ckks):
    rng = Random(1)
    a, b = ([rng.randrange(-(2**70), 2**70) for _ in range(8)] for _ in range(2))
    q = 2**60
    product = ckks.times(a, b, q)
    naive.first_difference([c % q for c in product], naive.negacyclic_multiply(a, b, q))
    assert all(-q // 2 <= c < q // 2 for c in product)
    for g in (-1, 1, 3, 5, 25):
        naive.first_difference(ckks.automorphism(a, g), naive.automorphism(a, g))
    assert ckks.divide([-3, -2, -1, 0, 1, 2, 3, 5], 4, 16) == [-1, 0, 0, 0, 0, 1, 1, 1]


def test_small_polynomials_have_the_distributions_they_name(ckks):
    """Variance 21/2, ternary 2/3; the allowance is six standard deviations of the estimate."""
    count = 20_000
    moments = [(ckks.error, B, 10.5, 325.5), (ckks.ternary, 1, 2 / 3, 2 / 3)]  # second and fourth
    for draw, largest, variance, fourth in moments:
        x = draw(count)
        assert max(map(abs, x)) <= largest
        allowance = 6 * sqrt((fourth - variance**2) / count)
        assert abs(sum(c * c for c in x) / count - variance) <= allowance
        assert abs(sum(x)) <= 6 * sqrt(variance * count)


def test_fresh_encryption_decrypts(toy):
    ckks, n, s, _, x, _, ct_x, _ = toy
    decrypted = ckks.decrypt(ct_x, s)
    check(decrypted, x, fresh_error(ckks, n, x))
    assert decrypted != ckks.decode(ckks.encode(x))  # there is noise in it


def test_another_secret_decrypts_to_nothing_like_the_message(toy):
    ckks, n, _, _, x, _, ct_x, _ = toy
    wrong = ckks.decrypt(ct_x, [1] * n)
    assert max(abs(z - w) for z, w in zip(wrong, x, strict=True)) > 2**60


def test_encryption_is_randomised(toy):
    ckks, _, s, _, x, *_ = toy
    public = ckks.public_key(s)
    assert ckks.encrypt(ckks.encode(x), public) != ckks.encrypt(ckks.encode(x), public)


def test_addition(toy):
    ckks, n, s, _, x, y, ct_x, ct_y = toy
    expected = [a + b for a, b in zip(x, y, strict=True)]
    bound = fresh_error(ckks, n, x) + fresh_error(ckks, n, y)
    check(ckks.decrypt(ckks.add(ct_x, ct_y), s), expected, bound)


def test_multiplication_before_and_after_rescaling(toy):
    ckks, n, s, relin, x, y, ct_x, ct_y = toy
    expected = [a * b for a, b in zip(x, y, strict=True)]
    bound = product_error(ckks, n, x, fresh_error(ckks, n, x), y, fresh_error(ckks, n, y))
    bound += double_error(n, expected)
    product = ckks.multiply(ct_x, ct_y, relin)
    assert (product.level, product.scale) == (2, ckks.SCALE**2)
    check(ckks.decrypt(product, s), expected, bound)
    rescaled = ckks.rescale(product)
    assert (rescaled.level, rescaled.scale) == (1, ckks.SCALE)
    check(ckks.decrypt(rescaled, s), expected, bound)


def test_products_chain_down_to_level_zero_and_meet_a_fresh_operand(toy):
    ckks, n, s, relin, x, y, ct_x, ct_y = toy
    xy = [a * b for a, b in zip(x, y, strict=True)]
    expected = [p * a + b for p, a, b in zip(xy, x, y, strict=True)]
    x_error, y_error = fresh_error(ckks, n, x), fresh_error(ckks, n, y)
    xy_error = product_error(ckks, n, x, x_error, y, y_error)
    bound = product_error(ckks, n, xy, xy_error, x, x_error) + y_error + double_error(n, expected)
    ct_xy = ckks.rescale(ckks.multiply(ct_x, ct_y, relin))
    result = ckks.add(ckks.rescale(ckks.multiply(ct_xy, ct_x, relin)), ct_y)
    assert result.level == 0
    check(ckks.decrypt(result, s), expected, bound)
    with pytest.raises(ValueError, match="no rescale is left"):
        ckks.rescale(result)


def test_rotations_move_slots_to_the_left(toy):
    ckks, n, s, _, x, _, ct_x, _ = toy
    bound = fresh_error(ckks, n, x) + switch_error(ckks, n) / ckks.SCALE
    for k in (1, 2, n // 2 - 1, -1):
        g = pow(5, k, 2 * n)
        key = ckks.switching_key(ckks.automorphism(s, g), s)
        check(ckks.decrypt(ckks.rotate(ct_x, k, key), s), x[k:] + x[:k], bound)


def test_conjugation(toy):
    ckks, n, s, _, x, _, ct_x, _ = toy
    key = ckks.switching_key(ckks.automorphism(s, -1), s)
    bound = fresh_error(ckks, n, x) + switch_error(ckks, n) / ckks.SCALE
    check(ckks.decrypt(ckks.conjugate(ct_x, key), s), [z.conjugate() for z in x], bound)


def test_adding_two_scales_is_refused(toy):
    ckks, _, _, relin, _, _, ct_x, ct_y = toy
    with pytest.raises(ValueError, match="rescale a product before adding"):
        ckks.add(ckks.multiply(ct_x, ct_y, relin), ct_x)


# ---- what it is --------------------------------------------------------------------------------


def test_it_shares_no_code_with_the_library_and_needs_only_the_standard_one():
    imported = set()
    for node in ast.walk(ast.parse(PATH.read_text())):
        if isinstance(node, ast.Import):
            imported |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "a relative import"
            imported.add(node.module.split(".")[0])
        elif isinstance(node, ast.Name):
            assert node.id not in ("__import__", "exec", "eval")
    assert imported <= sys.stdlib_module_names
    assert "importlib" not in imported


def test_it_fits_under_two_hundred_lines_and_documents_every_function():
    text = PATH.read_text()
    assert len(text.splitlines()) < 200
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            assert ast.get_docstring(node), node.name


def test_it_runs_and_prints_decrypted_beside_expected():
    run = subprocess.run([sys.executable, PATH], capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr
    assert "NOT SECURE" in run.stdout
    rows = [line.split() for line in run.stdout.splitlines() if line.strip()[:1].isdigit()]
    assert [int(row[0]) for row in rows] == list(range(8))
    assert all(float(row[-1]) < 2**-20 for row in rows)
