"""RLWE: parameters, keys, encryption and key switching, whatever a message may be encoded as.

    params, security     what is secure; noise says how large errors are, and what they do not exceed
    elements, keys       plaintexts, ciphertexts, public and evaluation keys: frozen values
    encryption           under a public key; all that touches a secret one is in secret, and not imported from here
    gadget, keyswitch    digits, products with keys, mod down; and what is made of them: products, automorphisms
    hoisting             automorphisms and products that are divided by P together, at the end
    traced               errors that know where they come from, for forecasts
    standins             keys of the right shapes and no more, for runs before there are any
    flooding             what a result goes through before it is given away
    serialization        stored forms: frame and header around them, packing and seeds in them, _params for parameters
    pickling             for processes of one owner

Nothing here knows slots or scales.
"""

from __future__ import annotations

from ckks.rlwe.elements import Ciphertext, Plaintext
from ckks.rlwe.encryption import encrypt
from ckks.rlwe.flooding import flood, flooding_std, protect, protected_noise, rerandomise
from ckks.rlwe.gadget import decompose, gadget_product, mod_down
from ckks.rlwe.keys import EvaluationKeys, PublicKey, SwitchingKey
from ckks.rlwe.keyswitch import (
    apply_automorphism,
    automorphism_sum,
    divide_by_level,
    hoisted_automorphisms,
    multiply,
    relinearise,
    switch,
    tensor,
    tensor_sum,
)
from ckks.rlwe.noise import Noise
from ckks.rlwe.params import RLWEParams
from ckks.rlwe.security import LARGEST_LOG2_QP, check_secure, largest_log2_qp

__all__ = [
    "LARGEST_LOG2_QP",
    "Ciphertext",
    "EvaluationKeys",
    "Noise",
    "Plaintext",
    "PublicKey",
    "RLWEParams",
    "SwitchingKey",
    "apply_automorphism",
    "automorphism_sum",
    "check_secure",
    "decompose",
    "divide_by_level",
    "encrypt",
    "flood",
    "flooding_std",
    "gadget_product",
    "hoisted_automorphisms",
    "largest_log2_qp",
    "mod_down",
    "multiply",
    "protect",
    "protected_noise",
    "relinearise",
    "rerandomise",
    "switch",
    "tensor",
    "tensor_sum",
]
