"""What a service keeps: tenants' keys and galleries, nonces that were used, answers that were given.

`keystore` says what the service asks of its storage; `filestore` does it with files (`blobs`) and SQLite (`database`).
"""
