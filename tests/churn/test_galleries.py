"""Encrypted galleries: what their owner's clients find in them, and what the service refuses about them."""

from __future__ import annotations

import json
import weakref
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import anyio.abc
import httpx
import numpy as np
import pytest
from churn_kit import AppTransport, Service, employees, exchange_of, score

from churn.circuit import LOGIT
from churn.client import Client
from churn.errors import ChurnError, DataError, ModelError
from churn.hosting.limits import Limits, input_lengths
from churn.hosting.mac import Exchange
from churn.hosting.model import Description
from churn.hosting.protocol import GALLERY_HEADER, MAC_HEADER, MODEL_HEADER, digest_of, gallery_digest
from churn.hosting.remote import BadAnswer, RequestRefused, ServiceBusy, UnknownGallery
from churn.hosting.store.filestore import FileStore
from churn.hosting.store.keystore import Quota
from churn.hosting.tenants import mac_key_of
from churn.hosting.work import evaluation
from churn.match.client import KnownIndex, match, same_up_to_ties
from churn.match.keeping import GalleryNote, KnownGallery, _room, upload_gallery
from churn.match.room import EncryptedSimilarity, Room, gallery_parameters, register_room
from churn.match.similarity import QUERY
from churn.match.vectors import unit
from churn.offer import load_models, loader, offer
from ckks import CKKSParams, Encryptor, KeyGenerator
from ckks.circuits.linear.similarity import packed
from ckks.scheme.serialization import seeded_to_bytes, to_bytes

DIMENSION, BLOCK = 6, 32  # numbers of a vector, items of a block


@cache
def insecure_gallery_params(special_bits: int = 44) -> CKKSParams:
    """The chain of a gallery over 16 slots."""
    return CKKSParams.generate(
        ring_degree=32,
        depth=0,
        scale_bits=30,
        base_bits=62,
        special_bits=special_bits,
        digit_size=1,
        security=None,
    )


def room(items: int = 100, dimension: int = DIMENSION, name: str = "room") -> EncryptedSimilarity:
    return EncryptedSimilarity.of(Room(name, 1, items, dimension), params=insecure_gallery_params())


def vectors(count: int, seed: int = 1, dimension: int = DIMENSION) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, dimension)).astype(np.float32)


@pytest.fixture
def service(portal: anyio.abc.BlockingPortal, reference_kernels: None) -> Service:
    """A room, beside a smaller one and a model, for two tenants."""
    models = [room(), room(dimension=3, name="small"), score(LOGIT)]
    return Service(portal, models, tenants={"a": "local", "b": "other"})


def blocks_stored(service: Service, tenant: str = "a") -> int:
    return service.store.usage(service.tenants[tenant].account, blocks=True).objects


