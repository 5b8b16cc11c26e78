"""Draw what a model does: the picture on its card, and a sheet to look at.

Both show held-out photos, reduced and enlarged again through the pipeline that users call.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont, ImageOps
from torch import Tensor

from stylesr.data.datasets import find_pictures
from stylesr.errors import InputError
from stylesr.fidelity import bicubic, enlarge, hr_picture, low_resolution, progress
from stylesr.picture import Picture, to_pil
from stylesr.pipeline import StyleSRPipeline
from stylesr.tiling import drain

__all__ = [
    "PREVIEW_FILE",
    "contact_sheet",
    "draw",
    "draw_any_style",
    "encode",
    "find_photos",
    "gallery",
    "grid",
    "sample",
]

PREVIEW_FILE = "preview.webp"
CELL = (400, 300)  # of the preview, in pixels: width and height
SMALL_CELL = (298, 298)  # of the preview of any style
GALLERY_CELL, GALLERY_COLUMNS = (240, 240), 6
SHEET_SIDE = 512  # most of a cell, in pixels
SHEET_ROWS = 8
SHEET_SCALES = (1, 2, 4)
SHEET_STRENGTHS = (0.0, 0.5, 1.0)
GAP = 4
HEAD = 28
MAX_BYTES = 250_000
GALLERY_BYTES = 400_000


def draw(pipe: StyleSRPipeline, photos: Sequence[Path]) -> Image.Image:
    """The card's picture: a row a photo, reduced by the largest factor and enlarged again.

    For a model with a base: bicubic, half strength, full strength. For a base: bicubic, the
    model, the original. For one that keeps a photo's size: the photo, painted at its size, painted
    at half of it. What paints shows the photos whole, other models pieces at full size.
    """
    paints = bool(pipe.styles) and pipe.plan(CELL).paints
    rows = []
    for path in photos:
        cells = _columns(pipe, hr_picture(path, math.lcm(4, pipe.photo.scales[-1])))
        if paints:
            cells = [ImageOps.fit(cell, CELL, Image.Resampling.LANCZOS) for cell in cells]
        rows.append([_middle(cell, CELL) for cell in cells])
    return grid(rows, _titles(pipe))


def draw_any_style(
    pipe: StyleSRPipeline, photos: Sequence[Path], works: Mapping[str, Tensor]
) -> Image.Image:
    """The card's picture of what takes any style: a row a photo, a column a work.

    Args:
        photos: painted at their own size.
        works: (3, H, W) each, by the titles of the columns; they are not shown themselves.
    """
    read = [pipe.read_style(Picture(work)) for work in works.values()]
    rows = []
    for path in photos:
        photo = hr_picture(path)
        painted = [drain(pipe.stream(photo, scale=1, brush=1, style_image=r)).pixels for r in read]
        cells = [_to_rgb(pixels) for pixels in (photo.pixels, *painted)]
        rows.append([ImageOps.fit(cell, SMALL_CELL, Image.Resampling.LANCZOS) for cell in cells])
    return grid(rows, ["photo", *works])


def sample(preview: str | Path, column: int) -> Image.Image:
    """A square from the middle of the first photo of a picture by `draw`.

    Args:
        preview: its file.
        column: 0 to 2; what `_titles` says is there.

    Raises:
        InputError: it is laid out in another way.
        OSError: it cannot be read.
    """
    (width, height), gap = CELL, GAP
    with Image.open(preview) as sheet:
        rows, rest = divmod(sheet.height - HEAD + gap, height + gap)
        if sheet.width != 3 * (width + gap) - gap or rest or not rows:
            raise InputError(f"{preview} is not laid out as previews.draw does it")
        left = column * (width + gap) + (width - height) // 2
        return sheet.crop((left, HEAD, left + height, HEAD + height)).convert("RGB")


def gallery(previews: Mapping[str, str | Path]) -> Image.Image:
    """One photo in many styles, each under its name; the first without a style.

    Args:
        previews: files of pictures by `draw`, by the names of their styles; one or more. The photo
            is the first of each: they must have been drawn of the same.

    Raises:
        InputError: one is laid out in another way.
        OSError: one cannot be read.
    """
    cells = {"bicubic": sample(next(iter(previews.values())), 0)}
    cells |= {name: sample(preview, 2) for name, preview in previews.items()}
    titled = [grid([[cell.resize(GALLERY_CELL)]], [name]) for name, cell in cells.items()]
    width, height = titled[0].size
    columns, rows = min(len(titled), GALLERY_COLUMNS), -(-len(titled) // GALLERY_COLUMNS)
    sheet = Image.new("RGB", (columns * (width + GAP) - GAP, rows * (height + GAP) - GAP), "white")
    for place, cell in enumerate(titled):
        row, column = divmod(place, GALLERY_COLUMNS)
        sheet.paste(cell, (column * (width + GAP), row * (height + GAP)))
    return sheet


def contact_sheet(pipe: StyleSRPipeline, photos: str | Path) -> Image.Image:
    """All that the pipeline's first style does, or its base where it has none, pixel by pixel.

    A row for each of up to eight photos, taken evenly from a folder; a column for each factor (1,
    2, 4) and strength (0, 0.5, 1, where it has them). A photo's middle, of at most 512×512 pixels,
    is reduced by the factor and enlarged again, so that all cells of a row show the same.

    Raises:
        InputError: the folder has no pictures, or one is smaller than 48×48.
        ImageError: one cannot be read.
    """
    paths = find_pictures(photos)
    paths = paths[:: -(-len(paths) // SHEET_ROWS)]
    strengths = SHEET_STRENGTHS if pipe.styles and not _keeps_size(pipe) else (1.0,)
    columns = [(scale, strength) for scale in SHEET_SCALES for strength in strengths]
    style = next(iter(pipe.styles), pipe.base_name)
    rows = []
    for path in progress(paths, f"sheet of {style}"):
        hr = _piece(hr_picture(path))
        lrs = {scale: low_resolution(hr, scale) for scale in SHEET_SCALES}
        rows.append([_to_rgb(enlarge(pipe, lrs[s], style, s, strength)) for s, strength in columns])
    return grid(rows, [_title(style, *column) for column in columns])


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
    """Pictures in rows, under titles; each in the middle of a cell as large as the largest."""
    sizes = [cell.size for cells in rows for cell in cells]
    width, height = (max(sides) for sides in zip(*sizes, strict=True))
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
            cell, top = cells[column], HEAD + row * (height + GAP)
            place = (left + (width - cell.width) // 2, top + (height - cell.height) // 2)
            sheet.paste(cell, place)
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


def _titles(pipe: StyleSRPipeline) -> list[str]:
    """What `_columns` holds."""
    scale = pipe.photo.scales[-1]
    if _keeps_size(pipe):
        return ["photo", pipe.styles[0], f"{pipe.styles[0]}, brush 2"]
    if not pipe.styles:
        return [f"{scale}x bicubic", f"{scale}x {pipe.base_name}", "original"]
    titles = (_title(pipe.styles[0], scale, strength) for strength in (0.5, 1.0))
    return [f"{scale}x bicubic", *titles]


def _title(style: str, scale: int, strength: float) -> str:
    """In ASCII: Pillow's own font has no ×."""
    return f"{scale}x {style}" if strength == 1 else f"{scale}x {style}, strength {strength:g}"


