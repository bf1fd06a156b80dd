"""S5: one bit of an answer is wrong, its checksum and MAC right: a broken host. The client does not pass it on."""

from __future__ import annotations

import random
from collections.abc import Iterator

import httpx
import numpy as np
import pytest
from attacks.frames import repaired
from attacks.live import Live, Prepared
from attacks.models import random_rows, table
from attacks.transports import Network, Recorded
from conftest import Figure
from numpy.typing import NDArray

from churn.hosting.mac import Exchange, checksum_of
from churn.hosting.remote import BadAnswer
from churn.hosting.tenants import mac_key_of
from ckks.rlwe import Noise
from ckks.rlwe.packing import row_bytes
from ckks.rlwe.secret import KeyGenerator
from ckks.scheme import Encryptor
from ckks.scheme.decryption import Decryptor
from ckks.scheme.meta import meta_of
from ckks.scheme.serialization import HEAD_BYTES, ciphertext_from_bytes, to_bytes


class BrokenHost:
    """Changes answers, and vouches for what it made of them."""

    def __init__(self, token: str) -> None:
        self._key = mac_key_of(token)

    def vouch(self, request: httpx.Request, answer: Recorded, body: bytes) -> Recorded:
        """Return an answer with another body, and with the MAC that makes it the answer to this request."""
        named = request.headers
        exchange = Exchange(
            named["CKKS-Nonce"],
            answer.header("CKKS-Model"),
            named["CKKS-Parameters"],
            named["CKKS-Layout"],
            named.get("CKKS-Public-Key"),
            named.get("CKKS-Keys"),
            checksum_of(request.read()),
        )
        return answer.with_body(body).with_header("CKKS-MAC", exchange.mac(self._key, body))


def _flipped(frame: bytes, modulus: int, degree: int, rng: random.Random) -> bytes:
    """Flip one bit of one word of a one-limb ciphertext, such that the word is still a residue."""
    data, width, row = bytearray(frame), modulus.bit_length(), row_bytes(modulus, degree)
    while True:
        part, word, bit = rng.randrange(2), rng.randrange(degree), rng.randrange(width)
        start = word * width
        first, last = start // 8, (start + width + 7) // 8
        at = HEAD_BYTES + part * row
        piece = int.from_bytes(data[at + first : at + last], "little")
        value = (piece >> start % 8) & ((1 << width) - 1)
        if value ^ (1 << bit) < modulus:
            piece ^= 1 << (start % 8 + bit)
            data[at + first : at + last] = piece.to_bytes(last - first, "little")
            return repaired(data)


class Seen:
    """A client on a network whose host is broken, an honest answer, and how far off a changed one is."""

    def __init__(self, live: Live) -> None:
        self.network, self._host = Network(), BrokenHost(live.tokens["alice"])
        self.alice = Prepared(live, transport=self.network)
        self.description = self.alice.scoring.description
        self.params, self.output = self.description.params, self.description.output
        answers: list[Recorded] = []
        self.network.answer = lambda _, ask: answers.append(ask()) or answers[-1]
        self.alice.check()
        (self.honest,) = answers
        self._right = self._values(self.honest.body)

    def answer_with(self, *bodies: bytes) -> None:
        """Have the next requests answered with these bodies, one after the other, the last one again and again."""
        left = list(bodies)
        self.network.answer = lambda request, _: self._host.vouch(
            request, self.honest, left.pop(0) if len(left) > 1 else left[0]
        )

    def refusal(self, rows: NDArray[np.float64]) -> str:
        """Score rows, which must fail; return what the client says."""
        with pytest.raises(BadAnswer) as refused:
            self.alice.client.score(self.alice.scoring, table(rows))
        return str(refused.value)

    def damage(self, body: bytes) -> float:
        """Return the largest change of any slot, as a part of the range of answers."""
        return float(np.abs(self._values(body) - self._right).max()) / (self.output.high - self.output.low)

    def _values(self, body: bytes) -> NDArray[np.complex128]:
        ct = ciphertext_from_bytes(body, self.params, bound=1e30, noise=Noise(1.0, 1.0))
        whole = ct.with_(meta=meta_of(ct).but(real=False, length=self.params.slots))
        return np.asarray(Decryptor(self.params, self.alice.client._secret(self.description)).decrypt(whole))


