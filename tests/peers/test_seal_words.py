"""Microsoft SEAL's data, word for word: formats, conventions, decryption, key switching, encoding.

SEAL runs through the Python packages ``seal-python`` (the main peer) and ``tenseal`` (a second
build, an older version). Each test that needs one which is absent is skipped and says so.

``IMPLEMENTATIONS`` lists what must reproduce SEAL's words. The first is the big-integer oracle of
``seal_steps``; anything with the same functions can join the list and meets the same demands.
"""

from __future__ import annotations

import importlib
import struct
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import library_steps
import numpy as np
import pytest
import seal_format
import seal_steps
from seal_format import SealFormatError, SealParameters

# relinearize(ct, key, moduli, special), rotate(ct, g, key, moduli, special), rescale(ct, moduli),
# phase(ct, secret, moduli), encode(slots, scale, ring_degree)
IMPLEMENTATIONS = [
    pytest.param(seal_steps, id="big-integers"),
    pytest.param(library_steps, id="ckks"),
]

TOY_SCALE = 2.0**20
MAX_ERROR = 21  # SEAL's centred binomial error: 21 bits minus 21 bits
STEPS = (1, -3)


def import_peer(module: str, package: str, attribute: str) -> ModuleType:
    """Import a peer or skip; the attribute tells it from a namesake."""
    try:
        peer = importlib.import_module(module)
    except ImportError:
        pytest.skip(f"peer not installed: {package}")
    if not hasattr(peer, attribute):
        pytest.skip(f"peer not installed: {package} (another module is called {module})")
    return peer


# (ring degree, bits of q_0..q_L and p, scale, security level checked by SEAL)
PARAMETER_SETS = {
    "insecure_N=64/q=49,40,40/p=50": (64, (49, 40, 40, 50), 2.0**40, "none"),
    "insecure_N=1024/q=50,40,40/p=36": (1024, (50, 40, 40, 36), 2.0**40, "none"),  # digits above p
    "insecure_N=2048/q=60,40,40/p=60": (2048, (60, 40, 40, 60), 2.0**40, "none"),  # SEAL's usual
    "secure_N=4096/q=36,36/p=37": (4096, (36, 36, 37), 2.0**30, "tc128"),
}


@dataclass
class World:
    """One SEAL context with keys and two ciphertexts, and the same things as words."""

    seal: ModuleType
    context: Any
    evaluator: Any
    seal_parameters: Any
    secret_key: Any
    public_key: Any
    relin_keys: Any
    galois_keys: Any
    plaintext: Any
    ct: Any
    parameters: SealParameters
    secret: seal_format.Words
    relin_key: seal_format.Words
    galois_key: dict[int, seal_format.Words]
    slots: np.ndarray
    scale: float
    version: tuple[int, int]

    @property
    def q(self) -> tuple[int, ...]:
        return self.parameters.data_moduli

    @property
    def p(self) -> int:
        return self.parameters.special

    @property
    def n(self) -> int:
        return self.parameters.ring_degree

    def words(self, ciphertext: Any) -> seal_format.Words:
        return seal_format.read_ciphertext(ciphertext.to_string(), self.parameters).words

    def write(self, words: seal_format.Words) -> bytes:
        return seal_format.write_ciphertext(words, self.scale, self.parameters, self.version)

    def decrypt(self, ciphertext: Any) -> np.ndarray:
        """Phase of a SEAL ciphertext as centred integers, by the oracle."""
        words = self.words(ciphertext)
        moduli = self.q[: words.shape[1]]
        return seal_steps.from_ntt(seal_steps.phase(words, self.secret, moduli), moduli)


