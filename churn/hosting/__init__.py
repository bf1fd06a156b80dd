"""Hosting of encrypted evaluation over HTTP, whatever it is that is evaluated.

    model        what a host offers: `HostedModel`, and its `Description` as it travels
    protocol     paths, header names, problem answers
    limits       how much a host takes in, and reading a body within that
    store        public keys at rest, named by their SHA-256
    keyring      stored keys, checked and ready to compute with
    app          `create_app(models, store)`: the service
    remote       the other end: `Remote(url)`, its calls and its errors

Nothing here can decrypt, and nothing here knows what the numbers mean.
"""
