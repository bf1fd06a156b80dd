from __future__ import annotations

import hashlib
import json
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from churn import plain
from churn.errors import ModelError
from churn.hosting.registry import Record, Registry, latest_version, load_folder, register
from churn.model import LinearModel
from churn.schema import NumericColumn, Schema


@dataclass(frozen=True)
class Toy:
    """A name, a version and a number."""

    name: str
    version: int
    weight: float

    @property
    def digest(self) -> str:
        return f"{self.name} {self.version} {self.weight}"

    @classmethod
    def load(cls, value: object) -> Toy:
        parts = plain.fields(value, "the toy", ["name", "version", "weight"])
        return cls(
            plain.text(parts["name"], "the name"),
            plain.whole(parts["version"], "the version", 1, 100),
            plain.number(parts["weight"], "the weight"),
        )


def values(name: str = "toy", version: int = 1, weight: float = 0.1) -> dict[str, object]:
    return {"name": name, "version": version, "weight": weight}


def write(path: Path, **parts: object) -> None:
    path.write_text(json.dumps(values(**parts)))


# ---- what a service hosts --------------------------------------------------------------------------------------------


def test_models_are_found_by_name_and_version():
    models = [Toy("toy", version, 0.5) for version in (2, 10, 9)] + [Toy("other.model_x-1", 1, 0.5)]
    registry = Registry(models)
    assert registry.find("toy") == registry.find("toy@10") == models[1], "the latest, as a number"
    assert registry.find("toy@2") == models[0] and registry.find("other.model_x-1") == models[3]
    assert registry.names() == ["other.model_x-1", "toy"] and len(registry) == 4
    assert [(m.name, m.version) for m in registry] == [("other.model_x-1", 1), ("toy", 2), ("toy", 9), ("toy", 10)]


@pytest.mark.parametrize(
    "reference",
    ["", "to", "toy@1", "toy@", "toy@02", "toy@+2", "toy@2@2", "toy@2\n", "@2", "Toy", "toy@٢", "toy@" + "9" * 99],
)
def test_what_is_not_there_is_not_found(reference):
    assert Registry([Toy("toy", 2, 0.5)]).find(reference) is None


def test_one_version_means_one_model():
    same = Registry([Toy("toy", 1, 0.5), Toy("toy", 1, 0.5)])
    assert len(same) == 1
    with pytest.raises(ModelError, match="toy@1: two different models.*next version"):
        Registry([Toy("toy", 1, 0.5), Toy("toy", 2, 0.5), Toy("toy", 1, 0.6)])


# ---- folders ---------------------------------------------------------------------------------------------------------


def test_a_plain_folder_is_loaded(tmp_path):
    write(tmp_path / "b.json", name="toy")
    write(tmp_path / "a.json", name="toy", version=2, weight=0.25)
    (tmp_path / "notes.txt").write_text("no model")
    found = load_folder(tmp_path, Toy.load)
    assert [model for _, model in found] == [Toy("toy", 2, 0.25), Toy("toy", 1, 0.1)]
    text = json.dumps(values(), sort_keys=True, separators=(",", ":"))
    assert found[1][0] == Record("toy", 1, hashlib.sha256(text.encode()).hexdigest(), tmp_path / "b.json")
    assert found[1][0].reference == "toy@1"


def test_the_models_of_the_application_are_loaded(tmp_path):
    """To the last bit of every weight."""
    schema = Schema((NumericColumn("a", mean=0.1, scale=1 / 3, lower=-1.0, upper=1.0),))
    model = LinearModel(
        name="m", version=3, target="t", positive="p", schema=schema,
        weights=np.array([0.1 + 2**-50]), bias=1 / 3, logit_interval=8.0, observed_logit=1.0,
    )  # fmt: skip
    (tmp_path / "m.json").write_text(json.dumps(model.to_dict(), indent=2))
    register(tmp_path / "registered", model.to_dict(), LinearModel.from_dict)
    for folder in (tmp_path, tmp_path / "registered"):
        ((record, found),) = load_folder(folder, LinearModel.from_dict)
        assert found.weights.tobytes() == model.weights.tobytes() and found.bias == model.bias
        assert record.reference == "m@3"


