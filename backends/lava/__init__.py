"""The Lava backend, `backend.LavaBackend`; nothing is imported here, so that its child process starts light."""
