"""Pickles and copies of public objects: words as they are, the validating constructor on the way back, no secrets."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from wire import objects

from ckks import Ciphertext, CKKSParams, Decryptor, EncryptedVector, Encryptor, Evaluator, KeyGenerator, Rng
from ckks.errors import HEError
from ckks.rlwe import EvaluationKeys, RLWEParams
from ckks.rlwe.noise import Noise
from ckks.scheme import Meta

P = objects.tiny()
KEYS = objects.evaluation_keys(2)
X = objects.encrypted([objects.VALUES] * 4)
PUBLIC: dict[str, Any] = {
    "parameters": P,
    "plain parameters": RLWEParams.insecure(ring_degree=8, levels=P.levels, special_moduli=P.special_moduli),
    "preset": CKKSParams.preset("S12"),
    "public key": objects.public_key(),
    "public key without its seed": objects.bare(objects.public_key()),
    "switching key": objects.switching_key(),
    "evaluation keys": KEYS,
    "no evaluation keys": EvaluationKeys(P),
    "ciphertext": X,
    "three parts": Evaluator(P).tensor(X, X),
    "view": X.at_level(1)[::2],
    "plaintext": objects.encoded(),
    "basis": P.basis_qp,
    "ring element": X.part(1),
    "noise": X.noise,
    "metadata": X.meta,
    "generator of the system": Rng(),
    "encoder": Evaluator(P).encoder,
    "encryptor with a public key": Encryptor(P, objects.public_key()),
    "evaluator": Evaluator(P, KEYS),
    "vector": EncryptedVector(X, Evaluator(P, KEYS)),
}
WORDS = [name for name, obj in PUBLIC.items() if hasattr(obj, "words")]


def state(obj: Any) -> Any:
    """What two equal objects share, as plain values."""
    if isinstance(obj, RLWEParams):
        return obj.digest, obj
    if isinstance(obj, EvaluationKeys):
        return state(obj.params), state(obj.relin), {g: state(key) for g, key in obj.galois.items()}
    if hasattr(obj, "words"):
        rest = [getattr(obj, name, None) for name in ("params", "level", "seed", "meta", "noise")]
        return type(obj), obj.words.tolist(), rest
    if hasattr(obj, "residues"):
        return obj.basis, obj.domain, obj.residues.tolist()
    if isinstance(obj, Rng):
        return obj.deterministic
    if isinstance(obj, EncryptedVector):
        return state(obj.ciphertext), state(obj.evaluator.keys)
    if isinstance(obj, Noise | Meta) or not hasattr(obj, "params"):
        return obj
    return type(obj), state(obj.params), state(getattr(obj, "keys", None))


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("name", PUBLIC)
def test_public_objects_come_back(name: str, protocol: int) -> None:
    obj = PUBLIC[name]
    twin = pickle.loads(pickle.dumps(obj, protocol))
    assert type(twin) is type(obj) and state(twin) == state(obj)
    if name in WORDS:
        assert not twin.words.flags.writeable and not np.shares_memory(twin.words, obj.words)


def test_what_came_back_works() -> None:
    vector = pickle.loads(pickle.dumps(PUBLIC["vector"]))
    encryptor = pickle.loads(pickle.dumps(PUBLIC["encryptor with a public key"]))
    values = Decryptor(P, objects.secret()).decrypt(
        vector + EncryptedVector(encryptor.encrypt(objects.VALUES), vector.evaluator)
    )
    assert np.allclose(values, 2 * np.array(objects.VALUES), atol=1e-4)


@pytest.mark.parametrize("name", WORDS)
def test_words_go_out_of_band_without_a_copy(name: str) -> None:
    """Protocol 5: the buffers are the words' own memory (views are made whole first); the way back copies once."""
    obj, buffers = PUBLIC[name], []
    data = pickle.dumps(obj, protocol=5, buffer_callback=buffers.append)
    (buffer,) = (np.frombuffer(found, dtype=np.uint64) for found in buffers)
    assert len(data) < 1500 and buffer.size == obj.words.size
    assert np.shares_memory(buffer, obj.words) == obj.words.flags.c_contiguous
    twin = pickle.loads(data, buffers=buffers)
    assert state(twin) == state(obj)
    assert not np.shares_memory(twin.words, buffer), "words that somebody else may change were not checked"