@pytest.fixture(scope="module", params=PARAMETER_SETS.values(), ids=PARAMETER_SETS.keys())
def world(request: pytest.FixtureRequest) -> World:
    seal = import_peer("seal", "seal-python", "SEALContext")
    n, bits, scale, level = request.param
    parms = seal.EncryptionParameters(seal.scheme_type.ckks)
    parms.set_poly_modulus_degree(n)
    parms.set_coeff_modulus(seal.CoeffModulus.Create(n, list(bits)))
    context = seal.SEALContext(parms, True, getattr(seal.sec_level_type, level))
    assert context.parameters_set(), context.parameter_error_message()
    keygen = seal.KeyGenerator(context)
    secret_key, public_key = keygen.secret_key(), seal.PublicKey()
    relin_keys, galois_keys = seal.RelinKeys(), seal.GaloisKeys()
    keygen.create_public_key(public_key)
    keygen.create_relin_keys(relin_keys)
    keygen.create_galois_keys([*STEPS, 0], galois_keys)  # 0 stands for conjugation
    rng = np.random.default_rng(n)
    slots = rng.uniform(-1, 1, n // 2) + 1j * rng.uniform(-1, 1, n // 2)
    plaintext = seal.CKKSEncoder(context).encode_complex(slots, scale)
    parameters = seal_format.read_parameters(parms.to_bytes())
    return World(
        seal=seal,
        context=context,
        evaluator=seal.Evaluator(context),
        seal_parameters=parms,
        secret_key=secret_key,
        public_key=public_key,
        relin_keys=relin_keys,
        galois_keys=galois_keys,
        plaintext=plaintext,
        ct=seal.Encryptor(context, public_key).encrypt(plaintext),
        parameters=parameters,
        secret=seal_format.read_secret_key(secret_key.to_string(), parameters),
        relin_key=seal_format.read_relin_key(relin_keys.to_string(), parameters),
        galois_key=seal_format.read_galois_keys(galois_keys.to_string(), parameters),
        slots=slots,
        scale=scale,
        version=seal_format.version_of(parms.to_bytes()),
    )


@pytest.fixture(params=IMPLEMENTATIONS)
def ours(request: pytest.FixtureRequest) -> Any:
    return request.param


def assert_same_words(found: np.ndarray, expected: np.ndarray) -> None:
    assert (found.dtype, found.shape) == (np.uint64, expected.shape)
    differing = np.argwhere(found != expected)
    if len(differing):
        at = tuple(differing[0])
        first = f"first at {at}: found {found[at]}, SEAL has {expected[at]}"
        pytest.fail(f"{len(differing)} words differ, {first}")


def symmetric_encryption(
    message: np.ndarray, secret: np.ndarray, moduli: tuple[int, ...], seed: int
) -> seal_format.Words:
    """(-a s + e + m, a), limbs q_0..q_L, with |e| <= 2: made here, to be decrypted by SEAL."""
    rng = np.random.default_rng(seed)
    n = len(message)
    a = np.array([rng.integers(0, q, n, dtype=np.uint64) for q in moduli])
    noisy = message + rng.integers(-2, 3, n).astype(object)
    a_s = seal_steps.multiply(a, secret[: len(moduli)], moduli).astype(object)
    minus_a_s = (np.array(moduli, dtype=object)[:, None] - a_s).astype(object)
    return np.stack([seal_steps.add(minus_a_s, seal_steps.to_ntt(noisy, moduli), moduli), a])


# the format by itself: no peer needed --------------------------------------------------------

TOY = SealParameters(8, (97, 113, 193))


def toy_words(parts: int = 2, limbs: int = 2) -> seal_format.Words:
    return np.arange(parts * limbs * 8, dtype=np.uint64).reshape(parts, limbs, 8) % 97


def patched(at: int, value: bytes) -> bytes:
    data = bytearray(seal_format.write_ciphertext(toy_words(), TOY_SCALE, TOY, (4, 4)))
    data[at : at + len(value)] = value
    return bytes(data)


def seeded(parameters: SealParameters, words: seal_format.Words, version: tuple[int, int]) -> bytes:
    """A ciphertext as SEAL saves a seeded one: first part, generator kind (BLAKE2Xb), seed."""
    _, limbs, n = words.shape

    def wrap(members: bytes) -> bytes:
        return struct.pack("<HBBBBHQ", 0xA15E, 16, *version, 0, 0, 16 + len(members)) + members

    members = parameters.parms_id(limbs) + struct.pack("<BQQQdQ", 1, 2, n, limbs, TOY_SCALE, 1)
    members += wrap(struct.pack("<Q", limbs * n) + words[0].tobytes())
    return wrap(members + wrap(b"\x01" + bytes(range(64))))


def test_written_ciphertext_reads_back() -> None:
    data = seal_format.write_ciphertext(toy_words(3), TOY_SCALE, TOY, (4, 4))
    read = seal_format.read_ciphertext(data, TOY)
    assert read.scale == TOY_SCALE
    assert_same_words(read.words, toy_words(3))


def test_limb_order_helpers_are_inverse() -> None:
    key = toy_words(2, 3)
    assert (seal_format.special_first(key)[:, 0] == key[:, -1]).all()
    assert_same_words(seal_format.special_last(seal_format.special_first(key)), key)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "truncated"),
        (patched(0, b"\0"), "not an object saved by SEAL"),
        (patched(3, b"\x03\x07"), r"SEAL 3\.7; layouts are known for 4\.1, 4\.3, 4\.4"),
        (patched(4, b"\x09"), r"SEAL 4\.9"),
        (patched(5, b"\x01"), "compressed with zlib"),
        (patched(5, b"\x02"), "compressed with zstd"),
        (patched(8, b"\x0f" + bytes(7)), "shorter than its header"),
        (patched(8, b"\xff" * 8), "truncated"),
        (patched(16, b"\0"), "other parameters"),
        (patched(48, b"\0"), "NTT flag 0"),
        (patched(49, b"\x03"), "found 32 words, need 48"),
        (patched(49, b"\xff" * 8), "parts"),
        (patched(65, b"\x01"), "the parms id says"),
        (patched(81, b"\x02"), "correction factor 2"),
        (patched(105, b"\xff" * 8), "need 32"),
        (patched(113, b"\xff" * 8), "not reduced"),
        (patched(0, b"") + b"\0", "left over"),
        (patched(0, b"")[:-1], "truncated"),
        (seeded(TOY, toy_words(), (4, 4)), "seeded"),
    ],
)
def test_malformed_bytes_are_refused_by_name(data: bytes, message: str) -> None:
    with pytest.raises(SealFormatError, match=message):
        seal_format.read_ciphertext(data, TOY)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (toy_words(1), "parts"),
        (toy_words(2, 3), "at most 2"),
        (toy_words().astype(np.int64), "int64"),
        (toy_words() + np.uint64(97), "not reduced"),
        (toy_words()[0], "need"),
    ],
)
def test_words_that_seal_would_refuse_are_not_written(words: np.ndarray, message: str) -> None:
    with pytest.raises(SealFormatError, match=message):
        seal_format.write_ciphertext(words, TOY_SCALE, TOY, (4, 4))


