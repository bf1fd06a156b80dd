"""Sums of rotations that make slots repeat, and what they make of errors.

A sum over all rotations by multiples of `apart` slots is the same in slots that far from each other, and is then read
as a value of `apart` slots. Its error too: a value of n slots is decoded from 2n of N coefficients, and takes that
share of an error's power (`scheme.meta.expected_error`), as the mean over the N/2n places at which a slot is repeated
takes of errors that are independent there. Those of c rotations by multiples of n are one error c times at each of
these places, since the rotations move it from one of them to another. So their deviations add up as they are. In
slots: the sum over c slots has sqrt(c) times the deviation of one, and c times fewer slots have 1/sqrt(c) of the share.

The errors of key switches and roundings on the way are new ones at every step, and summed by those that follow.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

from ckks.rlwe import Ciphertext, Noise
from ckks.rlwe import noise as sizes
from ckks.scheme import Evaluator

__all__ = ["folded", "twice_real"]


def folded(evaluator: Evaluator, a: Ciphertext, sums: Sequence[Sequence[int]]) -> Ciphertext:
    """Return the sums of rotations, one after the other, of what is then read as fewer slots, all steps multiples.

    Args:
        evaluator: with keys for all steps.
        a: a ciphertext or a batch.
        sums: from `diagonals.doublings(n, slots)`, n being the slots that remain: declaring them is the caller's job.
    """
    switch, rounding = sizes.key_switch(evaluator.params, a.level), sizes.rounding(evaluator.params)
    for steps in sums:
        before, turns = a.noise, sum(step != 0 for step in steps)
        switches = Noise(switch.std * sqrt(turns), switch.bound * turns)
        a = evaluator.rotate_sum(a, steps).with_(noise=before.scaled(len(steps)) + switches + rounding)
    return a


def twice_real(evaluator: Evaluator, w: Ciphertext) -> Ciphertext:
    """Return w + conj(w), twice the real parts; needs the key for conjugation.

    The error of w meets itself: real parts add up as they are, so that the sum has twice the deviation in them.
    """
    y = evaluator.add(w, evaluator.conjugate(w))
    once = sizes.key_switch(evaluator.params, w.level) + sizes.rounding(evaluator.params)
    return y.with_(meta=y.meta.but(real=True), noise=w.noise.scaled(2) + once)
