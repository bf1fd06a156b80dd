"""Any model that `ckks.ml` made of a scikit-learn pipeline, hosted like the churn model is.

trained     `publish(model, folder, name)`: the model as a file beside the others
predictor   `Predictor`: the same, evaluated encrypted, and what its answers may be off by
client      `predict(client, name, table)`: asks for it; the half of whoever owns the rows, and the secret key
command     the same from the command line

What serves imports trained and predictor, and never the other two.
"""
