"""The second use: which vectors are the most similar to mine? Résumés and vacancies, as vectors of length 1.

    vectors      numbers in .npy files, and what they have to be
    embedding    from texts to vectors; texts: synthetic vacancies and résumés, and those of a CSV file
    index        vectors that their owner lets a host see; similarity: an index on ciphertexts, and its error
    room         for vectors that a host must not see (galleries), and their similarities
    client       `match(client, known, queries)`: asks either; the half of whoever owns the queries, and the secret key
    keeping      encrypts a gallery and sends it
    matchmaker   the whole story of it: texts in, both worlds compared
    command      the same from the command line; gallery_command, options and report are its parts

What serves imports vectors, index, similarity and room, and never the others.
"""
