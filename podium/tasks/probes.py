"""Regularised linear models on frozen features: the start of a head, or the whole model."""

import numpy as np


def logistic(features: np.ndarray, classes: np.ndarray, count: int, strength: float, seed: int):
    """Multinomial logistic regression: weight (count, features), bias (count,).

    Classes without a row get a bias that makes them all but impossible.
    """
    from sklearn.linear_model import LogisticRegression

    weight = np.zeros((count, features.shape[1]))
    bias = np.full(count, -10.0)
    present = np.unique(classes)
    if len(present) < 2:
        bias[present] = 0.0
        return weight, bias
    model = LogisticRegression(C=strength, max_iter=500, tol=1e-3, random_state=seed)
    model.fit(features, classes)
    if len(present) == 2:
        weight[present] = np.concatenate([-model.coef_, model.coef_]) / 2
        bias[present] = np.concatenate([-model.intercept_, model.intercept_]) / 2
    else:
        weight[present], bias[present] = model.coef_, model.intercept_
    return weight, bias


def separate_logistics(features: np.ndarray, labels: np.ndarray, strength: float, seed: int):
    """One logistic regression per 0/1 column: weight (columns, features), bias (columns,)."""
    weights, biases = [], []
    for column in labels.T:
        weight, bias = logistic(features, column.astype(np.int64), 2, strength, seed)
        weights.append(weight[1] - weight[0])
        biases.append(bias[1] - bias[0])
    return np.array(weights), np.array(biases)


def ridge(features: np.ndarray, values: np.ndarray, strength: float):
    """Ridge regression: weight (columns, features), bias (columns,)."""
    from sklearn.linear_model import Ridge

    model = Ridge(alpha=1 / strength).fit(features, values)
    return np.atleast_2d(model.coef_), np.atleast_1d(model.intercept_)
