"""Which files are changed, and which tests are to notice: those of the file, and none that are slow to get there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NO_NUMBA = "not numba"
"""Left out where numba is not what is changed: compiling its kernels takes longer than all the rest."""


@dataclass(frozen=True)
class Target:
    """Files with their tests.

    files     patterns relative to the root
    tests     arguments of pytest: modules first those that fail fast
    chosen    what -k selects among them
    share     how many mutants of these files a sample of 300 takes
    """

    files: tuple[str, ...]
    tests: tuple[str, ...]
    chosen: str = NO_NUMBA
    share: int = 10

    def paths(self, root: Path = ROOT) -> list[str]:
        """Return the files that are there."""
        found = {str(path.relative_to(root)) for pattern in self.files for path in root.glob(pattern)}
        return sorted(path for path in found if path.endswith((".py", ".c", ".h")))


WIRE = tuple(f"tests/wire/test_{name}.py" for name in ("golden", "ranges", "mixing", "expansion", "damage", "model"))
NUMBA = "tests/kernels/test_numba.py"
NATIVE = "tests/kernels/test_native.py"
SWITCH = "tests/kernels/test_switch.py"
ALLOCATION = "tests/kernels/test_allocation.py"
VARIANTS = (
    "(portable or avx2 or ifma or allocation) and not checked and not largest_ring and not large_rings and not 8192 "
    "and not 16384"
)

TARGETS: dict[str, Target] = {
    "arithmetic": Target(("ckks/arith/*.py",), ("tests/arith",), share=15),
    "kernels, reference": Target(
        ("ckks/kernels/reference.py",),
        (
            "ckks/kernels/reference.py",
            "tests/kernels/test_reference.py",
            "tests/kernels/test_reference_streams.py",
            "tests/kernels/test_front.py",
        ),
        "reference",
        share=30,
    ),
    "kernels, front and checks": Target(
        tuple(
            f"ckks/kernels/{n}.py"
            for n in ("__init__", "shapes", "interface", "gadgets", "composed", "fused", "streams")
        ),
        ("tests/kernels/test_interface.py", "tests/kernels/test_front.py", SWITCH, NUMBA),
        f"({NO_NUMBA} and not large and not native-portable) or test_transform_ranges",
        share=30,
    ),
    "kernels, numba: words": Target(
        ("ckks/kernels/_numba/pointwise.py",),
        (NUMBA,),
        "test_unary or test_binary or test_scalars or arrays or test_sampling",
        share=5,
    ),
    "kernels, numba: streams": Target(
        ("ckks/kernels/_numba/sampling.py", "ckks/kernels/_numba/packing.py"), (NUMBA,), "test_sampling", share=10
    ),
    "kernels, numba: permutations": Target(
        ("ckks/kernels/_numba/permute.py",), (NUMBA,), "test_permutations or test_signed", share=4
    ),
    "kernels, numba: transforms": Target(
        ("ckks/kernels/_numba/ntt_*.py", "ckks/kernels/_numba/twiddles.py"),
        (NUMBA,),
        "test_unary or test_large_transforms",
        share=6,
    ),
    "kernels, C: words": Target(
        (
            "native/src/portable/pointwise.c",
            "native/src/avx2/pointwise.c",
            "native/src/modulus.c",
            "native/src/kernels.c",
        ),
        (NATIVE, SWITCH, ALLOCATION),
        VARIANTS,
        share=16,
    ),
    "kernels, C: transforms": Target(
        ("native/src/portable/ntt.c", "native/src/avx2/ntt.c", "native/src/avx2/twiddles.c"),
        (NATIVE, ALLOCATION),
        VARIANTS,
        share=16,
    ),
    "kernels, C: streams": Target(
        ("native/src/portable/sampling.c", "native/src/portable/pack.c", "native/src/avx2/sampling.c"),
        (NATIVE,),
        VARIANTS,
        share=16,
    ),
    "kernels, C: between moduli": Target(
        ("native/src/portable/convert.c", "native/src/avx2/convert.c", "native/src/avx2/dot.c"),
        (NATIVE,),
        VARIANTS,
        share=10,
    ),
    "kernels, C: switching": Target(
        ("native/src/switch.c", "native/src/portable/lift.c", "native/src/avx2/lift.c"),
        (SWITCH,),
        "not numba and not reference- and not large_rings",
        share=12,
    ),
    "samplers": Target(
        ("ckks/ring/sampling.py", "ckks/ring/csprng.py"),
        ("tests/ring/test_csprng.py", "tests/ring/test_sampling.py"),
        share=35,
    ),
    "samplers, wide": Target(("ckks/ring/gaussian.py",), ("tests/ring/test_gaussian.py",), share=12),
    "codec": Target(
        tuple(f"ckks/rlwe/{n}.py" for n in ("frame", "header", "packing", "seeds", "serialization")),
        (*WIRE, "tests/rlwe/test_serialization.py", "tests/scheme/test_serialization.py"),
        share=35,
    ),
    "codec, parameters and scheme": Target(
        ("ckks/rlwe/serialization_params.py", "ckks/scheme/serialization*.py"),
        (*WIRE, "tests/scheme/test_serialization.py", "tests/rlwe/test_serialization.py"),
        share=20,
    ),
    "checks, RLWE": Target(
        ("ckks/rlwe/params.py", "ckks/rlwe/security.py", "ckks/rlwe/elements.py", "ckks/rlwe/keys.py"),
        (
            "tests/rlwe/test_security.py",
            "tests/rlwe/test_params.py",
            "tests/rlwe/test_elements.py",
            "tests/rlwe/test_keys.py",
        ),
        share=20,
    ),
    "checks, secrets": Target(
        ("ckks/rlwe/secret/key.py", "ckks/rlwe/secret/export.py"),
        ("tests/rlwe/secret/test_key.py", "tests/rlwe/secret/test_export.py"),
        share=12,
    ),
    "checks, scheme": Target(
        ("ckks/scheme/params.py", "ckks/scheme/meta.py", "ckks/scheme/align.py"),
        (
            "tests/scheme/test_meta.py",
            "tests/wire/test_pickle.py",
            "tests/scheme/test_params.py",
            "tests/scheme/test_misuse.py",
            "tests/scheme/test_levels.py",
        ),
        share=20,
    ),
    "encoding": Target(
        ("ckks/scheme/encoder.py", "ckks/scheme/embedding.py"), ("tests/scheme/test_encoder.py",), share=15
    ),
    "flooding": Target(
        ("ckks/rlwe/flooding.py", "ckks/scheme/decryption.py"),
        ("tests/rlwe/test_flooding.py", "tests/scheme/test_decrypt_public.py"),
        share=16,
    ),
    "limits of the service": Target(
        ("churn/hosting/limits.py",), ("tests/churn/test_serving.py", "tests/churn/test_hosting.py"), share=8
    ),
}
