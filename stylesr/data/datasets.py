"""Training pictures: folders of photos held in memory, cut into crops by index."""

import random
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset
from tqdm import tqdm

from stylesr import dicom
from stylesr.data.hub_datasets import PREFIX, hub_pictures
from stylesr.errors import ImageError, InputError
from stylesr.images import check, decode, to_pil
from stylesr.resample import resize

__all__ = ["RandomCrops", "find_pictures", "gather", "load_folder", "load_rgb", "turn"]

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".avif", ".heic"}
LARGEST = 2000  # longest side of a training photo: more holds soft pixels and fills the memory


def find_pictures(folder: str | Path, *, also: Collection[str] = ()) -> list[Path]:
    """Picture files below a folder, sorted; a single file gives itself.

    Args:
        folder: to be searched.
        also: extensions to be found beside the usual ones, such as ".dcm".

    Raises:
        InputError: no such folder, or no picture in it.
    """
    folder = Path(folder)
    if folder.is_file():
        return [folder]
    if not folder.is_dir():
        raise InputError(f"there is no folder {str(folder)!r}")
    suffixes = SUFFIXES | set(also)
    found = sorted(p for p in folder.rglob("*") if p.suffix.lower() in suffixes)
    if not found:
        raise InputError(f"no pictures ({', '.join(sorted(suffixes))}) in {str(folder)!r}")
    return found


def load_rgb(path: str | Path | bytes, reduce: float = 1.0, at_most: int | None = None) -> Tensor:
    """Read a picture as a (3, H, W) uint8 tensor in sRGB.

    Args:
        path: of a picture, or the bytes of its file; its orientation and colour profile are
            applied, transparency is not.
        reduce: make it smaller by this factor (bicubic, antialiased).
        at_most: make it smaller still where its longest side is more pixels than this.

    Raises:
        ImageError: it cannot be read.
    """
    check(path)  # by the header: a format and a size that are read
    if dicom.is_one(path):
        raise ImageError(f"{dicom.called(path)} is DICOM, which nothing is trained on here")
    with Image.open(BytesIO(path) if isinstance(path, bytes) else path) as image:
        longest = max(image.size)
        reduce = max(reduce, longest / (at_most or longest))
        if at_most and longest > at_most:  # a JPEG can be decoded at 1/2, 1/4 or 1/8: much faster
            image.draft(None, (at_most * image.width // longest, at_most * image.height // longest))
        rgb = to_pil(replace(decode(image), alpha=None, bits=8)).convert("RGB")
    reduce *= max(rgb.size) / longest
    if reduce > 1:
        size = (max(1, round(rgb.width / reduce)), max(1, round(rgb.height / reduce)))
        rgb = rgb.resize(size, Image.Resampling.BICUBIC)
    return torch.from_numpy(np.array(rgb)).permute(2, 0, 1).contiguous()


def load_folder(
    folder: str | Path, *, at_least: int, reduce: float = 1.0, at_most: int | None = None
) -> list[Tensor]:
    """Read a folder of pictures; those with a side below `at_least` pixels are left out.

    So are those that cannot be read, which are listed: others are drawn in their place, the same
    ones in every run. Pictures of more than `at_most` pixels a side, 2000 where it is left out, are
    made smaller.

    Args:
        folder: or a dataset of the Hub, as `hub_pictures` takes it: hub:user/name.
        at_least, reduce, at_most: sides in pixels, and a factor, as above and for `load_rgb`.

    Raises:
        InputError: more than one in a hundred cannot be read, or none is large enough.
    """
    pictures: list[Tensor] = []
    broken: list[str] = []
    files: Iterable[tuple[str, Path | bytes]]
    if str(folder).startswith(PREFIX):
        files = hub_pictures(str(folder))
    else:
        files = [(path.name, path) for path in find_pictures(folder)]
    for name, file in tqdm(files, desc=f"reading {folder}", leave=False, disable=None):
        try:
            pictures.append(load_rgb(file, reduce, at_most or LARGEST))
        except ImageError:
            broken.append(name)
    count = len(pictures) + len(broken)
    if len(broken) * 100 > count:
        raise InputError(
            f"{len(broken)} of {count} pictures in {str(folder)!r} cannot be read, "
            f"for example {', '.join(broken[:3])}; take them out"
        )
    if broken:
        tqdm.write(f"left out of {folder}, as they cannot be read: {', '.join(broken)}")
    large = [p for p in pictures if min(p.shape[1:]) >= at_least]
    if not large:
        raise InputError(
            f"no picture in {str(folder)!r} has sides of {at_least} pixels or more; "
            "give larger ones or a smaller --crop"
        )
    return large


class RandomCrops(Dataset[Tensor]):
    """Square crops, flipped, turned and sometimes reduced; item i depends on (seed, i) alone.

    So a run that stops and resumes at item i goes on exactly as if it had not stopped.

    Args:
        pictures: (C, H, W) uint8 tensors, each side at least `size`.
        size: side of a crop, in pixels.
        length: number of items.
        seed: of all choices.
        reduce: chance that a crop is cut larger and reduced, for sharper and more varied content.
        upright: mirror only, never turn: where it matters what is above.
    """

    def __init__(
        self,
        pictures: Sequence[Tensor],
        size: int,
        length: int,
        seed: int = 0,
        reduce: float = 0.3,
        upright: bool = False,
    ) -> None:
        if small := [tuple(p.shape) for p in pictures if min(p.shape[1:]) < size]:
            raise InputError(
                f"{len(small)} pictures are smaller than a crop of {size}: {small[:3]}"
            )
        self.pictures, self.size, self.length, self.seed = pictures, size, length, seed
        self.reduce, self.upright = reduce, upright

    def __len__(self) -> int:
        """Number of items."""
        return self.length

    def __getitem__(self, index: int) -> Tensor:
        """(C, size, size), float32 in [0, 1]."""
        rng = random.Random(self.seed * 1_000_003 + index)
        picture = rng.choice(self.pictures)
        height, width = picture.shape[1:]
        cut = self.size
        if rng.random() < self.reduce:
            cut = rng.randint(self.size, min(height, width, 2 * self.size))
        top, left = rng.randint(0, height - cut), rng.randint(0, width - cut)
        crop = picture[:, top : top + cut, left : left + cut].float() / 255
        if cut != self.size:
            crop = resize(crop[None], (self.size, self.size))[0].clamp_(0, 1)
        way = rng.randrange(8)
        return turn(crop, way // 4 * 4 if self.upright else way)


def turn(picture: Tensor, way: int) -> Tensor:
    """One of the eight turns and reflections of (…, H, W), `way` in 0…7."""
    picture = torch.rot90(picture, way % 4, (-2, -1))
    return (picture.flip(-1) if way >= 4 else picture).contiguous()


def gather(
    folders: Iterable[str | Path], halved: Iterable[str | Path], *, at_least: int
) -> list[Tensor]:
    """All pictures of `folders`, and of `halved` at half their size (soft or compressed ones)."""
    pictures = [p for f in folders for p in load_folder(f, at_least=at_least)]
    return pictures + [p for f in halved for p in load_folder(f, at_least=at_least, reduce=2)]
