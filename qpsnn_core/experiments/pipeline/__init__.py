"""A whole recipe, stage by stage: what `qpsnn run` and `qpsnn demo` do, and what a stopped run goes on from."""
