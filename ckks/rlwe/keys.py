"""Public and evaluation keys: data only, safe to hand to a stranger."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Self

import numpy as np

from ckks.errors import BasisMismatch, MissingKey, ParameterError
from ckks.kernels import Words
from ckks.ring import RNSBasis, check_galois_element
from ckks.ring.csprng import SEED_BYTES
from ckks.ring.poly import checked_words
from ckks.rlwe.params import RLWEParams
from ckks.rlwe.pickling import rebuild

ALL_KEYS = "or all that a computation f needs: keygen.evaluation_keys(secret, **ckks.plan(f, shape).keys)"
"""How the messages about a missing key end."""


@dataclass(frozen=True, eq=False, repr=False)
class _Key:
    """Words over (p_1..p_k, q_0..q_level), NTT form, validated and copied.

    `seed`, when known, is the public 32-byte seed that the uniform half was expanded from.
    """

    params: RLWEParams
    words: Words
    level: int
    seed: bytes | None = None

    def __post_init__(self) -> None:
        """Validate and copy."""
        if not isinstance(self.params, RLWEParams):
            raise ParameterError(f"params of type {type(self.params).__name__}; needed RLWEParams")
        if not isinstance(self.level, int | np.integer):
            raise ParameterError(f"level of type {type(self.level).__name__}; needed an integer")
        if self.seed is not None and (not isinstance(self.seed, bytes) or len(self.seed) != SEED_BYTES):
            raise ParameterError(f"a seed that is not {SEED_BYTES} bytes; needed that, or None where it is not known")
        words = checked_words(self.params.extended_basis(self.level), self.words)
        if words.shape[:-2] != self._leading():
            raise BasisMismatch(f"{type(self).__name__} words of shape {words.shape}; needed {self._leading()} leading")
        words.flags.writeable = False
        object.__setattr__(self, "words", words)

    def _leading(self) -> tuple[int, ...]:
        raise NotImplementedError  # pragma: no cover - abstract

    @classmethod
    def of(cls, params: RLWEParams, words: Words, level: int, seed: bytes | None = None) -> Self:
        """Wrap words known to be valid, without a copy."""
        key = object.__new__(cls)
        words.flags.writeable = False
        for name, value in (("params", params), ("words", words), ("level", level), ("seed", seed)):
            object.__setattr__(key, name, value)
        return key

    @property
    def basis(self) -> RNSBasis:
        """The moduli of the words."""
        return self.params.extended_basis(self.level)

    @property
    def nbytes(self) -> int:
        """Bytes of the words in memory (stored keys are half of that: the uniform half is a seed)."""
        return self.words.nbytes

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle through the validating constructor, the words as they are (out of band in protocol 5, uncopied)."""
        words = np.ascontiguousarray(self.words)
        return rebuild, (type(self), dict(params=self.params, words=words, level=self.level, seed=self.seed))

    def __copy__(self) -> Self:
        """Return the object itself: nothing in it changes."""
        return self

    def __repr__(self) -> str:
        """Return a one-line summary."""
        return (
            f"<{type(self).__name__} {self.params.mark}N={self.params.ring_degree}, level {self.level}, "
            f"{self.nbytes / 2**20:.1f} MiB>"
        )


class PublicKey(_Key):
    """(b, a) with b = -a s + e over QP; words (2, limbs, N)."""

    def _leading(self) -> tuple[int, ...]:
        return (2,)


class SwitchingKey(_Key):
    """For each digit d: (b_d, a_d) with b_d = -a_d s + e_d + P g_d s'; words (digits, 2, limbs, N).

    Turns a product with s' into a ciphertext under s ([HK19, Sec. 3]); g_d is 1 modulo the primes of digit d and 0
    modulo the others. Works at its level and every one below.
    """

    def _leading(self) -> tuple[int, ...]:
        return (len(self.params.digits(self.level)), 2)


@dataclass(frozen=True, eq=False, repr=False)
class EvaluationKeys:
    """What an evaluator needs and a stranger may have: relinearisation and Galois keys.

    Args:
        params: the parameter set that all of them belong to.
        relin: the switching key for s^2, or None.
        galois: for a Galois element g, the switching key from s to s(X^(1/g)), applied before X -> X^g.
    """

    params: RLWEParams
    relin: SwitchingKey | None = None
    galois: Mapping[int, SwitchingKey] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check that every key belongs to these parameters."""
        if not isinstance(self.params, RLWEParams) or not isinstance(self.galois, Mapping):
            raise ParameterError("params or Galois keys of the wrong type; needed RLWEParams, and keys by element")
        for each in (*self.galois.values(), *(() if self.relin is None else (self.relin,))):
            if not isinstance(each, SwitchingKey):
                raise ParameterError(f"an evaluation key of type {type(each).__name__}; needed SwitchingKey")
        n = self.params.ring_degree
        galois = {check_galois_element(n, g): key for g, key in self.galois.items()}
        object.__setattr__(self, "galois", MappingProxyType(galois))
        for key in (self.relin, *galois.values()):
            if key is not None and key.params != self.params:
                raise BasisMismatch("an evaluation key belongs to other parameters than the set it was put in")

    def relin_key(self) -> SwitchingKey:
        """Return the relinearisation key; raise MissingKey when there is none."""
        if self.relin is None:
            raise MissingKey(
                "no relinearisation key: products of ciphertexts need one; "
                f"generate it with KeyGenerator.evaluation_keys(secret, relin=True), {ALL_KEYS}"
            )
        return self.relin

    def galois_key(self, g: int) -> SwitchingKey:
        """Return the key for X -> X^g; raise MissingKey, listing what is there, when there is none."""
        g = check_galois_element(self.params.ring_degree, g)
        try:
            return self.galois[g]
        except KeyError:
            have = ", ".join(map(str, sorted(self.galois)[:8])) or "none"
            have += f" and {len(self.galois) - 8} more" if len(self.galois) > 8 else ""
            raise MissingKey(
                f"no Galois key for the element {g}; there are keys for: {have}. "
                f"Generate it with KeyGenerator.evaluation_keys(secret, rotations=..., conjugation=...), {ALL_KEYS}"
            ) from None

    @property
    def nbytes(self) -> int:
        """Bytes of all words in memory."""
        return sum(key.nbytes for key in (self.relin, *self.galois.values()) if key is not None)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle through the validating constructor."""
        return rebuild, (EvaluationKeys, dict(params=self.params, relin=self.relin, galois=dict(self.galois)))

    def __copy__(self) -> Self:
        """Return the object itself: nothing in it changes."""
        return self

    def __repr__(self) -> str:
        """Return a one-line summary."""
        relin = "relin" if self.relin is not None else "no relin"
        return f"<EvaluationKeys {self.params.mark}{relin}, {len(self.galois)} Galois, {self.nbytes / 2**20:.1f} MiB>"
