"""The charts, as far as Python alone can tell; the rest is in e2e/."""
