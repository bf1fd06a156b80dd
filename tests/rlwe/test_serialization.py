"""Frames, packed residues, seeds: what goes in comes out. What must not go in is in tests/wire."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest

from ckks import kernels
from ckks.arith import least_root
from ckks.errors import HEError, SerializationError
from ckks.ring import Rng, RNSBasis, expand_uniform, ntt_primes, primes_below
from ckks.rlwe import Ciphertext, EvaluationKeys, Plaintext, PublicKey, RLWEParams, SwitchingKey, noise, seeds
from ckks.rlwe import serialization as wire
from ckks.rlwe.frame import HEAD_BYTES, Kind, read_body, read_head
from ckks.rlwe.header import Header, read_header
from ckks.rlwe.packing import item_bytes, pack, row_bytes, unpack
from ckks.rlwe.secret import KeyGenerator, decrypt, encrypt_secret
from ckks.rlwe.serialization_params import params_from_bytes, params_length, params_to_bytes

# Objects, all deterministic. N = 8 keeps "every bit" and "every length" short.


@cache
def tiny(n: int = 8, levels: int = 3, special: int = 1) -> RLWEParams:
    """Primes of 30, 31, 41 bits and a special one of 45: no two rows are of one width."""
    q = [ntt_primes(bits=bits, count=1, n=n)[0] for bits in (41, 30, 31)[:levels]]
    return RLWEParams.insecure(
        ring_degree=n, levels=tuple((x,) for x in q), special_moduli=ntt_primes(bits=45, count=special, n=n)
    )


def keygen(n: int = 8) -> KeyGenerator:
    return KeyGenerator(tiny(n), Rng(1))


@cache
def secret(n: int = 8) -> Any:
    return KeyGenerator(tiny(n), Rng(2)).secret_key()


def other_roots(*moduli: int) -> tuple[int, ...]:
    """Primitive 16th roots of unity, not the least."""
    return tuple(pow(least_root(8, q), 3, q) for q in moduli)


def some_plaintext(batch: tuple[int, ...] = (), level: int = 2, n: int = 8) -> Plaintext:
    words = expand_uniform(tiny(n).basis(level), b"m" * 32, shape=batch).residues
    return Plaintext(params=tiny(n), words=words, level=level)


def some_ciphertext(batch: tuple[int, ...] = (), level: int = 2, n: int = 8) -> tuple[Ciphertext, bytes]:
    return encrypt_secret(some_plaintext(batch, level, n), secret(n), Rng(3))


@cache
def stored(kind: Kind) -> bytes:
    """One small object of each kind."""
    ct, seed = some_ciphertext()
    generate: dict[Kind, Callable[[], bytes]] = {
        Kind.PARAMETERS: lambda: params_to_bytes(tiny()),
        Kind.PUBLIC_KEY: lambda: wire.public_key_to_bytes(keygen().public_key(secret())),
        Kind.SWITCHING_KEY: lambda: wire.switching_key_to_bytes(keygen().relin_key(secret(), 0)),
        Kind.EVALUATION_KEYS: lambda: wire.evaluation_keys_to_bytes(
            keygen().evaluation_keys(secret(), rotations=[1], level=0)
        ),
        Kind.CIPHERTEXT: lambda: wire.ciphertext_to_bytes(ct),
        Kind.SEEDED_CIPHERTEXT: lambda: wire.seeded_ciphertext_to_bytes(ct, seed),
        Kind.PLAINTEXT: lambda: wire.plaintext_to_bytes(some_plaintext()),
    }
    return generate[kind]()


GOLDEN = {
    Kind.PARAMETERS: "4023d4239cbd2f8bc6419aeedea6bf508e22557639884b1094d5895655672835",
    Kind.PUBLIC_KEY: "45a7414fb6afb6a9a7b0816b33ce543a5ab9b7c335e63e05daa81143b306bb72",
    Kind.SWITCHING_KEY: "5637b65c2bd0e56014d2c82acc6f007266e49feaf55a292fe0f17fcaa5cef33b",
    Kind.EVALUATION_KEYS: "0efee075105db3dfc9b482307d5b6e6c1025606cdf7d989a73de37e394c99055",
    Kind.CIPHERTEXT: "a9ed6fd4feee995d71e132af38935dae51676602122c2ea482f163834ccd2c33",
    Kind.SEEDED_CIPHERTEXT: "b06eb8d6eddc03f79bee2219f8df0a9fde19575763600efb1f049bc99c71a501",
    Kind.PLAINTEXT: "b652f78b65a7465418a17bf627d35873f2204ab6a8e96445f52f434ca0903499",
}
"""SHA-256 of each, in format version 1."""


def load(kind: Kind, data: bytes, params: RLWEParams) -> Any:
    if kind is Kind.PARAMETERS:
        return params_from_bytes(data, allow_insecure=True)
    functions = {
        Kind.PUBLIC_KEY: wire.public_key_from_bytes,
        Kind.SWITCHING_KEY: wire.switching_key_from_bytes,
        Kind.EVALUATION_KEYS: wire.evaluation_keys_from_bytes,
        Kind.CIPHERTEXT: wire.ciphertext_from_bytes,
        Kind.SEEDED_CIPHERTEXT: wire.seeded_ciphertext_from_bytes,
        Kind.PLAINTEXT: wire.plaintext_from_bytes,
    }
    return functions[kind](data, params)


def store(kind: Kind, obj: Any) -> bytes:
    functions: dict[Kind, Callable[..., bytes]] = {
        Kind.PARAMETERS: params_to_bytes,
        Kind.PUBLIC_KEY: wire.public_key_to_bytes,
        Kind.SWITCHING_KEY: wire.switching_key_to_bytes,
        Kind.EVALUATION_KEYS: wire.evaluation_keys_to_bytes,
        Kind.CIPHERTEXT: wire.ciphertext_to_bytes,
        Kind.SEEDED_CIPHERTEXT: lambda pair: wire.seeded_ciphertext_to_bytes(*pair),
        Kind.PLAINTEXT: wire.plaintext_to_bytes,
    }
    return functions[kind](obj)


def resealed(data: bytes | bytearray) -> bytes:
    """The same frame with the checksum that belongs to it: what a sender of ill will would send."""
    return bytes(data[:-32]) + hashlib.sha256(data[:-32]).digest()


def with_bytes(data: bytes, offset: int, new: bytes) -> bytes:
    return resealed(data[:offset] + new + data[offset + len(new) :])


# Packing against plain integers


def packed_by_hand(values: list[int], q: int) -> bytes:
    """A row as one big integer: word i at bit i w."""
    total = sum(value << i * q.bit_length() for i, value in enumerate(values))
    return total.to_bytes(row_bytes(q, len(values)), "little")


@pytest.mark.parametrize("n", [2, 4, 8, 32, 64, 256])
def test_packing_is_the_documented_bit_layout_for_every_width(n: int, values: np.random.Generator) -> None:
    for bits in range(max(3, n.bit_length() + 1), 62):
        q = next(primes_below(2**bits, n=n), 0)
        if q.bit_length() != bits:
            continue
        basis = RNSBasis(n, [q])
        words = values.integers(0, q, (3, 1, n), dtype=np.uint64)
        words[0], words[1, 0, ::2] = q - 1, 0
        out = np.zeros(3 * row_bytes(q, n), dtype=np.uint8)
        pack(basis, words, out)
        assert out.tobytes() == b"".join(packed_by_hand(row.tolist(), q) for row in words[:, 0])
        back = kernels.empty(words.shape)
        unpack(basis, out, back, what="row")
        assert np.array_equal(back, words)


def test_packing_is_the_same_whatever_the_threads_and_strides_are(backend: str, values: np.random.Generator) -> None:
    basis = tiny(64).basis_qp
    words = np.stack([values.integers(0, q, (7, 64), dtype=np.uint64) for q in basis.moduli], axis=1)
    size = 7 * item_bytes(basis.moduli, 64)
    wanted = b"".join(packed_by_hand(row.tolist(), q) for item in words for row, q in zip(item, basis.moduli))
    for count in (1, 2, 3):
        room = np.zeros((7, 2, len(basis), 64), dtype=np.uint64)
        room[:, 1] = words
        out, back = np.zeros(size, dtype=np.uint8), np.zeros_like(room)
        with kernels.threads(count):
            pack(basis, room[:, 1], out)
            unpack(basis, out, back[:, 1], what="words")
        assert out.tobytes() == wanted
        assert np.array_equal(back, room)


def test_words_that_are_no_residues_are_refused(backend: str) -> None:
    """Every word of every limb in turn: the position is named."""
    basis = tiny(64).basis_qp
    words = kernels.zeros((2, len(basis), 64))
    for limb, q in enumerate(basis.moduli):
        for word in (0, 1, 62, 63):
            data = np.zeros((2, item_bytes(basis.moduli, 64)), dtype=np.uint8)
            at, shift = divmod(word * q.bit_length(), 8)
            start = item_bytes(basis.moduli[:limb], 64) + at
            for i, byte in enumerate((q << shift).to_bytes(9, "little")[: data.shape[1] - start]):
                data[1, start + i] |= byte
            with pytest.raises(SerializationError, match=f"word {word} of limb {limb}, polynomial 1, .* {q}"):
                unpack(basis, data.ravel(), words, what="row")


@pytest.mark.parametrize("n", [2, 4])
def test_padding_bits_must_be_zero(n: int) -> None:
    q = ntt_primes(bits=33, count=1, n=n)[0]
    basis, out = RNSBasis(n, [q]), kernels.empty((1, 1, n))
    for bit in range(n * 33, 8 * row_bytes(q, n)):
        data = np.zeros(row_bytes(q, n), dtype=np.uint8)
        data[bit // 8] = 1 << bit % 8
        with pytest.raises(SerializationError, match="padding"):
            unpack(basis, data, out, what="row")


# Round trips


@pytest.mark.parametrize("kind", GOLDEN)
def test_load_then_store_gives_the_same_bytes(kind: Kind) -> None:
    data = stored(kind)
    obj = load(kind, data, tiny())
    assert store(kind, obj) == data
    for buffer in (bytearray(data), memoryview(data)):
        assert store(kind, load(kind, buffer, tiny())) == data  # type: ignore[arg-type]


@pytest.mark.parametrize("level", [0, 1, 2])
@pytest.mark.parametrize("batch", [(), (1,), (3,), (2, 3), (1, 2, 1, 2)])
def test_ciphertexts_and_plaintexts_of_every_level_and_batch(batch: tuple[int, ...], level: int) -> None:
    ct, seed = some_ciphertext(batch, level)
    full, seeded = wire.ciphertext_to_bytes(ct), wire.seeded_ciphertext_to_bytes(ct, seed)
    plaintext = some_plaintext(batch, level)
    for data in (full, seeded):
        back = wire.ciphertext_from_bytes(data, tiny())
        assert (back.shape, back.parts, back.level) == (batch, 2, level)
        assert np.array_equal(back.words, ct.words) and not back.words.flags.writeable
        header = read_header(data[:HEAD_BYTES], tiny())
        assert header.frame_length(tiny()) == len(data)
    assert wire.seeded_ciphertext_from_bytes(seeded, tiny())[1] == seed
    assert wire.seeded_ciphertext_from_bytes(full, tiny())[1] is None
    again = wire.plaintext_from_bytes(wire.plaintext_to_bytes(plaintext), tiny())
    assert again.shape == batch and np.array_equal(again.words, plaintext.words)


def test_ciphertexts_of_three_parts() -> None:
    words = expand_uniform(tiny().basis(1), bytes(32), shape=(2, 3)).residues
    ct = Ciphertext(params=tiny(), words=words, level=1)
    back = wire.ciphertext_from_bytes(wire.ciphertext_to_bytes(ct), tiny())
    assert back.parts == 3 and np.array_equal(back.words, words)
    with pytest.raises(SerializationError, match="3 parts"):
        wire.seeded_ciphertext_to_bytes(ct, bytes(32))


def test_what_was_just_expanded_is_not_expanded_again(monkeypatch: pytest.MonkeyPatch) -> None:
    ct, seed = some_ciphertext((2,))
    data = wire.seeded_ciphertext_to_bytes(ct, seed)
    back, found = wire.seeded_ciphertext_from_bytes(data, tiny())
    expanded: list[bytes] = []

    def count(params: RLWEParams, level: int, batch: tuple[int, ...], seed: bytes, out: Any = None) -> Any:
        expanded.append(seed)
        return real(params, level, batch, seed, out)

    real = seeds.ciphertext_half
    monkeypatch.setattr(seeds, "ciphertext_half", count)
    for made in (ct, back):
        assert wire.seeded_ciphertext_to_bytes(made, seed) == data
    assert found == seed and not expanded
    # Nothing is believed of objects that came from them, nor of other seeds.
    words = ct.words.copy()
    words[1, 1, 2, 3] ^= 1
    changed = Ciphertext(params=tiny(), words=words, level=2)
    for made, asked in ((changed, seed), (ct[::-1], seed), (ct.at_level(1)[::-1], seed), (ct, bytes(32))):
        with pytest.raises(SerializationError, match="seed does not expand"):
            wire.seeded_ciphertext_to_bytes(made, asked)
    assert len(expanded) == 4
    assert wire.seeded_ciphertext_to_bytes(ct.with_(meta="another"), seed) == data and len(expanded) == 5


def test_noise_is_the_receivers() -> None:
    ct, seed = some_ciphertext()
    full, seeded = wire.ciphertext_to_bytes(ct), wire.seeded_ciphertext_to_bytes(ct, seed)
    assert wire.ciphertext_from_bytes(full, tiny()).noise == noise.fresh_public(tiny())
    assert wire.ciphertext_from_bytes(seeded, tiny()).noise == noise.fresh_secret(tiny())
    stated = noise.Noise(3.0, 7.0)
    assert wire.ciphertext_from_bytes(full, tiny(), noise=stated).noise == stated
    assert wire.plaintext_from_bytes(stored(Kind.PLAINTEXT), tiny(), noise=stated).noise == stated


def test_strided_views_are_stored_like_copies() -> None:
    ct, _ = some_ciphertext((4, 3))
    views = [ct.at_level(1), ct[1:3], ct[2], ct[::2, 1], ct[:, ::-1].at_level(0)]
    for view in views:
        copy = Ciphertext(params=view.params, words=np.ascontiguousarray(view.words), level=view.level)
        assert wire.ciphertext_to_bytes(view) == wire.ciphertext_to_bytes(copy)
    key = keygen().relin_key(secret())
    digits, limbs = len(tiny().digits(0)), tiny().num_special + tiny().limbs(0)
    lower = SwitchingKey.of(tiny(), key.words[:digits, :, :limbs], 0, key.seed)  # a prefix view
    assert not lower.words.flags.c_contiguous
    assert np.array_equal(wire.switching_key_from_bytes(wire.switching_key_to_bytes(lower), tiny()).words, lower.words)


@pytest.mark.parametrize("level", [0, 1, 2])
@pytest.mark.parametrize("seeded", [True, False])
def test_keys_of_every_level_with_and_without_seeds(level: int, seeded: bool) -> None:
    params, make = tiny(), keygen()
    keys = make.evaluation_keys(secret(), rotations=[1, 3], conjugation=True, level=level)

    def bare(key: SwitchingKey) -> SwitchingKey:
        return key if seeded else SwitchingKey(params, key.words, key.level)

    assert keys.relin is not None
    keys = EvaluationKeys(params, bare(keys.relin), {g: bare(key) for g, key in keys.galois.items()})
    data = wire.evaluation_keys_to_bytes(keys)
    back = wire.evaluation_keys_from_bytes(data, params)
    assert back.relin is not None and np.array_equal(back.relin.words, keys.relin.words)  # type: ignore[union-attr]
    assert list(back.galois) == sorted(keys.galois)
    for g, key in keys.galois.items():
        assert np.array_equal(back.galois[g].words, key.words) and back.galois[g].seed == key.seed
    assert wire.evaluation_keys_to_bytes(back) == data
    assert read_header(data, params).frame_length(params) == len(data)
    public = make.public_key(secret())
    public = public if seeded else PublicKey(params, public.words, public.level)
    stored_key = wire.public_key_to_bytes(public)
    assert np.array_equal(wire.public_key_from_bytes(stored_key, params).words, public.words)
    assert read_header(stored_key, params).seeded is seeded


def test_evaluation_keys_with_parts_missing() -> None:
    params, make = tiny(), keygen()
    relin, galois = make.relin_key(secret(), 1), make.galois_key(secret(), 5, 0)
    for keys in (
        EvaluationKeys(params),
        EvaluationKeys(params, relin),
        EvaluationKeys(params, None, {5: galois}),
        EvaluationKeys(params, relin, {5: galois}),
    ):
        data = wire.evaluation_keys_to_bytes(keys)
        back = wire.evaluation_keys_from_bytes(data, params)
        assert (back.relin is None) == (keys.relin is None) and list(back.galois) == list(keys.galois)
        assert wire.evaluation_keys_to_bytes(back) == data
    half = EvaluationKeys(params, SwitchingKey(params, relin.words, 1), {5: galois})  # one seed known, one not
    data = wire.evaluation_keys_to_bytes(half)
    assert not read_header(data, params).seeded
    assert wire.evaluation_keys_to_bytes(wire.evaluation_keys_from_bytes(data, params)) == data


@pytest.mark.parametrize(
    "params",
    [
        tiny(),
        tiny(16),
        tiny(8, 1, 2),
        tiny(8, 2, 0),
        RLWEParams.insecure(ring_degree=8, levels=((97, 113), (17,)), special_moduli=(193,), centred_digits=False),
        RLWEParams.insecure(ring_degree=8, levels=((97,), (113,)), digit_sizes=(2,), roots=other_roots(97, 113)),
        RLWEParams(ring_degree=1024, levels=((ntt_primes(bits=26, count=1, n=1024)),)),
    ],
    ids=lambda p: p.digest.hex()[:8],
)
def test_parameters(params: RLWEParams) -> None:
    data = params_to_bytes(params)
    back = params_from_bytes(data, allow_insecure=params.is_insecure)
    assert back == params and back.digest == params.digest and params_to_bytes(back) == data
    assert params_length(data[:HEAD_BYTES]) == len(data)


# Heads


def test_a_body_length_that_the_header_does_not_imply_is_refused_from_the_head_alone() -> None:
    head = stored(Kind.CIPHERTEXT)[:HEAD_BYTES]
    for length in (0, 2**63, 2**64 - 1):
        with pytest.raises(SerializationError, match=f"body length {length}"):
            read_header(head[:136] + struct.pack("<Q", length), tiny())
    shape = struct.pack("<4I", *(2**32 - 1,) * 4)  # 2^128 polynomials
    with pytest.raises(SerializationError, match="this header needs"):
        read_header(head[:49] + b"\4" + head[50:56] + shape + head[72:], tiny())


def test_impossible_headers_name_their_field() -> None:
    params, no_special = tiny(), tiny(8, 2, 0)
    wrong: list[tuple[Header, RLWEParams, str]] = [
        (Header(kind=Kind.CIPHERTEXT, level=3, parts=2), params, "level 3; needed 0 to 2"),
        (Header(kind=Kind.CIPHERTEXT, parts=1), params, "1 parts"),
        (Header(kind=Kind.CIPHERTEXT, parts=2, batch=(0,)), params, "batch"),
        (Header(kind=Kind.CIPHERTEXT, parts=2, batch=(1,) * 5), params, "batch"),
        (Header(kind=Kind.CIPHERTEXT, parts=2, seeded=True), params, "seeded is set"),
        (Header(kind=Kind.SEEDED_CIPHERTEXT, parts=3), params, "3 parts"),
        (Header(kind=Kind.PLAINTEXT, parts=2), params, "parts is set"),
        (Header(kind=Kind.PUBLIC_KEY, batch=(2,)), params, "batch is set"),
        (Header(kind=Kind.PUBLIC_KEY, scheme=b"\1" * 64), params, "scheme is set"),
        (Header(kind=Kind.SWITCHING_KEY, relin=True), params, "relin is set"),
        (Header(kind=Kind.SWITCHING_KEY), no_special, "special primes"),
        (Header(kind=Kind.EVALUATION_KEYS, relin=True), no_special, "special primes"),
        (Header(kind=Kind.EVALUATION_KEYS, galois_count=9), params, "9 Galois keys; needed at most 8"),
        (Header(kind=Kind.EVALUATION_KEYS, level=1), params, "absent key"),
        (Header(kind=Kind.EVALUATION_KEYS, galois_count=1, relin_level=1), params, "absent key"),
        (Header(kind=Kind.EVALUATION_KEYS, seeded=True), params, "absent key"),
    ]
    for header, where, text in wrong:
        with pytest.raises(SerializationError, match=text):
            header.frame_length(where)


# Elements, seeds


def test_galois_elements_are_odd_increasing_and_in_range() -> None:
    make = keygen()
    keys = make.evaluation_keys(secret(), relin=False, galois_elements=[3, 5], level=0)
    data = wire.evaluation_keys_to_bytes(keys)
    assert data[HEAD_BYTES : HEAD_BYTES + 8] == struct.pack("<2I", 3, 5)
    for pair in ((5, 3), (3, 3), (3, 4), (3, 17), (0, 5), (3, 2**32 - 1)):
        with pytest.raises(SerializationError, match="odd, increasing and below 16"):
            wire.evaluation_keys_from_bytes(with_bytes(data, HEAD_BYTES, struct.pack("<2I", *pair)), tiny())
    other = wire.evaluation_keys_from_bytes(with_bytes(data, HEAD_BYTES, struct.pack("<2I", 3, 7)), tiny())
    assert sorted(other.galois) == [3, 7]


def test_what_cannot_be_stored_says_why() -> None:
    params, make = tiny(), keygen()
    levels = {3: make.galois_key(secret(), 3, 0), 5: make.galois_key(secret(), 5, 1)}
    with pytest.raises(SerializationError, match=r"levels \[0, 1\]"):
        wire.evaluation_keys_to_bytes(EvaluationKeys(params, None, levels))
    key = make.relin_key(secret())
    with pytest.raises(SerializationError, match="seed does not expand"):
        wire.switching_key_to_bytes(SwitchingKey(params, key.words, key.level, bytes(32)))
    public = make.public_key(secret())
    with pytest.raises(SerializationError, match="seed does not expand"):
        wire.public_key_to_bytes(PublicKey(params, public.words, public.level, bytes(32)))
    with pytest.raises(SerializationError, match="seed does not expand"):
        wire.seeded_ciphertext_to_bytes(some_ciphertext()[0], bytes(32))
    with pytest.raises(SerializationError, match="batch"):
        wire.ciphertext_to_bytes(some_ciphertext((1, 1, 1, 1, 1))[0])


def test_loaded_objects_work() -> None:
    params = tiny(64)
    plaintext = some_plaintext((2,), n=64)
    ct, seed = encrypt_secret(plaintext, secret(64), Rng(5))
    back = wire.ciphertext_from_bytes(wire.seeded_ciphertext_to_bytes(ct, seed), params)
    assert np.array_equal(decrypt(back, secret(64)).words, decrypt(ct, secret(64)).words)


# Parameters from strangers


def _param_fields(data: bytes, **changes: int) -> bytes:
    names = ("ring_degree", "levels", "primes", "special", "digits", "security", "flags")
    values = dict(zip(names, struct.unpack_from("<I6H", data, 44), strict=True)) | changes
    return with_bytes(data, 44, struct.pack("<I6H", *values.values()))


def test_parameter_counts_are_bounded_before_anything_is_read() -> None:
    data = stored(Kind.PARAMETERS)
    for changes in (
        {"primes": 128, "special": 1},
        {"primes": 2**16 - 1},
        {"levels": 0},
        {"levels": 4},
        {"digits": 0},
        {"digits": 4},
        {"primes": 0},
    ):
        with pytest.raises(SerializationError, match="needed at most 128 primes"):
            params_length(_param_fields(data, **changes)[:HEAD_BYTES])
    with pytest.raises(SerializationError, match="body length"):
        params_length(_param_fields(data, special=100)[:HEAD_BYTES])
    with pytest.raises(SerializationError, match="found public key; needed parameters"):
        params_length(stored(Kind.PUBLIC_KEY))


def test_parameters_that_do_not_work_are_refused() -> None:
    data = stored(Kind.PARAMETERS)
    body = HEAD_BYTES + 3  # after the level sizes

    def prime(i: int, value: int) -> bytes:
        return with_bytes(data, body + 8 * i, struct.pack("<Q", value))

    q = tiny().moduli
    cases = [
        (_param_fields(data, ring_degree=7), "power of two"),
        (_param_fields(data, ring_degree=0), "power of two"),
        (_param_fields(data, ring_degree=2**31), "ring degree"),
        (_param_fields(data, ring_degree=16), "1 mod|digest|root of unity"),
        (_param_fields(data, flags=4), "form"),
        (_param_fields(data, flags=0), "digest"),
        (_param_fields(data, security=127), "security level"),
        (_param_fields(data, security=128), "no modulus is known"),
        (with_bytes(data, HEAD_BYTES, b"\1\2\1"), "cover"),
        (with_bytes(data, HEAD_BYTES, b"\2\0\1"), "cover"),
        (prime(0, q[1]), "distinct"),
        (prime(0, q[0] + 16), "digest|prime"),
        (prime(0, 2**64 - 1), "prime"),
        (prime(0, 0), "prime"),
        (with_bytes(data, 12, bytes(32)), "digest"),
        (with_bytes(data, 72, b"\1"), "scheme"),
        (with_bytes(data, 71, b"\1"), "form"),
    ]
    for changed, text in cases:
        with pytest.raises(SerializationError, match=text) as caught:
            params_from_bytes(changed, allow_insecure=True)
        assert len(str(caught.value)) < 300


def test_insecure_parameters_and_large_rings_are_only_loaded_on_request() -> None:
    data = stored(Kind.PARAMETERS)
    with pytest.raises(SerializationError, match="insecure"):
        params_from_bytes(data)
    with pytest.raises(SerializationError, match="ring degree 8; needed at most 4"):
        params_from_bytes(data, allow_insecure=True, largest_ring_degree=4)


def test_parameters_of_too_many_primes_are_not_stored() -> None:
    primes = ntt_primes(bits=30, count=129, n=8)
    with pytest.raises(SerializationError, match="129"):
        params_to_bytes(RLWEParams.insecure(ring_degree=8, levels=tuple((q,) for q in primes)))


# Frozen bytes


@pytest.mark.parametrize("kind", GOLDEN)
def test_bytes_are_frozen(kind: Kind) -> None:
    """When this changes, the version has to change, and old objects to load. Here without a scheme above."""
    assert hashlib.sha256(stored(kind)).hexdigest() == GOLDEN[kind]


def test_frame_offsets_are_those_of_the_docstring() -> None:
    data = stored(Kind.CIPHERTEXT)
    head = read_head(data)
    assert HEAD_BYTES == 144
    assert data[:8] == b"CKKSWIRE" and data[8:12] == struct.pack("<HH", 1, 5)
    assert data[12:44] == head.digest == tiny().digest
    assert data[44:72] == head.fields and data[72:136] == head.scheme == bytes(64)
    assert struct.unpack("<Q", data[136:144]) == (len(data) - 176,)
    assert read_body(data, Kind.CIPHERTEXT, len(data) - 176).tobytes() == data[144:-32]
    assert data[-32:] == hashlib.sha256(data[:-32]).digest()


def test_every_error_is_one_of_ours() -> None:
    assert issubclass(SerializationError, HEError) and issubclass(SerializationError, ValueError)
