"""Every error that proxyless raises itself."""


class MeshError(Exception):
    """The root of the tree."""


class ConfigurationError(MeshError):
    """What the mesh was told (an argument, a variable, a file) makes no sense; the text names it."""


class NotReadyError(MeshError):
    """No complete configuration came in time; the text says why."""
