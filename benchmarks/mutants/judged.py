"""Survivors that somebody has looked at: those that no test can notice, with the reason, and what was done about the others.

Keys: (path, the line as it read, change as printed). A line that is edited has to be looked at again.
"""

from __future__ import annotations

_SHORTCUT = "the vector loop is left out or left early, and the plain loop behind it does the rest: slower, equal words"

_STRICT = (
    "a zip of sequences that are of one length by construction or by the front's checks: `strict` has nothing to refuse"
)

Key = tuple[str, str, str]

EQUIVALENT: dict[tuple[str, str, str], str] = {
    (
        "native/src/avx2/sampling.c",
        "for (; j + 4 <= count && filled + 4 <= room; j += 4) {",
        "+ -> -",
    ): _SHORTCUT,
    (
        "ckks/ring/sampling.py",
        "missing = len(out) - filled",
        "- -> +",
    ): "more candidates than needed are read at once, which does not change the words taken",
    (
        "native/src/avx2/dot.c",
        "const size_t ahead = k + GROUP < terms ? GROUP : 0; /* where the next rows are asked for */",
        "< -> >",
    ): "a hint to the cache only",
    (
        "ckks/kernels/composed.py",
        "for key, index, factor in zip(keys, indices, factors, strict=True):",
        "True -> False",
    ): "the front has checked that these are of one length",
    (
        "ckks/scheme/encoder.py",
        "return array.astype(np.float64, copy=False)",
        "False -> True",
    ): "one copy more",
    (
        "ckks/scheme/encoder.py",
        "return array.astype(np.complex128, copy=False)",
        "False -> True",
    ): "one copy more",
    (
        "native/src/avx2/lift.c",
        "AVX2 static void add_permuted(const modulus *m, uint64_t *const sum[2], const int64_t *index, const uint64_t *factor,",
        "2 -> 3",
    ): "the size in the declaration of an array argument, which C does not read",
    (
        "ckks/ring/sampling.py",
        "count = missing * (1 << q.bit_length()) // q + 4 * math.isqrt(missing) + 16",
        "missing * (1 << q.bit_length()) // q -> (q) // (missing * (1 << q.bit_length()))",
    ): "fewer candidates are read at once and more often, which does not change the words taken",
    (
        "ckks/arith/roots.py",
        "for g in range(2, q):",
        "2 -> 3",
    ): "by contract whichever root is found first; 2 is tried no more",
    (
        "ckks/scheme/embedding.py",
        "if 2 * n == ring_degree:",
        "2 -> 3",
    ): "full packings go the way of sparse ones, with a step of 1: one copy more",
    (
        "native/src/switch.c",
        "if (c[d]->rows != avx2_convert) {",
        "c[d]->rows != avx2_convert -> 0",
    ): "conversions are between primes of the same basis, whose rows have just been found to be those of AVX2",
    (
        "ckks/kernels/_numba/twiddles.py",
        "tables = [_ntt_tables(plan.n, q, psi, f) for q, psi, f in zip(plan.moduli, plan.roots, fast, strict=True)]",
        "True -> False",
    ): _STRICT,
    (
        "ckks/kernels/reference.py",
        "values = [u + (v << 52) for u, v in zip(values, _ints(high[b]), strict=True)]",
        "True -> False",
    ): _STRICT,
    (
        "ckks/kernels/reference.py",
        "for row, p, weights, big_d in zip(result, table.target, table.punctured, table.product, strict=True):",
        "True -> False",
    ): _STRICT,
    (
        "ckks/kernels/reference.py",
        "out[b, limb] = [f(q, limb, *words) for words in zip(*rows, strict=True)]",
        "True -> False",
    ): _STRICT,
    (
        "ckks/ring/gaussian.py",
        "ones = kernels.empty((-(-n // 8),)).view(np.uint8)[:n]",
        "8 -> 7",
    ): "scratch that is longer than needed, and cut to length",
    (
        "ckks/ring/sampling.py",
        "candidates = kernels.empty((min(_CHUNK, 2 * basis.n + 4 * math.isqrt(basis.n) + 16),))",
        "16 -> 17",
    ): "scratch one word longer than is ever used",
    (
        "ckks/ring/csprng.py",
        "out.byteswap(inplace=True)",
        "True -> False",
    ): "on machines with words of the other byte order only; none is tested on",
    (
        "native/src/avx2/ntt.c",
        "forward_tail(a, w, count, f, 0, 0, to, kind, 1);",
        "0 -> 1",
    ): "one reduction more of values that are reduced later in any case: equal residues, slower",
    (
        "ckks/kernels/shapes.py",
        "if x.shape[1:] == shape:",
        "x.shape[1:] == shape -> False",
    ): "broadcasting to the shape that it has gives the same words",
    (
        "ckks/scheme/serialization_meta.py",
        "if not scale.is_finite() or not _SMALLEST_SCALE <= scale <= _LARGEST_SCALE:",
        "<= -> <",
    ): "2^256 and 2^-256 themselves have more than 40 digits, and are refused for that",
    (
        "native/src/avx2/lift.c",
        "for (size_t j = 0; j < m->n; j += 4) {",
        "< -> <=",
    ): "four words more, into the 72 that lie unused between two rows of the space of a job",
    (
        "ckks/scheme/serialization_meta.py",
        "text = bytes(48) if degree else _scale_text(_normalised(meta.scale))",
        "48 -> 47",
    ): "packed into a field of 48 bytes, which is filled up with zeros",
    (
        "ckks/arith/primes.py",
        "for _ in range(twos - 1):",
        "- -> +",
    ): "no odd n divides a^(n-1) + 1 or a^(2(n-1)) + 1, so further squarings find no -1",
    (
        "ckks/rlwe/secret/key.py",
        "if not params.is_insecure and abs(np.count_nonzero(values) - expected) > 10 * (2 * n / 9) ** 0.5:",
        "np.count_nonzero(values) - expected -> (expected) - (np.count_nonzero(values))",
    ): "within an absolute value",
    (
        "ckks/kernels/__init__.py",
        "if x.ndim < 3 or y.ndim < 3 or len(x) != len(y) or not 1 <= len(x) <= 1024:",
        "or -> and",
    ): "a row for terms is refused all the same, by the comparison of limbs behind it: BasisMismatch, in other words",
    (
        "ckks/rlwe/serialization.py",
        "unpack(basis, body, words.reshape(-1, *words.shape[-2:]), what=what)",
        "-2 -> (2)",
    ): "of four axes, the last two are those from 2 on",
    (
        "ckks/kernels/reference.py",
        "y = [c[j] * inv % d for c, inv, d in zip(columns, table.punctured_inverse, table.source, strict=True)]",
        "True -> False",
    ): _STRICT,
    (
        "native/src/modulus.c",
        "if (a < 1 || a > 1024 || b < 1 || b > SIZE_MAX / 16 / a) {",
        "16 -> 15",
    ): "either bound is a size that no memory has",
    (
        "native/src/avx2/sampling.c",
        "check_bound(r, m->fp - 1);",
        "check_bound(r, m->fp - 1); -> ;",
    ): "an assertion, of builds with CKKS_CHECK alone",
    (
        "ckks/ring/sampling.py",
        "_CHUNK = 17 * 2**10",
        "2**10 -> (10) ** (2)",
    ): "fewer words are read at once and more often, which does not change the words taken",
    (
        "ckks/rlwe/serialization.py",
        "if (words[where] == words[where][0]).all():",
        "0 -> 1",
    ): "all words of a row equal its first exactly when they equal its second",
    (
        "native/src/switch.c",
        "kernels->begin(m, addend, i >= k ? g->weights[i - k] : 0, sums);",
        "0 -> 1",
    ): "the weight of an addend that is not there in these limbs",
}

