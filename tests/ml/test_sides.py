"""Client and server: any number of rows, both layouts, everything as bytes; refusals; who may load what."""

from __future__ import annotations

import json

import numpy as np
import pytest
from ml_kit import FAR, encrypted_scores, insecure_params, sides, table
from process import output_of
from sklearn.linear_model import LogisticRegression, Ridge

from ckks import Encryptor, KeyGenerator
from ckks.errors import (
    BasisMismatch,
    HEError,
    LevelError,
    MissingKey,
    ModelError,
    RangeError,
    SerializationError,
    SlotError,
)
from ckks.ml import Client, Description, Encrypted, Model, Server, from_sklearn, parameters_for
from ckks.ml.layers import FEATURE_MAJOR, RECORDS
from ckks.ml.rehearsal import rehearse
from ckks.ring import Rng

X = table(150, 5)
KINDS = np.digitize(X[:, 0] / np.abs(X[:, 0]).max(), [-0.3, 0.3])
MANY = np.random.default_rng(8).uniform(X.min(axis=0), X.max(axis=0), (300, 5))
CLASSIFIER = LogisticRegression(max_iter=2000).fit(X / np.abs(X).max(axis=0), KINDS)
CLASSIFIER.coef_ = CLASSIFIER.coef_ / np.abs(X).max(axis=0)


def model(**options):
    return from_sklearn(CLASSIFIER, X, params=options.pop("params", insecure_params()), **options)


@pytest.mark.parametrize("layout", [FEATURE_MAJOR, RECORDS, None])
@pytest.mark.parametrize("rows", [0, 1, 15, 16, 17, 127, 128, 129, 300])
def test_any_number_of_rows(rows, layout):
    """128 slots: 128 rows a chunk, or 16 records of 8 slots."""
    m = model()
    found, wanted = (
        encrypted_scores(m, MANY[:rows], layout),
        CLASSIFIER.decision_function(MANY[:rows]) if rows else None,
    )
    assert found.shape == (rows, 3)
    if rows:
        off = np.abs(found - wanted).max()
        assert off <= m.score_error and off <= FAR * m.expected_error
        assert np.array_equal(m.output.predictions(found), CLASSIFIER.predict(MANY[:rows]))


def test_what_a_model_says_of_itself():
    m = model()
    assert (m.n_features_in_, m.classes_.tolist(), m.depth, m.rotations) == (5, [0, 1, 2], 1, (1, 2, 4))
    assert (m.layout(16), m.layout(17)) == (RECORDS, FEATURE_MAJOR)
    assert "5 features, 3 scores, depth 1, feature-major (128 rows a chunk)" in str(m)
    assert repr(m) == f"<Model: {m}>"
    assert 0 < m.expected_error < m.encryption_error == m.score_error
    with pytest.raises(AttributeError, match="without names"):
        _ = m.feature_names_in_
    client = m.client()
    assert (client.n_features_in_, client.classes_.tolist(), client.score_error) == (5, [0, 1, 2], m.score_error)
    assert Client(m.description, client.secret_key).secret_key is client.secret_key


def test_both_sides_print_as_a_line():
    m = model()
    client = m.client()
    rows = client.encrypt(MANY[:5])
    server = m.server(client.evaluation_keys)
    for one in (m, m.description, client, server, rows, server.evaluate(rows)):
        text = repr(one)
        assert len(text) < 400 and "\n" not in text and "array" not in text and "object at" not in text
    assert "5 columns to 3 scores" in repr(client) and "5 features" in repr(server) and "3 Galois" in repr(server)
    assert repr(rows).startswith("<Encrypted: 5 rows, records, 1 chunk, ")


