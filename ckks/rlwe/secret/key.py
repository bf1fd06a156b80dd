"""SecretKey: a type that does not print, pickle or copy what it holds."""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ckks import kernels
from ckks.errors import BasisMismatch, HEError, RangeError
from ckks.kernels import Words, wiping
from ckks.ring import Domain, RingPoly, RNSBasis
from ckks.rlwe.params import RLWEParams


class SecretKey:
    """The secret s, with coefficients in {-1, 0, 1}.

    Made by `KeyGenerator.secret_key()`, by `from_ntt` from another library's key, or read from a key file.
    Its memory is overwritten by `close()`, and when the object dies. What cannot be promised: that no copy was left
    in registers, swap or freed interpreter memory.

    Args:
        params: the parameter set it belongs to.
        coefficients: int8 array of N values in {-1, 0, 1}; copied.
    """

    __slots__ = ("__coefficients", "__ntt", "params")
    params: RLWEParams

    def __init__(self, params: RLWEParams, coefficients: NDArray[np.integer[Any]]) -> None:
        """Keep a private copy and its NTT over the joint basis."""
        values = np.asarray(coefficients)
        if values.shape != (params.ring_degree,) or values.dtype.kind not in "iu":
            raise BasisMismatch(
                f"secret coefficients of shape {values.shape} and type {values.dtype}; "
                f"needed ({params.ring_degree},) integers"
            )
        if values.size and (int(values.max()) > 1 or int(values.min()) < -1):
            raise RangeError("a secret coefficient lies outside {-1, 0, 1}")
        expected, n = 2 * params.ring_degree / 3, params.ring_degree
        if not params.is_insecure and abs(np.count_nonzero(values) - expected) > 10 * (2 * n / 9) ** 0.5:
            raise RangeError(
                "the secret has far more or fewer zeros than a uniform ternary one, and the table covers no other: "
                "generate it with KeyGenerator.secret_key(), or use insecure parameters"
            )
        self.params = params
        self.__coefficients: NDArray[np.int8] | None = values.astype(np.int8)
        with wiping():
            plan = params.basis_qp.plan
            words = kernels.small(plan, self.__coefficients)
            self.__ntt: Words | None = kernels.ntt(plan, words, words)

    @classmethod
    def from_ntt(cls, params: RLWEParams, residues: ArrayLike) -> SecretKey:
        """Return the key whose NTT form over (q_0..q_L), shape (limbs of Q, N), is given: another library's key."""
        with wiping():
            poly = RingPoly(params.basis(params.top_level), residues, Domain.NTT)
            first = poly.limbs(slice(0, 1)).to_coefficient().residues[0]
        q = params.moduli[0]
        values = first.astype(np.int64)
        values[first > q // 2] -= q
        key = cls(params, values)
        if not np.array_equal(key.ntt(params.basis(params.top_level)), poly.residues):
            raise RangeError("the residues do not belong to one ternary polynomial")
        return key

    def ntt(self, basis: RNSBasis) -> Words:
        """Return the NTT words of s over `basis` (a part of the joint basis): secret, for `rlwe.secret` only."""
        if self.__ntt is None:
            raise HEError("this secret key was closed; load it again from its key file")
        joint, k = self.params.basis_qp, self.params.num_special
        for start in (0, k):
            if basis == joint[start : start + len(basis)]:
                view = self.__ntt[start : start + len(basis)]
                view.flags.writeable = False
                return view
        raise BasisMismatch(f"{basis} is no part of the joint basis of the secret key")

    def coefficients(self) -> NDArray[np.int8]:
        """Return a copy of the coefficients: whoever holds it can decrypt everything."""
        if self.__coefficients is None:
            raise HEError("this secret key was closed; load it again from its key file")
        return self.__coefficients.copy()

    def close(self) -> None:
        """Overwrite the key in memory; the object is useless afterwards."""
        for array in (self.__coefficients, self.__ntt):
            if array is not None:
                array.fill(0)
        self.__coefficients = self.__ntt = None

    def __del__(self) -> None:
        """Overwrite the key when the object dies."""
        if hasattr(self, "_SecretKey__ntt"):
            self.close()

    def __repr__(self) -> str:
        """Name the parameters; never a coefficient."""
        return f"<SecretKey {self.params}>"

    def _refuse(self, *_: Any) -> NoReturn:
        raise TypeError(
            "a secret key is neither pickled nor copied; pass the object on, or write a key file with "
            "ckks.rlwe.secret.save_secret_key(path, key, passphrase)"
        )

    __reduce_ex__ = __reduce__ = __copy__ = __deepcopy__ = __getstate__ = _refuse
    __array__ = _refuse
