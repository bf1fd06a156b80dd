"""Kernel calls, counted by what they do to ciphertexts, in the words that people use."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import prod

from ckks.kernels.recording import Call

__all__ = ["operations"]


def operations(calls: Sequence[tuple[Call, int]]) -> dict[str, int]:
    """Return how often ciphertexts were multiplied, rotated, ...: of a batch each one counts."""
    total: Counter[str] = Counter()
    for call, count in calls:
        times = count * call.items
        match call.name:
            case "switch_product":
                total["products of ciphertexts"] += times
                total["relinearisations"] += times
            case "tensor":
                total["products of ciphertexts"] += times
            case "switch":
                total["rotations" if call.arguments[-1] is not None else "relinearisations"] += times
            case "switch_digits" | "lift_switch":
                total["rotations"] += times
            case "switch_sum" | "lift_terms":
                total["rotations"] += times * sum(key is not None for key in call.arguments[3])
            case "combine":
                total["products with plain numbers"] += times * prod(call.arguments[2].shape[:2]) // 2
            case "weighted_sum":
                total["weighted sums"] += times // 2
            case "mul" | "mul_scalar" | "mul_add" | "mul_scalar_add":
                total["products with plain numbers"] += max(1, times // 2)
            case "divide":
                total["rescales"] += max(1, times // 2)
    return dict(total)
