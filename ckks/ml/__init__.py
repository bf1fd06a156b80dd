"""scikit-learn model in, batched encrypted predictions out.

    model = ckks.ml.from_sklearn(pipeline, X=X_train)   # the model's owner: weights, ranges, parameters
    client = model.client()                             # the data's owner: makes and keeps the secret key
    server = model.server(client.evaluation_keys)       # evaluates; has nothing that decrypts
    answer = server.evaluate(client.encrypt(X_test))    # any number of rows
    client.predict(answer)                              # labels, as pipeline.predict gives them

`fold` turns a pipeline's steps into one affine map, `trained` reads estimators, `intervals` proves where every value
lies; `schema` is the client's half, `network` and `forest` (with `layers`) what a server evaluates, `layout` how rows
lie in ciphertexts, `outputs` what scores mean. `estimators` has both sides in one scikit-learn estimator, to try with;
it alone imports scikit-learn.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ckks.ml.client import Client
    from ckks.ml.convert import from_sklearn
    from ckks.ml.estimators import EncryptedClassifier, EncryptedRegressor
    from ckks.ml.layout import Encrypted
    from ckks.ml.model import Description, Model, parameters_for
    from ckks.ml.schema import Schema
    from ckks.ml.server import Server

_HOME = {
    "Client": "ckks.ml.client",
    "Description": "ckks.ml.model",
    "Encrypted": "ckks.ml.layout",
    "EncryptedClassifier": "ckks.ml.estimators",
    "EncryptedRegressor": "ckks.ml.estimators",
    "Model": "ckks.ml.model",
    "Schema": "ckks.ml.schema",
    "Server": "ckks.ml.server",
    "from_sklearn": "ckks.ml.convert",
    "parameters_for": "ckks.ml.model",
}

__all__ = [
    "Client",
    "Description",
    "Encrypted",
    "EncryptedClassifier",
    "EncryptedRegressor",
    "Model",
    "Schema",
    "Server",
    "from_sklearn",
    "parameters_for",
    "supported",
]


def supported() -> dict[str, list[str]]:
    """Return the names of the scikit-learn classes that `from_sklearn` takes: estimators, and transformers."""
    from ckks.ml import fold, trained

    return {"estimators": trained.supported(), "transformers": fold.supported()}


def __getattr__(name: str) -> Any:
    """Import a public name on first use: a server never loads what decrypts."""
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, loaded or not."""
    return sorted({*globals(), *__all__})
