"""Networks that learnt locally, deployed: their integers, the exact simulator, and what else runs them."""
