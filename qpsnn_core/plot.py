"""Figures of networks, spikes, training and answers, each drawn into given axes; they live in experiments/plots/."""

from qpsnn_core.experiments.plots.figures import confusion, membrane, network, raster, scores, training, weights

__all__ = ["confusion", "membrane", "network", "raster", "scores", "training", "weights"]