@pytest.fixture
def seen(live: Live) -> Iterator[Seen]:
    """Alice, behind such a network."""
    seen = Seen(live)
    with seen.alice:
        yield seen


@pytest.mark.service
@pytest.mark.parametrize("count", [300, pytest.param(10_000, marks=[pytest.mark.slow, pytest.mark.timeout(3600)])])
def test_flipped_bits_are_caught(seen: Seen, count: int, figure: Figure) -> None:
    rng, damage, texts = random.Random(count), [], set()
    assert seen.params.limbs(seen.output.level) == 1
    seen.answer_with(seen.honest.body)
    seen.alice.check()  # what the host vouches for is taken: it is the bits that matter
    for _ in range(count):
        body = _flipped(seen.honest.body, seen.params.moduli[0], seen.params.ring_degree, rng)
        damage.append(seen.damage(body))
        seen.answer_with(body)
        asked = len(seen.network.requests)
        texts.add(seen.refusal(seen.alice.rows))
        assert [method for method, _ in seen.network.requests[asked:]] == ["HEAD", "POST"]  # and none afterwards
    assert len(texts) == 1, texts
    figure(
        "S5", f"{count} flipped bits of NTT words: {len(damage)} caught, smallest damage {min(damage):.1e} of the range"
    )


@pytest.mark.service
def test_whatever_is_wrong_the_error_is_the_same(seen: Seen, figure: Figure) -> None:
    """Damage, lies and malformed answers: nobody learns from the error which check it was, nor from what is sent.

    Only answers of a length that no level has are told apart, which does not depend on anything secret.
    """
    params, output, slots = seen.params, seen.output, seen.params.slots
    secret = seen.alice.client._secret(seen.description)
    encryptor = Encryptor(params, KeyGenerator(params).public_key(secret))
    rows = len(seen.alice.rows)
    fill = np.full(slots, output.unused)

    def made(values: NDArray[np.complex128 | np.float64], **given: object) -> bytes:
        given = {"level": output.level, "scale": output.scale_in(params), "bound": 1e3, **given}
        return to_bytes(encryptor.encrypt(values, **given))

    far, imaginary, elsewhere = fill.copy(), fill.astype(complex), fill.copy()
    far[rows // 2], imaginary[rows // 2], elsewhere[-1] = 2 * output.high, 2j * output.error, 4 * output.error
    honest = bytearray(seen.honest.body)
    transparent = bytearray(seen.honest.body)
    transparent[HEAD_BYTES + row_bytes(params.moduli[0], params.ring_degree) : -32] = bytes(
        row_bytes(params.moduli[0], params.ring_degree)
    )
    bodies = {
        "a value beyond the range": made(far),
        "an imaginary part": made(imaginary),
        "an unused slot": made(elsewhere),
        "another scale": made(fill, scale=2 * output.scale_in(params)),
        "fewer slots": made(fill[: slots // 2], slots=slots // 2),
        "transparent": repaired(transparent),
        "a wrong checksum": bytes(honest[:-1]) + bytes([honest[-1] ^ 1]),
        "cut": bytes(honest[:-40]),
        "empty": b"",
        "a public key": to_bytes(KeyGenerator(params).public_key(secret))[: len(honest)],
    }
    texts, asked = {}, []
    for name, body in bodies.items():
        seen.answer_with(body)
        before = len(seen.network.requests)
        texts[name] = seen.refusal(seen.alice.rows)
        asked.append([method for method, _ in seen.network.requests[before:]])
    assert len(set(texts.values())) == 1, texts
    assert asked == [["HEAD", "POST"]] * len(bodies)
    figure("S5", f"{len(bodies)} kinds of bad answers: one error, the same requests")


@pytest.mark.service
def test_all_is_asked_before_anything_is_opened(seen: Seen) -> None:
    """A table of three ciphertexts: a bad first answer changes nothing about the other two requests."""
    rows = random_rows(2 * seen.params.slots + 5, 2, 3)
    bad = _flipped(seen.honest.body, seen.params.moduli[0], seen.params.ring_degree, random.Random(1))
    for bodies in ((bad, seen.honest.body), (seen.honest.body, bad, seen.honest.body)):
        before = len(seen.network.requests)
        seen.answer_with(*bodies)
        seen.refusal(rows)
        assert [method for method, _ in seen.network.requests[before:]] == ["HEAD", "POST", "POST", "POST"]
