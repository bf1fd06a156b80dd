"""Hosting of encrypted evaluation over HTTP, whatever it is that is evaluated.

    what is offered     model        `HostedModel`, and its `Description` as it travels
                        registry     models by name@version, read from a folder
                        protocol     paths, header names, problem answers
    the service         app          `create_app(...)`; middleware, problems, logs around every request
                        http         the connection: nothing is read unasked, nobody is waited for
                        limits       how much a host takes in; body reads within that
    who, and how often  tenants      tokens and the names behind them; mac binds answers to requests
                        replays      nonces that were used; answers counts those given
    keys at rest        keystore     what is asked of a store; filestore, blobs, database, files stand behind it
    computing           workers      processes: attend, jobs, channel, memory are how they are talked to
                        evaluation   one evaluation from bytes to bytes; keyring has the keys ready
    the other end       remote       `Remote(url)`, its calls and its errors

Nothing here can decrypt, and nothing here knows what the numbers mean.
"""
