"""The commands of `python -m churn`, by who runs them. What they print and write is theirs; what they do is elsewhere.

training   train, explain: whoever has the table
serving    serve, tenants: whoever hosts
asking     models, score: whoever asks
options    what several of them take

Heavy imports happen inside the functions, so that `--help` is quick and `serve` loads neither scikit-learn nor
anything that could decrypt.
"""
