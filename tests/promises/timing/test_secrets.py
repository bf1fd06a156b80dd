"""L9, second half: the time of what touches a secret does not tell a fixed secret from random ones.

The compiled kernels are checked branch by branch under valgrind (tests/kernels/test_secrecy.py); here the whole call is
timed, Python, numpy and numba's code included. Two fixed secrets are tried: one drawn at random, whose words look like
any other's, and zero, whose words are zero too and would be the first to show a shortcut.

    quick tier   some hundred runs each: finds what is large
    long tier    10^5 runs each (python -m pytest --slow tests/promises/timing -s), best on a machine that is idle
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import numpy as np
import pytest
from promises.timing.welch import LIMIT, Comparison, interleaved, settled, told

import ckks
from ckks import kernels
from ckks.errors import BackendError
from ckks.ring import Rng
from ckks.rlwe import Ciphertext, Plaintext, encrypt
from ckks.rlwe.secret import KeyGenerator, SecretKey, decrypt, encrypt_secret

N = 1024
POOL = 64

pytestmark = pytest.mark.timeout(3000)


@pytest.fixture(params=["native", "numba"])
def backend(request: pytest.FixtureRequest) -> Iterator[str]:
    """The layers that ship: compiled C, and numba where there is no compiler."""
    try:
        kernels.load(request.param)
    except BackendError as error:
        pytest.skip(f"backend {request.param}: {error}")
    with kernels.use(request.param):
        yield request.param


class Bench:
    """One secret key, message and ciphertext, whose words are replaced between runs."""

    def __init__(self, fixed: str) -> None:
        self.params = ckks.CKKSParams.generate(
            ring_degree=N, depth=1, scale_bits=40, base_bits=50, num_special=1, special_bits=50, security=None
        )
        self.rng = Rng()
        self.generator = KeyGenerator(self.params, self.rng)
        self.encoder = ckks.Encoder(self.params)
        self.values = np.cos(np.arange(self.params.slots))
        first = SecretKey(self.params, np.zeros(N, dtype=np.int8)) if fixed == "zero" else self.generator.secret_key()
        secrets = [[first] * POOL, [self.generator.secret_key() for _ in range(POOL)]]
        draw = np.random.default_rng(7)
        messages = [self.encoder.encode(draw.uniform(-1, 1, self.params.slots)).words for _ in range(POOL)]
        self.places = np.random.default_rng(3)
        # What is copied before each run, by class: the same in every place, or something else in each.
        plain = self.encoder.encode(self.values)
        self.secrets = [np.array([s.coefficients() for s in kind]) for kind in secrets]
        self.ntts = [np.array([s.ntt(self.params.basis_qp) for s in kind]) for kind in secrets]
        self.fresh = [np.array([encrypt_secret(plain, s, self.rng)[0].words for s in kind]) for kind in secrets]
        same = np.zeros_like(messages[0]) if fixed == "zero" else messages[0]
        self.messages = [np.array([same] * POOL), np.array(messages)]
        # Where it is copied to. Elements make the view that they are given read-only; these arrays stay writable.
        self.secret = self.generator.secret_key()
        self.coefficients, self.message = np.zeros(N, dtype=np.int8), plain.words.copy()
        self.plain = Plaintext.of(self.params, self.message[...], plain.level, plain.meta)
        ct = encrypt_secret(plain, self.secret, self.rng)[0]
        self.ciphertext = ct.words.copy()
        self.ct = Ciphertext.of(self.params, self.ciphertext[...], ct.level, ct.meta, ct.noise)

    def move(self) -> None:
        """Give every pool another place in memory, those of both classes in random order."""
        for pools in (self.secrets, self.ntts, self.fresh, self.messages):
            for kind in self.places.permutation(2):
                room = np.empty(pools[kind].nbytes + (1 << 16), dtype=np.uint8)
                start = 64 * int(self.places.integers(1 << 10))
                place = room[start : start + pools[kind].nbytes].view(pools[kind].dtype).reshape(pools[kind].shape)
                np.copyto(place, pools[kind])
                pools[kind] = place

    def load_secret(self, kind: int, i: int) -> None:
        """Put the i-th secret of a class into the one key, and a ciphertext under it into the one ciphertext."""
        np.copyto(self.secret._SecretKey__ntt, self.ntts[kind][i])
        np.copyto(self.secret._SecretKey__coefficients, self.secrets[kind][i])
        np.copyto(self.coefficients, self.secrets[kind][i])
        np.copyto(self.ciphertext, self.fresh[kind][i])

    def load_message(self, kind: int, i: int) -> None:
        """Put the i-th message of a class into the one plaintext."""
        np.copyto(self.message, self.messages[kind][i])

    def operations(self) -> dict[str, tuple[Callable[[int, int], None], Callable[[], object]]]:
        """What a client does with a secret or a message: what is replaced before, and the call."""
        params, generator, secret = self.params, self.generator, self.secret
        decryptor, public = ckks.Decryptor(params, secret), generator.public_key(secret)
        return {
            "decrypt": (self.load_secret, lambda: decrypt(self.ct, secret)),
            "decrypt and decode": (self.load_secret, lambda: decryptor.decrypt(self.ct)),
            "key from its coefficients": (self.load_secret, lambda: SecretKey(params, self.coefficients)),
            "public key": (self.load_secret, lambda: generator.public_key(secret)),
            "relinearisation key": (self.load_secret, lambda: generator.relin_key(secret)),
            "Galois key": (self.load_secret, lambda: generator.galois_key(secret, 5)),
            "encrypt (secret key)": (self.load_secret, lambda: encrypt_secret(self.plain, secret, self.rng)),
            "encrypt (secret key), message": (
                self.load_message,
                lambda: encrypt_secret(self.plain, secret, self.rng),
            ),
            "encrypt (public key), message": (self.load_message, lambda: encrypt(self.plain, public, self.rng)),
        }

    def compare(
        self, load: Callable[[int, int], None], call: Callable[[], object], runs: int, seed: int = 1
    ) -> Comparison:
        prepare = [lambda i, kind=kind: load(kind, i) for kind in (0, 1)]
        return Comparison.of(*interleaved(prepare, call, runs, pool=POOL, seed=seed, move=self.move))


@cache
def bench(fixed: str) -> Bench:
    return Bench(fixed)


OPERATIONS = [
    "decrypt", "decrypt and decode", "key from its coefficients", "public key", "relinearisation key", "Galois key",
    "encrypt (secret key)", "encrypt (secret key), message", "encrypt (public key), message",
]  # fmt: skip
LONG = pytest.mark.slow


@pytest.mark.parametrize(
    ("fixed", "runs"),
    [("zero", 160), pytest.param("zero", 100_000, marks=LONG), pytest.param("random", 100_000, marks=LONG)],
)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_time_does_not_tell_secrets_apart(operation: str, fixed: str, runs: int, backend: str, figure: Any) -> None:
    one = bench(fixed)
    load, call = one.operations()[operation]
    found = [c for (c,) in settled(lambda seed: [one.compare(load, call, runs, seed)])]
    figure("L9", f"{operation}, {backend}, {fixed} against random ones: {told(found)}")
    assert abs(found[-1].worst) < LIMIT, "\n".join(map(str, found))


def test_every_operation_is_measured() -> None:
    assert OPERATIONS == list(bench("zero").operations())


# ---- the method finds what is there ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("runs", "coefficients"), [(500, N), pytest.param(100_000, 64, marks=LONG)])
def test_a_leak_is_found(runs: int, coefficients: int, figure: Any) -> None:
    """Decryption that leaves out what a zero coefficient would add: the textbook's shortcut, in Python."""
    one = bench("zero")

    def leaky() -> object:
        found, total = decrypt(one.ct, one.secret), 0
        for c in one.coefficients[:coefficients].tolist():
            if c:
                total += c * c
        return found, total

    found = one.compare(one.load_secret, leaky, runs)
    figure("L9", f"control, a decryption that skips zeros among {coefficients} coefficients: {found}")
    assert abs(found.worst) > LIMIT


@pytest.mark.parametrize("kind", [0, 1])
def test_what_is_replaced_is_what_is_used(kind: int) -> None:
    """The words copied in before a run are those that keys, encryption and decryption compute with."""
    one = Bench("random")
    one.load_secret(kind, 3)
    decryptor = ckks.Decryptor(one.params, one.secret)
    assert np.abs(decryptor.decrypt(one.ct) - one.values).max() < 1e-6
    own = encrypt(one.plain, one.generator.public_key(one.secret), one.rng)
    one.load_message(kind, 5)
    other = encrypt_secret(one.plain, one.secret, one.rng)[0]
    sent = one.encoder.decode(Plaintext.of(one.params, one.messages[kind][5].copy(), one.plain.level, one.plain.meta))
    assert np.abs(decryptor.decrypt(own) - one.values).max() < 1e-6
    assert np.abs(decryptor.decrypt(other) - sent).max() < 1e-6
    one.load_secret(1 - kind, 3)
    assert np.abs(decryptor.decrypt(own) - one.values).max() > 1