def test_the_client_does_the_rest():
    m = model()
    client, server = sides(m)
    answer = server.evaluate(client.encrypt(X))
    assert np.array_equal(client.predict(answer), CLASSIFIER.predict(X))
    assert np.abs(client.decision_function(answer) - CLASSIFIER.decision_function(X)).max() <= m.score_error
    assert np.abs(client.predict_proba(answer) - CLASSIFIER.predict_proba(X)).max() <= m.score_error
    assert answer.chunks[0].level == 0 and len(answer) == 150 and answer.nbytes < client.encrypt(X).nbytes
    client, server = sides(from_sklearn(Ridge().fit(X, X[:, 0]), X, params=insecure_params()))
    with pytest.raises(ModelError, match="'value' are no decision values"):
        client.decision_function(server.evaluate(client.encrypt(X)))
    with pytest.raises(AttributeError, match="no classes"):
        _ = client.classes_


def test_cells_outside_their_range():
    client, server = sides(model())
    far = MANY[:3] * 1.0
    far[1] = X.max(axis=0) * 2
    with pytest.raises(RangeError, match='declare a wider range, or pass outside="clip"'):
        client.encrypt(far)
    rows = client.encrypt(far, outside="clip")
    assert rows.clipped == ((far < X.min(axis=0)) | (far > X.max(axis=0))).sum() > 0
    clipped = np.clip(far, X.min(axis=0), X.max(axis=0))
    assert np.array_equal(client.predict(server.evaluate(rows)), CLASSIFIER.predict(clipped))
    assert sides(model(), outside="clip")[0].encrypt(far).clipped == rows.clipped


def test_rows_go_up_at_half_their_size():
    client, server = sides(model())
    rows = client.encrypt(X)
    sent = rows.frames()
    assert len(sent) == 2 and sum(map(len, sent)) < 0.55 * rows.nbytes
    again = server.receive(sent, rows=150, layout=FEATURE_MAJOR)
    assert [np.array_equal(a.words, b.words) for a, b in zip(again.chunks, rows.chunks, strict=True)] == [True] * 2


def test_without_records_a_linear_model_needs_no_keys():
    m = model(layouts=[FEATURE_MAJOR])
    assert m.rotations == () and not m.description.needs_keys
    client = m.client()
    assert client.evaluation_keys.nbytes == 0
    assert np.array_equal(client.predict(m.server().evaluate(client.encrypt(X[:2]))), CLASSIFIER.predict(X[:2]))
    chosen = from_sklearn(CLASSIFIER, X, layouts=[FEATURE_MAJOR]).params
    assert chosen.num_special == 0 and chosen.ring_degree == 2**12
    with pytest.raises(MissingKey, match="rotation by 1 slots"):
        model().server().evaluate(model().client(rng=Rng(1)).encrypt(X[:2]))


# ---- refusals --------------------------------------------------------------------------------------------------------


def test_the_server_refuses_what_is_not_packed_as_described():
    m = model(params=insecure_params(2))
    client, server = sides(m)
    rows = client.encrypt(X)
    one = rows.chunks[0]

    def sent(chunks, count=150, layout=FEATURE_MAJOR):
        return lambda: server.evaluate(Encrypted(tuple(chunks), count, layout))

    top, low = (client._encryptor.encrypt(np.zeros((5, 128)), level=level, bound=1.0) for level in (None, 1))
    scaled = server.evaluator.multiply(low, 0.5, rescale=False)
    cases = [
        (SlotError, "150 rows in 1 chunks", sent([one])),
        (SlotError, "-1 rows", sent([], -1)),
        (SlotError, "batch", sent([one[:3]], 1)),
        (SlotError, "batch", sent([one[0]], 1)),
        (SlotError, "needed batch .*, 2 parts, all 128", sent([one], 1, RECORDS)),
        (SlotError, "100 values in 128 slots", sent([client._encryptor.encrypt(np.zeros((5, 100)), level=1)], 1)),
        (
            SlotError,
            "64 values in 64 slots",
            sent([client._encryptor.encrypt(np.zeros((5, 64)), level=1, slots=64)], 1),
        ),
        (LevelError, "rows at level 0; the model needs 1", sent([one.at_level(0)], 1)),
        (LevelError, f"rows at level {top.level}; the model needs 1", sent([top], 1)),
        (BasisMismatch, "canonical", sent([scaled], 1)),
        (BasisMismatch, "other parameters", sent(model(params=insecure_params(3)).client().encrypt(X).chunks)),
        (ModelError, "layout 'rows'", sent([one], 1, "rows")),
        (TypeError, "expected a Ciphertext", sent([np.zeros(3)], 1)),
    ]
    for kind, text, call in cases:
        with pytest.raises(kind, match=text):
            call()


