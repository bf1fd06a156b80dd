"""Any function on an interval.

choice      which polynomial, and whether Newton's iteration or a narrowed interval does better
catalogue   functions with a name
newton      Newton's iteration for roots and inverses
extension   wide intervals, narrowed step by step before a polynomial of a low degree
"""
