"""Events of cameras: made, read, filtered, counted into frames."""
