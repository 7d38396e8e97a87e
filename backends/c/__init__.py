"""Integer networks as C99: what `qpsnn export --c` writes, and the backend that compiles and runs it."""
