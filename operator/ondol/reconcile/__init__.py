"""From a key to writes: gather, decide, write. One file per kind."""
