"""From the state of pods to a reason and a hint that a person can act on. Pure."""
