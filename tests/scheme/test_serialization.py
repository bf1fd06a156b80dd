"""CKKS objects as bytes: scale and layout arrive, sizes of values and errors do not. More is in tests/wire."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable
from decimal import Decimal
from functools import cache
from typing import Any

import numpy as np
import pytest

import ckks.rlwe.serialization as wire
from ckks.errors import LevelError, ParameterError, SerializationError
from ckks.ring import Rng, ntt_primes
from ckks.rlwe import Ciphertext, EvaluationKeys, Plaintext, RLWEParams, SwitchingKey
from ckks.rlwe.frame import Kind, write_frame
from ckks.rlwe.noise import Noise, fresh_public, fresh_secret
from ckks.rlwe.secret import KeyGenerator, SecretKey
from ckks.rlwe.serialization_params import params_to_bytes
from ckks.scheme import CKKSParams, Decryptor, Encoder, Encryptor, Evaluator, Meta
from ckks.scheme.meta import meta_of
from ckks.scheme.serialization import (
    HEAD_BYTES,
    ciphertext_from_bytes,
    ciphertext_length,
    evaluation_keys_from_bytes,
    evaluation_keys_length,
    legal_length,
    model_from_bytes,
    model_to_bytes,
    params_from_bytes,
    params_length,
    plaintext_from_bytes,
    plaintext_length,
    public_key_from_bytes,
    public_key_length,
    read_header,
    seeded_from_bytes,
    seeded_to_bytes,
    switching_key_from_bytes,
    switching_key_length,
    to_bytes,
)

VALUES = np.linspace(-1, 1, 20)
SCHEME_FIELD = 72


@cache
def params(depth: int = 2) -> CKKSParams:
    return CKKSParams.generate(ring_degree=64, depth=depth, scale_bits=30, base_bits=40, num_special=1, security=None)


@cache
def secret(depth: int = 2) -> SecretKey:
    return KeyGenerator(params(depth), Rng(2)).secret_key()


def keygen() -> KeyGenerator:
    return KeyGenerator(params(), Rng(1))


def encrypted(values: Any = VALUES, **encoding: Any) -> Ciphertext:
    return Encryptor(params(), keygen().public_key(secret()), Rng(3)).encrypt(values, **encoding)


def seeded(values: Any = VALUES, **encoding: Any) -> tuple[Ciphertext, bytes]:
    return Encryptor(params(), secret(), Rng(4)).encrypt_seeded(values, **encoding)


@cache
def stored(kind: Kind) -> bytes:
    """One small object of each kind, always the same."""
    make: dict[Kind, Callable[[], bytes]] = {
        Kind.PARAMETERS: lambda: to_bytes(params()),
        Kind.PUBLIC_KEY: lambda: to_bytes(keygen().public_key(secret())),
        Kind.SWITCHING_KEY: lambda: to_bytes(keygen().relin_key(secret(), 0)),
        Kind.EVALUATION_KEYS: lambda: to_bytes(
            keygen().evaluation_keys(secret(), rotations=[1], conjugation=True, level=0)
        ),
        Kind.CIPHERTEXT: lambda: to_bytes(encrypted()),
        Kind.SEEDED_CIPHERTEXT: lambda: seeded_to_bytes(*seeded()),
        Kind.PLAINTEXT: lambda: to_bytes(Encoder(params()).encode(VALUES)),
        Kind.MODEL: lambda: model_to_bytes({"name": "a model"}, params()),
    }
    return make[kind]()


def load(kind: Kind, data: bytes, under: CKKSParams) -> Any:
    if kind is Kind.PARAMETERS:
        return params_from_bytes(data, allow_insecure=True)
    functions: dict[Kind, Callable[..., Any]] = {
        Kind.PUBLIC_KEY: public_key_from_bytes,
        Kind.SWITCHING_KEY: switching_key_from_bytes,
        Kind.EVALUATION_KEYS: evaluation_keys_from_bytes,
        Kind.CIPHERTEXT: ciphertext_from_bytes,
        Kind.SEEDED_CIPHERTEXT: seeded_from_bytes,
        Kind.PLAINTEXT: plaintext_from_bytes,
        Kind.MODEL: model_from_bytes,
    }
    return functions[kind](data, under)


def store(obj: Any) -> bytes:
    if isinstance(obj, dict):
        return model_to_bytes(obj, params())
    return seeded_to_bytes(*obj) if isinstance(obj, tuple) else to_bytes(obj)


def with_bytes(data: bytes, offset: int, new: bytes) -> bytes:
    """Change some bytes under a fitting checksum, as a sender of ill will would."""
    changed = data[:offset] + new + data[offset + len(new) : -32]
    return changed + hashlib.sha256(changed).digest()


def with_meta(data: bytes, **changes: Any) -> bytes:
    names = ("scheme", "flags", "degree", "slots", "length", "zero", "text")
    layout = struct.Struct("<BBHIII48s")
    values = dict(zip(names, layout.unpack_from(data, SCHEME_FIELD), strict=True)) | changes
    return with_bytes(data, SCHEME_FIELD, layout.pack(*values.values()))


# Round trips


@pytest.mark.parametrize("kind", Kind)
def test_load_then_store_gives_the_same_bytes(kind: Kind) -> None:
    data = stored(kind)
    assert store(load(kind, data, params())) == data


@pytest.mark.parametrize("level", [0, 1, 2])
@pytest.mark.parametrize("batch", [(), (3,), (2, 2)])
@pytest.mark.parametrize("real", [True, False])
def test_ciphertexts_and_plaintexts(
    batch: tuple[int, ...], level: int, real: bool, values: np.random.Generator
) -> None:
    numbers = values.uniform(-0.7, 0.7, (*batch, 9)) * (1 if real else 1 + 0.9j)
    decryptor = Decryptor(params(), secret())
    full = encrypted(numbers, level=level, slots=16)
    half, seed = seeded(numbers, level=level, slots=16)
    for ct, data in ((full, to_bytes(full)), (half, seeded_to_bytes(half, seed)), (half, to_bytes(half))):
        back = ciphertext_from_bytes(data, params())
        assert (back.shape, back.level, back.parts) == (batch, level, 2)
        assert meta_of(back) == meta_of(ct) == Meta(params().scale_at(level), 16, 9, real, 1.0, 1.0)
        assert np.array_equal(back.words, ct.words)
        assert np.array_equal(decryptor.decrypt(back), decryptor.decrypt(ct))
        assert len(data) == ciphertext_length(params(), level, batch, data != to_bytes(ct))
        assert legal_length(data[:HEAD_BYTES], params()) == len(data)
    plaintext = Encoder(params()).encode(numbers, level=level)
    again = plaintext_from_bytes(to_bytes(plaintext), params())
    assert (again.meta, again.noise) == (plaintext.meta, plaintext.noise)
    assert np.array_equal(again.words, plaintext.words)
    assert len(to_bytes(plaintext)) == plaintext_length(params(), level, batch)


def test_views_are_stored_like_copies() -> None:
    ct = encrypted(np.tile(VALUES, (4, 3, 1)))
    for view in (ct.at_level(1), ct[1:3], ct[2], ct[::2, 1]):
        view = view.with_(meta=meta_of(view).but(scale=params().scale_at(view.level)))
        copy = Ciphertext(params=params(), words=np.ascontiguousarray(view.words), level=view.level, meta=view.meta)
        assert to_bytes(view) == to_bytes(copy)


def test_evaluation_keys_work_after_the_trip() -> None:
    keys = keygen().evaluation_keys(secret(), rotations=[1, 2], conjugation=True)
    data = to_bytes(keys)
    assert len(data) == evaluation_keys_length(params(), True, 3)
    back = evaluation_keys_from_bytes(data, params())
    x = encrypted()
    for ours, theirs in ((Evaluator(params(), keys), Evaluator(params(), back)),):
        assert np.array_equal(ours.rotate(x, 1).words, theirs.rotate(x, 1).words)
        assert np.array_equal(ours.multiply(x, x).words, theirs.multiply(x, x).words)


def test_lengths_are_known_beforehand() -> None:
    make = keygen()
    for level in range(3):
        relin, galois = make.relin_key(secret(), level), make.galois_key(secret(), 5, level)
        bare = SwitchingKey(params(), relin.words, level)
        assert len(to_bytes(relin)) == switching_key_length(params(), level)
        assert len(to_bytes(bare)) == switching_key_length(params(), level, seeded=False)
        for keys, length in (
            (EvaluationKeys(params(), relin, {5: galois}), evaluation_keys_length(params(), True, 1, level)),
            (EvaluationKeys(params(), relin), evaluation_keys_length(params(), True, 0, level)),
            (EvaluationKeys(params(), None, {5: galois}), evaluation_keys_length(params(), False, 1, level)),
            (EvaluationKeys(params()), evaluation_keys_length(params(), False, 0, level)),
            (EvaluationKeys(params(), bare), evaluation_keys_length(params(), True, 0, level, seeded=False)),
            (
                EvaluationKeys(params(), make.relin_key(secret(), 2), {5: galois}),
                evaluation_keys_length(params(), True, 1, level, relin_level=2),
            ),
        ):
            assert len(to_bytes(keys)) == length
    assert len(stored(Kind.PUBLIC_KEY)) == public_key_length(params())
    assert params_length(stored(Kind.PARAMETERS)[:HEAD_BYTES]) == len(stored(Kind.PARAMETERS))
    for function in (ciphertext_length, plaintext_length, switching_key_length):
        with pytest.raises(LevelError):
            function(params(), 3)
    with pytest.raises(SerializationError):
        ciphertext_length(params(), batch=(0,))


def test_packed_words_are_smaller_than_words() -> None:
    ct, seed = seeded()
    bits = sum(q.bit_length() for q in params().moduli)
    assert len(to_bytes(ct)) == 176 + 2 * bits * 64 // 8
    assert len(seeded_to_bytes(ct, seed)) == 176 + 32 + bits * 64 // 8


# What the receiver states


def test_noise_and_bound_are_those_of_fresh_encryptions_unless_stated() -> None:
    ct, (half, seed) = encrypted(), seeded()
    assert ciphertext_from_bytes(to_bytes(ct), params()).noise == ct.noise
    assert ciphertext_from_bytes(seeded_to_bytes(half, seed), params()).noise == half.noise
    rounding = Encoder(params()).rounding(meta_of(ct))
    assert ct.noise == rounding + fresh_public(params()) and half.noise == rounding + fresh_secret(params())
    back = ciphertext_from_bytes(to_bytes(ct), params(), bound=7, noise=Noise(2.0, 9.0))
    assert (back.noise, meta_of(back).bound, meta_of(back).rms) == (Noise(2.0, 9.0), 7.0, 7.0)
    back_plain = plaintext_from_bytes(stored(Kind.PLAINTEXT), params(), bound=0.5, noise=Noise())
    assert (back_plain.noise, meta_of(back_plain).bound) == (Noise(), 0.5)


def test_a_senders_bound_is_not_part_of_the_bytes() -> None:
    ct = encrypted()
    lying = ct.with_(meta=meta_of(ct).but(bound=1e-9, rms=1e-9), noise=Noise(1e-9, 1e-9))
    assert to_bytes(lying) == to_bytes(ct)


@pytest.mark.parametrize("bound", [0, -1, float("nan"), float("inf")])
def test_impossible_bounds_are_the_callers_error(bound: float) -> None:
    with pytest.raises(ParameterError, match="bound"):
        ciphertext_from_bytes(stored(Kind.CIPHERTEXT), params(), bound=bound)


def test_products_need_the_noise_that_the_receiver_computed() -> None:
    evaluator = Evaluator(params(), keygen().evaluation_keys(secret()))
    x = encrypted()
    own_scale = x.with_(meta=meta_of(x).but(scale=Decimal(12345)))
    for ct in (evaluator.tensor(x, x), evaluator.multiply(x, x, rescale=False), own_scale):
        data = to_bytes(ct)
        with pytest.raises(SerializationError, match="noise="):
            ciphertext_from_bytes(data, params())
        back = ciphertext_from_bytes(data, params(), noise=Noise(1.0, 2.0))
        assert back.parts == ct.parts and meta_of(back).scale == meta_of(ct).scale
        assert to_bytes(back) == data


# Scales


@pytest.mark.parametrize(
    ("scale", "text"),
    [
        (Decimal(1000), b"1E3"),
        (Decimal("1000.000"), b"1E3"),
        (Decimal("1E+3"), b"1E3"),
        (Decimal("1.5"), b"15E-1"),
        (Decimal(7), b"7E0"),
        (Decimal("1234567890.123456789012345678901234567891"), b"1234567890123456789012345678901234567891E-30"),
        (Decimal(2**100), b"1267650600228229401496703205376E0"),
    ],
)
def test_scales_of_ones_own_have_one_text(scale: Decimal, text: bytes) -> None:
    ct = encrypted()
    data = to_bytes(ct.with_(meta=meta_of(ct).but(scale=scale)))
    assert data[SCHEME_FIELD : SCHEME_FIELD + 64] == struct.pack("<BBHIII48s", 1, 1, 0, 32, 20, 0, text)
    assert meta_of(ciphertext_from_bytes(data, params(), noise=Noise())).scale == scale


def test_canonical_scales_are_named_by_degree() -> None:
    x = encrypted()
    for degree in (1, 2):
        data = to_bytes(x.with_(meta=meta_of(x).but(scale=params().scale_at(2, degree))))
        assert data[SCHEME_FIELD + 2 : SCHEME_FIELD + 4] == struct.pack("<H", degree)
        assert data[SCHEME_FIELD + 16 : SCHEME_FIELD + 64] == bytes(48)


@pytest.mark.parametrize("scale", ["0", "-1", "NaN", "Infinity", "1E-300", "1E+300", "1" * 41])
def test_impossible_scales_are_not_stored(scale: str) -> None:
    x = encrypted()
    with pytest.raises(SerializationError, match="scale"):
        to_bytes(x.with_(meta=meta_of(x).but(scale=Decimal(scale))))


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"scheme": 2}, "scheme 2"),
        ({"flags": 2}, "flags 2"),
        ({"zero": 1}, "zeros"),
        ({"degree": 3}, "degree 3"),
        ({"degree": 1, "text": b"7E0"}, "beside degree 1"),
        ({"slots": 0}, "0 slots"),
        ({"slots": 3}, "3 slots"),
        ({"slots": 64}, "64 slots"),
        ({"length": 33}, "33 values in 32 slots"),
        ({"slots": 16}, "20 values in 16 slots"),
        *(
            ({"degree": 0, "text": text}, "scale")
            for text in (
                b"",
                b"7",
                b"7E",
                b"E7",
                b"07E0",
                b"0E0",
                b"-7E0",
                b"+7E0",
                b"7E+1",
                b"7E-0",
                b"7E01",
                b"7e1",
                b"70E0",  # 7E1
                b"1073741824E0",  # the canonical scale of its level
                b"7E0\0\x001",
                b"7E0 ",
                b"7_0E0",
                b"NaN",
                b"Infinity",
                b"7E999",
                b"7E-999",
                b"7E1000",
                b"1" * 41 + b"E0",
                "\u0667E0".encode(),  # a digit, but not an ASCII one
                b"9" * 48,
            )
        ),
    ],
)
def test_metadata_from_the_wire_is_checked(changes: dict[str, Any], text: str) -> None:
    assert params().scale == 1073741824
    for kind in (Kind.CIPHERTEXT, Kind.SEEDED_CIPHERTEXT, Kind.PLAINTEXT):
        changed = with_meta(stored(kind), **changes)
        with pytest.raises(SerializationError, match=text):
            load(kind, changed, params())


def test_objects_without_ckks_metadata_are_refused_both_ways() -> None:
    x = encrypted()
    bare = Ciphertext(params=params(), words=x.words, level=2)
    with pytest.raises(TypeError, match="metadata"):
        to_bytes(bare)
    with pytest.raises(SerializationError, match="without CKKS metadata"):
        ciphertext_from_bytes(wire.ciphertext_to_bytes(bare), params())
    plain = RLWEParams.insecure(ring_degree=64, levels=params().levels, special_moduli=params().special_moduli)
    with pytest.raises(TypeError, match="CKKSParams"):
        to_bytes(Plaintext(params=plain, words=Encoder(params()).encode(VALUES).words, level=2, meta=x.meta))
    for other in (plain, secret(), b"bytes", None):
        with pytest.raises(TypeError, match="to_bytes"):
            to_bytes(other)  # type: ignore[arg-type]


# Parameters


@pytest.mark.parametrize(
    "made",
    [
        params(),
        params(0),
        CKKSParams.preset("S12"),
        CKKSParams.preset("S12", value_range=16.0),
        CKKSParams.generate(ring_degree=64, depth=2, scale_bits=70, base_bits=80, num_special=2, security=None),
        CKKSParams.generate(
            ring_degree=64, depth=1, scale_bits=40, base_bits=50, num_special=0, security=None, centred_digits=False
        ),
        CKKSParams.insecure(ring_degree=64, levels=((ntt_primes(bits=60, count=1, n=64)),), scale=Decimal("2E+12")),
    ],
    ids=lambda p: p.digest.hex()[:8],
)
def test_parameters(made: CKKSParams) -> None:
    data = to_bytes(made)
    back = params_from_bytes(data, allow_insecure=made.is_insecure)
    assert back == made and back.digest == made.digest and back.scales == made.scales and to_bytes(back) == data
    assert back.is_insecure == made.is_insecure
    assert params_length(data[:HEAD_BYTES]) == len(data)


def test_insecure_parameters_are_only_loaded_on_request() -> None:
    with pytest.raises(SerializationError, match="insecure"):
        params_from_bytes(to_bytes(params()))
    with pytest.raises(SerializationError, match="ring degree 4096"):
        params_from_bytes(to_bytes(CKKSParams.preset("S12")), largest_ring_degree=2048)
    weak = with_bytes(to_bytes(params()), 56, struct.pack("<H", 128))  # claims 128 bits
    with pytest.raises(SerializationError, match="InsecureParameters"):
        params_from_bytes(weak)


def params_with(value_range: float, text: bytes, scheme: int = 1) -> bytes:
    return with_bytes(to_bytes(params()), SCHEME_FIELD, struct.pack("<B7sd48s", scheme, bytes(7), value_range, text))


@pytest.mark.parametrize("value_range", [0.0, -1.0, float("nan"), float("inf"), 1e300])
def test_impossible_value_ranges_are_refused(value_range: float) -> None:
    with pytest.raises(SerializationError, match="range"):
        params_from_bytes(params_with(value_range, b"1073741824E0"), allow_insecure=True)


@pytest.mark.parametrize("text", [b"", b"0E0", b"1000E0", b"2E30", b"1E-5", b"NaN", b"7E999"])
def test_impossible_scales_of_parameters_are_refused(text: bytes) -> None:
    with pytest.raises(SerializationError, match="scale"):
        params_from_bytes(params_with(1.0, text), allow_insecure=True)


def test_scales_that_drift_without_end_are_refused() -> None:
    """120 levels of 20-bit primes under a scale of 10^30: it would grow as a double exponential."""
    primes = ntt_primes(bits=20, count=120, n=64)
    bare = RLWEParams.insecure(ring_degree=64, levels=tuple((q,) for q in primes))
    data = params_to_bytes(bare, struct.pack("<B7sd48s", 1, bytes(7), 1.0, b"1E30"))
    with pytest.raises(SerializationError, match="scale drifts"):
        params_from_bytes(data, allow_insecure=True)


def test_parameters_of_another_scheme_are_refused() -> None:
    with pytest.raises(SerializationError, match="scheme 2"):
        params_from_bytes(params_with(1.0, b"1073741824E0", scheme=2), allow_insecure=True)
    bare = RLWEParams.insecure(ring_degree=64, levels=params().levels)
    with pytest.raises(SerializationError, match="scheme 0"):
        params_from_bytes(params_to_bytes(bare), allow_insecure=True)
    with pytest.raises(SerializationError, match=r"digest|form"):
        params_from_bytes(params_with(2.0, b"1073741824E0"), allow_insecure=True)


def test_a_huge_claim_costs_nothing() -> None:
    """A head that claims 65535 primes, or 2^63 bytes, is refused as it stands."""
    fields = struct.pack("<I6H12s", 64, 65535, 65535, 65535, 65535, 0, 3, bytes(12))
    frame = write_frame(Kind.PARAMETERS, bytes(32), fields, bytes(64), 0, lambda out: None)
    with pytest.raises(SerializationError, match="at most 128 primes"):
        params_length(frame[:HEAD_BYTES])
    head = stored(Kind.CIPHERTEXT)[:136] + struct.pack("<Q", 2**63)
    with pytest.raises(SerializationError, match="body length"):
        legal_length(head, params())


# Headers for a service


def test_a_head_tells_a_service_what_is_coming() -> None:
    header = read_header(stored(Kind.EVALUATION_KEYS)[:HEAD_BYTES], params())
    assert (header.kind, header.relin, header.galois_count, header.level) == (Kind.EVALUATION_KEYS, True, 2, 0)
    header = read_header(stored(Kind.SEEDED_CIPHERTEXT)[:HEAD_BYTES], params(), Kind.SEEDED_CIPHERTEXT)
    assert (header.level, header.parts, header.batch) == (2, 2, ())
    for kind in Kind:
        head = stored(kind)[:HEAD_BYTES]
        length = params_length(head) if kind is Kind.PARAMETERS else legal_length(head, params())
        assert length == len(stored(kind))
        with pytest.raises(SerializationError, match="cut short"):
            read_header(head[:-1], params())
