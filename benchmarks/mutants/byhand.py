"""Mutants made by hand: the mistakes that implementations of this scheme are known for. Each has to die."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.mutants.targets import NO_NUMBA, NUMBA


@dataclass(frozen=True)
class Edit:
    """Replace `old`, which a file holds `times` times, by `new`."""

    path: str
    old: str
    new: str
    times: int = 1

    def apply(self, text: str) -> str:
        """Return the changed text; ValueError when the file has moved on."""
        if text.count(self.old) != self.times:
            raise ValueError(f"{self.path} holds {self.old!r} {text.count(self.old)} times; needed {self.times}")
        return text.replace(self.old, self.new)


@dataclass(frozen=True)
class ByHand:
    """A mistake, made wherever it has to be to be consistent, and the tests that are to notice."""

    name: str
    edits: tuple[Edit, ...]
    tests: tuple[str, ...]
    chosen: str = NO_NUMBA


NATIVE = ("tests/kernels/test_native.py",)
STREAMS = "(portable or avx2) and not checked and test_equals_reference"
REFERENCE = (
    "tests/kernels/test_reference.py",
    "tests/kernels/test_reference_streams.py",
    "tests/kernels/test_front.py",
)

LIST = (
    ByHand(
        "wrong root: the greatest in place of the least",
        (Edit("ckks/arith/roots.py", "least = min(least, power)", "least = max(least, power)"),),
        ("tests/arith/test_roots.py",),
    ),
    ByHand(
        "wrong root: its square",
        (Edit("ckks/arith/roots.py", "    return least\n", "    return least * least % q\n"),),
        ("tests/arith/test_roots.py",),
    ),
    ByHand(
        "cyclic for negacyclic: automorphisms forget the sign (reference)",
        (Edit("ckks/kernels/reference.py", "row[j] if j < n else -row[j - n] % q", "row[j] if j < n else row[j - n]"),),
        REFERENCE,
        "reference",
    ),
    ByHand(
        "cyclic for negacyclic: twiddles of the cyclic transform (reference)",
        (
            Edit(
                "ckks/kernels/reference.py",
                "return bit_reversed_powers(psi, n, q)",
                "return bit_reversed_powers(psi * psi % q, n, q)",
            ),
        ),
        REFERENCE,
        "reference",
    ),
    ByHand(
        "floor for round: centred conversion starts from zero",
        (Edit("ckks/kernels/interface.py", "return 1 << 50", "return 0"),),
        ("tests/ring/test_convert.py", "tests/rlwe/test_gadget.py"),
    ),
    ByHand(
        "floor for round: coefficients (reference)",
        (Edit("ckks/kernels/reference.py", "round(v * scale) % q", "int(v * scale // 1) % q"),),
        REFERENCE,
        "reference",
    ),
    ByHand(
        "floor for round: coefficients (C)",
        (
            Edit(
                "native/src/portable/sampling.c",
                "signed_word(m, rounded_integer(x[j] * scale))",
                "signed_word(m, (int64_t)__builtin_floor(x[j] * scale))",
            ),
        ),
        NATIVE,
        STREAMS,
    ),
    ByHand(
        "generator 3 for 5, in keys alone",
        (Edit("ckks/rlwe/secret/keygen.py", "pow(5, int(k) % (m // 4), m)", "pow(3, int(k) % (m // 4), m)"),),
        ("tests/rlwe/secret/test_keygen.py",),
    ),
    ByHand(
        "generator 3 for 5, everywhere",
        (
            Edit("ckks/rlwe/secret/keygen.py", "pow(5, int(k) % (m // 4), m)", "pow(3, int(k) % (m // 4), m)"),
            Edit(
                "ckks/scheme/evaluator.py",
                "pow(5, int(steps) % (n // 2), 2 * n), pow(5, slots, 2 * n)",
                "pow(3, int(steps) % (n // 2), 2 * n), pow(3, slots, 2 * n)",
            ),
            Edit("ckks/scheme/embedding.py", "generator: int = 5", "generator: int = 3", 2),
            Edit("ckks/scheme/encoder.py", "generator: int = 5", "generator: int = 3"),
        ),
        ("tests/scheme/test_encoder.py", "tests/rlwe/secret/test_keygen.py"),
    ),
    ByHand(
        "inverse rotation",
        (
            Edit(
                "ckks/scheme/evaluator.py",
                "pow(5, int(steps) % (n // 2), 2 * n)",
                "pow(5, -int(steps) % (n // 2), 2 * n)",
            ),
        ),
        ("tests/scheme/test_evaluator.py",),
    ),
    ByHand(
        "conjugated encode and decode",
        (Edit("ckks/scheme/embedding.py", "conjugated = exponents % 4 == 3", "conjugated = exponents % 4 == 1"),),
        ("tests/scheme/test_encoder.py",),
    ),
    ByHand(
        "conjugated encode",
        (
            Edit(
                "ckks/scheme/embedding.py",
                "= table.conjugate(values)\n        folded",
                "= table.conjugate(values).conj()\n        folded",
            ),
        ),
        ("tests/scheme/test_encoder.py",),
    ),
    ByHand(
        "random % q (reference)",
        (
            Edit(
                "ckks/kernels/reference.py",
                "[word & mask for word in _ints(x) if word & mask < q][: len(out)]",
                "[(word & mask) % q for word in _ints(x)][: len(out)]",
            ),
        ),
        REFERENCE,
        "reference",
    ),
    ByHand(
        "random % q, in the sampler",
        (
            Edit(
                "ckks/ring/sampling.py",
                "filled += kernels.take_below(q, some, out[filled:])",
                "taken = min(len(some), len(out) - filled); out[filled : filled + taken] = some[:taken] % np.uint64(q); filled += taken",
            ),
        ),
        ("tests/ring/test_sampling.py",),
    ),
    ByHand(
        "random % q (C)",
        (
            Edit(
                "native/src/portable/sampling.c",
                "filled += (candidate - q) >> 63; /* both below 2^61 */",
                "out[filled++] = candidate % q;",
            ),
        ),
        NATIVE,
        STREAMS,
    ),
    ByHand(
        "sigma 3.0: 18 bits minus 18 bits (reference)",
        (Edit("ckks/kernels/reference.py", "mask = (1 << 21) - 1", "mask = (1 << 18) - 1"),),
        REFERENCE,
        "reference",
    ),
    ByHand(
        "sigma 3.0, in the sampler",
        (
            Edit(
                "ckks/ring/sampling.py",
                "        kernels.binomial(words, some)\n",
                "        words &= np.uint64(((1 << 18) - 1) << 21 | (1 << 18) - 1)\n        kernels.binomial(words, some)\n",
            ),
        ),
        ("tests/ring/test_sampling.py",),
    ),
    ByHand(
        "off-by-one tail: 20 bits minus 20 bits, in the sampler",
        (
            Edit(
                "ckks/ring/sampling.py",
                "        kernels.binomial(words, some)\n",
                "        words &= np.uint64(((1 << 20) - 1) << 21 | (1 << 20) - 1)\n        kernels.binomial(words, some)\n",
            ),
        ),
        ("tests/ring/test_sampling.py",),
    ),
    ByHand(
        "off-by-one tail: 22 bits on one side (C)",
        (
            Edit(
                "native/src/portable/sampling.c",
                "low = ((uint64_t)1 << 21) - 1, all = ((uint64_t)1 << 42) - 1",
                "low = ((uint64_t)1 << 21) - 1, all = ((uint64_t)1 << 43) - 1",
            ),
        ),
        NATIVE,
        STREAMS,
    ),
    ByHand(
        "off-by-one tail: the stated bound",
        (Edit("ckks/ring/sampling.py", "ERROR_BOUND = 21", "ERROR_BOUND = 20"),),
        ("tests/ring/test_sampling.py", "tests/rlwe/test_noise.py"),
    ),
    ByHand(
        "missing sha check of frames",
        (
            Edit(
                "ckks/rlwe/frame.py",
                "if hashlib.sha256(view[:-CHECKSUM_BYTES]).digest() != view[-CHECKSUM_BYTES:]:",
                "if False:",
            ),
        ),
        ("tests/wire/test_damage.py", "tests/rlwe/test_serialization.py"),
    ),
    ByHand(
        "missing sha check of key files",
        (Edit("ckks/rlwe/secret/export.py", "if hashlib.sha256(data[:-32]).digest() != data[-32:]:", "if False:"),),
        ("tests/rlwe/secret/test_export.py",),
    ),
    ByHand(
        "<= for < at q (reference)",
        (Edit("ckks/kernels/reference.py", "max(words) < q and", "max(words) <= q and"),),
        REFERENCE,
        "reference",
    ),
    ByHand(
        "<= for < at q (C)",
        (Edit("native/src/portable/pack.c", "bad |= m->q - 1 - word;", "bad |= m->q - word;"),),
        NATIVE,
        STREAMS,
    ),
    ByHand(
        "<= for < at q (numba)",
        (Edit("ckks/kernels/_numba/packing.py", "last = n // 8 * bits, q - _ONE", "last = n // 8 * bits, q"),),
        (NUMBA,),
        "test_sampling",
    ),
    ByHand(
        "<= for < at q, in rejection (C)",
        (
            Edit(
                "native/src/portable/sampling.c",
                "filled += (candidate - q) >> 63;",
                "filled += (candidate - q - 1) >> 63;",
            ),
        ),
        NATIVE,
        STREAMS,
    ),
    ByHand(
        "the secret encrypts itself: no error added",
        (Edit("ckks/rlwe/secret/keygen.py", "error(basis, self._rng, a.shape[:-2], out=out)", "out.fill(0)"),),
        ("tests/rlwe/secret/test_keygen.py",),
    ),
    ByHand(
        "the public seed feeds the secret",
        (Edit("ckks/ring/csprng.py", 'return self._draw(b"secret")', 'return self._draw(b"public")'),),
        ("tests/ring/test_csprng.py",),
    ),
    ByHand(
        "flooding without its statistical bits",
        (
            Edit(
                "ckks/rlwe/flooding.py",
                "math.sqrt(12 * queries) * math.exp2(statistical_bits / 2)",
                "math.sqrt(12 * queries)",
            ),
        ),
        ("tests/rlwe/test_flooding.py",),
    ),
    ByHand(
        "the security table is not asked",
        (Edit("ckks/rlwe/params.py", "check_secure(", "(lambda *_: None)(", 1),),
        ("tests/rlwe/test_params.py",),
    ),
)