# objects ------------------------------------------------------------------------------------------


def test_parameters_and_level_names(world: World) -> None:
    moduli = [modulus.value() for modulus in world.seal_parameters.coeff_modulus()]
    assert world.parameters.moduli == tuple(moduli)
    data, limbs = world.context.key_context_data(), len(moduli)
    while data is not None:
        words = np.array(data.parms_id(), dtype="<u8")
        assert words.tobytes() == world.parameters.parms_id(limbs)
        data, limbs = data.next_context_data(), limbs - 1


def test_written_bytes_are_seals_own(world: World) -> None:
    assert world.write(world.words(world.ct)) == world.ct.to_string()
    written = seal_format.write_secret_key(world.secret, world.parameters, world.version)
    assert written == world.secret_key.to_string()


def test_seeded_form_loads_in_seal_and_is_refused_here(world: World) -> None:
    words = world.words(world.ct)
    data = seeded(world.parameters, words, world.version)
    expanded = world.words(world.context.from_cipher_str(data))
    assert_same_words(expanded[0], words[0])
    assert (expanded[1] != words[1]).any()
    with pytest.raises(SealFormatError, match="seeded"):
        seal_format.read_ciphertext(data, world.parameters)


def test_secret_is_ternary_and_the_same_in_all_limbs(world: World) -> None:
    coefficients = seal_steps.from_ntt(world.secret, world.parameters.moduli)
    assert set(coefficients) == {-1, 0, 1}


def test_keys_hide_what_they_should(world: World) -> None:
    """b_j + a_j s = e_j + p s' on limb j only: s' is s^2, or s(X^g); 0 for the public key."""
    moduli, n = world.parameters.moduli, world.n
    sources = {"relin": seal_steps.multiply(world.secret, world.secret, moduli)}
    keys = {"relin": world.relin_key}
    galois = [seal_steps.galois_element(n, k) for k in STEPS] + [seal_steps.conjugation(n)]
    assert sorted(world.galois_key) == sorted(galois)
    for g, key in world.galois_key.items():
        sources[f"g={g}"], keys[f"g={g}"] = seal_steps.automorphism(world.secret, g), key
    for name, key in keys.items():
        for j in (0, len(key) - 1):
            gadget = np.zeros_like(world.secret)
            q_j = moduli[j : j + 1]
            factor = np.array([[world.p % q_j[0]]], dtype=np.uint64)
            gadget[j] = seal_steps.multiply(sources[name][j : j + 1], factor, q_j)[0]
            phase = seal_steps.phase(key[j], world.secret, moduli).astype(object)
            error = seal_steps.add(phase - gadget, np.zeros_like(gadget), moduli)
            assert max(abs(seal_steps.from_ntt(error, moduli))) <= MAX_ERROR, (name, j)
    public = seal_format.read_public_key(world.public_key.to_string(), world.parameters)
    error = seal_steps.from_ntt(seal_steps.phase(public, world.secret, moduli), moduli)
    assert max(abs(error)) <= MAX_ERROR


