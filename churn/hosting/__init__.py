"""Hosting of encrypted evaluation over HTTP, whatever it is that is evaluated.

    what is offered     model        `HostedModel`, and its `Description` as it travels
                        registry     models by name@version, read from a folder
                        protocol     paths, header names, refusals
    the service         app          `create_app(...)`: the routes
                        galleries    the routes about encrypted vectors that clients keep here
                        asks         what a request asks for, from its path and headers
                        body         what it sends, read into a place that is named; uploads: on its way to the store
                        middleware   the log and the last resort around every request; problems turns errors to refusals
                        accept       taking connections, http what happens on one: nothing is read unasked
                        limits       how much a host takes in, from everybody and from each
                        logs         one line for each request, without data
    who                 tenants      tokens and the names behind them; mac binds answers to requests
    storage  store/     keystore     what is asked of it; filestore, blobs, database stand behind it
                        replays      nonces that were used; answers counts those given
                        galleries    which blocks of encrypted vectors are compared with together
    work     work/      workplace    what is asked of whoever does jobs: workers are processes, inline are threads
                        child        starting a process; channel, memory, jobs how it is talked to; attend is its life
                        evaluation   one evaluation from bytes to bytes; keyring has the keys ready
                        rehearsal    how large the error of a model's answers can be, from an evaluation of zeros
    the other end       remote       `Remote(url)`, its calls and its errors

Nothing here can decrypt, and nothing here knows what the numbers mean.
"""
