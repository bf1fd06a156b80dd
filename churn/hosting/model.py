"""What a host offers, and how it is described to a client.

A client that has read a `Description` knows the parameters to make keys for, the keys to make, how
to pack its numbers, and what comes back. So the two ends cannot disagree about any of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import Any, Protocol, cast

from churn import plain
from churn.errors import ModelError
from churn.hosting.protocol import ANSWERS, DIGEST
from ckks.errors import HEError
from ckks.rlwe import Ciphertext
from ckks.rlwe.flooding import LEAST_STATISTICAL_BITS, MOST_QUERIES, MOST_STATISTICAL_BITS
from ckks.scheme import CKKSParams, Evaluator
from ckks.scheme.serialization import params_from_bytes, to_bytes

__all__ = [
    "MAX_ROTATIONS",
    "Description",
    "Flooding",
    "GalleryModel",
    "HostedModel",
    "Layout",
    "Output",
    "comparing",
]

MAX_ROTATIONS = 64
_MAX_BATCH = 1 << 16
_NAME = re.compile(r"[a-z0-9._-]+")
_SCALE = re.compile(r"[0-9]{1,40}(\.[0-9]{1,40})?(E[+-]?[0-9]{1,3})?")


@dataclass(frozen=True)
class Layout:
    """One way of packing the input.

    Args:
        items: how many ciphertexts the input is a batch of.
        slots: how many slots each of them has, a power of two; fewer than N/2 repeat.
        bound: the largest |value| in any slot.
        level: of the input.
        relinearisation: whether the evaluation needs the relinearisation key.
        rotations: the slot rotations that it needs keys for.
        scale: of the input; the canonical one of the level if None.
        seeded: whether only encryptions under the secret key are taken, with a seed for their uniform halves: half as
            large, with less error.
    """

    items: int
    slots: int
    bound: float
    level: int
    relinearisation: bool = False
    rotations: tuple[int, ...] = ()
    scale: Decimal | None = None
    seeded: bool = False

    @property
    def needs_keys(self) -> bool:
        """Whether any evaluation key has to be there."""
        return self.relinearisation or bool(self.rotations)

    def scale_in(self, params: CKKSParams) -> Decimal:
        """Return the scale of the input, exactly."""
        return params.scale_at(self.level) if self.scale is None else self.scale

    def to_dict(self) -> dict[str, object]:
        """Return plain values, for JSON."""
        return {
            "items": self.items,
            "slots": self.slots,
            "bound": self.bound,
            "level": self.level,
            "relinearisation": self.relinearisation,
            "rotations": list(self.rotations),
            "scale": _scale_text(self.scale),
            "seeded": self.seeded,
        }

    @classmethod
    def from_dict(cls, value: object, what: str, params: CKKSParams) -> Layout:
        """Return the layout that `to_dict` described; ModelError for anything else."""
        parts = plain.fields(value, what, [field.name for field in fields(cls)])
        rotations = parts["rotations"]
        if not isinstance(rotations, list) or len(rotations) > MAX_ROTATIONS:
            raise ModelError(
                f"the rotations of {what} are no list of up to {MAX_ROTATIONS}",
                "slot rotations are needed, none or more",
                "Ask the model's owner",
            )
        slots = plain.whole(parts["slots"], f"the slots of {what}", 1, params.slots)
        if slots & (slots - 1):
            raise ModelError(
                f"{what} has {slots} slots", f"a power of two up to {params.slots} is needed", "Ask the model's owner"
            )
        return cls(
            items=plain.whole(parts["items"], f"the number of ciphertexts of {what}", 1, _MAX_BATCH),
            slots=slots,
            bound=plain.number(parts["bound"], f"the bound of {what}"),
            level=plain.whole(parts["level"], f"the level of {what}", 0, params.top_level),
            relinearisation=parts["relinearisation"] is True,
            rotations=tuple(plain.whole(k, f"a rotation of {what}", 1, 1 << 16) for k in rotations),
            scale=_scale(parts["scale"], f"the scale of {what}"),
            seeded=parts["seeded"] is True,
        )


@dataclass(frozen=True)
class Output:
    """What comes back: what it means, and what every honest answer looks like.

    A decrypted value that does not fit is no result, but damage or a lie.

    Args:
        kind: what the numbers are.
        low, high: the range of every value, errors included.
        unused: the value in slots without a row, whatever the model has learned.
        error: the largest error, of values, unused slots and imaginary parts, in an honest answer.
        level, scale: of the ciphertext; the canonical scale of the level if None.
        items: how many ciphertexts an answer is: 1 stands alone, more are a batch. Of a model that compares with
            galleries: of the largest one, as an answer has one for each block.
    """

    kind: str
    low: float
    high: float
    unused: float
    error: float
    level: int = 0
    scale: Decimal | None = None
    items: int = 1

    @property
    def batch(self) -> tuple[int, ...]:
        """The batch shape of an answer."""
        return () if self.items == 1 else (self.items,)

    def scale_in(self, params: CKKSParams) -> Decimal:
        """Return the scale of the answer, exactly."""
        return params.scale_at(self.level) if self.scale is None else self.scale

    def to_dict(self) -> dict[str, object]:
        """Return plain values, for JSON."""
        return {**vars(self), "scale": _scale_text(self.scale)}

    @classmethod
    def from_dict(cls, value: object, params: CKKSParams) -> Output:
        """Return the output that `to_dict` described; ModelError for anything else."""
        parts = plain.fields(value, "the output", [field.name for field in fields(cls)])
        error = plain.number(parts["error"], "the output's error")
        if error < 0:
            raise ModelError(f"the output's error is {error:g}", "0 or more is needed", "Ask the model's owner")
        return cls(
            kind=plain.text(parts["kind"], "the kind of output"),
            low=plain.number(parts["low"], "the output's least value"),
            high=plain.number(parts["high"], "the output's greatest value"),
            unused=plain.number(parts["unused"], "the output's value in unused slots"),
            error=error,
            level=plain.whole(parts["level"], "the output's level", 0, params.top_level),
            scale=_scale(parts["scale"], "the output's scale"),
            items=plain.whole(parts["items"], "the number of ciphertexts of an answer", 1, _MAX_BATCH),
        )


@dataclass(frozen=True)
class Flooding:
    """What hides the way to an answer, so that it gives away only the answer ([LMSS22]; docs/security.md, S7).

    Before it leaves, an encryption of zero under the client's public key is added, and a Gaussian of deviation
    sqrt(12 queries items) 2^(statistical_bits / 2) 2^log2_bound, for answers of so many items. All of it is public.

    Args:
        queries: how many answers of one model one client gets.
        statistical_bits: s; an answer tells 2^-s more than its value, over all queries together.
        log2_bound: 2^log2_bound bounds the l2 norm of the error's coefficients at that moment.
    """

    log2_bound: int
    queries: int = ANSWERS
    statistical_bits: int = 30

    def to_dict(self) -> dict[str, object]:
        """Return plain values, for JSON."""
        return dict(vars(self))

    @classmethod
    def from_dict(cls, value: object) -> Flooding | None:
        """Return the flooding that `to_dict` described, None for None; ModelError for anything else."""
        if value is None:
            return None
        parts = plain.fields(value, "the flooding", [field.name for field in fields(cls)])
        return cls(
            log2_bound=plain.whole(parts["log2_bound"], "the flooding's log2_bound", 0, 1 << 12),
            queries=plain.whole(parts["queries"], "the flooding's queries", 1, MOST_QUERIES),
            statistical_bits=plain.whole(
                parts["statistical_bits"],
                "the flooding's statistical_bits",
                LEAST_STATISTICAL_BITS,
                MOST_STATISTICAL_BITS,
            ),
        )


class HostedModel(Protocol):
    """What `create_app` hosts. Its attributes never change; its methods are called from several threads at once.

    Every worker process makes its own, and has to come to the same digest.
    """

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

    @property
    def flooding(self) -> Flooding | None:
        """How answers are flooded; None for a model whose answers may tell more than their values."""

    def evaluate(self, evaluator: Evaluator, x: Ciphertext, layout: str) -> Ciphertext:
        """Return the results for a batch x (items,), checked against `layout`, before any flooding: `output.batch`."""

    def finish(self, evaluator: Evaluator, y: Ciphertext) -> Ciphertext:
        """Return what goes back, from what `evaluate` returned and flooding changed: nothing learned comes in here."""


class GalleryModel(HostedModel, Protocol):
    """A `HostedModel` whose input is compared with a gallery that its client has stored, block by block."""

    @property
    def gallery(self) -> Layout:
        """How a block of a gallery is packed."""

    def compare(self, evaluator: Evaluator, x: Ciphertext, blocks: Iterable[Ciphertext]) -> Ciphertext:
        """Return the results for x (items,) with every block: one ciphertext alone, or a batch of several.

        `blocks` are checked against `gallery`, and are read one at a time: none is to be kept.
        """


def comparing(model: HostedModel) -> GalleryModel | None:
    """Return a model that compares with galleries; None for any other."""
    return cast(GalleryModel, model) if hasattr(type(model), "gallery") else None


@dataclass(frozen=True, eq=False)
class Description:
    """A hosted model as a client sees it; the JSON of GET /v1/models/{name}."""

    name: str
    version: int
    digest: str
    params: CKKSParams
    layouts: Mapping[str, Layout]
    output: Output
    flooding: Flooding | None
    about: Mapping[str, Any]
    gallery: Layout | None = None

    @classmethod
    def of(cls, model: HostedModel) -> Description:
        """Describe a model."""
        compares = comparing(model)
        return cls(
            model.name,
            model.version,
            model.digest,
            model.params,
            dict(model.layouts),
            model.output,
            model.flooding,
            model.about(),
            None if compares is None else compares.gallery,
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
            "flooding": None if self.flooding is None else self.flooding.to_dict(),
            "about": dict(self.about),
            "gallery": None if self.gallery is None else self.gallery.to_dict(),
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
                "flooding",
                "about",
                "gallery",
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
            plain.text(name, "a layout's name"): Layout.from_dict(one, f"layout {name!r}", params)
            for name, one in layouts.items()
        }
        gallery = parts["gallery"]
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
            output=Output.from_dict(parts["output"], params),
            flooding=Flooding.from_dict(parts["flooding"]),
            about=about,
            gallery=None if gallery is None else Layout.from_dict(gallery, "the gallery's layout", params),
        )


def _params(value: object, allow_insecure: bool) -> CKKSParams:
    needed, remedy = "a parameter set of this library is needed", "Ask the model's owner"
    try:
        data = bytes.fromhex(value if isinstance(value, str) else "?")
        return params_from_bytes(data, allow_insecure=allow_insecure)
    except (HEError, ValueError) as error:
        raise ModelError(f"the model's parameters cannot be used ({error})", needed, remedy) from error


def _scale_text(scale: Decimal | None) -> str | None:
    return None if scale is None else str(scale)


def _scale(value: object, what: str) -> Decimal | None:
    if value is None:
        return None
    text = plain.text(value, what)
    if not _SCALE.fullmatch(text) or not 2**10 <= (scale := Decimal(text)) <= 2**256:
        raise ModelError(
            f"{what} is {text[:60]!r}", "a number from 2^10 to 2^256 is needed, or none", "Ask the model's owner"
        )
    return scale
