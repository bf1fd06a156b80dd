"""Eight threads that share parameters, keys and ciphertexts get the words that one gets."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from params import insecure_small
from rlwe_kit import plaintext

from ckks import kernels
from ckks.ring import Rng
from ckks.rlwe import Ciphertext, apply_automorphism, encrypt, hoisted_automorphisms, relinearise, tensor
from ckks.rlwe.noise import EXACT
from ckks.rlwe.secret import KeyGenerator, decrypt

THREADS = 8


def shared(n: int):
    """(ciphertexts, evaluation): item i of the ciphertexts goes into evaluation(i)."""
    params = insecure_small(n)
    keygen = KeyGenerator(params, Rng(11))
    secret = keygen.secret_key()
    keys = keygen.evaluation_keys(secret, rotations=[1, 2, 3], conjugation=True)
    public = keygen.public_key(secret)
    m = np.arange(4 * n).reshape(4, n) << 20
    cts = encrypt(plaintext(params, m, params.top_level), public, Rng(12))

    def evaluate(i: int) -> list[np.ndarray]:
        """A product, its rescale, rotations of one kind or the other, a decryption; at a level that depends on i."""
        a, b = cts[i % 4].at_level(1 + i % 4), cts[(i + 1) % 4].at_level(1 + i % 4)
        product = relinearise(tensor(a, b, EXACT), keys.relin_key(), rescale=i % 2 == 0)
        turned: list[Ciphertext]
        if i % 3:
            turned = [apply_automorphism(product, pow(5, 1 + i % 3, 2 * n), keys)]
        else:
            turned = list(hoisted_automorphisms(product, (5, 25, -1), keys).values())
        return [product.words, *(ct.words for ct in turned), decrypt(turned[0], secret).words]

    return evaluate


def compare(n: int, each: int) -> None:
    evaluate = shared(n)
    period = 12  # of i % 4 and i % 3
    expected = [[words.copy() for words in evaluate(i)] for i in range(period)]
    barrier = threading.Barrier(THREADS)

    def work(first: int) -> int:
        barrier.wait(timeout=60)
        wrong = 0
        for i in range(first, first + each):
            found = evaluate(i)
            wrong += not all(map(np.array_equal, found, expected[i % period]))
        return wrong

    with ThreadPoolExecutor(THREADS) as pool:
        assert [f.result() for f in [pool.submit(work, 5 * t) for t in range(THREADS)]] == [0] * THREADS


def test_evaluations_in_threads(backend, figure):
    each = 1 if backend == "reference" else 6
    compare(64 if backend == "reference" else 1024, each)
    figure("L16", f"{backend}: 8 threads x {each} evaluations: the words of one thread")


def test_evaluations_in_threads_that_use_threads(backend):
    """The knob at 2, turned by the program while evaluations run elsewhere: still the same words."""
    if backend == "reference":
        pytest.skip("holds the interpreter's lock throughout")
    with kernels.threads(2):
        compare(256, 6)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_thousand_evaluations_in_each_thread(figure):
    compare(1024, 1000)
    figure("L16", "8 threads x 1000 evaluations: the words of one thread")


def test_keys_made_in_threads():
    """Key generation and encryption at once, from the system's randomness: all keys work, all are different."""
    params = insecure_small(256)
    keygen = KeyGenerator(params)
    secret = keygen.secret_key()
    m = np.arange(256) << 20

    def work(_: int) -> tuple[bytes, bytes]:
        key = keygen.public_key(secret)
        ct = encrypt(plaintext(params, m, 2), key, Rng())
        found = decrypt(ct, secret).poly.to_integers()
        assert np.array_equal((found + 2**19) >> 20 << 20, m)
        return key.words.tobytes(), ct.words.tobytes()

    with ThreadPoolExecutor(THREADS) as pool:
        made = [thing for pair in pool.map(work, range(40)) for thing in pair]
    assert len(set(made)) == 80
