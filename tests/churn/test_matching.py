"""Matching: files of vectors, embeddings, an index hosted beside models, and what its client finds and refuses."""

from __future__ import annotations

import io
import json
import math
import re
from dataclasses import replace
from functools import cache
from pathlib import Path

import anyio.abc
import numpy as np
import pytest
from churn_kit import Service, employees, insecure_flooded, linear_model

from churn.circuit import LOGIT, Score
from churn.client import Client
from churn.errors import ChurnError, DataError, ModelError
from churn.hosting.limits import Limits
from churn.hosting.model import Description
from churn.hosting.remote import BadAnswer, RequestRefused
from churn.hosting.work import evaluation
from churn.hosting.work.rehearsal import OwnNumbers, input_noise
from churn.match.client import KnownIndex, _similarities, best, match, same_up_to_ties
from churn.match.embedding import Embedding, fit_embedding
from churn.match.index import VectorIndex, register_index
from churn.match.similarity import QUERY, QUERY_SCALE, Similarity, index_parameters
from churn.match.texts import Text, make_resumes, make_vacancies, read_texts
from churn.match.vectors import read_vectors, unit, write_vectors
from churn.offer import load_models, loader, offer
from churn.versions import add_version
from ckks import CKKSParams, Encryptor, Evaluator, KeyGenerator
from ckks.circuits.linear.similarity import repeated, rotation_steps

DIMENSION = 6


@cache
def insecure_similarity_params() -> CKKSParams:
    """The chain of an index over 16 slots: 11 rows of 6 numbers, so 22 items in a block."""
    return CKKSParams.generate(
        ring_degree=32,
        depth=1,
        scale_bits=48,
        base_bits=50,
        num_special=2,
        special_bits=50,
        digit_size=2,
        security=None,
    )


def vectors(count: int, seed: int = 1, dimension: int = DIMENSION) -> np.ndarray:
    return unit(np.random.default_rng(seed).normal(size=(count, dimension))).astype(np.float32)


def index_of(folder: Path, count: int, seed: int = 1) -> VectorIndex:
    """Vectors in a file, and the index over them."""
    path = folder / f"vacancies@1-{count}-{seed}.npy"
    write_vectors(path, vectors(count, seed))
    return VectorIndex("vacancies", 1, read_vectors(path), path, "0" * 64, salt="1" * 64)


def similarity(folder: Path, count: int, seed: int = 1, *, flooded: bool = True, queries: int = 1024) -> Similarity:
    return Similarity.of(
        index_of(folder, count, seed), flooded=flooded, queries=queries, params=insecure_similarity_params()
    )


# ---- files of vectors --------------------------------------------------------------------------------


def npy(array: object, **options: object) -> bytes:
    file = io.BytesIO()
    np.save(file, array, **options)  # type: ignore[arg-type]
    return file.getvalue()


@pytest.mark.parametrize("kind", ["<f4", "<f8"])
def test_files_of_other_tools_are_read(tmp_path: Path, kind: str) -> None:
    table = np.arange(12, dtype=kind).reshape(3, 4)
    (tmp_path / "a.npy").write_bytes(npy(table))
    found = read_vectors(tmp_path / "a.npy")
    assert found.dtype == kind and (found == table).all() and not found.flags.writeable
    write_vectors(tmp_path / "b.npy", table)
    assert (tmp_path / "b.npy").read_bytes() == npy(table.astype("<f4"))


