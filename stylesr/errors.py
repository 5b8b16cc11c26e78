"""What stylesr raises on purpose.

    StyleSRError
    ├── InputError   an argument out of range or of the wrong kind   (also a ValueError)
    ├── ImageError   a picture that cannot be read or written        (also a ValueError)
    └── ModelError   a model folder that is missing, corrupt or does not fit

Each message names the value received and what would work.
"""

__all__ = ["ImageError", "InputError", "ModelError", "StyleSRError"]


class StyleSRError(Exception):
    """Base of every error that stylesr raises on purpose."""


class InputError(StyleSRError, ValueError):
    """An argument is out of range or of the wrong kind."""


class ImageError(StyleSRError, ValueError):
    """A picture cannot be read, is refused, or cannot be written."""


class ModelError(StyleSRError):
    """A model folder is missing, incomplete, corrupt or does not fit."""
