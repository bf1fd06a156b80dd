"""Where the time of one multiplication goes: `python -m benchmarks.profile --help`.

counts      how many transforms, conversions and products key switching needs, from the parameters alone
recorder    kernel methods with a clock around each
stages      the stages of a multiplication one by one, on basic kernels
bandwidth   what the memory of this machine gives
"""
