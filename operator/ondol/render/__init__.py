"""Pure functions from objects and facts to manifests. No clock, no IO, no randomness."""
