"""T8, T9, T13, T15: encoding, encryption, a whole application, keys."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

import ckks
from benchmarks.aims.document import Row
from benchmarks.aims.measure import Context, alternate, local, runs
from benchmarks.aims.sets import World, describe, parameters
from benchmarks.aims.targets import TARGETS
from benchmarks.peers.document import bits_of
from benchmarks.peers.protocol import sample
from benchmarks.peers.workers.ours import Ours
from benchmarks.peers.workload import CASES, FEATURES, STAGES, operands
from ckks.rlwe import SwitchingKey
from ckks.rlwe.secret.decryption import decrypt
from ckks.scheme.serialization import to_bytes


def encoding(context: Context, *, aim: str = "T4") -> list[Row]:
    """T8: N/2 complex numbers, as in the recorded figures."""
    params = parameters(aim)
    world = World.of(params, relin=False)
    encoder = world.encryptor.encoder
    real, imaginary = operands(params.slots)
    values = (real + 1j * imaginary) / 2**0.5
    opened = decrypt(world.encryptor.encrypt(values), world.secret)
    times = alternate(
        {"encode": local(lambda: encoder.encode(values)), "decode": local(lambda: encoder.decode(opened))},
        context.effort,
    )
    where = f"{describe(params)}, {params.slots} complex slots"
    return [Row("T8", name, where, "ms", series, runs(), TARGETS["T8", name]) for name, series in times.items()]


def encryption(context: Context, *, aim: str = "T9") -> list[Row]:
    """T9: of a message that is encoded already, half of the result from a seed."""
    params = parameters(aim)
    encryptor = ckks.Encryptor(params, ckks.KeyGenerator(params).secret_key())
    plain = encryptor.encoder.encode(np.cos(np.arange(params.slots)))
    times = alternate({"": local(lambda: encryptor.encrypt_seeded(plain))}, context.effort)[""]
    name = "encrypt with the secret key, seeded, encoded before"
    return [Row("T9", name, describe(params), "ms", times, runs(), TARGETS["T9", "encrypt"])]


def regression(context: Context, *, case: str = "R13") -> list[Row]:
    """T13: the workload of benchmarks.peers on this library, one ciphertext per feature, encrypted with the secret key."""
    prepared = Ours().prepare(CASES[case])
    stages = {stage: prepared.operations[f"columns_sk.{stage}"] for stage in STAGES}
    times = alternate(
        {stage: partial(sample, operation) for stage, operation in stages.items()},
        context.effort,
    )
    server = stages["server"]
    assert server.error is not None
    bits = bits_of(server.error(server.call()))
    count, said = prepared.rows["columns_sk"], prepared.parameters
    where = (
        f"N = 2^{CASES[case].log_n}, {len(said['q_bits'])} + {len(said['p_bits'])} limbs, {said['digits']} digits, "
        f"log2 QP = {said['log2_qp']:.0f}, {count} rows of {FEATURES} features"
    )
    whole = [sum(parts) for parts in zip(*times.values(), strict=True)]

    def rate(name: str, what: str, milliseconds: list[float]) -> Row:
        samples = [1e3 * count / t for t in milliseconds]
        return Row("T13", what, where, "rows/s", samples, runs(), TARGETS["T13", name], rate=True)

    return [
        rate("server", "server: weighted sum and cubic sigmoid", times["server"]),
        rate("end to end", "encode + encrypt + server + decrypt + decode", whole),
        Row(
            "T13",
            "-log2 of the largest error",
            where,
            "bits",
            [] if bits is None else [bits],
            runs(),
            TARGETS["T13", "bits"],
            rate=True,
        ),
    ]


def keys(context: Context, *, aim: str = "T4") -> list[Row]:
    """T15: a relinearisation key and a rotation key, made and stored."""
    params = parameters(aim)
    keygen = ckks.KeyGenerator(params)
    secret = keygen.secret_key()
    makers: dict[str, Callable[[], SwitchingKey]] = {
        "relinearisation key": lambda: keygen.relin_key(secret),
        "rotation key": lambda: keygen.galois_key(secret, 5),
    }
    times = alternate({name: local(make) for name, make in makers.items()}, context.effort)
    where = describe(params)
    made = [
        Row("T15", f"generate a {name}", where, "ms", series, runs(), TARGETS["T15", "generate"])
        for name, series in times.items()
    ]
    stored = [
        Row("T15", f"stored {name}", where, "MB", [1e-6 * len(to_bytes(make()))], runs(), TARGETS["T15", "stored"])
        for name, make in makers.items()
    ]
    return made + stored
