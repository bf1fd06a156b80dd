"""Signs and what follows from them: comparison, maximum, argmax.

operations    on ciphertexts, for any composite
composite     which odd polynomials, one after the other, come close to the sign: odd_minimax fits, degrees chooses
deciding      evaluates a composite and tells what its errors become
"""
