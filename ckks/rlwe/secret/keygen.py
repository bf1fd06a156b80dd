"""KeyGenerator: the secret key, and every public key made from it."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ckks import kernels
from ckks.errors import BasisMismatch, ParameterError
from ckks.kernels import Words, wiping
from ckks.ring import Rng, automorphism, error, inverse_galois
from ckks.ring.sampling import ternary_coefficients
from ckks.rlwe.gadget import gadget_of
from ckks.rlwe.keys import EvaluationKeys, PublicKey, SwitchingKey
from ckks.rlwe.params import RLWEParams
from ckks.rlwe.secret.key import SecretKey
from ckks.rlwe.seeds import public_key_half, switching_key_halves


class KeyGenerator:
    """Generates keys for one parameter set, each from randomness of its own.

    Args:
        params: the parameter set.
        rng: where seeds come from; the operating system unless a test passes its own.
    """

    def __init__(self, params: RLWEParams, rng: Rng | None = None) -> None:
        """Keep the parameters; nothing is generated yet."""
        self.params = params
        self._rng = rng or Rng()

    def secret_key(self) -> SecretKey:
        """Return a fresh uniform ternary secret."""
        coefficients = ternary_coefficients(self._rng, (self.params.ring_degree,))
        secret = SecretKey(self.params, coefficients)
        coefficients.fill(0)
        return secret

    def public_key(self, secret: SecretKey) -> PublicKey:
        """Return (b, a) = (-a s + e, a) over QP."""
        self._check_owner(secret)
        params, seed = self.params, self._rng.public_seed()
        basis = params.basis_qp
        words = kernels.empty((2, len(basis), basis.n))
        public_key_half(params, params.top_level, seed, out=words[1])
        self._mask(secret.ntt(basis), words[1], words[0])
        return PublicKey.of(params, words, params.top_level, seed)

    def switching_key(self, secret: SecretKey, source: Words, level: int | None = None) -> SwitchingKey:
        """Return the key that turns a product with s' into a ciphertext under `secret`.

        Args:
            secret: s, the destination.
            source: s' in NTT form over (q_0..q_level), shape (limbs, N).
            level: the highest level it can act at; the top unless given (lower is smaller).
        """
        level = self._check(secret, level)
        needed = self.params.limbs(level), self.params.ring_degree
        if source.shape != needed or source.dtype != np.uint64:
            raise BasisMismatch(
                f"source secret of shape {source.shape} and type {source.dtype}; needed uint64 {needed}"
            )
        return self._switching_key(secret.ntt(self.params.extended_basis(level)), source, level)

    def _switching_key(self, destination: Words, source: Words, level: int) -> SwitchingKey:
        """Both secrets in NTT form: the destination over the joint basis of `level`, the source over (q_0..q_level)."""
        params = self.params
        basis, digits, k = params.extended_basis(level), params.digits(level), params.num_special
        seed = self._rng.public_seed()
        words = kernels.empty((len(digits), 2, len(basis), basis.n))
        b, a = words[:, 0], words[:, 1]
        switching_key_halves(params, level, seed, out=a)
        self._mask(destination, a, b)
        scalars = gadget_of(params, level).weights
        for digit, own in enumerate(digits):
            rows = b[digit, k + own.start : k + own.stop]
            kernels.mul_scalar_add(params.basis(level)[own].plan, source[own], scalars[own], rows, rows)
        return SwitchingKey.of(params, words, level, seed)

    def relin_key(self, secret: SecretKey, level: int | None = None) -> SwitchingKey:
        """Return the switching key for s^2."""
        level = self._check(secret, level)
        basis = self.params.basis(level)
        s = secret.ntt(basis)
        with wiping():
            square = kernels.mul(basis.plan, s, s)
        return self.switching_key(secret, square, level)

    def galois_key(self, secret: SecretKey, g: int, level: int | None = None) -> SwitchingKey:
        """Return the key for X -> X^g: from s to s(X^(1/g)), which the automorphism then carries back to s."""
        level = self._check(secret, level)
        joint = self.params.extended_basis(level)
        back = inverse_galois(joint.n, g)
        with wiping():
            destination = automorphism(joint, secret.ntt(joint), back, ntt_form=True)
        return self._switching_key(destination, secret.ntt(self.params.basis(level)), level)

    def evaluation_keys(
        self,
        secret: SecretKey,
        *,
        relin: bool = True,
        rotations: Iterable[int] = (),
        conjugation: bool = False,
        galois_elements: Iterable[int] = (),
        level: int | None = None,
    ) -> EvaluationKeys:
        """Return what an evaluator needs.

        Args:
            secret: the secret key.
            relin: include the relinearisation key.
            rotations: slot rotations k, positive to the left: Galois elements 5^k mod 2N.
            conjugation: include the key for the element -1.
            galois_elements: further elements, as they are.
            level: highest level of all these keys; the top unless given.
        """
        m = 2 * self.params.ring_degree
        elements = {pow(5, int(k) % (m // 4), m) for k in rotations} | {int(g) % m for g in galois_elements}
        if conjugation:
            elements.add(m - 1)
        return EvaluationKeys(
            self.params,
            self.relin_key(secret, level) if relin else None,
            {g: self.galois_key(secret, g, level) for g in sorted(elements - {1})},
        )

    def _mask(self, s: Words, a: Words, out: Words) -> None:
        """Write -a s + e to out, over the prefix of the joint basis that a and s have."""
        basis = self.params.basis_qp[: a.shape[-2]]
        error(basis, self._rng, a.shape[:-2], out=out)  # secret only until it is covered, in this very memory
        kernels.neg_mul_add(basis.plan, a, s, out, out)

    def _check(self, secret: SecretKey, level: int | None) -> int:
        """Refuse what cannot work before a secret word is in any frame; return the level."""
        params = self.params
        self._check_owner(secret)
        if not params.special_moduli:
            raise ParameterError("these parameters have no special primes, so no switching keys; add special_moduli")
        return params.check_level(params.top_level if level is None else level)

    def _check_owner(self, secret: SecretKey) -> None:
        if secret.params != self.params:
            raise BasisMismatch("the secret key belongs to other parameters than this key generator")
