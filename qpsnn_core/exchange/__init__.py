"""Files that other simulators read and write: NetX (lava-dl) and NIR."""
