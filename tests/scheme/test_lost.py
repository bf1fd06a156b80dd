"""Lost precision: a warning that names the user's line, or a message for whoever listens in the same thread."""

from __future__ import annotations

import threading
import warnings

import pytest
from kit import make_kit
from params import insecure_small

from ckks.errors import PrecisionWarning
from ckks.scheme.lost import listening_for_losses, precision_lost


def test_whoever_listens_is_told_and_nobody_is_warned():
    kit = make_kit(insecure_small(64))
    ct = kit.encrypt([1.0])
    with listening_for_losses() as found:  # a warning would be an error here
        kit.evaluator.multiply(ct, 1e-11)
        with listening_for_losses() as inner:
            kit.evaluator.multiply(ct, 1e-12)
    assert len(found) == len(inner) == 1 and "1e-11 keeps" in found[0] and "1e-12 keeps" in inner[0]
    with pytest.warns(PrecisionWarning, match="1e-13") as caught:
        kit.evaluator.multiply(ct, 1e-13)
    assert [one.filename for one in caught] == [__file__]


def test_other_threads_are_not_listened_to(monkeypatch):
    warned = []
    monkeypatch.setattr(warnings, "warn", lambda text, category, **_: warned.append((text, category)))
    with listening_for_losses() as found:
        thread = threading.Thread(target=precision_lost, args=("much",))
        thread.start()
        thread.join()
    assert found == [] and warned == [("much", PrecisionWarning)]


def test_listening_ends_with_an_error():
    with pytest.raises(RuntimeError), listening_for_losses():
        raise RuntimeError
    with pytest.warns(PrecisionWarning, match="much"):
        precision_lost("much")
