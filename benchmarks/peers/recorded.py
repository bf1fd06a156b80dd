"""Figures of libraries that pip cannot install, as recorded once, to be read beside a run and never divided by it.

They come from another machine, an Intel Xeon with AVX-512-IFMA at 2.99 GHz, where all three ran on one core, each with
its own release settings: Microsoft SEAL 4.4.3 with HEXL 1.2.6 and without, and Lattigo 6.2.0 (Go 1.27.3). CPU time,
minimum / median, in milliseconds, at the top level; uniform ternary secrets, scale 2^40.
"""

from __future__ import annotations

CONDITIONS = (
    "Recorded on another machine: Intel Xeon with AVX-512-IFMA, 2.99 GHz, one core; CPU time in milliseconds, minimum / "
    "median; SEAL 4.4.3, HEXL 1.2.6, Lattigo 6.2.0 (Go 1.27.3); uniform ternary secrets, scale 2^40. Not to be "
    "divided by figures of this machine."
)

COLUMNS = (
    "SEAL + HEXL, 2^13, 2 levels, log QP 200",
    "SEAL + HEXL, 2^14, 8 levels, log QP 438",
    "SEAL + HEXL, 2^15, 19 levels, log QP 880",
    "Lattigo, 2^14, 5 levels, 3 digits, log QP 370",
    "Lattigo, 2^15, 15 levels, 4 digits, log QP 880",
)

ROWS = {
    "encode": ("0.288 / 0.323", "1.00 / 1.08", "5.44 / 6.27", "2.42 / 2.77", "11.3 / 13.1"),
    "encrypt (public key)": ("1.47 / 1.79", "5.45 / 5.76", "33.44 / 37.09", "9.72 / 9.99", "52.9 / 55.0"),
    "encrypt (secret key)": ("1.01 / 1.11", "5.35 / 6.11", "34.37 / 36.78", "5.99 / 6.72", "28.5 / 29.3"),
    "decrypt": ("0.031 / 0.036", "0.290 / 0.315", "1.30 / 1.75", "0.28 / 0.28", "1.71 / 1.80"),
    "decode": ("0.719 / 0.764", "8.10 / 8.49", "77.11 / 82.81", "12.8 / 13.6", "54.7 / 59.4"),
    "add": ("0.016 / 0.021", "0.329 / 0.349", "1.49 / 1.71", "0.16 / 0.17", "0.88 / 0.97"),
    "multiply by an encoded plaintext": (
        "0.035 / 0.040",
        "0.351 / 0.384",
        "1.56 / 1.66",
        "0.31 / 0.33",
        "1.80 / 1.95",
    ),
    "multiply + relinearise + rescale": ("1.45 / 1.56", "15.18 / 16.52", "129 / 134", "14.9 / 15.5", "104 / 110"),
    "rotate by 1": ("1.20 / 1.43", "13.36 / 16.05", "114 / 120", "11.4 / 11.9", "85.7 / 95.0"),
    "8 rotations of one ciphertext": ("", "", "", "52.0 / 53.2", "372 / 403"),
}
