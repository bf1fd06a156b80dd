"""Pin what an installation was tested with, with hashes: `python -m benchmarks.pins --write`.

Asks pip, without installing anything, for the files of the versions that are installed here, and writes their SHA-256 to
requirements.lock, for `pip install --require-hashes -r requirements.lock` on a machine of the same kind.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.licences import Row, collect, plain

LOCK = Path(__file__).resolve().parent.parent / "requirements.lock"


def hashes(rows: list[Row]) -> dict[str, str]:
    """Return the SHA-256 of the file that pip would take of each package, by plain name."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed", "--no-deps"]
        pinned = [f"{row.name}=={row.version}" for row in rows]
        subprocess.run([*command, "--only-binary", ":all:", "--report", str(report), *pinned], check=True)
        found = json.loads(report.read_text(encoding="utf-8"))["install"]
    return {plain(one["metadata"]["name"]): one["download_info"]["archive_info"]["hashes"]["sha256"] for one in found}


def lock(rows: list[Row], sums: dict[str, str]) -> str:
    """Return the text of requirements.lock."""
    kind = f"{platform.python_implementation()} {'.'.join(platform.python_version_tuple()[:2])}, {platform.system()}, {platform.machine()}"
    lines = [f"# Made by python -m benchmarks.pins --write, for {kind}; see docs/dependencies.md."]
    lines += [f"{plain(row.name)}=={row.version} --hash=sha256:{sums[plain(row.name)]}" for row in rows]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pins", description=__doc__)
    parser.add_argument("--write", action="store_true", help=f"write {LOCK.name}")
    options = parser.parse_args()
    rows = collect(("churn",))
    text = lock(rows, hashes(rows))
    print(text, end="")
    if options.write:
        LOCK.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
