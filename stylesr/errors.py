"""What stylesr raises on purpose.

    StyleSRError
    ├── InputError   an argument out of range or of the wrong kind   (also a ValueError)
    ├── ImageError   a picture that cannot be read or written        (also a ValueError)
    ├── ModelError   a model folder that is missing, corrupt or does not fit
    │   └── HubError the Hub refused, or cannot be reached
    ├── OutOfMemory  more memory than there is                       (also a MemoryError)
    └── PublishError a model folder that is not fit to be published

Each message names the value received and what would work.
"""

__all__ = [
    "HubError",
    "ImageError",
    "InputError",
    "ModelError",
    "OutOfMemory",
    "PublishError",
    "StyleSRError",
]


class StyleSRError(Exception):
    """Base of every error that stylesr raises on purpose."""


class InputError(StyleSRError, ValueError):
    """An argument is out of range or of the wrong kind."""


class ImageError(StyleSRError, ValueError):
    """A picture cannot be read, is refused, or cannot be written."""


class ModelError(StyleSRError):
    """A model folder is missing, incomplete, corrupt or does not fit."""


class HubError(ModelError):
    """The Hub refused, cannot be reached, or does not hold what was asked for."""


class OutOfMemory(StyleSRError, MemoryError):
    """A picture needs more memory than there is."""


class PublishError(StyleSRError):
    """A model's folder is not fit to be published.

    Attributes:
        failings: everything that is wrong with it, a sentence each.
    """

    def __init__(self, folder: str, failings: tuple[str, ...]) -> None:
        super().__init__(f"{folder} is not fit to be published: " + "; ".join(failings))
        self.failings = failings
