"""Who may leave? Employee records scored on a stranger's model, without showing it a number. And who fits which job?

    in the clear     data, tables     synthetic employees; a CSV file, to learn from or to be scored
                     schema           from records to numbers between known ends
                     training, model  a logistic regression: how it is learned, and what of it is hosted
    encrypted        circuit          `Score`: the same model on ciphertexts, and what its answers may be off by
    who owns it      offer            the models of a folder, ready to be hosted
                     server           `serve(...)`; launch starts its workers, worker is one of them
    who asks         client           `Client(url).score(name, table)`: encrypts, asks, decrypts
                     scoring, keyfile what it knows of a model and gets from it; its keys on disk
    second use       match            which vectors are the most similar ones: indices, encrypted galleries, texts
    any model        predict          what `ckks.ml` made of a scikit-learn model, hosted beside the others
    both worlds      demo             the whole story; process runs the service beside it
                     report           what came of it, as numbers and as a page
    why              explain          which conditions drive the label, and how sure that is, in the clear
    for all          cli, commands    the command line; terminal is what its commands share
                     pages, units     what HTML pages share; numbers for readers
                     errors, plain    what goes wrong with tables and models; JSON that is read with care
                     identity         name, version and salt of whatever a models folder holds; versions adds to it

`hosting` below has everything about the service that any other model could use as well. Nothing that serves (offer,
server, launch, worker, hosting) imports anything that could decrypt.
"""