_ADDED, _LISTED = "test added", "test on the list"

REMEDIES: dict[Key, str] = {
    ("churn/hosting/limits.py", "resident_keys: int = 1 << 30", "<< -> >>"): _ADDED,
    ("native/src/modulus.c", "for (size_t i = 0; list != NULL && i < count; i++) {", "!= -> =="): _ADDED,
    (
        "ckks/scheme/params.py",
        "bits = max(30, ceil(precision_bits + log2(7 * error) + max(0.0, log2(value_range))))",
        "0.0 -> 1.0",
    ): _ADDED,
    (
        "ckks/kernels/streams.py",
        "run(lambda s: kernel(plan[s], values, o[:, s]), len(plan), o.size)",
        "run(lambda s: kernel(plan[s], values, o[:, s]), len(plan), o.size) -> pass",
    ): _ADDED,
    (
        "ckks/kernels/reference.py",
        "_pointwise(plan, out, lambda q, limb, a, b, c: (a * b + c) % q, x, y, z)",
        "_pointwise(plan, out, lambda q, limb, a, b, c: (a * b + c) % q, x, ... -> pass",
    ): _ADDED,
    ("native/src/modulus.c", "aligned_free(m->forward);", "aligned_free(m->forward); -> ;"): _ADDED,
    ("ckks/scheme/serialization_model.py", "MAX_VALUES = 2**15", "15 -> 16"): _ADDED,
    (
        "ckks/kernels/_numba/pointwise.py",
        "_mul_add_row(rows + ROW * limb, n, u, v, w, out + b * o_b + limb * o_l, False)",
        "False -> True",
    ): _LISTED,
    ("churn/hosting/limits.py", "header_seconds: float = 5.0", "5.0 -> 6.25"): _ADDED,
    (
        "native/src/portable/ntt.c",
        "if (m->forward == NULL || inverse == NULL) {",
        "m->forward == NULL || inverse == NULL -> 0",
    ): _ADDED,
    ("native/src/modulus.c", "if (m == NULL) {", "m == NULL -> 0"): _ADDED,
    ("ckks/kernels/streams.py", "if x.shape[-1:] != (plan.n,) or x.dtype != dtype:", "-1 -> (1)"): _ADDED,
    ("ckks/scheme/serialization_model.py", "if depth > MAX_DEPTH:", "depth > MAX_DEPTH -> False"): _LISTED,
    ("ckks/kernels/__init__.py", "blocks = max(1, n // 8)", "// -> *"): _LISTED,
    (
        "ckks/scheme/meta.py",
        "if not all(isinstance(count, int) for count in (slots, length)) or not 0 <= length <= slots or slots < 1:",
        "not 0 <= length <= slots -> (0 <= length <= slots)",
    ): _LISTED,
    (
        "ckks/scheme/meta.py",
        'return -log2(error) if error > 0 else float("inf")',
        "-log2(error) -> (log2(error))",
    ): _ADDED,
    ("ckks/scheme/serialization_model.py", '_STEP[list(b"[{")], _STEP[list(b"]}")] = 1, -1', "-1 -> (1)"): _LISTED,
    (
        "ckks/ring/sampling.py",
        "if words.shape != (*shape, len(basis), basis.n):",
        "words.shape != (*shape, len(basis), basis.n) -> False",
    ): _ADDED,
    ("churn/hosting/limits.py", "in_flight: int = 2", "2 -> 1"): _ADDED,
    (
        "ckks/rlwe/secret/export.py",
        "if passphrase is not None and not flags:",
        "passphrase is not None and not flags -> False",
    ): _ADDED,
    ("native/src/avx2/pointwise.c", "for (size_t j = 0; j < m->n; j += 4) {", "0 -> 1"): _LISTED,
    ("ckks/rlwe/params.py", "roots: tuple[int, ...] | None = field(default=None, repr=False)", "False -> True"): _ADDED,
    ("ckks/scheme/params.py", "value_range: float = 1.0,", "1.0 -> 1.25"): _ADDED,
    (
        "ckks/kernels/shapes.py",
        "if (x.dtype is not _UNSIGNED and x.dtype != _UNSIGNED) or (x.strides[-1] != 8 and x.shape[-1] > 1 and x.size):",
        "-1 -> (1)",
    ): _ADDED,
    ("ckks/scheme/encoder.py", "FFT_ERROR = 2.0**-51", "2.0**-51 -> (-51) ** (2.0)"): _ADDED,
    (
        "ckks/rlwe/elements.py",
        "if not isinstance(self.level, int | np.integer) or not isinstance(self.noise, Noise):",
        "or -> and",
    ): _ADDED,
    (
        "native/src/avx2/twiddles.c",
        "if (m->forward == NULL || inverse == NULL) {",
        "m->forward == NULL || inverse == NULL -> 0",
    ): _ADDED,
    ("native/src/modulus.c", "if (c == NULL) {", "c == NULL -> 0"): _ADDED,
    (
        "ckks/rlwe/security.py",
        "256: {11: 27, 12: 56, 13: 114, 14: 230, 15: 462, 16: 929, 17: 1866},",
        "1866 -> 1865",
    ): _ADDED,
    ("ckks/scheme/params.py", "if prod(self.levels[0]) < 2 * self.scales[0]:", "2 -> 3"): _ADDED,
    ("ckks/scheme/serialization_model.py", "_check_structure(body)", "_check_structure(body) -> pass"): _LISTED,
    ("ckks/rlwe/frame.py", "if len(view) != needed:", "len(view) != needed -> False"): _ADDED,
    (
        "ckks/rlwe/keys.py",
        "if not isinstance(each, SwitchingKey):",
        "not isinstance(each, SwitchingKey) -> False",
    ): _ADDED,
    ("ckks/kernels/interface.py", "FAST_LIMIT = 2**50", "50 -> 51"): _LISTED,
}
"""What was done about survivors that compute something else: a test was written, or one that was there had been left off the
list of its file (`targets`)."""
