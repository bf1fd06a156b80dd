"""Numbers for readers."""

from __future__ import annotations

from churn.units import bits_of, bytes_text, difference_text, seconds_text


def test_units() -> None:
    assert [seconds_text(s) for s in (0, 7.4e-4, 0.0313, 0.9996, 2.44, 185, 3599.6)] == [
        "0 us",
        "740 us",
        "31.3 ms",
        "1 s",
        "2.44 s",
        "3 min 5 s",
        "60 min 0 s",
    ]
    assert [bytes_text(b) for b in (0, 812, 999_600, 4_510_000, 2e12)] == [
        "0 B",
        "812 B",
        "1 MB",
        "4.51 MB",
        "2e+03 GB",
    ]
    assert [difference_text(d) for d in (0.0, 0.00123, -0.01, -3.14e-7)] == ["0", "+0.0012", "-0.0100", "-3.1e-07"]
    assert [bits_of(e) for e in (0.0, 0.5, 2**-17.3)] == ["exact", "1.0 bits", "17.3 bits"]
