"""What the package refuses, and says so: every refusal is a ``ValueError`` a person can act on."""


class Refused(ValueError):
    """Bad input: the message says what was found, where, and what is allowed."""


class ConfigurationError(Refused):
    """One or more keys of a configuration (or of a problem's mapping) are wrong."""


class DamagedFile(Refused):
    """A file between stages is truncated, tampered with, or not one of ours."""