class Evil:
    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (Path("was-executed"),)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x93NUMPY",
        npy(np.zeros((2, 3)))[:-1],
        npy(np.zeros((2, 3))) + b"\0",
        npy(np.zeros(3)),
        npy(np.zeros((2, 3, 4))),
        npy(np.zeros((0, 3))),
        npy(np.zeros((2, 3), order="F")),
        npy(np.zeros((2, 3), np.int64)),
        npy(np.zeros((2, 3), ">f4")),
        npy(np.array([[Evil()]]), allow_pickle=True),
        npy(np.zeros((2, 3))).replace(b"NUMPY\x01", b"NUMPY\x02"),
        npy(np.zeros((2, 3))).replace(b"(2, 3)", b"(3, 2+"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.npy").write_bytes(data)
    with pytest.raises(DataError, match=r"a\.npy is no \.npy file"):
        read_vectors("a.npy")
    assert not Path("was-executed").exists()
    with pytest.raises(DataError, match="cannot be read"):
        read_vectors("none.npy")


# ---- an index ----------------------------------------------------------------------------------------


def test_an_index_is_registered_and_found_beside_a_model(tmp_path: Path) -> None:
    load = loader(tmp_path)
    record = register_index(tmp_path / "vacancies.json", vectors(5), load, embedding="a" * 64)
    add_version(linear_model(), tmp_path / "toy.json")
    model, index = load_models(tmp_path)
    assert isinstance(index, VectorIndex) and record.reference == "vacancies@1" and model.name == "toy"
    assert (index.vectors == vectors(5)).all() and index.embedding == "a" * 64
    assert index.path.name == "vacancies@1.npy" and [one.name for one in offer(tmp_path)] == ["toy", "vacancies"]
    again = register_index(tmp_path / "vacancies.json", vectors(5), load, embedding="a" * 64)
    assert again.reference == "vacancies@1" and len(list(tmp_path.glob("*.npy"))) == 1
    other = register_index(tmp_path / "vacancies.json", vectors(5, 2), load)
    assert other.reference == "vacancies@2" and other.path.name == "vacancies@2.json"
    assert [index.version for index in load_models(tmp_path) if index.name == "vacancies"] == [1, 2]
    assert add_version(linear_model(), tmp_path / "toy.json").reference == "toy@1", "models are added as before"


def test_vectors_that_cannot_be_hosted(tmp_path: Path) -> None:
    load, good = loader(tmp_path), vectors(3)
    bad = [good * 1.01, np.where(good == good[1, 1], np.nan, good), np.zeros((1, 1025)), np.zeros((0, 3)), good[0]]
    for one in bad:
        with pytest.raises(ChurnError):
            register_index(tmp_path / "vacancies.json", one, load)
    for path in (tmp_path / "No Name.json", tmp_path / "vacancies.npy"):
        with pytest.raises(ModelError):
            register_index(path, good, load)
    assert not list(tmp_path.glob("*.json")) and not list(tmp_path.glob("*.npy")), "nothing is left over"


def test_an_index_that_was_changed_is_refused(tmp_path: Path) -> None:
    register_index(tmp_path / "vacancies.json", vectors(4), loader(tmp_path))
    file, data = tmp_path / "vacancies@1.npy", tmp_path / "vacancies.json"
    value = json.loads(data.read_text())
    for name in (f"../{tmp_path.name}/{file.name}", str(file)):
        with pytest.raises(ModelError, match="beside"):
            VectorIndex.from_dict({**value, "vectors": name}, tmp_path)
    for part, changed in (
        ("vectors", "none.npy"),
        ("items", 5),
        ("dimension", 3),
        ("sha256", "0" * 64),
        ("salt", "00"),
        ("embedding", "x"),
        ("version", 0),
        ("format", "vector-index/2"),
    ):
        with pytest.raises(ChurnError):
            VectorIndex.from_dict({**value, part: changed}, tmp_path)
    file.chmod(0o600)
    write_vectors(file, vectors(4, 9))
    with pytest.raises(ModelError, match=r"vacancies@1\.npy has 4 vectors of 6 numbers"):
        load_models(tmp_path)


# ---- hosted ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("flooded", [True, False])
@pytest.mark.parametrize("count", [1, 22, 23, 60])
def test_matches_are_those_in_the_clear(
    tmp_path: Path, portal: anyio.abc.BlockingPortal, reference_kernels: None, count: int, flooded: bool
) -> None:
    hosted = similarity(tmp_path, count, flooded=flooded)
    queries, seen = vectors(3, 7), []
    with Client(Service(portal, [hosted]).remote()) as client:
        found = match(client, "vacancies", 5 * queries, 4, progress=lambda done, total: seen.append((done, total)))
    exact = hosted.in_the_clear(unit(queries))
    assert hosted.output.items == -(-count // 22) and found.similarities.shape == (3, count)
    assert np.abs(found.similarities - exact).max() <= found.error == hosted.output.error < 2**-12
    assert found.items.shape == found.scores.shape == (3, min(4, count)) and seen == [(1, 3), (2, 3), (3, 3)]
    assert (np.diff(found.scores) <= 0).all()
    assert all(same_up_to_ties(items, row, found.error) for items, row in zip(found.items, exact, strict=True))
    assert (np.take_along_axis(found.similarities, found.items, 1) == found.scores).all()


def test_vectors_as_long_as_single_precision_makes_them(
    tmp_path: Path, portal: anyio.abc.BlockingPortal, reference_kernels: None
) -> None:
    """A few millionths beyond 1, and the best match is the vector itself."""
    long = 1.000004 * unit(vectors(22))
    write_vectors(tmp_path / "long.npy", long)
    index = replace(index_of(tmp_path, 22), vectors=read_vectors(tmp_path / "long.npy"))
    hosted = Similarity.of(index, params=insecure_similarity_params())
    with Client(Service(portal, [hosted]).remote()) as client:
        found = match(client, "vacancies", long[:4], 1)
    assert found.items[:, 0].tolist() == [0, 1, 2, 3]
    with pytest.raises(ModelError, match="vector 3"):
        replace(index, vectors=np.where(np.arange(22)[:, None] == 3, 1.00001, 1.0) * unit(long))


def test_an_index_and_a_model_share_a_service_and_a_client(
    tmp_path: Path, portal: anyio.abc.BlockingPortal, reference_kernels: None
) -> None:
    score = Score.of(linear_model(), LOGIT, params=insecure_flooded(LOGIT))
    with Client(Service(portal, [score, similarity(tmp_path, 30)]).remote()) as client:
        assert client.score("toy", employees(5)).logits is not None
        assert match(client, "vacancies", vectors(1), 2).items.shape == (1, 2)
        with pytest.raises(ModelError, match="churn score"):
            match(client, "toy", vectors(1))
        with pytest.raises(ModelError, match="similarity"):
            client.score("vacancies", employees(5))


def test_answers_are_flooded_for_each_ciphertext_of_them(
    tmp_path: Path, portal: anyio.abc.BlockingPortal, reference_kernels: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three ciphertexts an answer, so three times as many results; and the budget counts answers."""
    hosted, told = similarity(tmp_path, 60, queries=2), []
    real = evaluation.protect
    monkeypatch.setattr(evaluation, "protect", lambda *a, **k: told.append(k["queries"]) or real(*a, **k))
    with Client(Service(portal, [hosted]).remote()) as client:
        for _ in range(2):
            match(client, "vacancies", vectors(1))
        with pytest.raises(ChurnError, match="2 answers"):
            match(client, "vacancies", vectors(1))
    assert told == [6, 6]
    single = similarity(tmp_path, 22, queries=2).output.error
    assert single < hosted.output.error < single * math.sqrt(3)


@pytest.mark.parametrize("seed", [1, 2])
def test_what_is_flooded_for_depends_on_nothing_secret_and_is_enough(
    tmp_path: Path, reference_kernels: None, seed: int
) -> None:
    hosted, params = similarity(tmp_path, 60, seed), insecure_similarity_params()
    assert hosted.flooding == similarity(tmp_path, 22, 3).flooding
    generator = KeyGenerator(params)
    secret = generator.secret_key()
    keys = generator.evaluation_keys(secret, relin=False, rotations=rotation_steps(DIMENSION))
    x = Encryptor(params, secret).encrypt(repeated(vectors(1)[0], params.slots)[None], scale=QUERY_SCALE, bound=1.0)
    y = hosted.evaluate(OwnNumbers(params, keys), x.with_(noise=input_noise(params)), QUERY)
    assert hosted.flooding is not None and y.shape == (3,)
    assert 2.0 ** (hosted.flooding.log2_bound - 1) < y.noise.bound <= 2.0**hosted.flooding.log2_bound


def test_the_description_survives_its_journey(tmp_path: Path, reference_kernels: None) -> None:
    for count in (22, 60):
        one = Description.of(similarity(tmp_path, count))
        other = Description.from_dict(json.loads(json.dumps(one.to_dict())), allow_insecure=True)
        assert other.output == one.output and other.layouts == one.layouts and other.flooding == one.flooding
        assert other.output.batch == (() if count == 22 else (3,))
        known = KnownIndex.of(other)
        assert (known.items, known.dimension, known.rows) == (count, DIMENSION, 11)


def test_the_digest_follows_what_the_answer_depends_on(tmp_path: Path) -> None:
    one = similarity(tmp_path, 22)
    others = [
        Similarity.of(replace(one.index, sha256="2" * 64), params=one.params),
        Similarity.of(replace(one.index, version=2), params=one.params),
        replace(one, flooded=False),
        replace(one, queries=5),
        Similarity.of(one.index),
    ]
    assert len({one.digest, *(other.digest for other in others)}) == 6
    assert one.digest == similarity(tmp_path, 22).digest


def test_an_index_too_large_for_the_limits_is_not_hosted(
    tmp_path: Path, portal: anyio.abc.BlockingPortal, reference_kernels: None
) -> None:
    hosted = similarity(tmp_path, 3000)
    with pytest.raises(ModelError, match="answers"):
        Service(portal, [hosted], limits=Limits(body=20_000))


def test_the_parameters_are_secure_and_as_small_as_they_are_said_to_be() -> None:
    params = index_parameters()
    assert params.security == 128 and params.ring_degree == 2**13 and params.log2_qp < 200
    assert len(params.digits(1)) == 1 and params.limbs(0) == 1


# ---- what the client refuses -------------------------------------------------------------------------


def test_answers_that_cannot_be_one(tmp_path: Path, reference_kernels: None) -> None:
    known = KnownIndex.of(Description.of(similarity(tmp_path, 60)))
    good = np.zeros((3, 16), complex)
    good[:2, :11] = 0.5 + 0.25j
    good[2, :11] = 0.5
    good[2, :5] += 0.25j  # 60 = 22 + 22 + 11 + 5
    found = _similarities(good, known=known)
    assert found is not None and found.shape == (60,) and found[11] == 0.25 and found[0] == 0.5
    for place, value in (((0, 11), 0.1), ((1, 15), 0.1j), ((2, 6), 0.5 + 0.1j), ((0, 0), 1.1), ((1, 3), 1.1j)):
        bad = good.copy()
        bad[place] = value
        assert _similarities(bad, known=known) is None
    for value in (np.nan, np.inf, complex(0, np.nan)):
        bad = good.copy()
        bad[0, 3] = value
        assert _similarities(bad, known=known) is None


def test_a_lying_service_is_found_out(
    tmp_path: Path, portal: anyio.abc.BlockingPortal, reference_kernels: None
) -> None:
    service = Service(portal, [similarity(tmp_path, 60)])
    transport, kept = service.transport(), []
    with Client(service.remote(transport)) as client:
        match(client, "vacancies", vectors(1))
        for tamper in (lambda data: data[:-1] + bytes([data[-1] ^ 1]), lambda data: data[: len(data) // 2]):
            transport.tamper = tamper
            with pytest.raises(BadAnswer):
                match(client, "vacancies", vectors(1))
    one = Service(portal, [similarity(tmp_path, 22)])
    transport = one.transport()
    transport.tamper = lambda data: kept.append(data) or data
    with Client(one.remote(transport)) as client:
        match(client, "vacancies", vectors(1))
    transport = service.transport()
    transport.tamper = lambda _: kept[0]  # an answer of another shape, and under another key
    with Client(service.remote(transport)) as client, pytest.raises(BadAnswer):
        match(client, "vacancies", vectors(1))


def test_descriptions_that_are_not_believed(tmp_path: Path, reference_kernels: None) -> None:
    one = Description.of(similarity(tmp_path, 60))
    for output in (
        replace(one.output, kind="logit"),
        replace(one.output, items=2),
        replace(one.output, error=0.5),
        replace(one.output, high=100.0),
        replace(one.output, unused=0.5),
    ):
        with pytest.raises(ModelError):
            KnownIndex.of(replace(one, output=output))
    for part in ({"items": 0}, {"items": 67}, {"dimension": 17}, {"dimension": "6"}):
        with pytest.raises(ModelError):
            KnownIndex.of(replace(one, about={**one.about, **part}))
    known = KnownIndex.of(one)
    with pytest.raises(RequestRefused):
        known.layout("feature-major")
    for change in ({"items": 2}, {"slots": 8}, {"bound": 0.5}):
        changed = replace(one, layouts={QUERY: replace(one.layouts[QUERY], **change)})
        with pytest.raises(RequestRefused):
            KnownIndex.of(changed).layout(QUERY)


def test_queries_that_cannot_be_asked(
    tmp_path: Path, portal: anyio.abc.BlockingPortal, reference_kernels: None
) -> None:
    known = KnownIndex.of(Description.of(similarity(tmp_path, 22)))
    with Client("http://127.0.0.1:9") as client:  # nothing is sent
        for queries in (
            vectors(1)[0],
            vectors(1, dimension=5),
            np.zeros((1, 6)),
            np.full((1, 6), np.nan),
            np.zeros((0, 6)),
        ):
            with pytest.raises(DataError):
                match(client, known, queries)
    other = replace(known, embedding="a" * 64)
    other.check(DIMENSION, "a" * 64)
    other.check(DIMENSION)
    with pytest.raises(DataError, match="publishes"):
        other.check(DIMENSION, "b" * 64)


# ---- the best ones -----------------------------------------------------------------------------------


def test_the_best_are_those_of_a_full_sort() -> None:
    rng = np.random.default_rng(4)
    for count in (1, 2, 9, 100):
        scores = rng.integers(0, 7, count) / 7  # many are equal
        for k in (1, 2, 10, 200):
            assert best(scores, k).tolist() == np.argsort(-scores, kind="stable")[:k].tolist()


def test_what_counts_as_a_tie() -> None:
    exact = [0.9, 0.8, 0.7999, 0.5]
    assert same_up_to_ties([0, 1], exact, 0.0)
    assert same_up_to_ties([0, 2], exact, 1e-4) and not same_up_to_ties([0, 2], exact, 1e-5)
    assert same_up_to_ties([0, 2, 1], exact, 1e-4) and not same_up_to_ties([0, 2, 1], exact, 1e-5)
    assert not same_up_to_ties([1, 0], exact, 1e-4), "in the order of their scores"
    assert same_up_to_ties([0, 1, 2, 3], exact, 0.0)


# ---- texts and embeddings ----------------------------------------------------------------------------


def test_texts_are_the_same_for_a_seed_and_readable() -> None:
    assert make_vacancies(40, 3)[:10] == make_vacancies(10, 3) != make_vacancies(10, 4)
    assert make_resumes(5, 3)[:2] == make_resumes(2, 3)
    for text in (*make_vacancies(200), *make_resumes(200)):
        assert text.title and text.body[0].isupper() and text.body.endswith(".")
        assert "  " not in text.body and len(text.body.split()) > 25


def test_an_embedding_is_what_scikit_learn_computes() -> None:
    """TF-IDF and truncated singular values, applied without it."""
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer

    texts = [text.body for text in make_vacancies(120)]
    found = fit_embedding(texts, 12)
    weighting = TfidfVectorizer(sublinear_tf=True).fit(texts)
    singular = TruncatedSVD(12, random_state=0).fit(weighting.transform(texts))
    asked = [*(text.body for text in make_resumes(6)), "Python python PYTHON sql", "a b c"]
    wanted = unit(singular.transform(weighting.transform(asked)))
    assert np.abs(found.vectors(asked) - wanted).max() < 1e-5  # components are float32
    assert (found.vectors(["", "qqq zzz"]) == 0).all()
    assert np.linalg.norm(found.vectors(asked)[:-1], axis=1) == pytest.approx(1)


def test_vacancies_of_the_occupation_come_first() -> None:
    vacancies, resumes = make_vacancies(400), make_resumes(10)
    embedding = fit_embedding([text.body for text in vacancies], 32)
    scores = embedding.vectors([r.body for r in resumes]) @ embedding.vectors([v.body for v in vacancies]).T
    fit = 0
    for resume, row in zip(resumes, scores, strict=True):
        told = re.search(r"I have (.*) and (?:no|one|\d+) (?:years?|experience)", resume.body)
        assert told is not None and row.max() > 0.5 > np.median(row)
        fit += told[1] in vacancies[int(row.argmax())].body
    assert fit >= 9, "the best vacancy asks for the education that the résumé has (1 in 20 would by chance)"


def test_an_embedding_is_kept_in_files(tmp_path: Path) -> None:
    texts = [text.body for text in make_vacancies(30)]
    one = fit_embedding(texts, 8)
    one.save(tmp_path / "e.json")
    other = Embedding.load(tmp_path / "e.json")
    assert other.digest == one.digest and (other.vectors(texts) == one.vectors(texts)).all()
    value = json.loads((tmp_path / "e.json").read_text())
    for part, changed in (("idf", value["idf"][1:]), ("digest", "0" * 64), ("format", "x"), ("vocabulary", ["a"] * 3)):
        (tmp_path / "bad.json").write_text(json.dumps({**value, part: changed}))
        (tmp_path / "bad.npy").write_bytes((tmp_path / "e.npy").read_bytes())
        with pytest.raises(ModelError):
            Embedding.load(tmp_path / "bad.json")
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(DataError):
        Embedding.load(tmp_path / "bad.json")
    with pytest.raises(DataError):
        fit_embedding(["a"], 3)
    with pytest.raises(DataError, match="no words"):
        fit_embedding(["a", "b"], 3)


def test_a_service_needs_no_keys_that_multiply(tmp_path: Path) -> None:
    """Rotations only, few of them, whatever the number of items."""
    layout = similarity(tmp_path, 60).layouts[QUERY]
    assert not layout.relinearisation and layout.rotations == rotation_steps(DIMENSION)
    assert Evaluator(insecure_similarity_params()).params.slots == layout.slots


def test_texts_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "texts.csv"
    file.write_text('\ufeffid,title,text\n1,Cook,"soup, fish"\n2,,bread\n', encoding="utf-8")
    assert read_texts(file) == [Text("Cook", "soup, fish"), Text("", "bread")]
    for text, words in (
        ("title,body\na,b\n", "no column 'text'"),
        ("titel,text\na,b\n", "nearest known name: 'titel'"),
        ("title,text\n", "no rows"),
        ("", "no column 'title'"),
        ('title,text\na,"b\n', "CSV"),
    ):
        file.write_text(text, encoding="utf-8")
        with pytest.raises(DataError, match=words):
            read_texts(file)
    file.write_bytes(b"title,text\n\xff,b\n")
    with pytest.raises(DataError, match="UTF-8"):
        read_texts(file)


@pytest.mark.parametrize("size", [1e-300, 3e-162, 1.0, 1e200])
def test_lengths_of_any_size(size):
    found = unit(size * np.array([[3.0, 4.0], [0.0, 0.0]]))
    np.testing.assert_allclose(found, [[0.6, 0.8], [0.0, 0.0]], rtol=1e-15)
