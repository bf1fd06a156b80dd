"""S1: requests that are wrong in every way get 4xx, never 5xx, and the service stays the process that it was."""

from __future__ import annotations

from collections import Counter

import pytest
from attacks.live import Live, Prepared
from attacks.mutations import Mutator
from conftest import Figure

from churn.circuit import FEATURE_MAJOR
from ckks.rlwe.secret import KeyGenerator
from ckks.scheme import Encryptor
from ckks.scheme.serialization import to_bytes

TRACES = (b"Traceback", b'File "', b".py", b"/home", b"0x7f")


@pytest.mark.service
@pytest.mark.parametrize(
    "count", [2000, pytest.param(100_000, marks=[pytest.mark.slow, pytest.mark.timeout(3 * 3600)])]
)
def test_mutated_requests_are_refused(
    live: Live, alice: Prepared, mallory: Prepared, count: int, figure: Figure
) -> None:
    secret = mallory.client._secret(mallory.scoring.description)
    params, layout = secret.params, mallory.scoring.layout(FEATURE_MAJOR)
    key = to_bytes(KeyGenerator(params).public_key(secret))
    encryptor = Encryptor(params, KeyGenerator(params).public_key(secret))
    full = to_bytes(
        encryptor.encrypt(mallory.rows.T.copy(), level=layout.level, scale=layout.scale, bound=layout.bound)
    )
    mutator, statuses, wrong = Mutator(mallory, key, full, seed=count), Counter[int](), []
    with live.wire() as wire:
        for index in range(count):
            attempt = mutator.attempt()
            reply = wire.ask(attempt.data, head=attempt.head, whole=attempt.whole)
            statuses[reply.status] += 1
            leak = next((trace for trace in TRACES if trace in reply.body and reply.status != 200), None)
            if (reply.status >= 500 and reply.status != 503) or leak is not None:
                wrong.append(f"{index}: {attempt.what}: {reply.status} {reply.body[:300]!r}")
            if index % 50 == 49:  # keys that were valid after all, and would fill the quota
                _forget(live, mallory)
    assert not wrong, f"{len(wrong)} of {count}; " + "\n".join(wrong[:10])
    assert "failed:" not in live.log and "Traceback" not in live.log
    assert statuses[200] and sum(statuses[status] for status in (400, 401, 404, 405, 409, 411, 413, 422)) > count / 2
    told = ", ".join(f"{status or 'closed'}: {number}" for status, number in sorted(statuses.items()))
    figure("S1", f"{count} mutated requests: 0 process exits, 0 tracebacks, 0 of 5xx but 503 ({told})")


def _forget(live: Live, prepared: Prepared) -> None:
    folder = live.folder_of(prepared.tenant)
    for path in folder.iterdir():
        if path.name != prepared.keys.public:
            prepared.client.remote.delete_keys(path.name)
