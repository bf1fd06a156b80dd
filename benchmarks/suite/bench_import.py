"""How long `import ckks` takes beside numpy alone."""

from __future__ import annotations


class Import:
    """Fresh interpreters."""

    def timeraw_numpy(self) -> str:
        return "import numpy"

    def timeraw_ckks(self) -> str:
        return "import numpy, ckks"
