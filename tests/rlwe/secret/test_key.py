"""SecretKey: nothing shows, pickles or copies what it holds; what is closed is gone."""

from __future__ import annotations

import copy
import gc
import json
import logging
import pickle
import pprint
import re
import threading
import traceback
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from params import insecure_pairs, insecure_small
from rlwe_kit import SPECIAL, plaintext, random_words

from ckks.errors import BasisMismatch, HEError, RangeError
from ckks.ring import Rng, RNSBasis
from ckks.rlwe import Ciphertext, RLWEParams
from ckks.rlwe.secret import (
    KeyGenerator,
    SecretKey,
    decrypt,
    encrypt_secret,
    measured_error,
    save_secret_key,
    secret_key_from_bytes,
    secret_key_to_bytes,
)

N = 16
PARAMS = insecure_small(N)
TERNARY = np.array([1, -1, 0, 0, 1, -1, -1, 1, 0, 1, 1, -1, 0, -1, 1, 1], dtype=np.int8)


@pytest.fixture
def secret() -> SecretKey:
    return SecretKey(PARAMS, TERNARY)


# ---- construction ----------------------------------------------------------------------------------------------


def test_coefficients_are_copied_in_and_out(secret):
    given = TERNARY.copy()
    key = SecretKey(PARAMS, given)
    given[...] = 0
    assert np.array_equal(key.coefficients(), TERNARY)
    key.coefficients()[...] = 0
    assert np.array_equal(key.coefficients(), TERNARY)
    assert key.coefficients().dtype == np.int8


@pytest.mark.parametrize("dtype", [np.int8, np.int64, object])
def test_types(dtype):
    given = TERNARY.astype(dtype)
    if dtype is object:
        with pytest.raises(BasisMismatch, match="needed"):
            SecretKey(PARAMS, given)
    else:
        assert np.array_equal(SecretKey(PARAMS, given).coefficients(), TERNARY)


@pytest.mark.parametrize("shape", [(8,), (32,), (1, N), (N, 1), ()], ids=str)
def test_shapes(shape):
    with pytest.raises(BasisMismatch, match=rf"needed \({N},\) integers"):
        SecretKey(PARAMS, np.zeros(shape, dtype=np.int8))


@pytest.mark.parametrize("bad", [2, -2, 127, -128])
def test_values(bad):
    x = TERNARY.astype(np.int64)
    x[3] = bad
    with pytest.raises(RangeError, match=r"outside \{-1, 0, 1\}") as caught:
        SecretKey(PARAMS, x)
    assert str(bad) not in str(caught.value).replace("{-1, 0, 1}", "")
    with pytest.raises((BasisMismatch, RangeError)):
        SecretKey(PARAMS, TERNARY.astype(float))
    with pytest.raises((BasisMismatch, RangeError)):
        SecretKey(PARAMS, np.full(N, 255, dtype=np.uint8))


def test_from_ntt(backend, secret):
    """Another library's key, in the NTT form over Q that it keeps."""
    for params in (PARAMS, insecure_pairs(N)):
        key = SecretKey(params, TERNARY)
        words = key.ntt(params.basis(params.top_level))
        again = SecretKey.from_ntt(params, words.copy())
        assert np.array_equal(again.coefficients(), TERNARY)
        assert np.array_equal(again.ntt(params.basis_qp), key.ntt(params.basis_qp))
        assert np.array_equal(SecretKey.from_ntt(params, words.tolist()).coefficients(), TERNARY)


def test_from_ntt_refuses_what_is_no_secret(secret):
    words = secret.ntt(PARAMS.basis(4)).copy()
    for limb in range(5):  # one word changed, in the limb that is read or in another
        bad = words.copy()
        bad[limb, 3] ^= 1
        with pytest.raises(RangeError):
            SecretKey.from_ntt(PARAMS, bad)
    with pytest.raises(RangeError):
        SecretKey.from_ntt(PARAMS, random_words(PARAMS.basis(4), 1))
    with pytest.raises(RangeError):
        SecretKey.from_ntt(PARAMS, np.full_like(words, 2))  # the constant 2
    for bad in (words[:3], words[None], secret.ntt(PARAMS.basis_qp), words[:, :8]):
        with pytest.raises(BasisMismatch):
            SecretKey.from_ntt(PARAMS, bad)


# ---- nothing shows ---------------------------------------------------------------------------------------------


def shows(text: str, *keys: SecretKey) -> bool:
    """Tell whether a text holds a key: its coefficients in a row (also as value + 1), packed, or words of its NTT."""
    numbers = " " + " ".join(re.findall(r"-?\d+", text)) + " "
    for key in keys:
        x = key.coefficients().astype(int)
        for row in (x, x + 1, *key.ntt(PARAMS.basis_qp if key.params == PARAMS else key.params.basis_qp)):
            # Arrays of more than 1000 words are printed in part: their first three will do.
            part = row.tolist()[: 3 if abs(row).max() > 2 else N]
            if f" {' '.join(map(str, part))} " in numbers:
                return True
        packed = secret_key_to_bytes(key)[-36:-32]
        if packed.hex() in text or repr(packed)[2:-1] in text or str(list(packed))[1:-1] in text:
            return True
    return False


