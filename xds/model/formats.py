"""What a command of Envoy's `%...%` formats looks like (envoy source: substitution_formatter)."""

COMMAND = r"%([A-Z0-9_]+)(?:\((.*?)\))?(?::([0-9]+))?%"
"""A pattern with three groups: name, parameters, and how many bytes of the value count. With re.DOTALL; `%%`, a percent
sign, is no command and comes first."""
