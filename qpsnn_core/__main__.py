"""`python -m qpsnn_core` is the command `qpsnn`."""

from qpsnn_core.cli import main

if __name__ == "__main__":
    main()