def test_the_client_refuses_answers_of_another_shape():
    m = model()
    client, server = sides(m)
    answer = server.evaluate(client.encrypt(X))
    for wrong in (
        Encrypted(answer.chunks[:1], 150, FEATURE_MAJOR),
        Encrypted(tuple(c[:2] for c in answer.chunks), 150, FEATURE_MAJOR),
        Encrypted(answer.chunks, 150, RECORDS),
    ):
        with pytest.raises(SlotError):
            client.scores(wrong)
    with pytest.raises(BasisMismatch):
        client.scores(
            model(params=insecure_params(3)).server().evaluate(model(params=insecure_params(3)).client().encrypt(X))
        )
    with pytest.raises(SerializationError):
        client.receive([b"nonsense"], rows=1, layout=RECORDS)


def test_another_key_is_found_out():
    owner = model()
    client, stranger = owner.client(), owner.client()
    answer = owner.server(client.evaluation_keys).evaluate(client.encrypt(X))
    with pytest.raises(RangeError, match="another key"):
        stranger.predict(answer)
    with pytest.raises(TypeError, match=r"evaluation_keys"):
        owner.server(client.secret_key)


def test_an_oversized_promise_is_not_believed():
    """The server states the bound itself: [-1, 1] is the client's business, and noise follows from it."""
    client, server = sides(model())
    x = client.encrypt(X).chunks[0]
    lying = server.evaluator.with_bound(x, 1e-9)
    assert server.evaluate_chunk(lying, FEATURE_MAJOR).noise == server.evaluate_chunk(x, FEATURE_MAJOR).noise


@pytest.mark.parametrize("layout", [FEATURE_MAJOR, RECORDS])
def test_what_is_rehearsed_is_what_an_evaluation_carries(layout):
    """The noise of scores, before there is a key, is that of rows encrypted under a public key: no smaller than ours."""
    m = model()
    client, server = sides(m)
    generator = KeyGenerator(m.params)
    encryptor = Encryptor(m.params, generator.public_key(generator.secret_key()))
    (values,) = m.packing.pack(m.schema.encode(X[:16])[0], layout)
    rehearsed = rehearse(m.program, m.params, m.packing, layout).noise
    carried = server.evaluate_chunk(encryptor.encrypt(values, bound=1.0), layout).noise
    assert (rehearsed.std, rehearsed.bound) == pytest.approx((carried.std, carried.bound), rel=1e-9)
    ours = server.evaluate(client.encrypt(X[:16], layout=layout)).chunks[0].noise
    assert ours.bound <= rehearsed.bound


def test_what_is_rehearsed_is_an_evaluation_of_rows_as_clients_send_them():
    """At the model's depth, also where the parameters have levels above it, where key switches have more digits."""
    m = model()
    spare = Model(m.program, m.schema, m.output, insecure_params(m.depth + 3))
    client, server = sides(spare)
    (values,) = spare.packing.pack(spare.schema.encode(X[:16])[0], RECORDS)
    generator = KeyGenerator(spare.params)
    encryptor = Encryptor(spare.params, generator.public_key(generator.secret_key()))
    rehearsed = rehearse(spare.program, spare.params, spare.packing, RECORDS).noise
    carried = server.evaluate_chunk(encryptor.encrypt(values, level=spare.depth, bound=1.0), RECORDS)
    assert client.encrypt(X[:16], layout=RECORDS).chunks[0].level == spare.depth and carried.level == 0
    assert (rehearsed.std, rehearsed.bound) == pytest.approx((carried.noise.std, carried.noise.bound), rel=1e-9)