# conventions --------------------------------------------------------------------------------------


def test_ntt_order_and_root(world: World, figure: Any) -> None:
    """SEAL's own inverse transform of a ciphertext gives the coefficients that ours does."""
    coefficient_form = world.evaluator.transform_from_ntt(world.ct).to_string()
    read = seal_format.read_ciphertext(coefficient_form, world.parameters, is_ntt=False).words
    ntt_words = world.words(world.ct)
    for i, q in enumerate(world.q):
        coefficients = seal_steps.intt(ntt_words[0, i].astype(object), q)
        assert_same_words(coefficients.astype(np.uint64), read[0, i])
        assert_same_words(seal_steps.ntt(coefficients, q).astype(np.uint64), ntt_words[0, i])
        if world.n <= 64:
            assert (seal_steps.evaluate(coefficients, q) == ntt_words[0, i]).all()
    figure("L12", "NTT order and root: words equal those of seal-python")


# (a) decryption here, (b) decryption there ------------------------------------------------------


def test_their_ciphertexts_decrypt_here(world: World, ours: Any) -> None:
    """|noise| <= 21 with the secret key; (N+1)/2 + 1 with the public one, which divides by p.

    Under q_0..q_L, p the noise is u e + e_0 + e_1 s, at most 21 (2N + 1); divided by p it is less
    than 1. Rounding each part adds 1/2 (1 + N).
    """
    words = seal_format.read_plaintext(world.plaintext.to_bytes(), world.parameters).words
    message = seal_steps.from_ntt(words, world.q)
    assert 21 * (2 * world.n + 1) < world.p
    symmetric = world.seal.Ciphertext()
    encryptor = world.seal.Encryptor(world.context, world.secret_key)
    encryptor.encrypt_symmetric(world.plaintext, symmetric)
    for ciphertext, bound in ((symmetric, MAX_ERROR), (world.ct, (world.n + 1) / 2 + 1)):
        phase = ours.phase(world.words(ciphertext), world.secret, world.q)
        noise = seal_steps.from_ntt(phase, world.q) - message
        assert 0 < max(abs(noise)) <= bound


@pytest.mark.parametrize("own_secret", [False, True], ids=["their_secret", "our_secret"])
def test_our_ciphertexts_decrypt_there(world: World, ours: Any, own_secret: bool) -> None:
    secret, key, moduli = world.secret, world.secret_key, world.parameters.moduli
    if own_secret:
        ternary = np.random.default_rng(7).integers(-1, 2, world.n).astype(object)
        secret = seal_steps.to_ntt(ternary, moduli)
        saved = seal_format.write_secret_key(secret, world.parameters, world.version)
        key = world.context.from_secret_str(saved)
    message = ours.encode(world.slots, world.scale, world.n)
    decryptor = world.seal.Decryptor(world.context, key)
    encoder = world.seal.CKKSEncoder(world.context)
    for limbs in (len(world.q), 1):
        moduli = world.q[:limbs]
        words = symmetric_encryption(message, secret, moduli, seed=limbs)
        ciphertext = world.context.from_cipher_str(world.write(words))
        decrypted = world.seal.Plaintext()
        decryptor.decrypt(ciphertext, decrypted)
        found = seal_format.read_plaintext(decrypted.to_bytes(), world.parameters)
        assert_same_words(ours.phase(words, secret, moduli), found.words)
        error = np.abs(encoder.decode_complex(decrypted) - world.slots)
        # N coefficients reach a slot; each is off by |e| <= 2 and the rounding 1/2
        assert error.max() <= world.n * 2.5 / world.scale


# (c) key switching, word for word ---------------------------------------------------------------


