"""What this library aims at, T1 to T15, measured on this machine: `python -m benchmarks.aims --help`.

targets      the aims as numbers, and whose figures they were derived from
cases        which measurements belong to which aim
transforms   T1, T2: the NTT
switching    T3 to T7, T10: products, rotations, batches
scheme       T8, T9, T13, T15: encoding, encryption, a whole application, keys
comparisons  T11, T12, T14: another backend, two threads, the import
bound        the clock of the core, and the least time of a transform on it
sets         parameter sets by aim, with keys and operands
measure      alternating samples
document     what was measured, as JSON
report       the same as one table
"""
