"""Side by side, in one run: qpsnn against SpikingJelly and snnTorch on the same networks, weights and images."""
