"""Objects of every version of the format that was ever released: they load, mean what they meant, and keep their bytes."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from wire import golden

DATA = Path(__file__).parents[1] / "data" / "wire"
CONTENTS: dict[str, dict[str, dict[str, str]]] = {
    folder.name: json.loads((folder / "contents.json").read_text(encoding="utf-8")) for folder in sorted(DATA.iterdir())
}
FILES = [(version, name) for version, files in CONTENTS.items() for name in files]


def read(version: str, name: str) -> bytes:
    return (DATA / version / f"{name}.bin").read_bytes()


def parameters(version: str, name: str) -> Any:
    """From the file as well: nothing here depends on how parameters are chosen today."""
    return golden.load(name, read(version, name), None)


@pytest.mark.parametrize(("version", "name"), FILES)
def test_files_load_mean_what_they_meant_and_keep_their_bytes(version: str, name: str, figure: Any) -> None:
    entry, data = CONTENTS[version][name], read(version, name)
    assert hashlib.sha256(data).hexdigest() == entry["sha256"]
    params = parameters(version, entry["parameters"])
    obj = golden.load(name, data, params)
    assert golden.content(obj) == entry["content"]
    assert golden.store(name, obj, params) == data
    if name == "parameters":
        figure("W7", f"{len(FILES)} stored objects: load then store gives the same bytes")
        figure("W8", f"{len(FILES)} objects of {len(CONTENTS)} released version load with the content they had")


def test_the_folder_holds_what_is_listed_and_is_small() -> None:
    for version, files in CONTENTS.items():
        assert {path.stem for path in (DATA / version).glob("*.bin")} == set(files)
    assert sum(path.stat().st_size for path in DATA.rglob("*")) < 200 * 2**10


def test_every_kind_is_there() -> None:
    kinds = {read("v1", name)[10] for version, name in FILES if name != "secret-key"}
    assert kinds == set(range(1, 9)) and "secret-key" in CONTENTS["v1"]


def test_contents_tell_objects_apart() -> None:
    """The digest of a content sees every word: the same key with and without its seed has one, all others differ."""
    digests = [entry["content"] for entry in CONTENTS["v1"].values()]
    same = sum(name.endswith("-full") for name in CONTENTS["v1"])
    assert same == 5 and len(set(digests)) == len(digests) - same - 1  # and one ciphertext has a scale of its own


def test_what_the_script_makes_today_has_the_form_of_the_files() -> None:
    """Lengths and heads; words depend on samplers, which the format does not fix."""
    for name, _, data in golden.everything():
        old = read("v1", name)
        assert (len(data) == len(old) and data[:12] == old[:12] and data[44:144] == old[44:144]) or name == "secret-key"