def test_the_search_finds_a_key_that_shows(secret):
    """Guards the tests below."""
    for leak in (
        repr(secret.coefficients()),
        repr((secret.coefficients() + 1).astype(np.uint8)),
        str(secret.coefficients().tolist()),
        repr(secret.ntt(PARAMS.basis_qp)),
        repr(secret.ntt(PARAMS.basis(0))),
        repr(secret_key_to_bytes(secret)),
        secret_key_to_bytes(secret).hex(),
    ):
        assert shows(leak, secret)
    assert not shows("array([ 1, -1,  0,  0,  1, -1, -1,  1,  0,  1,  1, -1,  0, -1,  1,  0], dtype=int8)", secret)


@pytest.mark.parametrize(
    "show",
    [
        repr,
        str,
        "{}".format,
        "{!r:>200}".format,
        lambda s: f"{s}",
        lambda s: "%s %r" % (s, s),  # noqa: UP031
        ascii,
        pprint.pformat,
        lambda s: repr([s, {"key": s}]),
        lambda s: json.dumps({"key": s}, default=str),
        lambda s: json.dumps({"key": s}, default=repr),
        lambda s: repr(dir(s)),
        lambda s: repr(KeyGenerator(PARAMS)) + repr((s,)),
        lambda s: logging.LogRecord("x", 10, "f", 1, "key %s", (s,), None).getMessage(),
    ],
)
def test_texts(show, secret):
    text = show(secret)
    assert not shows(text, secret)


def test_the_text_names_the_parameters(secret):
    assert repr(secret) == f"<SecretKey {PARAMS}>" and "INSECURE" in repr(secret)


@pytest.mark.parametrize(
    "take",
    [
        vars,
        lambda s: s.__dict__,
        json.dumps,
        lambda s: json.dumps(s, default=vars),
        *(lambda s, p=p: pickle.dumps(s, p) for p in range(pickle.HIGHEST_PROTOCOL + 1)),
        lambda s: pickle.dumps({"inside": [s]}),
        copy.copy,
        copy.deepcopy,
        lambda s: copy.deepcopy([s]),
        lambda s: s.__getstate__(),
        lambda s: s.__reduce__(),
        lambda s: s.__reduce_ex__(4),
        np.asarray,
        np.array,
        lambda s: np.asarray(s, dtype=float),
        lambda s: np.asarray([s, s], dtype=float),
        lambda s: s + np.zeros(N),
        bytes,
        memoryview,
        list,
        iter,
        len,
        lambda s: s[0],
    ],
)
def test_ways_out(take, secret):
    """Everything that serialises, copies or converts is a TypeError (or there is no such attribute)."""
    with pytest.raises((TypeError, AttributeError)) as caught:
        take(secret)
    assert not shows(str(caught.value), secret)


def test_refusals_say_what_to_do(secret):
    with pytest.raises(TypeError, match=r"save_secret_key\(path, key, passphrase\)"):
        pickle.dumps(secret)


def test_no_comparison_of_contents(secret):
    """Two keys of equal coefficients are two objects: no oracle by ==."""
    assert secret != SecretKey(PARAMS, TERNARY) and secret == secret
    assert len({secret, SecretKey(PARAMS, TERNARY)}) == 2
    with pytest.raises(TypeError):
        secret < secret  # noqa: B015


def test_no_attribute_can_be_added(secret):
    with pytest.raises(AttributeError):
        secret.coefficients_again = 1


# ---- tracebacks ------------------------------------------------------------------------------------------------

OTHER = insecure_pairs(N)
BARE = RLWEParams.insecure(ring_degree=N, levels=((SPECIAL[0],), (SPECIAL[1],)))


PLAIN = plaintext(PARAMS, np.zeros(N, dtype=int), 2)
CIPHERTEXT = Ciphertext(params=PARAMS, words=random_words(PARAMS.basis(2), 1, (2,)), level=2)
KEYGEN, BARE_KEYGEN, OTHER_KEYGEN = (KeyGenerator(params, Rng(1)) for params in (PARAMS, BARE, OTHER))

