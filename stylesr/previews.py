"""Draw what a model does: the picture on its card, and sheets to look at.

Both show held-out photos, reduced and enlarged again through the pipeline that users call.
"""

from collections.abc import Iterator, Sequence
from io import BytesIO
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont, ImageOps
from torch import Tensor
from tqdm import tqdm

from stylesr.data.datasets import find_pictures
from stylesr.errors import InputError
from stylesr.evaluation import bicubic, enlarge, hr_picture, low_resolution
from stylesr.picture import Picture, to_pil
from stylesr.pipeline import StyleSRPipeline

__all__ = ["PREVIEW_FILE", "contact_sheets", "draw", "encode", "find_photos", "grid"]

PREVIEW_FILE = "preview.webp"
CELL = (400, 300)  # of the preview, in pixels: width and height
SHEET_CELL = (384, 384)
SHEET_ROWS = 8
GAP = 4
HEAD = 28
MAX_BYTES = 250_000


def draw(pipe: StyleSRPipeline, photos: Sequence[Path]) -> Image.Image:
    """The card's picture: a row a photo, reduced by 4 and enlarged again.

    For a style: bicubic, half strength, full strength, each whole. For a photo model: bicubic,
    the model, the original, each a piece at full size.
    """
    rows = []
    for path in photos:
        cells = _columns(pipe, hr_picture(path), 4)
        if pipe.styles:
            cells = [ImageOps.fit(cell, CELL, Image.Resampling.LANCZOS) for cell in cells]
        rows.append([_middle(cell, CELL) for cell in cells])
    return grid(rows, _titles(pipe, 4))


def contact_sheets(pipe: StyleSRPipeline, photos: str | Path) -> Iterator[tuple[int, Image.Image]]:
    """(factor, sheet) for ×4, ×2 and ×1: up to eight photos of a folder, pieces at full size.

    The columns are those of `draw`; a style's first one has strength 0.
    """
    paths = find_pictures(photos)
    paths = paths[:: -(-len(paths) // SHEET_ROWS)]
    for scale in (4, 2, 1):
        rows = [
            [_middle(cell, SHEET_CELL) for cell in _columns(pipe, hr_picture(path), scale, True)]
            for path in tqdm(paths, desc=f"sheet ×{scale}", leave=False, disable=None)
        ]
        yield scale, grid(rows, _titles(pipe, scale, True))


def find_photos(folder: str | Path, names: Sequence[str]) -> list[Path]:
    """For each name the first picture of the folder whose file name contains it.

    Raises:
        InputError: there is none.
    """
    paths = find_pictures(folder)
    found = [next((path for path in paths if name in path.stem), None) for name in names]
    if missing := [name for name, path in zip(names, found, strict=True) if path is None]:
        raise InputError(f"{folder} has no picture for the preview named {', '.join(missing)}")
    return [path for path in found if path is not None]


def grid(rows: Sequence[Sequence[Image.Image]], titles: Sequence[str]) -> Image.Image:
    """Pictures of one size in rows, under titles."""
    width, height = rows[0][0].size
    size = (
        len(titles) * (width + GAP) - GAP,
        HEAD + len(rows) * (height + GAP) - GAP,
    )
    sheet = Image.new("RGB", size, "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(16)
    for column, title in enumerate(titles):
        left = column * (width + GAP)
        pen.text((left + width / 2, HEAD / 2), title, "black", font, anchor="mm")
        for row, cells in enumerate(rows):
            sheet.paste(cells[column], (left, HEAD + row * (height + GAP)))
    return sheet


def encode(image: Image.Image, max_bytes: int = MAX_BYTES) -> bytes:
    """As WebP of the best quality, from 85 down, that fits `max_bytes`.

    Raises:
        InputError: none down to 40 does.
    """
    for quality in range(85, 39, -5):
        file = BytesIO()
        image.save(file, "WEBP", quality=quality, method=6)
        if file.tell() <= max_bytes:
            return file.getvalue()
    raise InputError(
        f"{image.width}×{image.height} pixels do not fit {max_bytes:,} bytes; draw fewer photos"
    )


def _titles(pipe: StyleSRPipeline, scale: int, sheet: bool = False) -> list[str]:
    """What `_columns` holds, in ASCII: Pillow's own font has no ×."""
    if not pipe.styles:
        return [f"{scale}x bicubic", f"{scale}x {pipe.base_name}", "original"]
    style = pipe.styles[0]
    first = "strength 0" if sheet else "bicubic"
    return [f"{scale}x {first}", f"{scale}x {style}, strength 0.5", f"{scale}x {style}"]


def _columns(
    pipe: StyleSRPipeline, hr: Picture, scale: int, sheet: bool = False
) -> list[Image.Image]:
    """Three pictures of the original's size, in the order of `_titles`."""
    lr = low_resolution(hr, scale)
    plain = bicubic(lr, scale)
    if not pipe.styles:
        columns = [plain, enlarge(pipe, lr, pipe.base_name, scale), hr.pixels]
    else:
        style = pipe.styles[0]
        first = enlarge(pipe, lr, style, scale, 0.0) if sheet else plain
        columns = [first, *(enlarge(pipe, lr, style, scale, s) for s in (0.5, 1.0))]
    return [_to_rgb(column) for column in columns]


def _to_rgb(pixels: Tensor) -> Image.Image:
    return to_pil(Picture(pixels.contiguous())).convert("RGB")


def _middle(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """A piece of `size` from the middle, enlarged where the picture is smaller."""
    width, height = (min(have, want) for have, want in zip(image.size, size, strict=True))
    left, top = (image.width - width) // 2, (image.height - height) // 2
    piece = image.crop((left, top, left + width, top + height))
    return ImageOps.fit(piece, size, Image.Resampling.LANCZOS)
