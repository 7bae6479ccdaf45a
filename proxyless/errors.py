"""Every error that proxyless raises itself."""


class MeshError(Exception):
    """The root of the tree."""


class ConfigurationError(MeshError):
    """What the mesh was told (an argument, a variable, a file) makes no sense; the text names it."""


class NotReadyError(MeshError):
    """No complete configuration came in time; the text says why."""


class UnsupportedError(MeshError):
    """A version of a library, a server or a model of threads that proxyless does not work with; the text names it."""
