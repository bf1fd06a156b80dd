"""Key files: round trips, every damage refused, modes, and never over an existing file."""

from __future__ import annotations

import hashlib
import os
import stat
import threading

import numpy as np
import pytest
from params import insecure_pairs, insecure_small
from rlwe_kit import grouped

from ckks import CKKSParams
from ckks.errors import BasisMismatch, HEError, SerializationError
from ckks.ring import Rng
from ckks.rlwe import RLWEParams
from ckks.rlwe.secret import (
    KeyGenerator,
    SecretKey,
    load_secret_key,
    save_secret_key,
    secret_key_from_bytes,
    secret_key_to_bytes,
)

PARAMS = insecure_small()
HEADER = 8 + 2 + 2 + 32 + 4 + 16 + 12
FIELDS = {"magic": 0, "version": 8, "flags": 10, "digest": 12, "N": 44, "salt": 48, "nonce": 64, "payload": 76}


@pytest.fixture(scope="module")
def secret() -> SecretKey:
    return KeyGenerator(PARAMS, Rng(1)).secret_key()


@pytest.fixture(scope="module")
def data(secret) -> bytes:
    return secret_key_to_bytes(secret)


@pytest.fixture(scope="module")
def sealed(secret) -> bytes:
    return secret_key_to_bytes(secret, "correct horse")


def same(a: SecretKey, b: SecretKey) -> bool:
    return a.params == b.params and np.array_equal(a.coefficients(), b.coefficients())


def with_checksum(body: bytes) -> bytes:
    return body + hashlib.sha256(body).digest()


# ---- round trips -----------------------------------------------------------------------------------------------


def test_round_trip(secret, data):
    assert same(secret_key_from_bytes(data, PARAMS), secret)
    assert len(data) == HEADER + 64 // 4 + 32


def test_round_trip_with_a_passphrase(secret, sealed):
    assert same(secret_key_from_bytes(sealed, PARAMS, "correct horse"), secret)
    assert len(sealed) == HEADER + 64 // 4 + 16 + 32


@pytest.mark.parametrize("passphrase", ["", "ü with\0nul"])
def test_passphrases(secret, passphrase):
    stored = secret_key_to_bytes(secret, passphrase)
    assert same(secret_key_from_bytes(stored, PARAMS, passphrase), secret)


@pytest.mark.parametrize("n", [8, 16, 1024])
def test_other_degrees(n, rng):
    for params in (insecure_small(n), grouped("last digit cut", n) if n < 64 else insecure_pairs(n)):
        secret = KeyGenerator(params, rng).secret_key()
        assert same(secret_key_from_bytes(secret_key_to_bytes(secret), params), secret)


def test_layout(secret, data):
    """By hand, as documented: four coefficients to a byte, value + 1 in two bits each, low bits first."""
    assert data[:8] == b"CKKSSKEY" and data[8:12] == bytes([1, 0, 0, 0])
    assert data[12:44] == PARAMS.digest and int.from_bytes(data[44:48], "little") == 64
    crumbs = [byte >> shift & 3 for byte in data[HEADER:-32] for shift in (0, 2, 4, 6)]
    assert [c - 1 for c in crumbs] == secret.coefficients().tolist()
    assert data[-32:] == hashlib.sha256(data[:-32]).digest()


def test_sealed_files_show_nothing_and_never_repeat(secret, data, sealed):
    payload = data[HEADER:-32]
    again = secret_key_to_bytes(secret, "correct horse")
    assert payload not in sealed and payload not in again
    assert sealed[48:] != again[48:]
    assert len({sealed[48:64], again[48:64], data[48:64]}) == 3  # salts
    assert len({sealed[64:76], again[64:76], data[64:76]}) == 3  # nonces


# ---- damage ----------------------------------------------------------------------------------------------------


