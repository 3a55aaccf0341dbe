"""Logistic regression with a prior: with little data its weights stay near given ones."""

from __future__ import annotations

import numpy as np

from detkit.arrays import Doubles, Features, Flags

PRIOR_STRENGTH = 20.0
"""Number of examples, roughly, from which on the data count more than the prior weights."""
_STEPS = 30


def fit_logistic(features: Features, targets: Flags, prior: Features, strength: float = PRIOR_STRENGTH) -> Doubles:
    """Return the weights ``(D,)`` that maximize the posterior probability of the targets.

    Args:
        features: ``(N, D)``, of the order of 1; a column of ones for the intercept.
        targets: ``(N,)``.
        prior: ``(D,)`` weights that are expected without data.
        strength: Precision of the Gaussian around them.
    """
    inputs, weights = features.astype(np.float64), prior.astype(np.float64)
    for _ in range(_STEPS):
        probabilities = sigmoid(inputs @ weights)
        gradient = inputs.T @ (targets - probabilities) - strength * (weights - prior)
        curvature = probabilities * (1 - probabilities)
        hessian = (inputs * curvature[:, None]).T @ inputs + strength * np.eye(len(weights))
        step = np.linalg.solve(hessian, gradient)
        weights = weights + step * min(1.0, 2.0 / max(float(np.abs(step).max()), 1e-12))
        if np.abs(step).max() < 1e-6:
            break
    return weights


def sigmoid(values: Features) -> Doubles:
    """Return the logistic function, without overflow."""
    result: Doubles = 0.5 * (1 + np.tanh(0.5 * np.asarray(values, np.float64)))
    return result


def logit(probabilities: Features, margin: float = 1e-4) -> Doubles:
    """Return the log odds of probabilities, which are kept from 0 and 1."""
    clipped = np.clip(np.asarray(probabilities, np.float64), margin, 1 - margin)
    return np.log(clipped) - np.log1p(-clipped)
