"""Where bodies are parsed and models evaluated: processes apart from the one that listens.

`workplace` says what the service asks; `workers` does it with processes (`child`, `channel`, `memory`), `inline` with
threads; `attend` is a process's life, `evaluation` one evaluation.
"""
