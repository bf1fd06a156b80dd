"""Do the tests bite? Small defects are put into a copy of the sources, one at a time, and the tests of that file run.

    python -m benchmarks.mutants --write        a sample with a fixed seed, and the list by hand; into docs/mutants.md

    mutation    one change of one file
    python      changes of Python sources, by their syntax trees
    c           changes of C sources, by their tokens
    byhand      the list of docs/security.md: wrong root, floor for round, ...
    targets     which files, and which tests are to notice
    workspace   the copy, and building its compiled kernels
    trial       one mutant against its tests, in a process of its own
    report      what became of them, as a page

A runner of our own, since the well-known ones (mutmut, cosmic-ray) know no C, wrap functions in ways that numba
cannot compile, and run one list of tests for all files.
"""
