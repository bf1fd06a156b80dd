"""Polynomials: fitted to functions, taken apart into few products at least depth, evaluated on ciphertexts.

polynomial     what one is: coefficients in the power or the Chebyshev basis, and an interval
approximation  fits them to functions: by the Remez exchange (remez) or least squares; measure tells how far off
plan           says how to evaluate one: which powers (powers), split how (division), in which steps (steps)
evaluation     walks a plan over a ciphertext (walk) and tells what its errors become (propagation)
"""