def _columns(pipe: StyleSRPipeline, hr: Picture) -> list[Image.Image]:
    """Three pictures of the original's size, in the order of `_titles`."""
    if _keeps_size(pipe):
        painted = (drain(pipe.stream(hr, scale=1, brush=brush)).pixels for brush in (1, 2))
        return [_to_rgb(pixels) for pixels in (hr.pixels, *painted)]
    scale = pipe.photo.scales[-1]
    lr = low_resolution(hr, scale)
    if pipe.styles:
        results = [enlarge(pipe, lr, pipe.styles[0], scale, strength) for strength in (0.5, 1.0)]
    else:
        results = [enlarge(pipe, lr, pipe.base_name, scale), hr.pixels]
    return [_to_rgb(pixels) for pixels in (bicubic(lr, scale), *results)]


def _keeps_size(pipe: StyleSRPipeline) -> bool:
    """Whether its style is a network that has neither factors nor strengths."""
    return bool(pipe.styles) and pipe.styles[0] in pipe.painters


def _piece(hr: Picture) -> Picture:
    """The middle of a picture, of at most `SHEET_SIDE` pixels a side, a multiple of 4."""
    height, width = (min(side, SHEET_SIDE) for side in (hr.height, hr.width))
    top, left = (hr.height - height) // 2, (hr.width - width) // 2
    return replace(hr, pixels=hr.pixels[:, top : top + height, left : left + width].contiguous())


def _to_rgb(pixels: Tensor) -> Image.Image:
    return to_pil(Picture(pixels.contiguous())).convert("RGB")


def _middle(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """A piece of `size` from the middle, enlarged where the picture is smaller."""
    width, height = (min(have, want) for have, want in zip(image.size, size, strict=True))
    left, top = (image.width - width) // 2, (image.height - height) // 2
    piece = image.crop((left, top, left + width, top + height))
    return ImageOps.fit(piece, size, Image.Resampling.LANCZOS)