# ---- what is found -----------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 32, 33, 100])
def test_matches_are_those_in_the_clear(service: Service, count: int) -> None:
    x, queries, sent = vectors(count), vectors(3, 7), []
    with Client(service.remote()) as client:
        gallery = upload_gallery(client, "candidates", 3 * x, progress=lambda *told: sent.append(told))
        found = match(client, gallery, 5 * queries, 4)
        again = match(client, KnownGallery.of(client, "candidates", gallery.gallery), queries[:1], 4)
    exact = unit(queries) @ unit(x).T
    assert np.abs(found.similarities - exact).max() <= found.error < 2**-14
    assert found.similarities.shape == (3, count) and found.items.shape == (3, min(4, count))
    assert (again.items == found.items[:1]).all() and gallery.dimension == DIMENSION
    assert all(same_up_to_ties(items, row, found.error) for items, row in zip(found.items, exact, strict=True))
    assert sent == [(min(k, count), count) for k in range(BLOCK, count + BLOCK, BLOCK)]
    assert found.usage.bytes_gallery == 0 < client.usage.bytes_gallery
    lengths = input_lengths(insecure_gallery_params(), room().gallery)
    assert {client.usage.bytes_gallery // -(-count // BLOCK)} == lengths, "with seeds, and not in full"


def test_under_the_parameters_that_are_hosted(portal: anyio.abc.BlockingPortal) -> None:
    """Two blocks of 4096, the vectors themselves among the queries."""
    hosted, x = EncryptedSimilarity.of(Room("room", 1, 5000, 3)), vectors(5000, dimension=3)
    with Client(Service(portal, [hosted]).remote()) as client:
        found = match(client, upload_gallery(client, "all", x), x[:2], 5)
    assert hosted.output.items == 2 and hosted.params.security == 128
    assert np.abs(found.similarities - unit(x[:2]) @ unit(x).T).max() <= found.error < 2e-5


FOUR_BLOCKS = 4 * (2 * DIMENSION * 2 * 32 * 8)
"""Bytes in memory: of each feature two polynomials, of two limbs."""


def test_blocks_that_fit_are_read_once(
    portal: anyio.abc.BlockingPortal, reference_kernels: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twice the same answer, and of blocks that were there before none is read again; a deleted gallery stays deleted."""
    service = Service(portal, [room()], limits=Limits(resident_blocks=FOUR_BLOCKS))
    real, read = evaluation._block, []
    monkeypatch.setattr(evaluation, "_block", lambda *given: (read.append(given[0].name), real(*given))[1])
    with Client(service.remote()) as client:
        gallery = upload_gallery(client, "g", vectors(100))
        read.clear()
        first, again = (match(client, gallery, vectors(2, 7)).similarities for _ in range(2))
        assert len(read) == len(set(read)) == 4 and np.abs(first - again).max() < 1e-4
        other = upload_gallery(client, "h", vectors(40, 3))
        read.clear()
        found = match(client, other, vectors(2, 7))
        assert len(read) == 2 and np.abs(found.similarities - unit(vectors(2, 7)) @ unit(vectors(40, 3)).T).max() < 1e-4
        match(client, gallery, vectors(1))
        assert len(read) > 2, "there was no room for both"
        client.remote.delete_gallery("g")
        with pytest.raises(RequestRefused, match="no such gallery"):
            match(client, gallery, vectors(1))


def test_one_block_is_in_memory_at_a_time(
    portal: anyio.abc.BlockingPortal, reference_kernels: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a gallery that is larger than what is kept ready, by a word."""
    service = Service(portal, [room()], limits=Limits(resident_blocks=FOUR_BLOCKS - 8))
    real, seen, alive = evaluation._block, [], []

    def block(*arguments: object) -> object:
        alive.append(sum(ref() is not None for ref in seen))
        made = real(*arguments)  # type: ignore[arg-type]
        seen.append(weakref.ref(made.words.base if made.words.base is not None else made.words))
        return made

    with Client(service.remote()) as client:
        gallery = upload_gallery(client, "g", vectors(100))
        monkeypatch.setattr(evaluation, "_block", block)
        match(client, gallery, vectors(1))
    assert alive == [0, 0, 0, 0]


def test_a_gallery_belongs_to_its_key(service: Service, tmp_path: Path) -> None:
    """A colleague with the key asks; whoever has another finds nothing that could be an answer."""
    x, key = vectors(40), tmp_path / "my.key"
    with Client(service.remote(), key_file=key) as owner:
        gallery = upload_gallery(owner, "g", x)
        GalleryNote("g", gallery.gallery).save(tmp_path / "folder")
    note = GalleryNote.load(tmp_path / "folder")
    with Client(service.remote(), key_file=key) as colleague:
        found = match(colleague, KnownGallery.of(colleague, note.name, note.digest), x[:3], 1)
    assert found.items[:, 0].tolist() == [0, 1, 2]
    with (
        Client(service.remote(), key_file=tmp_path / "other.key") as stranger,
        pytest.raises(BadAnswer, match="Check the key file"),
    ):
        match(stranger, KnownGallery.of(stranger, "g"), x[:1])
    for text in ("{", "[]", '{"format": "gallery/1", "name": "g"}', '{"format": "x", "name": "g", "digest": "d"}'):
        (tmp_path / "folder" / "gallery.json").write_text(text)
        with pytest.raises(DataError, match=r"gallery\.json"):
            GalleryNote.load(tmp_path / "folder")


def test_it_survives_a_restart(portal: anyio.abc.BlockingPortal, reference_kernels: None, tmp_path: Path) -> None:
    x, key = vectors(70), tmp_path / "my.key"
    for turn in range(3):
        store = FileStore(tmp_path / "store")
        with Client(Service(portal, [room()], store=store).remote(), key_file=key) as client:
            known = KnownGallery.of(client, "g") if turn else upload_gallery(client, "g", x)
            assert match(client, known, x[5:6], 1).items[0, 0] == 5
        store.close()
        (tmp_path / "store" / "uploads" / "half").write_bytes(b"of a block")  # as a killed service leaves it


def test_a_gallery_ends_with_a_key_that_is_kept_nowhere(service: Service, tmp_path: Path) -> None:
    with Client(service.remote()) as client:
        upload_gallery(client, "passing", vectors(40))
        assert blocks_stored(service) == 2
    assert blocks_stored(service) == 0 and service.stored("a") == 0
    with Client(service.remote(), key_file=tmp_path / "my.key") as client:
        upload_gallery(client, "staying", vectors(40))
    assert blocks_stored(service) == 2


def test_it_is_replaced_and_deleted_as_a_whole(service: Service) -> None:
    with Client(service.remote()) as client:
        first = upload_gallery(client, "g", vectors(100))
        upload_gallery(client, "other", vectors(5))
        assert blocks_stored(service) == 5
        second = upload_gallery(client, "g", vectors(40, 2))
        assert blocks_stored(service) == 3, "the blocks of the first are gone"
        with pytest.raises(UnknownGallery, match="replaced"):
            KnownGallery.of(client, "g", first.gallery)
        with pytest.raises(RequestRefused, match="no such gallery"):
            match(client, first, vectors(1))
        assert match(client, second, vectors(40, 2)[7:8], 1).items[0, 0] == 7
        listed = client.remote.galleries()
        assert [(one["name"], one["items"], one["blocks"], one["model"]) for one in listed] == [
            ("g", 40, 2, "room@1"),
            ("other", 5, 1, "room@1"),
        ]
        client.remote.delete_gallery("g")
        assert blocks_stored(service) == 1
        with pytest.raises(UnknownGallery, match="yours are other"):
            KnownGallery.of(client, "g")
        for refused in (client.remote.delete_gallery, client.remote.delete_block):
            with pytest.raises(RequestRefused):
                refused("g" if refused == client.remote.delete_gallery else "0" * 64)


def test_a_gallery_that_lacks_a_block_is_none(service: Service) -> None:
    with Client(service.remote()) as client:
        gallery = upload_gallery(client, "g", vectors(100))
        client.remote.delete_block(gallery.stored.blocks[1])
        assert client.remote.galleries() == []
        with pytest.raises(RequestRefused, match="no such gallery"):
            match(client, gallery, vectors(1))
        with pytest.raises(UnknownGallery):
            KnownGallery.of(client, "g")
        service.store.sweep()
        rows = service.store.database
        with rows.reading() as connection:
            assert connection.execute("SELECT COUNT(*) FROM gallery_blocks").fetchone() == (0,)


def test_a_block_that_goes_while_it_is_asked_for(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the service's look and the worker's."""
    real = evaluation._block

    def late(file: object, *rest: object) -> object:
        Path(file.path).unlink()  # type: ignore[attr-defined]
        return real(file, *rest)  # type: ignore[arg-type]

    with Client(service.remote()) as client:
        gallery = upload_gallery(client, "g", vectors(3))
        monkeypatch.setattr(evaluation, "_block", late)
        with pytest.raises(RequestRefused, match="deleted meanwhile"):
            match(client, gallery, vectors(1))


# ---- what breaks off ---------------------------------------------------------------------------------


class Breaking(AppTransport):
    """Fails at the n-th request of a method and path."""

    def __init__(self, service: Service, method: str, path: str, after: int) -> None:
        super().__init__(service.portal, service.app)
        self._method, self._path, self._after = method, path, after

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if request.method == self._method and request.url.path.startswith(self._path):
            self._after -= 1
            if self._after == -1:
                raise httpx.ReadError("broke")
        return super().handle_request(request)


@pytest.mark.parametrize(("path", "after", "left"), [("/v1/blocks", 2, 0), ("/v1/galleries", 0, 4)])
def test_an_upload_that_breaks_off_is_no_gallery(service: Service, path: str, after: int, left: int) -> None:
    """Blocks are taken back; if nobody knows whether the list arrived, they go with time."""
    with Client(service.remote(Breaking(service, "PUT", path, after))) as client:
        with pytest.raises(ChurnError, match="broke"):
            upload_gallery(client, "g", vectors(100))
        assert client.remote.galleries() == [] and blocks_stored(service) == left
        with pytest.raises(DataError, match="vector 98"):
            upload_gallery(client, "g", np.where(np.arange(100)[:, None] == 98, 0, vectors(100)))
        assert blocks_stored(service) == left


def test_quotas(portal: anyio.abc.BlockingPortal, reference_kernels: None) -> None:
    (length,) = input_lengths(insecure_gallery_params(), room().gallery)
    for quota, words in (
        (Quota(blocks=2), "2 blocks of galleries"),
        (Quota(block_bytes=3 * length - 1), f"{3 * length - 1} bytes"),
        (Quota(galleries=1), "1 are allowed"),
    ):
        service = Service(portal, [room()])
        service.store._quota = quota
        with Client(service.remote()) as client:
            kept = upload_gallery(client, "g", vectors(40))
            with pytest.raises(ServiceBusy, match=words):
                upload_gallery(client, "more", vectors(33))
            assert match(client, kept, vectors(1)).items.shape == (1, 10), "keys have a quota of their own"
            assert blocks_stored(service, "local") == 2
            if quota.galleries == 1:
                upload_gallery(client, "g", vectors(33))


def test_a_room_too_large_for_the_limits_is_not_hosted(portal: anyio.abc.BlockingPortal) -> None:
    (length,) = input_lengths(insecure_gallery_params(), room().gallery)
    with pytest.raises(ModelError, match="blocks"):
        Service(portal, [room()], limits=Limits(body=length - 1))
    Service(portal, [room()], limits=Limits(body=length + 10_000))


# ---- what the service refuses ------------------------------------------------------------------------


class Party:
    """One tenant's key, and blocks that no honest client sends."""

    def __init__(self, params: CKKSParams = insecure_gallery_params()) -> None:
        self.params = params
        self.secret = KeyGenerator(params).secret_key()
        self.encryptor = Encryptor(params, self.secret)

    def block(self, dimension: int = DIMENSION, **encoding: object) -> bytes:
        values = packed(unit(vectors(9, 3, dimension)), self.params.slots)[:, 0]
        return seeded_to_bytes(*self.encryptor.encrypt_seeded(values, bound=1.5, **encoding))

    def full(self) -> bytes:
        return to_bytes(self.encryptor.encrypt(packed(unit(vectors(9)), self.params.slots)[:, 0], bound=1.5))


def put(http: httpx.Client, data: bytes, model: str, *, named: str = "", **headers: str) -> httpx.Response:
    path = f"/v1/blocks/{named or digest_of(data)}"
    return http.put(path, content=data, headers={MODEL_HEADER: model, **headers})


def damaged(data: bytes, place: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


Bad = Callable[[Party], bytes]
BAD_BLOCKS: dict[str, tuple[Bad, int]] = {
    "nothing": (lambda party: b"", 422),
    "noise": (lambda party: bytes(len(party.block())), 422),
    "cut short": (lambda party: party.block()[:-1], 422),
    "too long": (lambda party: party.block() + b"\0", 413),
    "of another dimension": (lambda party: party.block(DIMENSION - 1), 422),
    "in full": (lambda party: party.full(), 413),
    "a bit of the words": (lambda party: damaged(party.block(), 400), 422),
    "a bit of the checksum": (lambda party: damaged(party.block(), -1 + len(party.block())), 422),
    "a bit of the header": (lambda party: damaged(party.block(), 45), 422),
    "of another scale": (lambda party: party.block(scale=2.0**29), 422),
    "with fewer slots": (
        lambda party: seeded_to_bytes(*party.encryptor.encrypt_seeded(vectors(DIMENSION, 1, 8), slots=8, bound=9.0)),
        422,
    ),
    "of other parameters": (lambda party: Party(insecure_gallery_params(43)).block(), 422),
    "a public key": (lambda party: to_bytes(KeyGenerator(party.params).public_key(party.secret)), 422),
}


@pytest.mark.parametrize("what", BAD_BLOCKS)
def test_bad_blocks_are_refused_before_anything_is_kept(service: Service, what: str) -> None:
    make, status = BAD_BLOCKS[what]
    data, good = make(Party()), Party().block()
    with service.http() as http:
        answer = put(http, data, room().digest)
        assert answer.status_code == status and answer.json()["detail"], answer.text
        assert blocks_stored(service) == 0 and not list((service.store._folder / "uploads").iterdir())
        assert http.head(f"/v1/blocks/{digest_of(data)}").status_code == 404
        assert put(http, good, room().digest).status_code == 201
        assert put(http, good, room().digest).status_code == 200
        assert http.head(f"/v1/blocks/{digest_of(good)}").status_code == 204


def test_other_bad_uploads(service: Service) -> None:
    data, model = Party().block(), room().digest
    with service.http() as http:
        for answer, status in (
            (put(http, data, model, named="0" * 64), 422),
            (put(http, data, model, named="x"), 422),
            (put(http, data, "0" * 64), 409),
            (put(http, data, score(LOGIT).digest), 409),
            (put(http, data, room(dimension=3, name="small").digest), 413),
            (http.put(f"/v1/blocks/{digest_of(data)}", content=data), 409),
            (put(http, data, model, **{"Content-Length": "x"}), 400),
            (http.get(f"/v1/blocks/{digest_of(data)}"), 405),
        ):
            assert answer.status_code == status, answer.text
    headers = {"Authorization": "Bearer local", MODEL_HEADER: model}
    assert service.raw("PUT", f"/v1/blocks/{digest_of(data)}", headers, iter([data]))[::2] == (411, 0)
    assert service.raw("PUT", "/v1/galleries/g", headers, iter([data]))[::2] == (411, 0)
    too_long = {**headers, "Content-Length": str(10**9)}
    assert service.raw("PUT", "/v1/galleries/g", too_long, iter([data]))[::2] == (413, 0)
    with service.http(None) as nobody:
        assert put(nobody, data, model).status_code == 401
        for method, path in (
            ("GET", "galleries"),
            ("GET", "galleries/g"),
            ("PUT", "galleries/g"),
            ("DELETE", "blocks/0"),
        ):
            assert nobody.request(method, f"/v1/{path}").status_code == 401
    assert blocks_stored(service) == 0


def test_bad_lists_make_no_gallery(service: Service) -> None:
    party, model = Party(), room().digest
    with service.http() as http:
        blocks = []
        for data in (party.block(), party.block()):
            assert put(http, data, model).status_code == 201
            blocks.append(digest_of(data))
        key = to_bytes(KeyGenerator(party.params).evaluation_keys(party.secret))
        stated = {"CKKS-Parameters": party.params.digest.hex()}
        assert http.put(f"/v1/keys/{digest_of(key)}", content=key, headers=stated).status_code == 201

        def refused(status: int, name: str = "g", data: object = None, **changes: object) -> None:
            value = {"model": model, "items": 40, "blocks": blocks, **changes} if data is None else data
            body = value if isinstance(value, bytes) else json.dumps(value).encode()
            answer = http.put(f"/v1/galleries/{name}", content=body)
            assert answer.status_code == status and answer.json()["detail"], answer.text

        for data in (b"{", b"[" * 100_000, b"\xff", b"[]", b"1", {"model": model, "items": 40}, {}):
            refused(413 if len(data) > 1344 else 422, data=data)
        refused(422, data={"model": model, "items": 40, "blocks": blocks, "more": 1})
        for items in (0, -1, 2**31 + 1, 1.5, "40", True, None):
            refused(422, items=items)
        for some in ([], "ab", [1], ["x"], [blocks[0]] * 2, [*blocks, "0" * 64, "1" * 64, "2" * 64], None, {}):
            refused(422, blocks=some)
        for foreign in ("0" * 64, digest_of(key)):
            refused(404, blocks=[blocks[0], foreign])
        for other in ("0" * 64, score(LOGIT).digest, 5, None, [model]):
            refused(409, model=other)
        for name in ("G", ".g", "a" * 65, "%20", "a%0a"):
            refused(422, name=name)
        assert http.get("/v1/galleries").json() == {"galleries": []}
        assert http.delete(f"/v1/blocks/{digest_of(key)}").status_code == 404, "a key is no block"
        assert http.delete(f"/v1/keys/{blocks[0]}").status_code == 404, "nor a block a key"
        assert http.head(f"/v1/keys/{blocks[0]}").status_code == 404
        body = json.dumps({"model": model, "items": 40, "blocks": blocks})
        made = http.put("/v1/galleries/g", content=body)
        assert made.status_code == 201 and made.json()["digest"] == gallery_digest(model, 40, blocks)


def test_blocks_of_another_room_make_no_answer(service: Service) -> None:
    """A list for one room of blocks that were checked for the other: the worker looks again."""
    party, small = Party(), room(dimension=3, name="small").digest
    data = party.block()
    with service.http() as http, Client(service.remote()) as client:
        assert put(http, data, room().digest).status_code == 201
        description = client.remote.describe("small")
        stored = client.remote.put_gallery("g", description, 9, [digest_of(data)])
        assert stored.model_digest == small
        with pytest.raises(RequestRefused, match="of this layout"):
            match(client, KnownGallery.of(client, "g"), vectors(1, dimension=3))
        with pytest.raises(RequestRefused, match="no such gallery"):  # and a gallery is asked by its own room alone
            match(client, replace(upload_gallery(client, "h", vectors(2)), stored=stored), vectors(1))


def test_blocks_of_other_parameters_are_the_lists_fault(
    portal: anyio.abc.BlockingPortal, reference_kernels: None
) -> None:
    """Refused, and no failure of the service."""
    narrow = EncryptedSimilarity.of(Room("narrow", 1, 100, DIMENSION), params=insecure_gallery_params(43))
    service, data = Service(portal, [room(), narrow], tenants={"a": "local"}), Party().block()
    with service.http() as http, Client(service.remote()) as client:
        assert put(http, data, room().digest).status_code == 201
        client.remote.put_gallery("g", client.remote.describe("narrow"), 9, [digest_of(data)])
        with pytest.raises(RequestRefused, match="not of this model's parameters") as refused:
            match(client, KnownGallery.of(client, "g"), vectors(1))
        assert refused.value.status == 422


def test_what_another_tenant_has_does_not_exist(service: Service) -> None:
    party, model = Party(), room().digest
    data = party.block()
    with service.http() as mine, service.http("other") as theirs, Client(service.remote()) as client:
        known = upload_gallery(client, "g", vectors(3))
        assert put(mine, data, model).status_code == 201
        requests = [
            lambda named, name: theirs.head(f"/v1/blocks/{named}"),
            lambda named, name: theirs.delete(f"/v1/blocks/{named}"),
            lambda named, name: theirs.get(f"/v1/galleries/{name}"),
            lambda named, name: theirs.delete(f"/v1/galleries/{name}"),
            lambda named, name: theirs.put(
                "/v1/galleries/x", content=json.dumps({"model": model, "items": 3, "blocks": [named]})
            ),
        ]
        for ask in requests:
            ours, nobody = ask(digest_of(data), "g"), ask("0" * 64, "none")
            assert (ours.status_code, ours.content) == (nobody.status_code, nobody.content) and ours.status_code == 404
        assert theirs.get("/v1/galleries").json() == {"galleries": []}
        with Client(service.remote(token="other")) as other:
            with pytest.raises(RequestRefused) as foreign:
                match(other, known, vectors(1))
            stored = replace(known.stored, digest="0" * 64)
            with pytest.raises(RequestRefused) as unknown:
                match(other, replace(known, stored=stored), vectors(1))
            assert str(foreign.value) == str(unknown.value)
            upload_gallery(other, "g", vectors(50))
            assert blocks_stored(service, "b") == 2 and blocks_stored(service) == 2
        assert match(client, known, vectors(1), 1).items.shape == (1, 1), "nothing was deleted"


def test_an_evaluation_names_a_gallery(service: Service) -> None:
    class Without(AppTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            if GALLERY_HEADER in request.headers:
                request.headers[GALLERY_HEADER] = self.named
            return super().handle_request(request)

    transport = Without(service.portal, service.app)
    with Client(service.remote(transport)) as client:
        known = upload_gallery(client, "g", vectors(3))
        for transport.named in ("", "x", known.gallery.upper()):
            with pytest.raises(RequestRefused, match="compares with a gallery"):
                match(client, known, vectors(1))


def test_an_answer_from_another_gallery_is_refused(service: Service) -> None:
    """Authenticated by the service, of the same room, model, keys and query; made with other vectors."""
    parts: list[Exchange] = []

    class Swapping(AppTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            if GALLERY_HEADER not in request.headers:
                return super().handle_request(request)
            sent = request.headers[GALLERY_HEADER]
            request.headers[GALLERY_HEADER] = other.gallery
            response = super().handle_request(request)
            exchange = exchange_of(request, response.headers)
            data = response.read()
            assert exchange.verifies(mac_key_of("local"), data, response.headers[MAC_HEADER])
            parts.append(exchange)
            request.headers[GALLERY_HEADER] = sent
            return httpx.Response(200, headers=response.headers, stream=httpx.ByteStream(data))

    with Client(service.remote(Swapping(service.portal, service.app))) as client:
        known, other = upload_gallery(client, "g", vectors(3)), upload_gallery(client, "h", vectors(3, 2))
        with pytest.raises(BadAnswer, match="not made for this request"):
            match(client, known, vectors(1))
        assert len(parts) == 1 and match(client, other, vectors(1)).items.shape == (1, 3)


# ---- what the client refuses -------------------------------------------------------------------------


def test_what_cannot_be_uploaded(service: Service) -> None:
    good = vectors(4)
    with Client(service.remote()) as client:
        for bad, words in (
            (good[0], "shape"),
            (good[:0], "shape"),
            (vectors(101), "up to 100"),
            (good.astype(complex), "complex"),
            (good[:, :-1], "5 numbers"),
            (np.where(np.arange(4)[:, None] == 2, np.nan, good), "vector 2"),
            (np.where(np.arange(4)[:, None] == 1, 0.0, good), "vector 1"),
        ):
            with pytest.raises(DataError, match=words):
                upload_gallery(client, "g", bad)
        for name in ("", "G", "../g", "a b", "a" * 65):
            with pytest.raises(DataError, match="name"):
                upload_gallery(client, name, good)
        with pytest.raises(ModelError, match="no room"):
            upload_gallery(client, "g", good, room="toy")
        with pytest.raises(ModelError, match="room for galleries"):
            match(client, "room", good)
        with pytest.raises(ModelError, match="similarity"):
            client.score("room", employees(3))
        known = upload_gallery(client, "g", good)
        with pytest.raises(DataError, match="gallery 'g'"):
            match(client, known, good[:, :-1])
        with pytest.raises(DataError, match="all zeros"):
            match(client, known, 0 * good)
        with pytest.raises(UnknownGallery, match="nearest known name: 'g'"):
            KnownGallery.of(client, "G")
        assert blocks_stored(service) == 1


def test_descriptions_that_cannot_be_believed(service: Service) -> None:
    """Of a gallery: each part changed by the service."""
    changes: dict[str, object] = {}

    class Lying(AppTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            response = super().handle_request(request)
            if request.method == "GET" and request.url.path == "/v1/galleries/g" and response.is_success:
                value = {**json.loads(response.read()), **changes}
                if "digest" not in changes:
                    value["digest"] = gallery_digest(value["model_digest"], value["items"], map(str, value["blocks"]))
                body = json.dumps({k: v for k, v in value.items() if v != "left out"}).encode()
                return httpx.Response(200, stream=httpx.ByteStream(body))
            return response

    with Client(service.remote(Lying(service.portal, service.app))) as client:
        upload_gallery(client, "g", vectors(40))
        KnownGallery.of(client, "g")
        for lie in (
            {"digest": "0" * 64},
            {"items": 5},
            {"items": 65},
            {"blocks": []},
            {"blocks": ["0" * 64]},
            {"name": "h"},
            {"model": None},
            {"model": "small@1"},
            {"model": "toy@1"},
            {"model_digest": "0" * 64},
            {"model": "left out"},
            {"items": -1},
            {"items": "40"},
        ):
            changes.clear()
            changes.update(lie)
            with pytest.raises(ChurnError):
                KnownGallery.of(client, "g")


def test_rooms_that_cannot_be_believed(reference_kernels: None) -> None:
    good = Description.of(room())
    text = json.dumps(good.to_dict())
    assert Description.from_dict(json.loads(text), allow_insecure=True).gallery == room().gallery
    with pytest.raises(ModelError, match="room for galleries"):
        KnownIndex.of(good)
    output = good.output
    for bad in (
        replace(good, output=replace(output, items=3)),
        replace(good, output=replace(output, error=0.5)),
        replace(good, output=replace(output, high=9.0)),
        replace(good, output=replace(output, kind="logit")),
        replace(good, about={**good.about, "dimension": 2000}),
        replace(good, about={"items": 100}),
        replace(good, gallery=None),
    ):
        with pytest.raises(ModelError):
            _room(bad)


# ---- a room ------------------------------------------------------------------------------------------


def test_a_room_is_registered_and_found_beside_others(tmp_path: Path) -> None:
    load = loader(tmp_path)
    assert register_room(tmp_path / "room.json", 10, 4, load).reference == "room@1"
    assert register_room(tmp_path / "room.json", 10, 4, load).reference == "room@1"
    assert register_room(tmp_path / "room.json", 20, 4, load).path.name == "room@2.json"
    assert sorted(one.version for one in load_models(tmp_path)) == [1, 2]
    hosted = offer(tmp_path)
    assert {one.about()["items"] for one in hosted} == {10, 20} and len({one.digest for one in hosted}) == 2
    for path, items, dimension in (
        ("room.npy", 5, 5),
        ("No Room.json", 5, 5),
        ("more.json", 0, 5),
        ("more.json", 10**6 + 1, 5),
        ("more.json", 5, 0),
        ("more.json", 5, 1025),
    ):
        with pytest.raises(ModelError):
            register_room(tmp_path / path, items, dimension, load)
    value = Room("room", 1, 10, 4).to_dict()
    assert Room.from_dict(value) == Room("room", 1, 10, 4)
    for part, changed in (("format", "x"), ("items", True), ("dimension", "4"), ("name", 3), ("version", 0)):
        with pytest.raises(ModelError):
            Room.from_dict({**value, part: changed})


def test_the_parameters_are_secure_and_as_small_as_they_are_said_to_be() -> None:
    params = gallery_parameters()
    assert params.security == 128 and params.ring_degree == 2**12 and params.log2_qp <= 106
    hosted = EncryptedSimilarity.of(Room("room", 1, 10**6, 384))
    (length,) = input_lengths(params, hosted.gallery)
    assert length - 2976 * 4096 < 1000 and hosted.output.error < 1e-4
    layout = hosted.layouts[QUERY]
    assert layout.relinearisation and not layout.rotations and hosted.flooding is None
