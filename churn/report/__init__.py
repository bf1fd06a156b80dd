"""What came of a comparison of both worlds, and how it looks.

results   `Results.compare(...)`: the numbers, as JSON, and as a table in a terminal
page      the same as one HTML file; charts are its pictures
"""
