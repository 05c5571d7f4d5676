"""Tools and tests that use a real cluster."""
