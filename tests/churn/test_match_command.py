"""`python -m churn match`: the whole comparison, the three commands it is made of, and their errors."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from churn_kit import Run

from churn.match.vectors import unit, write_vectors
from churn.process import ServiceProcess

ROOT = Path(__file__).resolve().parents[2]


def churn(folder: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own, in a folder."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "120"}
    command = [sys.executable, "-m", "churn", *map(str, arguments)]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=280)


@pytest.mark.service
def test_the_whole_story(tmp_path: Path) -> None:
    ended = churn(
        tmp_path, "match", "--vacancies", 300, "--resumes", 4, "--dimensions", 24, "--top", 6, "--json", "out.json"
    )
    assert ended.returncode == 0, ended.stderr
    told = json.loads((tmp_path / "out.json").read_text())
    assert (told["vacancies"], told["dimension"], told["resumes"], told["top"]) == (300, 24, 4, 6)
    assert told["same_up_to_ties"] == 4 and told["recall"] >= 0.9
    assert told["error"]["found"] <= told["error"]["stated"] < 2**-12
    assert told["params"]["security_bits"] == 128
    assert told["bytes"]["keys"] > told["bytes"]["up"] > told["bytes"]["down"] / 2 > 0
    assert len(told["matches"]) == 4 and len(told["matches"][0]["vacancies"]) == 6
    for words in ("recall@6", "4 of 4 lists", "security", told["matches"][0]["vacancies"][0][:12], "keys, once"):
        assert words in ended.stdout


@pytest.mark.service
def test_the_whole_story_with_vacancies_that_are_encrypted_too(run: Run, tmp_path: Path) -> None:
    code, out, err = run(
        *("match", "--encrypted", "--vacancies", 300, "--resumes", 4, "--dimensions", 24, "--json", "out.json")
    )
    assert code == 0, err
    told = json.loads((tmp_path / "out.json").read_text())
    assert told["encrypted"] and told["same_up_to_ties"] == 4 and told["recall"] >= 0.9
    assert told["error"]["found"] <= told["error"]["stated"] < 2**-12 and told["params"]["security_bits"] == 128
    assert told["bytes"]["gallery"] == told["bytes"]["up"] // 4, "a block has as many ciphertexts as a query"
    for words in ("not flooded: query, vacancies and answer", "gallery  once: 300 vacancies", "first 3 of 4 résumés"):
        assert words in out
    assert all(title.split(",")[0] in out for title in told["matches"][0]["vacancies"]), "all ten are printed"
    unknown = told["unknown_words"]
    assert f"{unknown['unknown']} of {unknown['all']} are unknown" in out and 0 < unknown["unknown"] < unknown["all"]


@pytest.mark.service
def test_a_gallery_at_a_host(run: Run, tmp_path: Path) -> None:
    """The host makes room; the owner encrypts and sends, asks with the same key, lists and deletes."""
    code, out, err = run("match", "room", "--dimensions", 16, "--items", 500)
    assert code == 0 and "room@1, for galleries of up to 500 vectors of 16 numbers" in out, err
    (tmp_path / "me.txt").write_text("I am a nurse and know wound care, triage and xylography.")
    with ServiceProcess(tmp_path / "models", tmp_path / "keys", threads=1, workers=1) as service:
        at = ("--url", service.url)
        code, out, err = run("match", "gallery", *at, "--key-file", "my.key", "--vacancies", 200, "--dimensions", 16)
        assert code == 0 and "vacancies: 200 vectors of 16 numbers" in out and "titles.txt" in out, err
        assert {path.name for path in (tmp_path / "gallery").iterdir()} == {
            *("gallery.json", "embedding.json", "embedding.npy", "titles.txt")
        }
        asking = ("match", "ask", "--resume", "me.txt", *at, "--gallery", "gallery", "--top", 7)
        code, out, err = run(*asking, "--key-file", "my.key")
        assert code == 0 and "nurse" in out and "are unknown" in out and "xylography" in out, err
        assert out.count("0.") >= 7, "as many as asked"
        for wrong, words in (((), "--key-file"), (("--key-file", "other.key"), "no key file other.key")):
            code, _, err = run(*asking, *wrong)
            assert code == 1 and words in err
        (tmp_path / "unknown.txt").write_text("xylography")
        code, _, err = run(*asking, "--key-file", "my.key", "--resume", "unknown.txt")
        assert code == 1 and "'unknown.txt' has no word that the embedding knows" in err
        code, out, err = run("match", "galleries", *at)
        assert code == 0 and "vacancies" in out and "room@1" in out and "200" in out, err
        code, _, err = run("match", "galleries", *at, "--delete", "vacancy")
        assert code == 1 and "nearest known name: 'vacancies'" in err
        assert run("match", "galleries", *at, "--delete", "vacancies")[0] == 0
        code, _, err = run(*asking, "--key-file", "my.key")
        assert code == 1 and "no gallery 'vacancies' of yours; you have none" in err
        code, _, err = run("match", "gallery", *at, "--key-file", "my.key", "--vacancies", 50, "--dimensions", 8)
        assert code == 1 and "have 8 numbers" in err and "match room --dimensions 8" in err
        assert not (tmp_path / "keys" / "uploads").exists() or not list((tmp_path / "keys" / "uploads").iterdir())


@pytest.mark.service
def test_vectors_of_any_other_embedding(run: Run, tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    write_vectors(tmp_path / "v.npy", 3 * rng.normal(size=(40, 10)))  # of any length
    write_vectors(tmp_path / "r.npy", rng.normal(size=(2, 10)))
    code, _, err = run("match", "--vacancy-vectors", "v.npy", "--resume-vectors", "r.npy", "--json", "out.json")
    assert code == 0, err
    vacancies, resumes = (unit(np.lib.format.open_memmap(tmp_path / name, mode="r")) for name in ("v.npy", "r.npy"))
    wanted = np.argsort(-(resumes @ vacancies.T), axis=1)[:, :10]
    told = json.loads((tmp_path / "out.json").read_text())
    assert [one["vacancies"] for one in told["matches"]] == [[f"vacancy {i}" for i in row] for row in wanted]


@pytest.mark.service
def test_own_texts(run: Run, tmp_path: Path) -> None:
    (tmp_path / "v.csv").write_text(
        "title,text\nBaker,bread and cake at four in the morning\nPilot,flying planes far away\n"
        'Cook,"soup, bread and fish"\n',
        encoding="utf-8",
    )
    (tmp_path / "r.csv").write_text("text,title\nI love flying planes,Me\nbread bread cake,You\n", encoding="utf-8")
    code, _, err = run("match", "--vacancy-file", "v.csv", "--resume-file", "r.csv", "--top", 1, "--json", "out.json")
    assert code == 0, err
    told = json.loads((tmp_path / "out.json").read_text())
    assert [(one["resume"], one["vacancies"]) for one in told["matches"]] == [("Me", ["Pilot"]), ("You", ["Baker"])]


@pytest.mark.service
def test_three_terminals(run: Run, tmp_path: Path) -> None:
    """Build, serve beside a model, ask: with keys that are kept, sent once."""
    code, out, err = run("match", "build", "--vacancies", 200, "--dimensions", 16)
    assert code == 0 and "vacancies@1, 200 vectors of 16 numbers" in out, err
    assert run("match", "build", "--vacancies", 90, "--out", "m/other.json", "--published", "other")[0] == 0
    assert run("train", "--rows", 200)[0] == 0
    (tmp_path / "me.txt").write_text("I am a nurse and know wound care, triage and medication administration.")
    with ServiceProcess(tmp_path / "models", tmp_path / "keys", threads=1, workers=1) as service:
        at = ("--url", service.url)
        code, out, err = run("models", *at)
        assert code == 0 and "vacancies" in out and "similarity" in out, err
        asking = ("match", "ask", "--resume", "me.txt", *at)
        for sent in (True, False):
            code, out, err = run(*asking, "--key-file", "my.key", "--top", 3)
            assert code == 0 and "nurse" in out and ("keys none sent" in out) != sent, err
        write_vectors(tmp_path / "q.npy", np.eye(2, 16))
        code, out, err = run("match", "ask", "--resume-vectors", "q.npy", *at, "--top", 2)
        assert code == 0 and "row 0" in out and "row 1" in out, err
        code, _, err = run(*asking, "--published", "other")
        assert code == 1 and "publishes" in err
        code, _, err = run(*asking, "--index", "churn")
        assert code == 1 and "churn score" in err
        code, _, err = run(*asking, "--index", "vacancy")
        assert code == 1 and "nearest known name: 'vacancies'" in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--vacancy-vectors", "none.npy"], ["--resume-vectors", "Give the other"]),
        (["--vacancy-vectors", "none.npy", "--resume-vectors", "none.npy"], ["none.npy", "Check the path"]),
        (["build", "--vacancies", "20", "--out", "No Name.json"], ["a-z"]),
        (["build", "--vacancies", "20", "--out", "index.npy"], [".json"]),
        (["ask", "--resume", "none.txt"], ["published/embedding.json", "Check the path"]),
        (["ask"], ["--resume-vectors"]),
        (["--encrypted", "--unflooded"], ["never flooded"]),
        (["ask", "--gallery", "none"], ["--key-file"]),
        (["room", "--out", "room.npy"], [".json"]),
        (["build", "--vacancy-file", "none.csv"], ["none.csv", "Check the path"]),
    ],
)
def test_an_error_is_one_line_that_says_what_to_do(run: Run, arguments: list[str], words: list[str]) -> None:
    code, _, err = run("match", *arguments)
    assert code == 1 and len(err.strip().splitlines()) == 1
    for word in words:
        assert word in err


def test_help_names_every_command(run: Run) -> None:
    for command, words in (
        (
            [],
            (
                "build",
                "ask",
                "room",
                "gallery",
                "galleries",
                "--encrypted",
                "--vacancies",
                "--resume-vectors",
                "--json",
            ),
        ),
        (["build"], ("--published", "--dimensions")),
        (["ask"], ("--resume", "--index", "--gallery", "--key-file")),
        (["room"], ("--dimensions", "--items", "--out")),
        (["gallery"], ("--key-file", "--room", "--folder")),
        (["galleries"], ("--delete", "--url")),
    ):
        code, out, _ = run("match", *command, "--help")
        assert code == 0 and all(word in out for word in words)


def test_a_resume_without_a_known_word_is_named_before_anything_is_sent(run: Run, tmp_path: Path) -> None:
    (tmp_path / "v.csv").write_text("title,text\nBaker,bread and flour\nNurse,wound care on a ward\n")
    (tmp_path / "r.csv").write_text("title,text\nAda,flour\nBob,xylography\n")
    code, _, err = run("match", "--vacancy-file", "v.csv", "--resume-file", "r.csv")
    assert code == 1 and "'Bob' has no word that the embedding knows" in err.splitlines()[-1]
