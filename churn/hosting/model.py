"""What a host offers, and how it is described to a client.

A client that has read a `Description` knows the parameters to make keys for, the keys to make, how
to pack its numbers, and what comes back. So the two ends cannot disagree about any of it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from churn import plain
from churn.errors import ModelError
from churn.hosting.protocol import DIGEST
from ckks.errors import HEError
from ckks.rlwe import Ciphertext
from ckks.scheme import CKKSParams, Evaluator
from ckks.scheme.serialization import params_from_bytes, to_bytes

__all__ = ["MAX_ROTATIONS", "Description", "HostedModel", "Layout", "Output"]

MAX_ROTATIONS = 64
_MAX_BATCH = 1 << 16
_NAME = re.compile(r"[a-z0-9._-]+")


@dataclass(frozen=True)
class Layout:
    """One way of packing the input.

    Args:
        items: how many ciphertexts the input is a batch of.
        slots: how many slots each of them has, a power of two; fewer than N/2 repeat.
        bound: the largest |value| in any slot.
        relinearisation: whether the evaluation needs the relinearisation key.
        rotations: the slot rotations that it needs keys for.
    """

    items: int
    slots: int
    bound: float
    relinearisation: bool = False
    rotations: tuple[int, ...] = ()

    @property
    def needs_keys(self) -> bool:
        """Whether any evaluation key has to be there."""
        return self.relinearisation or bool(self.rotations)

    def to_dict(self) -> dict[str, object]:
        """Return plain values, for JSON."""
        return {
            "items": self.items,
            "slots": self.slots,
            "bound": self.bound,
            "relinearisation": self.relinearisation,
            "rotations": list(self.rotations),
        }

    @classmethod
    def from_dict(cls, value: object, what: str) -> Layout:
        """Return the layout that `to_dict` described; ModelError for anything else."""
        parts = plain.fields(value, what, ["items", "slots", "bound", "relinearisation", "rotations"])
        rotations = parts["rotations"]
        if not isinstance(rotations, list) or len(rotations) > MAX_ROTATIONS:
            raise ModelError(
                f"the rotations of {what} are no list of up to {MAX_ROTATIONS}",
                "slot rotations are needed, none or more",
                "Ask the model's owner",
            )
        return cls(
            items=plain.whole(parts["items"], f"the number of ciphertexts of {what}", 1, _MAX_BATCH),
            slots=plain.whole(parts["slots"], f"the slots of {what}", 1, 1 << 16),
            bound=plain.number(parts["bound"], f"the bound of {what}"),
            relinearisation=parts["relinearisation"] is True,
            rotations=tuple(plain.whole(k, f"a rotation of {what}", 1, 1 << 16) for k in rotations),
        )


@dataclass(frozen=True)
class Output:
    """What comes back: what it means, and the range in which every value lies, errors included.

    A decrypted value outside the range is no result, but damage or a lie.
    """

    kind: str
    low: float
    high: float

    def to_dict(self) -> dict[str, object]:
        """Return plain values, for JSON."""
        return {"kind": self.kind, "low": self.low, "high": self.high}

    @classmethod
    def from_dict(cls, value: object) -> Output:
        """Return the output that `to_dict` described; ModelError for anything else."""
        parts = plain.fields(value, "the output", ["kind", "low", "high"])
        return cls(
            plain.text(parts["kind"], "the kind of output"),
            plain.number(parts["low"], "the output's least value"),
            plain.number(parts["high"], "the output's greatest value"),
        )


class HostedModel(Protocol):
    """What `create_app` hosts. Attributes never change; `evaluate` is called from many threads."""

    @property
    def name(self) -> str:
        """What a client asks for: [a-z0-9._-]."""

    @property
    def version(self) -> int:
        """1, 2, ..."""

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of everything the result depends on, learned numbers included."""

    @property
    def params(self) -> CKKSParams:
        """The parameters of keys and ciphertexts."""

    @property
    def layouts(self) -> Mapping[str, Layout]:
        """The accepted layouts by name, the preferred one first."""

    @property
    def output(self) -> Output:
        """What comes back."""

    def about(self) -> dict[str, object]:
        """Return what else a client may know, as plain values for JSON."""

    def evaluate(self, evaluator: Evaluator, x: Ciphertext, layout: str) -> Ciphertext:
        """Return one ciphertext of results for a batch x (items,), checked against `layout`."""


