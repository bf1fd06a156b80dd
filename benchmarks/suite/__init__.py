"""asv benchmarks, one module per layer; every class names its parameters."""
