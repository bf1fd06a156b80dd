"""This library beside other CKKS libraries, in one run on one machine: `python -m benchmarks.peers --help`.

workload    what is measured: parameter sets, operands, operations, the logistic regression
protocol    JSON lines between the run and its workers, one process per library
workers     one module per library; they need numpy, the library, and Python 3.10 or later
registry    which libraries there are, their licences, and how to install them
run         the alternating measurement
document    what was measured, as JSON
report      the same as tables, for terminal and docs/peers.md
recorded    figures of libraries that pip cannot install, from another machine
"""