def test_evaluation_keys_go_out_of_band_key_by_key() -> None:
    buffers: list[pickle.PickleBuffer] = []
    data = pickle.dumps(KEYS, protocol=5, buffer_callback=buffers.append)
    assert len(buffers) == 3 and len(data) < 2000
    assert state(pickle.loads(data, buffers=buffers)) == state(KEYS)


@pytest.mark.parametrize("name", [*WORDS, "parameters", "evaluation keys"])
def test_copies_share_and_deep_copies_do_not(name: str) -> None:
    obj = PUBLIC[name]
    assert copy.copy(obj) is obj  # nothing in it changes
    twin = copy.deepcopy(obj)
    assert twin is not obj and state(twin) == state(obj)
    if name in WORDS:
        assert not np.shares_memory(twin.words, obj.words)


def test_a_deep_copy_does_not_see_words_that_were_forced() -> None:
    ct = copy.deepcopy(objects.encrypted())
    twin, before = copy.deepcopy(ct), ct.words.copy()
    ct.words.flags.writeable = True
    ct.words[...] = 0
    assert np.array_equal(twin.words, before)


# Changed states


def replaced(**changes: Any) -> Callable[[dict[str, Any]], None]:
    return lambda arguments: arguments.update(changes)


def at(position: tuple[int, ...], value: int) -> Callable[[dict[str, Any]], None]:
    def change(arguments: dict[str, Any]) -> None:
        words = arguments["words"].copy()
        words[position] = value
        arguments["words"] = words

    return change


def without(name: str) -> Callable[[dict[str, Any]], None]:
    return lambda arguments: arguments.pop(name)


Q = P.moduli[0]
WORD_CHANGES = {
    "a word that is its prime": at((..., 0, 0), P.special_moduli[0]),
    "a word of ones": at((..., 1, 7), 2**64 - 1),
    "words of another ring": replaced(words=np.zeros((2, 3, 16), dtype=np.uint64)),
    "a limb too few": replaced(words=np.zeros((2, 1, 8), dtype=np.uint64)),
    "no axes": replaced(words=np.uint64(1)),
    "numbers that are none": replaced(words=np.full((2, 3, 8), 0.5)),
    "negative words": replaced(words=np.full((2, 3, 8), -1)),
    "text for words": replaced(words="words"),
    "nothing for words": replaced(words=None),
    "a level that is not there": replaced(level=3),
    "a level below": replaced(level=-1),
    "text for a level": replaced(level="1"),
    "half a level": replaced(level=1.5),
    "no level": without("level"),
    "other parameters": replaced(params=CKKSParams.preset("S12")),
    "no parameters": replaced(params=None),
    "a field of another version": replaced(colour="green"),
}
VALUE_CHANGES = {
    "no noise": replaced(noise=None),
    "a number for noise": replaced(noise=1.0),
    "one part": replaced(words=np.zeros((1, 3, 8), dtype=np.uint64)),
}
KEY_CHANGES = {
    "a short seed": replaced(seed=bytes(31)),
    "a seed of text": replaced(seed="s" * 32),
    "digits too many": replaced(words=np.zeros((4, 2, 4, 8), dtype=np.uint64)),
}
EVALUATION_CHANGES = {
    "an even element": replaced(galois={2: KEYS.relin}),
    "text for an element": replaced(galois={"5": KEYS.relin}),
    "no key in its place": replaced(galois={5: None}),
    "a public key in its place": replaced(relin=objects.public_key()),
    "a list of keys": replaced(galois=[KEYS.relin]),
    "keys of other parameters": replaced(params=PUBLIC["preset"]),
    "no parameters": replaced(params=None),
}
PARAMETER_CHANGES = {
    "a composite": replaced(levels=((Q + 16,), *P.levels[1:])),
    "a prime twice": replaced(levels=(P.levels[0], P.levels[0])),
    "text for a ring degree": replaced(ring_degree="8"),
    "no ring degree": without("ring_degree"),
    "no levels": replaced(levels=()),
    "text for levels": replaced(levels="abc"),
    "text for digits": replaced(digit_sizes="abc"),
    "digits that do not fit": replaced(digit_sizes=(1, 1)),
    "foreign roots": replaced(roots=(1, 1, 1, 1)),
    "text for a scale": replaced(scale="much"),
    "an endless scale": replaced(scale=Decimal("Infinity")),
    "no number for a scale": replaced(scale=Decimal("NaN")),
    "text for a range": replaced(value_range="wide"),
    "no number for a range": replaced(value_range=float("nan")),
    "security that is claimed": replaced(security=128),
}
CHANGES = [
    *(("ciphertext", what, change) for what, change in {**WORD_CHANGES, **VALUE_CHANGES}.items()),
    *(("plaintext", what, change) for what, change in {**WORD_CHANGES, **VALUE_CHANGES}.items() if what != "one part"),
    *(("public key", what, change) for what, change in {**WORD_CHANGES, **KEY_CHANGES}.items()),
    *(("switching key", what, change) for what, change in {**WORD_CHANGES, **KEY_CHANGES}.items()),
    *(("evaluation keys", what, change) for what, change in EVALUATION_CHANGES.items()),
    *(("parameters", what, change) for what, change in PARAMETER_CHANGES.items()),
]