@dataclass(frozen=True, eq=False)
class Description:
    """A hosted model as a client sees it; the JSON of GET /v1/models/{name}."""

    name: str
    version: int
    digest: str
    params: CKKSParams
    layouts: Mapping[str, Layout]
    output: Output
    about: Mapping[str, Any]

    @classmethod
    def of(cls, model: HostedModel) -> Description:
        """Describe a model."""
        return cls(
            model.name, model.version, model.digest, model.params, dict(model.layouts), model.output, model.about()
        )

    def to_dict(self) -> dict[str, object]:
        """Return plain values, for JSON; the parameters as the library's bytes, in hex."""
        return {
            "name": self.name,
            "version": self.version,
            "digest": self.digest,
            "parameters": to_bytes(self.params).hex(),
            "parameters_digest": self.params.digest.hex(),
            "parameters_text": str(self.params),
            "depth": self.params.depth,
            "layouts": {name: layout.to_dict() for name, layout in self.layouts.items()},
            "output": self.output.to_dict(),
            "about": dict(self.about),
        }

    @classmethod
    def from_dict(cls, value: object, *, allow_insecure: bool = False) -> Description:
        """Return the description that `to_dict` wrote; ModelError for anything else.

        The parameters are validated like any others, their security recomputed. Parameters marked
        insecure are refused unless a test allows them: the host does not choose for the client.
        """
        parts = plain.fields(
            value,
            "the description",
            [
                "name",
                "version",
                "digest",
                "parameters",
                "parameters_digest",
                "parameters_text",
                "depth",
                "layouts",
                "output",
                "about",
            ],
        )
        layouts, about = parts["layouts"], parts["about"]
        if not isinstance(layouts, dict) or not layouts or not isinstance(about, dict):
            raise ModelError("the description has no named layouts", "one at least is needed", "Ask the model's owner")
        digest = parts["digest"]
        if not (isinstance(digest, str) and DIGEST.fullmatch(digest)):
            raise ModelError("the model's digest is no digest", "64 hex digits are needed", "Ask the model's owner")
        params = _params(parts["parameters"], allow_insecure)
        described = {
            plain.text(name, "a layout's name"): Layout.from_dict(one, f"layout {name!r}")
            for name, one in layouts.items()
        }
        for name, layout in described.items():
            if layout.slots > params.slots or layout.slots & (layout.slots - 1):
                raise ModelError(
                    f"layout {name!r} has {layout.slots} slots",
                    f"a power of two up to {params.slots} is needed",
                    "Ask the model's owner",
                )
        name = plain.text(parts["name"], "the model's name")
        if not _NAME.fullmatch(name):
            raise ModelError(
                f"the model's name is {name!r}", "a-z, 0-9, '.', '_' and '-' may be in it", "Ask the model's owner"
            )
        return cls(
            name=name,
            version=plain.whole(parts["version"], "the model's version", 1, 1 << 31),
            digest=digest,
            params=params,
            layouts=described,
            output=Output.from_dict(parts["output"]),
            about=about,
        )


def _params(value: object, allow_insecure: bool) -> CKKSParams:
    needed, remedy = "a parameter set of this library is needed", "Ask the model's owner"
    try:
        data = bytes.fromhex(value if isinstance(value, str) else "?")
        return params_from_bytes(data, allow_insecure=allow_insecure)
    except (HEError, ValueError) as error:
        raise ModelError(f"the model's parameters cannot be used ({error})", needed, remedy) from error