FAILING: dict[str, tuple[RLWEParams, Callable[[SecretKey, Path], object]]] = {
    "decryption under other parameters": (OTHER, lambda s, _: decrypt(CIPHERTEXT, s)),
    "measurement against another ring": (
        PARAMS,
        lambda s, _: measured_error(CIPHERTEXT, s, PLAIN.poly.limbs(slice(1))),
    ),
    "encryption under other parameters": (OTHER, lambda s, _: encrypt_secret(PLAIN, s, Rng(1))),
    "keys under other parameters": (PARAMS, lambda s, _: OTHER_KEYGEN.evaluation_keys(s)),
    "a level that does not exist": (PARAMS, lambda s, _: KEYGEN.relin_key(s, 9)),
    "a Galois level that does not exist": (PARAMS, lambda s, _: KEYGEN.galois_key(s, 5, 9)),
    "an even Galois element": (PARAMS, lambda s, _: KEYGEN.galois_key(s, 2)),
    "a source of the wrong shape": (PARAMS, lambda s, _: KEYGEN.switching_key(s, np.zeros((1, N), dtype=np.uint64))),
    "a source of the wrong type": (PARAMS, lambda s, _: KEYGEN.switching_key(s, np.zeros((5, N)))),
    "no special primes, relinearisation": (BARE, lambda s, _: BARE_KEYGEN.relin_key(s)),
    "no special primes, rotation": (BARE, lambda s, _: BARE_KEYGEN.galois_key(s, 5)),
    "no special primes, both": (BARE, lambda s, _: BARE_KEYGEN.evaluation_keys(s, rotations=[1])),
    "rotations that are none": (PARAMS, lambda s, _: KEYGEN.evaluation_keys(s, rotations=["one"])),
    "a basis that is no part": (PARAMS, lambda s, _: s.ntt(PARAMS.basis_qp[1:3])),
    "no basis": (PARAMS, lambda s, _: s.ntt(None)),
    "a file that exists": (PARAMS, lambda s, folder: save_secret_key(folder, s)),
    "a folder that does not": (PARAMS, lambda s, folder: save_secret_key(folder / "no" / "key", s)),
    "a passphrase of bytes": (PARAMS, lambda s, _: secret_key_to_bytes(s, b"passphrase")),
    "a passphrase that is a number": (PARAMS, lambda s, folder: save_secret_key(folder / "new", s, 1234)),
    "other parameters at load": (PARAMS, lambda s, _: secret_key_from_bytes(secret_key_to_bytes(s, "x"), OTHER, "x")),
    "a wrong passphrase": (PARAMS, lambda s, _: secret_key_from_bytes(secret_key_to_bytes(s, "x"), PARAMS, "y")),
    "no generator": (PARAMS, lambda s, _: encrypt_secret(PLAIN, s, None)),
    "a pickle": (PARAMS, lambda s, _: pickle.dumps(s)),
}
"""Calls that fail with a good key in hand, and the parameters of that key."""


@pytest.mark.parametrize("what", FAILING)
def test_tracebacks_with_locals(what, tmp_path):
    """What pytest -l, rich and crash reporters print: the local variables of every frame."""
    params, call = FAILING[what]
    secret = SecretKey(params, TERNARY)
    try:
        call(secret, tmp_path)
    except Exception as error:
        text = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
    else:
        pytest.fail("nothing was raised")
    assert "secret = <SecretKey" in text  # locals were looked at
    assert not shows(text, secret), "a local variable of some frame holds the key"


# ---- closing ---------------------------------------------------------------------------------------------------


def held(key: SecretKey) -> list[np.ndarray]:
    """The arrays inside, by their mangled names."""
    return [key._SecretKey__coefficients, key._SecretKey__ntt]


def test_closing_overwrites(secret):
    inside = held(secret)
    handed_out = secret.ntt(PARAMS.basis(2))
    assert all(x.any() for x in inside)
    secret.close()
    assert not any(x.any() for x in inside) and not handed_out.any()
    secret.close()  # twice is fine


def test_a_closed_key_says_so(secret):
    plain = plaintext(PARAMS, np.zeros(N, dtype=int), 2)
    ct, _ = encrypt_secret(plain, secret, Rng(1))
    keygen = KeyGenerator(PARAMS, Rng(1))
    secret.close()
    for use in (
        secret.coefficients,
        lambda: secret.ntt(PARAMS.basis(0)),
        lambda: decrypt(ct, secret),
        lambda: encrypt_secret(plain, secret, Rng(1)),
        lambda: keygen.public_key(secret),
        lambda: keygen.evaluation_keys(secret),
        lambda: secret_key_to_bytes(secret),
    ):
        with pytest.raises(HEError, match="was closed; load it again"):
            use()
    assert repr(secret) == f"<SecretKey {PARAMS}>"


def test_a_key_that_dies_is_overwritten(secret):
    inside = held(SecretKey(PARAMS, TERNARY))
    gc.collect()
    assert not any(x.any() for x in inside)


def test_a_key_that_was_never_made_dies_quietly(recwarn):
    for bad in (np.zeros(3, dtype=np.int8), np.full(N, 5), "key"):
        with pytest.raises(HEError):
            SecretKey(PARAMS, bad)
    gc.collect()
    assert not recwarn.list


def test_words_that_leave_cannot_change_the_key(secret):
    """What `ntt` hands to the library is a view: not to be written through."""
    words = secret.ntt(PARAMS.basis_qp)
    with pytest.raises(ValueError, match="read-only"):
        words[0, 0] = 1


def test_keys_are_shared_by_threads(secret):
    basis: RNSBasis = PARAMS.basis(3)
    expected = secret.ntt(basis).copy()
    wrong: list[int] = []

    def read() -> None:
        for _ in range(200):
            if not np.array_equal(secret.ntt(basis), expected) or not np.array_equal(secret.coefficients(), TERNARY):
                wrong.append(1)

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
