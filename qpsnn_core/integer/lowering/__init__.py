"""From a trained model to integers: folding, fixed point, and what rounding may change."""
