"""One module per library, each run as a process of its own: `python -m benchmarks.peers.workers.NAME`."""