class Changed:
    """Pickles as its object would, with some arguments changed."""

    def __init__(self, obj: Any, change: Callable[[dict[str, Any]], Any]) -> None:
        self.call, (self.kind, self.arguments) = obj.__reduce__()
        change(self.arguments)

    def __reduce__(self) -> Any:
        return self.call, (self.kind, self.arguments)


@pytest.mark.parametrize(("name", "change"), [(n, c) for n, _, c in CHANGES], ids=[f"{n}-{w}" for n, w, _ in CHANGES])
@pytest.mark.parametrize("protocol", [2, 5])
def test_changed_states_raise_a_typed_error(name: str, change: Any, protocol: int) -> None:
    data = pickle.dumps(Changed(PUBLIC[name], change), protocol)
    with pytest.raises(HEError) as caught:
        pickle.loads(data)
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize(
    "arguments",
    [(None, 1.0), (-1.0, 1.0), (1.0, float("nan")), ("1", 1.0), (1j, 1.0)],
    ids=repr,
)
def test_changed_noise(arguments: Any) -> None:
    with pytest.raises(HEError, match="noise"):
        Noise(1.0, 2.0).__reduce__()[0](*arguments)


@pytest.mark.parametrize(
    "changes",
    [
        {"scale": 0.5}, {"scale": Decimal(0)}, {"scale": Decimal(-1)}, {"scale": Decimal("NaN")}, {"slots": 0},
        {"slots": "4"}, {"length": 5}, {"length": -1}, {"real": 1}, {"bound": -1.0}, {"rms": float("nan")}, {"bound": None},
    ],
    ids=repr,
)  # fmt: skip
def test_changed_metadata(changes: dict[str, Any]) -> None:
    rebuild, values = Meta(Decimal(1024), 4, 3, True, 1.0, 1.0).__reduce__()
    names = ("scale", "slots", "length", "real", "bound", "rms")
    assert rebuild(*values) == Meta(Decimal(1024), 4, 3, True, 1.0, 1.0)
    with pytest.raises(HEError, match="metadata"):
        rebuild(**{**dict(zip(names, values, strict=True)), **changes})


# Secrets


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize(
    "holder",
    [
        lambda: objects.secret(),
        lambda: Decryptor(P, objects.secret()),
        lambda: Encryptor(P, objects.secret()),
        lambda: {"inside": [Decryptor(P, objects.secret())]},
        lambda: Rng(1),
        lambda: KeyGenerator(P, Rng(1)),
        lambda: Encryptor(P, objects.public_key(), Rng(1)),
    ],
)
def test_holders_of_secrets_are_not_pickled(holder: Callable[[], Any], protocol: int) -> None:
    obj = holder()
    with pytest.raises(TypeError, match="neither pickled nor copied"):
        pickle.dumps(obj, protocol)
    with pytest.raises(TypeError, match="neither pickled nor copied"):
        copy.deepcopy(obj)


def test_pickles_hold_no_more_than_what_is_public() -> None:
    """The pickle of a ciphertext and of keys, searched for the secret in its usual forms."""
    secret = objects.secret().coefficients()
    forms = [secret.tobytes(), (secret + 1).tobytes(), objects.secret().ntt(P.basis_qp)[0].tobytes()]
    for name in PUBLIC:
        data = pickle.dumps(PUBLIC[name], 5)
        assert not [form for form in forms if form in data]
    assert isinstance(X, Ciphertext)
