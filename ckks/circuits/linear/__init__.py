"""Linear algebra on slots.

matrix       plaintext matrices times encrypted vectors; diagonals takes them apart, encoded keeps their plaintexts
products     encrypted matrices times encrypted ones; arranged the same for matrices arranged in the clear, one level
slots        sums, permutations, masks
statistics   means, variances and covariances of encrypted tables
similarity   inner products of one encrypted vector with many others
"""
