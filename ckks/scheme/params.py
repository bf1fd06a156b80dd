"""CKKSParams: RLWE parameters plus a scale for every level, made from what a user knows: depth and precision."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Context, Decimal
from functools import cached_property
from math import ceil, hypot, log2, prod, sqrt
from typing import Any, Self

from ckks.errors import InsecureParameters, ParameterError
from ckks.ring import nearest_primes, ntt_primes, primes_below
from ckks.rlwe import RLWEParams, largest_log2_qp
from ckks.rlwe.noise import fresh_public, rounding

EXACT = Context(prec=40)
"""Scales are held to 40 decimal digits (132 bits); every product and quotient of scales goes through here."""

PRESETS: dict[str, dict[str, int]] = {
    # One product deep: a linear score with plaintext weights, the smallest ring that has one.
    "S12": dict(log_n=12, depth=1, scale_bits=32, base_bits=34, special_bits=38, num_special=1, digit=1),
    # Three levels: a linear score and a cubic; short vectors of 4096 slots.
    "S13": dict(log_n=13, depth=3, scale_bits=38, base_bits=46, special_bits=50, num_special=1, digit=1),
    # Seven levels at 2^40, every prime below 2^47.
    "S14": dict(log_n=14, depth=7, scale_bits=40, base_bits=46, special_bits=46, num_special=2, digit=2),
    # Six levels at 2^45: five more bits of precision on the same ring.
    "S14b": dict(log_n=14, depth=6, scale_bits=45, base_bits=50, special_bits=50, num_special=2, digit=2),
    # Fourteen levels: deep polynomials.
    "S15": dict(log_n=15, depth=14, scale_bits=45, base_bits=50, special_bits=50, num_special=3, digit=3),
    # Twenty-nine levels.
    "S16": dict(log_n=16, depth=29, scale_bits=45, base_bits=50, special_bits=50, num_special=6, digit=6),
}
"""Named sets, all 128-bit by [BCC+24] with every prime below 2^50."""


@dataclass(frozen=True, kw_only=True, eq=False)
class CKKSParams(RLWEParams):
    """Parameters of RNS-CKKS: ring, primes, and one canonical scale per level ([KPP20, Sec. 3]).

    Most users want `CKKSParams.for_depth(depth, precision_bits=..., value_range=...)` or a preset.

    Args:
        ring_degree, levels, special_moduli, digit_sizes, centred_digits, security, roots: see RLWEParams.
        scale: S_L, the scale of a fresh ciphertext.
        value_range: the largest |value| that encryption accepts unless told otherwise; noise estimates use it.

    A ciphertext of level l has the scale S_l, where S_{l-1} = S_l^2 / (product of the primes of level l): the exact
    scale of a product after its rescale. Two values of one level and degree therefore always have equal scales.
    """

    scale: Decimal
    value_range: float = 1.0

    def __post_init__(self) -> None:
        """Validate everything before any of it is used."""
        object.__setattr__(self, "scale", EXACT.normalize(EXACT.create_decimal(self.scale)))
        object.__setattr__(self, "value_range", float(self.value_range))
        super().__post_init__()
        if not (self.value_range > 0 and self.value_range < 2.0**200):
            raise ParameterError(f"value range {self.value_range!r}; needed a positive finite number")
        if not 2**10 <= self.scale <= 2**100:
            raise ParameterError(f"scale {self.scale:.4g}; needed 2^10 to 2^100")
        _ = self.scales
        if prod(self.levels[0]) < 2 * self.scales[0]:
            raise ParameterError(
                f"the base modulus has {log2(prod(self.levels[0])):.1f} bits, less than the scale and a sign need "
                f"({log2(float(self.scales[0])) + 1:.1f}); use a larger base_bits"
            )

    @cached_property
    def scales(self) -> tuple[Decimal, ...]:
        """S_0 .. S_L."""
        scales = [self.scale]
        for level in range(self.top_level, 0, -1):
            square = EXACT.multiply(scales[-1], scales[-1])
            scales.append(EXACT.divide(square, Decimal(prod(self.levels[level]))))
            if not self.scale < 2 * scales[-1] < 4 * self.scale:
                raise ParameterError(
                    f"the scale drifts from {self.scale:.6g} to {scales[-1]:.6g} at level {level - 1}: each level's "
                    "primes must multiply to nearly its scale; let CKKSParams.generate choose them"
                )
        return tuple(reversed(scales))

    def scale_at(self, level: int, degree: int = 1) -> Decimal:
        """Return S_level (degree 1), or its square (degree 2: a product not yet rescaled)."""
        scale = self.scales[self.check_level(level)]
        return scale if degree == 1 else EXACT.multiply(scale, scale)

    def room(self, level: int) -> float:
        """Return log2 of the largest coefficient of a level: half its modulus."""
        return self._rooms[self.check_level(level)]

    @cached_property
    def _rooms(self) -> tuple[float, ...]:
        return tuple(log2(self.basis(level).modulus) - 1 for level in range(len(self.levels)))

    def level_factor(self, level: int) -> Decimal:
        """Return what the rescale that drops `level` divides a scale by."""
        return self._level_factors[self.check_level(level)]

    @cached_property
    def _level_factors(self) -> tuple[Decimal, ...]:
        return tuple(Decimal(self.level_modulus(level)) for level in range(len(self.levels)))

    def waiting_scale(self, level: int) -> Decimal:
        """Return S_level^1.5: a larger scale is that of a product which still waits for its rescale."""
        return self._waiting_scales[self.check_level(level)]

    @cached_property
    def _waiting_scales(self) -> tuple[Decimal, ...]:
        return tuple(EXACT.power(scale, Decimal("1.5")) for scale in self.scales)

    @property
    def slots(self) -> int:
        """N/2, how many numbers one ciphertext holds."""
        return self.ring_degree // 2

    @property
    def depth(self) -> int:
        """How many multiplications in a row a fresh ciphertext allows."""
        return self.top_level

    @cached_property
    def digest(self) -> bytes:
        """SHA-256 of everything that identifies this set."""
        text = f"ckks scheme 1|{self.scale:f}|{self.value_range!r}|".encode("ascii")
        return hashlib.sha256(text + RLWEParams.digest.func(self)).digest()  # type: ignore[attr-defined]

    @classmethod
    def generate(
        cls,
        *,
        ring_degree: int,
        depth: int,
        scale_bits: int,
        base_bits: int,
        num_special: int = 1,
        special_bits: int = 50,
        digit_size: int | None = None,
        security: int | None = 128,
        value_range: float = 1.0,
        centred_digits: bool = True,
    ) -> Self:
        """Return parameters with primes chosen so that the scale hardly drifts ([KPP20]).

        From the top down, the prime (or pair of primes, for scales above 2^49) of level l is the unused NTT prime
        nearest S_l, and S_{l-1} follows from it.

        Args:
            ring_degree: N.
            depth: number of levels above the base.
            scale_bits: log2 of S_L: 20 to 49 (one prime per level) or 56 to 98 (two).
            base_bits: bits of the base modulus; above 50 it becomes two primes or more.
            num_special, special_bits: how many special primes, and of how many bits each (0 special: no key switching).
            digit_size: primes per key-switching digit; num_special unless given.
            security, value_range, centred_digits: see the class.
        """
        _check_scale_bits(scale_bits)
        if depth < 0:
            raise ParameterError(f"depth {depth}; needed 0 or more")
        used: set[int] = set()

        def take(candidates: Iterator[int]) -> int:
            for q in candidates:
                if q not in used and q < 2**50:
                    used.add(q)
                    return q
            raise ParameterError("ran out of primes of the wanted size; use larger ones")  # pragma: no cover

        special = ntt_primes(bits=special_bits, count=num_special, n=ring_degree) if num_special else ()
        used.update(special)
        base_parts = ceil(base_bits / 50)
        sizes = [base_bits // base_parts + (i < base_bits % base_parts) for i in range(base_parts)]
        base = tuple(take(primes_below(2**b, n=ring_degree)) for b in sizes)
        scale = EXACT.create_decimal(2**scale_bits)
        current, groups = scale, []
        for _ in range(depth):
            if scale_bits <= 49:
                group: tuple[int, ...] = (take(nearest_primes(int(current), n=ring_degree)),)
            else:
                first = take(nearest_primes(int(current.sqrt(EXACT)), n=ring_degree))
                group = (first, take(nearest_primes(int(current / first), n=ring_degree)))
            groups.append(group)
            current = EXACT.divide(EXACT.multiply(current, current), Decimal(prod(group)))
        limbs = len(base) + sum(map(len, groups))
        step = digit_size or max(1, num_special)
        return cls(
            ring_degree=ring_degree,
            levels=(base, *reversed(groups)),
            special_moduli=special,
            digit_sizes=tuple(min(step, limbs - i) for i in range(0, limbs, step)),
            centred_digits=centred_digits,
            security=security,
            scale=scale,
            value_range=value_range,
        )

    @classmethod
    def preset(cls, name: str, **changes: Any) -> Self:
        """Return a named set of `PRESETS`, e.g. CKKSParams.preset("S14")."""
        try:
            p = PRESETS[name]
        except KeyError:
            raise ParameterError(f"no preset {name!r}; there are {', '.join(PRESETS)}") from None
        chosen: dict[str, Any] = dict(
            ring_degree=2 ** p["log_n"],
            depth=p["depth"],
            scale_bits=p["scale_bits"],
            base_bits=p["base_bits"],
            num_special=p["num_special"],
            special_bits=p["special_bits"],
            digit_size=p["digit"],
        )
        return cls.generate(**{**chosen, **changes})

    @classmethod
    def for_depth(
        cls,
        depth: int,
        *,
        precision_bits: float = 24,
        value_range: float = 1.0,
        security: int = 128,
        key_switching: bool = True,
        slots: int = 1,
    ) -> Self:
        """Return the smallest secure parameters for circuits of a given depth.

        Args:
            depth: multiplications in a row (a polynomial of degree d needs ceil(log2(d + 1))).
            precision_bits: expected accuracy of a product of values of size `value_range`: its largest slot error
                stays below 2^-precision_bits.
            value_range: the largest |value| at any point of the circuit.
            security: 128, 192 or 256 bits.
            key_switching: False for circuits without products of ciphertexts and without rotations; the special
                primes, and with them the evaluation keys, are then left out.
            slots: how many numbers a ciphertext has to hold, up to 2^16.

        Raises:
            InsecureParameters: no ring degree up to 2^17 is enough.
        """
        if not 1 <= precision_bits <= 44:
            raise ParameterError(
                f"precision of {precision_bits} bits; needed 1 to 44 (the encoder works in double precision)"
            )

        def scale_bits(n: int) -> int:
            return cls._scale_bits(n, precision_bits, value_range, key_switching)

        wanted, remedy = f"depth {depth} at {precision_bits} bits", "reduce depth or precision"
        return cls._smallest(depth, scale_bits, value_range, security, key_switching, slots, wanted, remedy)

    @classmethod
    def for_scale(
        cls,
        depth: int,
        *,
        scale_bits: int,
        value_range: float = 1.0,
        security: int = 128,
        key_switching: bool = True,
        slots: int = 1,
    ) -> Self:
        """Return the smallest secure parameters with a given scale; for the rest as `for_depth`.

        For circuits whose result is flooded, or that need more precision than the encoder's double precision shows:
        the scale then says how far below the values the noise lies.
        """
        if isinstance(scale_bits, bool) or not isinstance(scale_bits, int):
            raise ParameterError(f"scale of {scale_bits!r} bits; needed an integer, 20 to 49 or 56 to 98")
        wanted, remedy = f"depth {depth} at scale 2^{scale_bits}", "reduce depth or scale"
        return cls._smallest(depth, lambda _: scale_bits, value_range, security, key_switching, slots, wanted, remedy)

    @classmethod
    def _smallest(
        cls,
        depth: int,
        scale_bits: Callable[[int], int],
        value_range: float,
        security: int,
        key_switching: bool,
        slots: int,
        wanted: str,
        remedy: str,
    ) -> Self:
        """Return the cheapest parameters over the smallest ring that has any; `scale_bits` depends on its degree."""
        if isinstance(depth, bool) or not isinstance(depth, int) or depth < 0:
            raise ParameterError(f"depth {depth!r}; needed an integer, 0 or more")
        if not 0 < value_range < float("inf"):
            raise ParameterError(f"value range {value_range!r}; needed a positive finite number")
        if isinstance(slots, bool) or not isinstance(slots, int) or not 1 <= slots <= 2**16:
            raise ParameterError(f"{slots!r} slots; needed 1 to 2^16: split longer vectors into several ciphertexts")
        for log_n in range(max(12, (2 * slots - 1).bit_length()), 18):
            found = cls._cheapest(2**log_n, depth, scale_bits(2**log_n), value_range, security, key_switching)
            if found is not None:
                return found
        raise InsecureParameters(
            f"{wanted} needs a modulus that no ring degree up to 2^17 makes {security}-bit secure (limit "
            f"{largest_log2_qp(2**17, security)} bits); {remedy}"
        )

    @classmethod
    def _cheapest(
        cls, n: int, depth: int, scale_bits: int, value_range: float, security: int, key_switching: bool
    ) -> Self | None:
        """Return secure parameters over ring degree n with the digits that cost least, None when there are none."""
        _check_scale_bits(scale_bits)
        # A product of two values of the declared range must fit before its rescale: twice the range's bits.
        base_bits = scale_bits + 2 * max(0, ceil(log2(value_range))) + 4
        if base_bits + depth * scale_bits > largest_log2_qp(n, security) + 2:
            return None
        best: tuple[int, Self] | None = None
        for digit in range(1, 9) if key_switching else (0,):
            per_level = 1 if scale_bits <= 49 else 2
            parts = ceil(base_bits / 50)
            sizes = [ceil(base_bits / parts)] * parts + [ceil(scale_bits / per_level)] * (depth * per_level)
            limbs = len(sizes)
            if digit > limbs:
                break
            # P is at least 2^4 times the largest digit: then the rounding dominates a key switch.
            digit_bits = sum(sorted(sizes)[limbs - digit :])
            count = ceil((digit_bits + 4) / 50) if digit else 0
            try:
                params = cls.generate(
                    ring_degree=n,
                    depth=depth,
                    scale_bits=scale_bits,
                    base_bits=base_bits,
                    num_special=count,
                    special_bits=max(30, ceil((digit_bits + 4) / count)) if count else 50,
                    digit_size=digit or None,
                    security=security,
                    value_range=value_range,
                )
            except InsecureParameters:
                continue
            cost = (ceil(limbs / digit) + 2) * (limbs + count) if digit else limbs
            if best is None or cost < best[0]:
                best = (cost, params)
        return None if best is None else best[1]

    @classmethod
    def _scale_bits(cls, n: int, precision_bits: float, value_range: float, key_switching: bool) -> int:
        """The scale at which a product of two fresh values is off by 2^-precision_bits in its worst slot.

        Its rms error is that of both inputs and of one rounding; the worst of N/2 slots lies at about 7 rms, since
        rounding times secret is a product of two nearly Gaussian values. Without special primes, a fresh encryption
        has more than rounding in it.
        """
        probe = RLWEParams.insecure(ring_degree=n, levels=((ntt_primes(bits=30, count=1, n=n)),))
        last = rounding(probe).std
        fresh = last if key_switching else fresh_public(probe).std
        error = hypot(sqrt(2) * fresh, last)
        bits = max(30, ceil(precision_bits + log2(7 * error) + max(0.0, log2(value_range))))
        if bits > 98:
            raise ParameterError(f"{precision_bits} bits of precision need a scale of 2^{bits}; the limit is 2^98")
        return bits if bits <= 49 or bits >= 56 else 56

    def sizes(self) -> dict[str, int]:
        """Return bytes in memory of one ciphertext (top level), the public key, and one switching key."""
        word, n, k = 8, self.ring_degree, self.num_special
        limbs = len(self.moduli)
        return {
            "ciphertext": 2 * limbs * n * word,
            "public_key": 2 * (limbs + k) * n * word,
            "switching_key": len(self.digits(self.top_level)) * 2 * (limbs + k) * n * word if k else 0,
        }

    def __str__(self) -> str:
        """Summarise in one line."""
        return f"{super().__str__()}, scale 2^{log2(float(self.scale)):.0f}, {self.slots} slots"


def _check_scale_bits(scale_bits: int) -> None:
    if not (20 <= scale_bits <= 49 or 56 <= scale_bits <= 98):
        raise ParameterError(
            f"scale of {scale_bits} bits; needed 20 to 49 (one prime a level) or 56 to 98 (two primes a level)"
        )
