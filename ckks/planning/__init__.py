"""What a computation needs, before any key exists: `plan` runs it on stand-ins.

    search       plan: from a function, shapes and ranges to the smallest parameters that do
    arguments    what plan was given, looked at before anything runs
    rehearsal    one run of the function on stand-ins, or several with a clock
    largest      how large the largest of many errors is
    result       Plan and Forecast: what is found, for programs and for people
    operations   kernel calls, told by the names that people use

A stand-in is a ciphertext of which all is true but its words: level, scale, range of values, size of the error. The
user's own code, and everything below it, runs as it always does, over `kernels.recording`, which computes nothing. So
depth, rotations, operations and error sizes are those of a real run, by construction. Time is measured: over
`kernels.sampling`, which does compute, as much as there is time for.
"""

from __future__ import annotations

from ckks.planning.result import Forecast, Plan
from ckks.planning.search import plan

__all__ = ["Forecast", "Plan", "plan"]