def test_two_models_of_one_version_are_refused(tmp_path):
    write(tmp_path / "a.json")
    (tmp_path / "b.json").write_text(json.dumps(values(), indent=4))
    assert len(load_folder(tmp_path, Toy.load)) == 1, "the same values, otherwise spaced, are the same model"
    write(tmp_path / "b.json", weight=0.2)
    with pytest.raises(ModelError, match="a.json and .*b.json are different models"):
        load_folder(tmp_path, Toy.load)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", "cannot be read as JSON"),
        ("{", "cannot be read as JSON"),
        ("[" * 100_000, "cannot be read as JSON"),
        ("\udcff", "cannot be read as JSON"),
        ('{"name": "a", "version": 1, "weight": NaN}', "NaN is no number"),
        ('{"name": "a", "version": 1, "weight": 1, "weight": 2}', "there twice"),
        ('{"name": "a", "version": 1}', "lacks 'weight'"),
        ('{"name": "a", "version": 1, "weight": "__import__(\'os\')"}', "is a str"),
        ("7" * 5000, "cannot be read as JSON"),
    ],
)
def test_a_file_that_is_no_model_is_named(tmp_path, text, found):
    (tmp_path / "bad.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ModelError, match=f"bad.json.*{found}"):
        load_folder(tmp_path, Toy.load)


def test_a_huge_file_is_not_read(tmp_path):
    with open(tmp_path / "huge.json", "wb") as file:
        file.truncate(1 << 30)
    with pytest.raises(ModelError, match="has 1073741824 bytes"):
        load_folder(tmp_path, Toy.load)


def test_a_folder_without_models_is_refused(tmp_path):
    with pytest.raises(ModelError, match=r"holds no \*\.json"):
        load_folder(tmp_path, Toy.load)
    with pytest.raises(ModelError, match="is no folder"):
        load_folder(tmp_path / "none", Toy.load)


# ---- registering -----------------------------------------------------------------------------------------------------


def test_a_registered_version_never_changes(tmp_path):
    folder = tmp_path / "models"
    record = register(folder, values(), Toy.load)
    assert record.path == folder / "toy@1.json"
    assert hashlib.sha256(record.path.read_bytes()).hexdigest() == record.digest, "as sha256sum would say"
    if os.name != "nt":
        assert stat.S_IMODE(record.path.stat().st_mode) == 0o400
    assert register(folder, dict(reversed(values().items())), Toy.load) == record, "the same again changes nothing"
    with pytest.raises(ModelError, match="another model of this name and version.*next version"):
        register(folder, values(weight=0.2), Toy.load)
    second = register(folder, values(version=2, weight=0.2), Toy.load)
    assert [record for record, _ in load_folder(folder, Toy.load)] == [record, second]
    assert (folder / "DIGESTS").read_text() == f"{record.digest}  toy@1\n{second.digest}  toy@2\n"


def test_a_changed_file_is_noticed(tmp_path):
    record = register(tmp_path, values(), Toy.load)
    record.path.chmod(0o600)
    record.path.write_text(json.dumps(values(), indent=3))
    assert load_folder(tmp_path, Toy.load), "spaces do not matter"
    write(record.path, weight=0.2)
    with pytest.raises(ModelError, match="toy@1: .*is not what was registered"):
        load_folder(tmp_path, Toy.load)
    record.path.rename(tmp_path / "renamed.json")
    with pytest.raises(ModelError, match="is not what was registered"):
        load_folder(tmp_path, Toy.load)


def test_a_version_that_was_withdrawn_is_not_given_again(tmp_path):
    register(tmp_path, values(), Toy.load).path.unlink()
    with pytest.raises(ModelError, match="another model"):
        register(tmp_path, values(weight=0.2), Toy.load)
    register(tmp_path, values(), Toy.load)
    assert len(load_folder(tmp_path, Toy.load)) == 1


def test_plain_files_count_when_registering(tmp_path):
    write(tmp_path / "old.json")
    with pytest.raises(ModelError, match="another model"):
        register(tmp_path, values(weight=0.2), Toy.load)
    assert register(tmp_path, values(), Toy.load).path == tmp_path / "old.json"
    assert "toy@1" in (tmp_path / "DIGESTS").read_text()


def test_a_file_is_never_written_over(tmp_path):
    first = register(tmp_path, values(), Toy.load, file="mine.json")
    second = register(tmp_path, values(version=2), Toy.load, file="mine.json")
    assert (first.path.name, second.path.name) == ("mine.json", "toy@2.json")
    write(tmp_path / "toy@3.json", name="other")
    before = (tmp_path / "toy@3.json").read_bytes()
    with pytest.raises(ModelError, match="toy@3.json is there already"):
        register(tmp_path, values(version=3), Toy.load, file="mine.json")
    assert (tmp_path / "toy@3.json").read_bytes() == before


def test_the_latest_version_counts_what_was_withdrawn(tmp_path):
    assert latest_version(tmp_path, "toy", Toy.load) == 0
    write(tmp_path / "plain.json", version=3)
    assert latest_version(tmp_path, "toy", Toy.load) == 3
    register(tmp_path, values(version=12), Toy.load).path.unlink()
    register(tmp_path, values(name="other", version=20), Toy.load)
    assert latest_version(tmp_path, "toy", Toy.load) == 12


@pytest.mark.parametrize(
    "value", [None, values(name="../toy"), values(name="To y"), values(version=0), {**values(), "more": 1}]
)
def test_what_is_no_model_is_not_registered(tmp_path, value):
    with pytest.raises(ModelError):
        register(tmp_path / "models", value, Toy.load)
    assert not (tmp_path / "models").exists()


@pytest.mark.parametrize("text", ["no digest\n", f"{'0' * 64}  toy@1\n" * 2, "\udcff"])
def test_a_damaged_list_is_refused(tmp_path, text):
    register(tmp_path, values(), Toy.load)
    (tmp_path / "DIGESTS").write_bytes(text.encode("utf-8", "surrogateescape"))
    for call in (lambda: load_folder(tmp_path, Toy.load), lambda: register(tmp_path, values(version=2), Toy.load)):
        with pytest.raises(ModelError, match="DIGESTS"):
            call()


def test_many_may_register_at_once(tmp_path):
    def one(number: int) -> str:
        try:
            return register(tmp_path, values(version=number % 4 + 1, weight=number), Toy.load).digest
        except ModelError:
            return "refused"

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(one, range(16)))
    assert outcomes.count("refused") == 12 and len(load_folder(tmp_path, Toy.load)) == 4