def test_tensor_and_relinearize(world: World, ours: Any, figure: Any) -> None:
    product = world.evaluator.multiply(world.ct, world.ct)
    parts = world.words(product)
    ct = world.words(world.ct)
    assert_same_words(seal_steps.tensor(ct, ct, world.q), parts)
    expected = world.words(world.evaluator.relinearize(product, world.relin_keys))
    assert_same_words(ours.relinearize(parts, world.relin_key, world.q, world.p), expected)
    figure("L12", "products and relinearisation: words equal those of seal-python")


@pytest.mark.parametrize("steps", STEPS)
def test_rotate(world: World, ours: Any, steps: int, figure: Any) -> None:
    g = seal_steps.galois_element(world.n, steps)
    expected = world.words(world.evaluator.rotate_vector(world.ct, steps, world.galois_keys))
    found = ours.rotate(world.words(world.ct), g, world.galois_key[g], world.q, world.p)
    assert_same_words(found, expected)
    figure("L12", "rotations: words equal those of seal-python")


def test_conjugate(world: World, ours: Any) -> None:
    g = seal_steps.conjugation(world.n)
    expected = world.words(world.evaluator.complex_conjugate(world.ct, world.galois_keys))
    found = ours.rotate(world.words(world.ct), g, world.galois_key[g], world.q, world.p)
    assert_same_words(found, expected)


def test_rescale(world: World, ours: Any, figure: Any) -> None:
    expected = world.words(world.evaluator.rescale_to_next(world.ct))
    assert_same_words(ours.rescale(world.words(world.ct), world.q), expected)
    figure("L12", "rescaling: words equal those of seal-python")


def test_key_switching_below_the_top_level(world: World, ours: Any) -> None:
    """Digits above the level and limbs between q_l and p take no part."""
    low, q, g = world.ct, world.q, seal_steps.galois_element(world.n, 1)
    while len(q) > 1:
        low, q = world.evaluator.mod_switch_to_next(low), q[:-1]
        words = world.words(low)
        assert_same_words(world.words(world.ct)[:, : len(q)], words)
        expected = world.words(world.evaluator.rotate_vector(low, 1, world.galois_keys))
        assert_same_words(ours.rotate(words, g, world.galois_key[g], q, world.p), expected)
        if len(q) > 1:  # SEAL refuses a scale squared that q_0 alone does not hold
            square = world.evaluator.square(low)
            expected = world.words(world.evaluator.relinearize(square, world.relin_keys))
            found = ours.relinearize(world.words(square), world.relin_key, q, world.p)
            assert_same_words(found, expected)