def test_models_that_do_not_fit_their_parameters():
    m = model()
    with pytest.raises(ModelError, match="needs 1 levels, the parameters have 0"):
        Model(m.program, m.schema, m.output, insecure_params(0))
    with pytest.raises(ModelError, match="5 features for a schema of 4"):
        Model(m.program, type(m.schema)(5, None, m.schema.columns[:4]), m.output, m.params)
    bare = parameters_for(m.program, key_switching=False)
    with pytest.raises(ModelError, match="without special primes"):
        Model(m.program, m.schema, m.output, bare)
    assert Model(m.program, m.schema, m.output, bare, (FEATURE_MAJOR,)).depth == 1


BAD = [
    lambda d: d.pop("scale"),
    lambda d: d.update(format="ckks.ml/0"),
    lambda d: d.update(parameters="zz"),
    lambda d: d.update(parameters=5),
    lambda d: d.update(parameters=d["parameters"][:-2]),
    lambda d: d.update(scale=-1.0),
    lambda d: d.update(score_error=-1.0),
    lambda d: d.update(level=7),
    lambda d: d.update(layouts=[]),
    lambda d: d.update(layouts=["rows"]),
    lambda d: d.update(outputs=0),
    lambda d: d.update(outputs=d["outputs"] + 1),
    lambda d: d.update(output={}),
    lambda d: d.update(schema={}),
]


@pytest.mark.parametrize("break_it", BAD)
def test_a_damaged_description_is_refused(break_it):
    value = json.loads(json.dumps(model().description.to_dict()))
    break_it(value)
    with pytest.raises(HEError):
        Description.from_dict(value, allow_insecure=True)


def test_insecure_parameters_of_others_are_refused():
    value = json.loads(json.dumps(model().to_dict()))
    for read, described in ((Model, value), (Description, value["description"])):
        with pytest.raises(SerializationError, match="insecure"):
            read.from_dict(described)


def test_the_description_tells_nothing_learned():
    """Another model of the same schema and size of scores has the same description, up to its stated error."""
    one, other = model(), CLASSIFIER.coef_ * 1
    flipped = LogisticRegression().fit(X, KINDS)
    flipped.coef_, flipped.intercept_ = (
        other[:, ::-1] * np.ptp(X, axis=0)[::-1] / np.ptp(X, axis=0),
        CLASSIFIER.intercept_,
    )
    descriptions = [one.description.to_dict(), from_sklearn(flipped, X, params=insecure_params()).description.to_dict()]
    for described in descriptions:
        described.pop("score_error")
        described.pop("scale")
    assert descriptions[0] == descriptions[1]
    text = json.dumps(one.description.to_dict())
    assert not any(f"{w:.6g}" in text for w in one.program.layers[0].weights.ravel())


# ---- who loads what --------------------------------------------------------------------------------------------------


def test_a_server_loads_nothing_that_decrypts(tmp_path):
    """Reads a model from JSON, evaluates; and neither scikit-learn nor anything with a secret key is there."""
    (tmp_path / "model.json").write_text(json.dumps(model().to_dict()))
    code = """
import json, pathlib, sys
from ckks.ml import Model, Server
model = Model.from_dict(json.loads(pathlib.Path("model.json").read_text()), allow_insecure=True)
server = Server(model)
from ckks.ml.rehearsal import rehearse
rehearse(model.program, model.params, model.packing, "records")
print(sorted(m for m in sys.modules if m.startswith(("ckks.rlwe.secret", "ckks.scheme.decryption", "sklearn"))))
"""
    assert output_of(code, tmp_path) == "[]\n"


def test_clients_do_without_scikit_learn(tmp_path):
    (tmp_path / "model.json").write_text(json.dumps(model().description.to_dict()))
    code = """
import json, pathlib, sys
sys.modules["sklearn"] = None
import ckks.ml
described = ckks.ml.Description.from_dict(json.loads(pathlib.Path("model.json").read_text()), allow_insecure=True)
print(len(ckks.ml.Client(described).encrypt([[0.0] * 5] * 3, outside="clip")))
try:
    ckks.ml.EncryptedClassifier
except ImportError as error:
    print(type(error).__name__, error)
"""
    found = output_of(code, tmp_path)
    assert found.startswith("3\nMissingPackage") and 'pip install "scikit-learn' in found


def test_servers_are_what_the_package_says():
    assert isinstance(model().server(), Server)