def test_every_bit_counts(data):
    """Any one bit changed: refused."""
    for i in range(8 * len(data)):
        damaged = bytearray(data)
        damaged[i // 8] ^= 1 << i % 8
        with pytest.raises((SerializationError, BasisMismatch)):
            secret_key_from_bytes(bytes(damaged), PARAMS)


def test_every_bit_of_a_sealed_key_counts(sealed):
    """The checksum is looked at before the passphrase is stretched: this is quick."""
    for i in range(8 * len(sealed)):
        damaged = bytearray(sealed)
        damaged[i // 8] ^= 1 << i % 8
        with pytest.raises((SerializationError, BasisMismatch)):
            secret_key_from_bytes(bytes(damaged), PARAMS, "correct horse")


@pytest.mark.parametrize("field", ["salt", "nonce", "payload", "tag"])
def test_sealed_fields_are_authenticated(sealed, field):
    """Changed on purpose, the checksum put right."""
    damaged = bytearray(sealed[:-32])
    damaged[FIELDS.get(field, len(damaged) - 1)] ^= 1
    with pytest.raises(SerializationError, match="passphrase"):
        secret_key_from_bytes(with_checksum(bytes(damaged)), PARAMS, "correct horse")


def test_every_length_is_refused(data, sealed):
    for whole in (data, sealed):
        for n in range(len(whole)):
            with pytest.raises(SerializationError):
                secret_key_from_bytes(whole[:n], PARAMS, "correct horse")
        for more in (b"\0", whole):
            with pytest.raises(SerializationError, match="needed exactly"):
                secret_key_from_bytes(whole + more, PARAMS, "correct horse")


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ("magic", b"CKKSWIRE", "magic"),
        ("version", bytes([0, 0]), "version 0"),
        ("version", bytes([2, 0]), "version 2"),
        ("flags", bytes([2, 0]), "flags 2"),
        ("flags", bytes([1, 0]), "needed exactly"),
        ("payload", bytes([255]), "outside"),
        ("payload", bytes([0b11]), "outside"),
        ("salt", bytes([1]), "needed zeros"),
        ("nonce", bytes(11) + bytes([128]), "needed zeros"),
    ],
)
def test_fields_with_a_right_checksum(data, field, value, text):
    start = FIELDS[field]
    body = data[:start] + value + data[start + len(value) : -32]
    with pytest.raises(SerializationError, match=text):
        secret_key_from_bytes(with_checksum(body), PARAMS)


def test_an_unsealed_key_has_one_form(secret, data):
    assert secret_key_to_bytes(secret) == data
    params = RLWEParams.insecure(ring_degree=2, levels=((5,),))
    stored = secret_key_to_bytes(SecretKey(params, np.array([1, -1])))
    assert stored[HEADER:-32] == bytes([0b0010])
    for bit in range(4, 8):
        with pytest.raises(SerializationError, match="behind the last coefficient"):
            secret_key_from_bytes(with_checksum(stored[:HEADER] + bytes([0b0010 | 1 << bit])), params)


def test_a_secret_that_is_not_uniform_is_refused():
    params = CKKSParams.preset("S12")
    data = secret_key_to_bytes(KeyGenerator(params, Rng(1)).secret_key())
    all_zero = data[:HEADER] + b"\x55" * 1024  # every coefficient 0
    with pytest.raises(SerializationError, match="far more or fewer zeros"):
        secret_key_from_bytes(with_checksum(all_zero), params)


def test_other_parameters(data, sealed):
    for others in (insecure_pairs(), insecure_small(128), insecure_small(value_range=2.0)):
        for stored in (data, sealed):
            with pytest.raises(BasisMismatch, match="belongs to other parameters"):
                secret_key_from_bytes(stored, others, "correct horse")
    renamed = data[:44] + (128).to_bytes(4, "little") + data[48:-32]
    with pytest.raises(BasisMismatch):
        secret_key_from_bytes(with_checksum(renamed), PARAMS)


def test_wrong_and_missing_passphrases(sealed):
    for wrong in ("", "correct horse "):
        with pytest.raises(SerializationError, match="wrong passphrase"):
            secret_key_from_bytes(sealed, PARAMS, wrong)
    with pytest.raises(SerializationError, match="sealed; give its passphrase"):
        secret_key_from_bytes(sealed, PARAMS)


def test_a_passphrase_for_a_file_that_is_not_sealed(secret):
    """Whoever gives one believes the file to be protected: it is another file."""
    with pytest.raises(SerializationError, match="not sealed, but a passphrase was given"):
        secret_key_from_bytes(secret_key_to_bytes(secret), PARAMS, "correct horse")


@pytest.mark.parametrize("passphrase", [b"bytes", 1234, ["a"]])
def test_passphrases_are_text(secret, sealed, passphrase):
    for act in (
        lambda: secret_key_to_bytes(secret, passphrase),
        lambda: secret_key_from_bytes(sealed, PARAMS, passphrase),
    ):
        with pytest.raises((TypeError, HEError)):
            act()


def test_random_bytes_are_no_key(values):
    for n in (0, 1, 76, 108, 124, 140, 1000):
        with pytest.raises(SerializationError):
            secret_key_from_bytes(values.bytes(n), PARAMS)


