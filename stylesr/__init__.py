"""stylesr: super-resolution and style in one pass."""

__version__ = "0.1.0"
