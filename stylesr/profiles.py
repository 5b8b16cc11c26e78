"""Colour profiles (ICC) → sRGB."""

import re
from io import BytesIO

import numpy as np
from PIL import Image, ImageCms

__all__ = ["to_srgb"]


def to_srgb(image: Image.Image, profile: bytes) -> tuple[Image.Image, list[str]]:
    """Convert a picture by its own colour profile, with perceptual intent.

    Args:
        image: Mode L, RGB or CMYK.
        profile: The ICC profile that came with it; untrusted.

    Returns:
        The picture in RGB, or unchanged when its colours need no conversion or the profile cannot
        be used, and notices for the user.
    """
    try:
        source = ImageCms.ImageCmsProfile(BytesIO(profile))
        if image.mode == "L" and source.profile.xcolor_space.strip() == "RGB":
            image = image.convert("RGB")  # a gray picture that kept the RGB profile it came with
        transform = ImageCms.buildTransform(
            source, ImageCms.createProfile("sRGB"), image.mode, "RGB", ImageCms.Intent.PERCEPTUAL
        )
        if image.mode != "CMYK" and _changes_nothing(transform, image.mode):
            return image, []
        result = ImageCms.applyTransform(image, transform)
        assert result is not None  # it is None only for work in place
    except (ImageCms.PyCMSError, OSError, TypeError, ValueError):
        return image, ["its colour profile is damaged or does not fit: read as sRGB"]
    name = re.sub(r"[^\w .,()+-]", "", source.profile.profile_description or "")[:60].strip()
    return result, [f"converted from {name or 'its colour profile'} to sRGB"]


def _changes_nothing(transform: ImageCms.ImageCmsTransform, mode: str) -> bool:
    """Whether no colour moves by more than a level: sRGB under whatever name."""
    probe = Image.linear_gradient("L")  # all 256 levels
    if mode == "RGB":
        steps = range(0, 256, 17)
        cube = [(r, g, b) for r in steps for g in steps for b in steps]
        probe = Image.fromarray(np.array([cube], np.uint8))
    result = ImageCms.applyTransform(probe, transform)
    difference = np.asarray(result, np.int16) - np.asarray(probe.convert("RGB"), np.int16)
    return bool(np.abs(difference).max() <= 1)