# ---- files -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("passphrase", [None, "correct horse"])
def test_files(tmp_path, secret, passphrase):
    path = tmp_path / "key"
    save_secret_key(path, secret, passphrase)
    assert same(load_secret_key(path, PARAMS, passphrase), secret)
    assert same(load_secret_key(str(path), PARAMS, passphrase), secret)
    assert os.listdir(tmp_path) == ["key"]


@pytest.mark.skipif(os.name != "posix", reason="modes of files are POSIX")
@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_only_the_owner_may_read(tmp_path, secret, umask):
    before = os.umask(umask)
    try:
        save_secret_key(tmp_path / "key", secret)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600


@pytest.mark.skipif(os.name != "posix", reason="modes of files are POSIX")
def test_never_readable_by_others_while_it_is_written(tmp_path, secret, monkeypatch):
    """Looked at when its words are on the way to the disk: the mode is right from the first byte."""
    seen = []
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda fd: seen.append(stat.S_IMODE(os.fstat(fd).st_mode)) or real(fd))
    save_secret_key(tmp_path / "key", secret)
    assert seen and set(seen) <= {0o600, 0o700}


def test_an_existing_file_stays(tmp_path, secret):
    path = tmp_path / "key"
    path.write_bytes(b"precious")
    with pytest.raises(FileExistsError, match="never overwritten"):
        save_secret_key(path, secret)
    assert path.read_bytes() == b"precious" and os.listdir(tmp_path) == ["key"]
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(FileExistsError):
        save_secret_key(folder, secret)


def test_a_link_to_nowhere_is_not_followed(tmp_path, secret):
    (tmp_path / "key").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FileExistsError):
        save_secret_key(tmp_path / "key", secret)
    assert not (tmp_path / "elsewhere").exists()


def test_somebody_faster_wins(tmp_path, secret, monkeypatch):
    """The file appears while ours is being written: theirs stays, ours is gone."""
    path = tmp_path / "key"
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda fd: path.write_bytes(b"theirs") and real(fd))
    with pytest.raises(FileExistsError):
        save_secret_key(path, secret)
    assert path.read_bytes() == b"theirs" and os.listdir(tmp_path) == ["key"]


def test_a_failed_write_leaves_nothing(tmp_path, secret, monkeypatch):
    def full(fd: int) -> None:
        raise OSError(28, "no space left")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space"):
        save_secret_key(tmp_path / "key", secret)
    assert os.listdir(tmp_path) == []


def test_a_partial_file_of_a_crash_does_not_matter(tmp_path, secret):
    (tmp_path / "key.partial").write_bytes(b"half")
    save_secret_key(tmp_path / "key", secret)
    assert same(load_secret_key(tmp_path / "key", PARAMS), secret)


def test_two_writers_do_not_share_a_partial_file(tmp_path, monkeypatch):
    """The second starts while the first is at the disk, and is there itself when the first goes on and wins."""
    first, second = (KeyGenerator(PARAMS).secret_key() for _ in range(2))
    path, real = tmp_path / "key", os.fsync
    arrived, go_on = threading.Event(), threading.Event()
    refused: list[OSError] = []

    def late() -> None:
        try:
            save_secret_key(path, second)
        except OSError as error:
            refused.append(error)

    other = threading.Thread(target=late)

    def at_the_disk(fd: int) -> None:
        real(fd)
        if threading.current_thread() is other:
            arrived.set()
            go_on.wait(timeout=30)
        else:
            other.start()
            arrived.wait(timeout=30)

    monkeypatch.setattr(os, "fsync", at_the_disk)
    save_secret_key(path, first)
    go_on.set()
    other.join()
    assert len(refused) == 1
    assert same(load_secret_key(path, PARAMS), first)
    assert os.listdir(tmp_path) == ["key"]


def test_one_of_many_writers_wins(tmp_path):
    """Eight threads save eight keys under one name: one file, whole, and it is the winner's."""
    keys = [KeyGenerator(PARAMS).secret_key() for _ in range(8)]
    won: list[SecretKey] = []
    barrier = threading.Barrier(8)

    def save(key: SecretKey) -> None:
        barrier.wait(timeout=30)
        try:
            save_secret_key(tmp_path / "key", key)
        except OSError:
            return
        won.append(key)

    threads = [threading.Thread(target=save, args=(key,)) for key in keys]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1 and same(load_secret_key(tmp_path / "key", PARAMS), won[0])
    assert os.listdir(tmp_path) == ["key"]


def test_files_that_are_not_there(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_secret_key(tmp_path / "none", PARAMS)


def test_a_damaged_file(tmp_path, data):
    (tmp_path / "key").write_bytes(data[:-1] + b"x")
    with pytest.raises(SerializationError, match="damaged"):
        load_secret_key(tmp_path / "key", PARAMS)