def test_edge_words_switch_the_same(world: World, ours: Any) -> None:
    """Digits 0, 1, floor(q/2), floor(q/2) + 1, q - 1: where centring would show."""
    edges = [lambda q: 0, lambda q: 1, lambda q: q // 2, lambda q: q // 2 + 1, lambda q: q - 1]
    pick = np.random.default_rng(3).integers(0, len(edges), (2, len(world.q), world.n))
    words = np.empty(pick.shape, dtype=np.uint64)
    for part, i in np.ndindex(*pick.shape[:2]):
        coefficients = [edges[choice](world.q[i]) for choice in pick[part, i]]
        words[part, i] = seal_steps.ntt(np.array(coefficients, dtype=object), world.q[i])
    ciphertext = world.context.from_cipher_str(world.write(words))
    g = seal_steps.conjugation(world.n)
    expected = world.words(world.evaluator.complex_conjugate(ciphertext, world.galois_keys))
    assert_same_words(ours.rotate(words, g, world.galois_key[g], world.q, world.p), expected)
    expected = world.words(world.evaluator.rescale_to_next(ciphertext))
    assert_same_words(ours.rescale(words, world.q), expected)


def test_switched_ciphertext_means_what_it_should(world: World) -> None:
    """Noise of one switch: digits x errors / p, and the rounding of both parts."""
    before = world.decrypt(world.ct)
    after = world.decrypt(world.evaluator.rotate_vector(world.ct, 1, world.galois_keys))
    g = seal_steps.galois_element(world.n, 1)
    moved = seal_steps.automorphism(seal_steps.to_ntt(before, world.q), g)
    noise = after - seal_steps.from_ntt(moved, world.q)
    bound = MAX_ERROR * world.n * sum(world.q) // world.p + (world.n + 1) // 2 + 1
    assert max(abs(noise)) <= bound
    slots = seal_steps.decode(after, world.scale)
    fresh = (world.n + 1) // 2 + 1
    error = np.abs(slots - np.roll(world.slots, -1)).max()
    assert error <= world.n * (fresh + bound + 1) / world.scale


# (d) encoding -----------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", ["complex", "real", "constant", "spike"])
def test_encode_gives_the_same_integers(world: World, ours: Any, shape: str) -> None:
    """Both round a sum whose floating error is far below 1/2, so they differ by 1 at most."""
    slots: dict[str, Callable[[], np.ndarray]] = {
        "complex": lambda: world.slots,
        "real": lambda: world.slots.real + 0j,
        "constant": lambda: np.full(world.n // 2, -0.7 + 0.3j),
        "spike": lambda: np.eye(1, world.n // 2, 1)[0] * (1 - 1j),
    }
    values = slots[shape]()
    plaintext = world.seal.CKKSEncoder(world.context).encode_complex(values, world.scale)
    read = seal_format.read_plaintext(plaintext.to_bytes(), world.parameters)
    assert read.scale == world.scale
    expected = seal_steps.from_ntt(read.words, world.q)
    assert max(abs(ours.encode(values, world.scale, world.n) - expected)) <= 1


# a second build of SEAL -------------------------------------------------------------------------


def test_tenseal_agrees(tmp_path: Any, ours: Any) -> None:
    """TenSEAL saves compressed only; its words come one by one, and it loads what we write."""
    peer = import_peer("tenseal.sealapi", "tenseal", "SEALContext")
    n = 64
    parms = peer.EncryptionParameters(peer.SCHEME_TYPE.CKKS)
    parms.set_poly_modulus_degree(n)
    parms.set_coeff_modulus(peer.CoeffModulus.Create(n, [49, 40, 40, 50]))
    context = peer.SEALContext(parms, True, peer.SEC_LEVEL_TYPE.NONE)
    parameters = SealParameters(n, tuple(m.value() for m in parms.coeff_modulus()))
    q, p = parameters.data_moduli, parameters.special

    def words(holder: Any, *shape: int) -> seal_format.Words:
        array = holder.dyn_array()
        flat = [array.at(i) for i in range(array.size())]
        return np.array(flat, dtype=np.uint64).reshape(*shape, n)

    keygen = peer.KeyGenerator(context)
    secret_key, relin_keys, galois_keys = keygen.secret_key(), peer.RelinKeys(), peer.GaloisKeys()
    keygen.create_relin_keys(relin_keys)
    keygen.create_galois_keys([3], galois_keys)  # Galois elements, not steps
    relin_key = np.stack([words(k.data(), 2, len(q) + 1) for k in relin_keys.data(0)])
    galois_key = np.stack([words(k.data(), 2, len(q) + 1) for k in galois_keys.key(3)])
    secret = words(secret_key.data(), len(q) + 1)

    secret_key.save(str(tmp_path / "theirs"))
    theirs = (tmp_path / "theirs").read_bytes()
    version = seal_format.version_of(theirs)
    with pytest.raises(SealFormatError, match="compressed with zstd"):
        seal_format.read_secret_key(theirs, parameters)

    message = np.arange(n).astype(object) << 30
    ct_words = symmetric_encryption(message, secret, q, seed=1)
    ct_bytes = seal_format.write_ciphertext(ct_words, 2.0**40, parameters, version)
    (tmp_path / "ct").write_bytes(ct_bytes)
    (tmp_path / "sk").write_bytes(seal_format.write_secret_key(secret, parameters, version))
    ct, loaded_key, decrypted = peer.Ciphertext(), peer.SecretKey(), peer.Plaintext()
    ct.load(context, str(tmp_path / "ct"))
    loaded_key.load(context, str(tmp_path / "sk"))
    peer.Decryptor(context, loaded_key).decrypt(ct, decrypted)
    assert_same_words(ours.phase(ct_words, secret, q), words(decrypted, len(q)))

    evaluator, out = peer.Evaluator(context), peer.Ciphertext()
    evaluator.rotate_vector(ct, 1, galois_keys, out)
    assert_same_words(ours.rotate(ct_words, 3, galois_key, q, p), words(out, 2, len(q)))
    evaluator.square(ct, out)
    evaluator.relinearize_inplace(out, relin_keys)
    square = seal_steps.tensor(ct_words, ct_words, q)
    assert_same_words(ours.relinearize(square, relin_key, q, p), words(out, 2, len(q)))
