"""Stacking (Wolpert 1992): a small regularised model on the models' out-of-fold predictions.

One regression per column of the prediction, on what the models say of that column: logistic on
logits for probabilities, ridge for values. With M features a column it stays small where there
are a hundred classes and few rows.
"""

import numpy as np

COMPLEXITY = 5

#: Logits beyond those of this probability say nothing more.
CLIP = 1e-5
#: Inverse strength of the logistic regression's L2 penalty, on standardised logits.
STRENGTH = 0.1
#: Share of the range of the targets that a prediction of values may leave it by.
REACH = 0.25
ALPHAS = (0.1, 1.0, 10.0, 100.0, 1000.0)


def misfit(problem) -> str | None:
    """Every column of the predictions needs targets to be fitted to."""
    columns = problem.target.reshape(len(problem.target), -1).shape[1]
    if problem.space == "values" and columns != problem.predictions.shape[2]:
        return "not every column that is predicted has a target"
    return None


def fit(problem) -> dict:
    """Coefficients per column, (names, models), and intercepts, (names,)."""
    wanted = _columns(problem.target, problem.predictions.shape[2], problem.space)
    features = _features(problem.predictions, problem.space)
    fit_column = _logistic if problem.space == "probabilities" else _ridge
    fitted = [
        fit_column(features[:, :, column].T, wanted[:, column]) for column in range(wanted.shape[1])
    ]
    low, high = np.nanmin(wanted, axis=0), np.nanmax(wanted, axis=0)
    reach = REACH * (high - low)
    return {
        "coefficients": [coefficients for coefficients, _ in fitted],
        "intercepts": [intercept for _, intercept in fitted],
        "space": problem.space,
        "rows_sum_to_one": problem.space == "probabilities" and problem.target.ndim == 1,
        # A line may run far out of the range of the targets, or below zero where none is.
        "low": np.where(low >= 0, np.maximum(low - reach, 0), low - reach).tolist(),
        "high": (high + reach).tolist(),
    }


def apply(parameters: dict, predictions: np.ndarray) -> np.ndarray:
    """The regressions' predictions, (rows, names)."""
    features = _features(predictions, parameters["space"])
    coefficients = np.asarray(parameters["coefficients"])
    raw = np.einsum("mnk,km->nk", features, coefficients) + np.asarray(parameters["intercepts"])
    if parameters["space"] != "probabilities":
        return np.clip(raw, parameters["low"], parameters["high"])
    blend = 1 / (1 + np.exp(-np.clip(raw, -50, 50)))
    if parameters["rows_sum_to_one"]:
        blend /= blend.sum(axis=1, keepdims=True)
    return blend


def _columns(target: np.ndarray, count: int, space: str) -> np.ndarray:
    """The target as (n, names): one-hot for classes."""
    if space == "probabilities" and target.ndim == 1:
        return (target[:, None] == np.arange(count)).astype(np.float64)
    return np.asarray(target, dtype=np.float64).reshape(len(target), count)


def _features(predictions: np.ndarray, space: str) -> np.ndarray:
    if space != "probabilities":
        return np.asarray(predictions, dtype=np.float64)
    clipped = np.clip(predictions, CLIP, 1 - CLIP)
    return np.log(clipped) - np.log1p(-clipped)


def _logistic(features: np.ndarray, wanted: np.ndarray) -> tuple[list, float]:
    from sklearn.linear_model import LogisticRegression

    count = features.shape[1]
    if len(np.unique(wanted)) < 2:
        return [1 / count] * count, 0.0  # a class without examples: the mean of the logits
    scale = features.std() or 1.0
    model = LogisticRegression(C=STRENGTH, solver="newton-cholesky").fit(features / scale, wanted)
    return (model.coef_[0] / scale).tolist(), float(model.intercept_[0])


def _ridge(features: np.ndarray, wanted: np.ndarray) -> tuple[list, float]:
    from sklearn.linear_model import RidgeCV

    known = ~np.isnan(wanted)  # a target may be missing, such as a point that is not seen
    model = RidgeCV(alphas=ALPHAS).fit(features[known], wanted[known])
    return model.coef_.tolist(), float(model.intercept_)
