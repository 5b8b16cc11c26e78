"""Draw pictures to train styles from: abstract landscapes of our own, in six techniques.

    python train/drawings.py --out drawings                         # all of them
    python train/drawings.py glass-mosaic --out drawings --seed 3
    python train/drawings.py gouache --plans --out pairs            # beside what they are of

Each picture is a landscape made up from its seed (`landscape`: a sun, bands of sky, hills, a river,
a tree, reeds) that a technique then renders. Strokes are 2 to 40 pixels wide at any size. The same
name, seed and size draw the same picture. `--plans` puts the landscape to the left of it, each part
in one flat colour: pairs for pix2pix (`train/translation.py`).
"""

import argparse
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from stylesr.errors import InputError

Array = NDArray[np.floating]  # float32, but for points
Mask = NDArray[np.bool_]
Rng = np.random.Generator
SKY, SUN, HILL, WATER, TREE, LEAF = range(6)
FINE = 2  # pictures are drawn this many times larger and reduced


# -- fields ---------------------------------------------------------------------------------------


def noise(rng: Rng, n: int, cells: float, octaves: int = 1, stretch: float = 1) -> Array:
    """(n, n) smooth noise of deviation about 1 with `cells` blobs a side, `stretch` times wider."""
    total = np.zeros((n, n), np.float32)
    for octave in range(octaves):
        rows = round(cells * 2**octave) + 3
        columns = round(cells * 2**octave / stretch) + 3
        lattice = Image.fromarray(rng.standard_normal((rows, columns)).astype(np.float32))
        box = (1, 1, columns - 1, rows - 1)  # its border would be flat
        total += 0.5**octave * np.asarray(lattice.resize((n, n), Image.Resampling.BICUBIC, box))
    return 1.3 * total


def blur(field: Array, sigma: float) -> Array:
    """About a Gaussian: three box means along each axis, the border continued."""
    r = max(1, round(sigma))
    for _ in range(6):
        sums = np.cumsum(np.pad(field, ((r + 1, r), (0, 0)), "edge"), 0, dtype=np.float64)
        field = ((sums[2 * r + 1 :] - sums[: -2 * r - 1]) / (2 * r + 1)).astype(np.float32).T
    return field


def moved(field: Array, down: float, right: float) -> Array:
    """The field moved by a distance in pixels of the picture, the border continued."""
    rows, columns = (
        (np.arange(len(field)) - round(by * FINE)).clip(0, len(field) - 1) for by in (down, right)
    )
    return field[rows][:, columns]


def step(field: Array, edge: float | Array, softness: float) -> Array:
    """From 0 below the edge to 1 above it, smoothly."""
    t = np.clip((field - edge) / softness + 0.5, 0, 1)
    return (t * t * (3 - 2 * t)).astype(np.float32)


def colours(*names: str) -> Array:
    """(k, 3) RGB in [0, 1] of hexadecimal names."""
    return np.array([list(bytes.fromhex(name)) for name in names], np.float32) / 255


def ramp(palette: Array, value: Array) -> Array:
    """The palette's colours, from its first at 0 to its last at 1, blended between."""
    at = np.linspace(0, 1, len(palette))
    return np.stack([np.interp(value, at, channel) for channel in palette.T], -1).astype(np.float32)


def mix(below: Array, above: Array, cover: Array) -> Array:
    """`above` over `below`, by a coverage of one channel."""
    return below + (above - below) * cover[..., None]


def reduced(field: Array) -> Array:
    """Every FINE × FINE pixels become their mean."""
    n = len(field) // FINE
    return field.reshape(n, FINE, n, FINE, *field.shape[2:]).mean((1, 3))


# -- the landscape --------------------------------------------------------------------------------


@dataclass
class Layer:
    """What lies over the layers before it; all arrays are (n, n)."""

    kind: int
    mask: Mask
    tone: Array  # 0 dark to 1 light
    height: Array  # strokes follow its level lines


@dataclass
class Scene:
    """A landscape seen from the front; all arrays are (n, n)."""

    kind: NDArray[np.uint8]
    part: NDArray[np.int16]  # which layer
    tone: Array
    flow: Array  # the direction of strokes, in radians


def landscape(rng: Rng, n: int, bold: float = 1) -> Iterator[Layer]:
    """The layers of a made-up landscape, from back to front; `bold` has fewer, larger details."""
    bold *= (1024 * FINE / n) ** 0.5  # strokes do not shrink with the picture
    y, x = np.mgrid[:n, :n].astype(np.float32) / n
    sun = rng.uniform((0.25, 0.2), (0.75, 0.33))
    radius = rng.uniform(0.075, 0.11)
    horizon = rng.uniform(0.47, 0.54)
    grain = 0.05 * noise(rng, n, 4, 3)

    # the sky: bands around the sun and around two eddies, that merge like heights on a map
    side = np.sign(0.5 - sun[0])
    eddies = [sun[0] + side * rng.uniform(0.42, 0.6), rng.uniform(0.05, 0.2)]
    eddies += [sun[0] - side * rng.uniform(0.3, 0.4), rng.uniform(0.3, 0.45)]
    distance = np.hypot(x - sun[0], y - sun[1]).astype(np.float32)
    warp = 0.03 * noise(rng, n, 3, 2) * step(distance, 0.25, 0.4)
    pull = np.exp(-11 * distance)
    for cx, cy in (eddies[:2], eddies[2:]):
        pull += 0.6 * np.exp(-14 * np.hypot(x - cx, 1.3 * (y - cy)))
    sky = warp - np.log(pull) / 11
    levels = np.quantile(sky[(y < horizon) & (distance > radius)], np.linspace(0, 1, 33))
    sky = np.interp(sky, levels, np.linspace(0, 1, 33)).astype(np.float32) + 0.2 * (sky - levels[0])
    edges = np.cumsum(rng.uniform(0.4, 1.6, round(11 / bold**0.5)))
    for edge in [-9.0, *(edges / edges[-1])]:
        level = 0.94 - 0.78 * max(edge, 0) + rng.uniform(-0.14, 0.14)
        within = 0.5 * (sky - max(edge, 0)).clip(-0.1, 0.4)
        yield Layer(SKY, sky > edge, np.clip(level + within + grain, 0, 1), sky)
    yield Layer(SUN, distance < radius, 0.97 - 0.1 * distance / radius, distance)

    # hills: each crest catches the light or stands dark against the next
    count = 6
    river_at = rng.uniform(0.35, 0.65)
    for k in range(count):
        near = k / (count - 1)
        swell = (0.05 + 0.03 * near) * noise(rng, n, 2.2 + (1 - near) * 2, 2)[n // 2]
        crest = horizon + 0.36 * near**1.25 + swell + 0.07 * (k > 2)
        slant = rng.uniform(-0.5, 0.5)
        height = y - crest + slant * (x - 0.5) * (y - crest + 0.12) + 0.016 * noise(rng, n, 5, 2)
        down = np.clip((y - crest) / (0.16 + 0.1 * near), 0, 1)
        light, dark = 0.85 - 0.35 * near, 0.3 - 0.2 * near
        first, last = (light, dark) if k % 2 == 0 else (dark, light)
        tone = np.clip(first + (last - first) * down**0.8 + grain, 0, 1)
        yield Layer(HILL, y > crest, tone, height)
        if k % 2:  # ploughed: furrows that widen towards us
            phase = np.sqrt(np.clip(height + 0.02, 0, 1)) * (26 - 8 * near) / bold**0.7
            furrow = (phase % 1 < 0.42) & (y > crest + 0.012)
            yield Layer(HILL, furrow, np.clip(tone + 0.33 - 0.5 * (tone > 0.5), 0, 1), height)
        if k == 2:  # the river comes out between the hills
            along = np.clip((y - crest) / (1 - crest), 0, 1)
            bend = river_at + 0.13 * np.sin(along * 7 + 6 * river_at) * along**0.6
            width = 0.012 + 0.2 * along**1.5
            across = np.abs(x - bend) / width
            ripple = y + 0.05 * warp + 0.004 * noise(rng, n, 12, 2, 4)
            shine = 0.78 + 0.3 * np.sin(ripple * 130 / (1 + 3 * along)) - 0.35 * across
            yield Layer(WATER, (across < 1) & (along > 0), np.clip(shine, 0.05, 1), ripple)

    yield from tree(rng, n, 0.5 + side * rng.uniform(0.26, 0.34), bold)
    yield from reeds(rng, n, bold)


def tree(rng: Rng, n: int, x: float, bold: float) -> Iterator[Layer]:
    """Dark leaves, the wood, light leaves."""
    wood, canvas = blank(n)
    ends: list[tuple[float, float]] = []

    def grow(x: float, y: float, angle: float, length: float, width: float, depth: int) -> None:
        points = [(x, y)]
        for _ in range(6):
            angle += rng.normal(0, 0.07) + 0.02 * np.sin(angle)
            x, y = x + length / 6 * np.sin(angle), y - length / 6 * np.cos(angle)
            points.append((x, y))
        ribbon(canvas, np.array(points), np.linspace(width, 0.66 * width, 7), n)
        if depth <= 3:
            ends.extend(points[2::2])
        if depth:
            for side in (-1, 1, rng.choice([-0.4, 0.4])):
                turn = side * rng.uniform(0.3, 0.65)
                grow(x, y, angle + turn, length * rng.uniform(0.66, 0.82), 0.62 * width, depth - 1)

    grow(x, 1.02, rng.normal(0, 0.05), rng.uniform(0.2, 0.24), 0.05, 5)
    leaves = np.array(ends)[rng.permutation(len(ends))[: round(len(ends) / bold**1.8)]]
    half = len(leaves) // 2
    yield foliage(rng, n, leaves[:half], 0.22, bold)
    grain = noise(rng, n, 30, 2, 0.12)
    height = np.mgrid[:n, :n][1].astype(np.float32) / n + 0.002 * grain
    yield Layer(TREE, np.asarray(wood) > 0, np.clip(0.16 + 0.07 * grain, 0, 1), height)
    yield foliage(rng, n, leaves[half:][: half // 2], 0.72, bold)


def foliage(rng: Rng, n: int, places: Array, tone: float, bold: float) -> Layer:
    """Leaves at the places, each a pointed oval of its own tone, grown away from the middle."""
    shape, canvas = blank(n)
    tones, toner = blank(n)
    middle = places.mean(0)
    for place in places:
        away = np.arctan2(*(place - middle)[::-1]) + rng.normal(0, 0.6)
        length, way = bold * rng.uniform(0.018, 0.036), np.array([np.cos(away), np.sin(away)])
        t = np.linspace(0, 1, 9)
        points = place + rng.normal(0, 0.012, 2) + t[:, None] * length * way
        widths = 0.42 * length * np.sin(np.pi * t) ** 0.8
        ribbon(canvas, points, widths, n)
        ribbon(toner, points, widths, n, int(255 * np.clip(tone + rng.normal(0, 0.13), 0.05, 0.97)))
    y, x = np.mgrid[:n, :n].astype(np.float32) / n
    height = np.hypot(x - middle[0], y - middle[1]).astype(np.float32)
    return Layer(LEAF, np.asarray(shape) > 0, np.asarray(tones, np.float32) / 255, height)


def reeds(rng: Rng, n: int, bold: float) -> Iterator[Layer]:
    """Blades and round heads along the lower border, dark ones and then light ones."""
    height = np.mgrid[:n, :n][1].astype(np.float32) / n
    for tone, count in ((0.1, 60), (0.8, 34)):
        shape, canvas = blank(n)
        for root in rng.beta(0.7, 0.7, round(count / bold**0.7)):
            tall, lean = rng.uniform(0.05, 0.2), rng.normal(0, 0.09)
            t = np.linspace(0, 1, 12)
            points = np.stack([root + lean * t**2, 1.01 - tall * t], 1)
            ribbon(canvas, points, bold**0.6 * (0.011 * (1 - t) ** 0.7 + 0.001), n)
            if rng.random() < 0.4:
                cx, cy = points[-1] * n
                r = bold**0.4 * rng.uniform(0.006, 0.013) * n
                canvas.ellipse((cx - r, cy - r, cx + r, cy + r), 255)
        mask = np.asarray(shape) > 0
        yield Layer(LEAF, mask, np.full((n, n), tone, np.float32), height)


def blank(n: int) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    """An empty mask and what draws on it."""
    image = Image.new("L", (n, n))
    return image, ImageDraw.Draw(image)


def ribbon(
    canvas: ImageDraw.ImageDraw,
    points: Array,
    widths: Array,
    scale: float,
    ink: int | tuple[int, ...] = 255,
) -> None:
    """Draw a line through the (k, 2) points whose width changes on its way."""
    way = np.gradient(points, axis=0)
    across = np.stack([-way[:, 1], way[:, 0]], 1)
    across *= (widths / 2 / np.maximum(np.hypot(*way.T), 1e-9))[:, None]
    outline = np.concatenate([points + across, (points - across)[::-1]]) * scale
    canvas.polygon([tuple(point) for point in outline.tolist()], ink)


def scene(rng: Rng, n: int, bold: float = 1) -> Scene:
    """The landscape's layers on top of one another."""
    kind = np.zeros((n, n), np.uint8)
    part = np.zeros((n, n), np.int16)
    tone, flow = np.zeros((2, n, n), np.float32)
    for number, layer in enumerate(landscape(rng, n, bold)):
        where = layer.mask
        down, right = np.gradient(layer.height)
        kind[where], part[where] = layer.kind, number
        tone[where], flow[where] = layer.tone[where], np.arctan2(-right, down)[where]
    return Scene(kind, part, tone, flow)


def outlines(part: NDArray[np.int16], width: float | Array, most: float) -> Array:
    """Cover of lines between the parts, `width` pixels wide and `most` at most.

    Where lines meet, they round the corners.
    """
    edge = np.zeros(part.shape, np.float32)
    edge[:, 1:] += part[:, 1:] != part[:, :-1]
    edge[1:] += part[1:] != part[:-1]
    sigma = most * FINE / 2
    line = blur(np.minimum(edge, 1), sigma) * sigma * np.sqrt(2 * np.pi)
    return step(line, np.exp(-0.5 * (np.asarray(width) / most) ** 2), 0.25)


# -- strokes --------------------------------------------------------------------------------------


def strokes(
    rng: Rng,
    part: NDArray[np.int16],
    flow: Array,
    spacing: Array,
    length: tuple[float, float],
    tries: int = 12,
) -> Iterator[Array]:
    """Lines along the flow that keep their spacing from one another and stay within their part.

    Yields (k, 2) points, in pixels of the arrays; where the spacing is 0 no line goes.
    """
    n = len(part)
    pace = 3.0
    taken = spacing <= 0  # where no line starts
    close = taken.copy()  # where none goes on
    average = spacing[~taken].mean() if not taken.all() else n
    seeds = rng.uniform(0, n, (int(tries * n * n / average**2), 2))
    for some in np.array_split(seeds, max(1, len(seeds) // 2000)):
        some = some[~at(taken, some)]
        halves = rng.uniform(*length, len(some)) / 2
        ways = [trace(some, flow, side * pace, int(length[1] / 2 / pace)) for side in (1, -1)]
        home = at(part, some)
        for i, (column, row) in enumerate(some.astype(int)):
            if taken[row, column]:
                continue
            line = []
            for way in ways:
                points = way[: int(halves[i] / pace) + 1, i]
                inside = ((points >= 0) & (points < n)).all(1)
                free = inside & (at(part, points) == home[i]) & ~at(close, points)
                line.append(points[: len(free) if free.all() else int(free.argmin())])
            both = np.concatenate([line[1][:0:-1], line[0]])
            if len(both) * pace < length[0] / 2 or len(both) < 3:
                continue
            for column, row in [*both[::2].astype(int), *both[-1:].astype(int)]:
                apart = min(spacing[row, column], 63)
                stamp(taken, row, column, round(0.9 * apart))
                stamp(close, row, column, round(0.6 * apart))
            yield both.astype(np.float32)


DISCS = [np.hypot(*np.mgrid[-r : r + 1, -r : r + 1]) <= r for r in range(64)]


def stamp(taken: Mask, row: int, column: int, radius: int) -> None:
    """Mark a disc as taken."""
    top, left = max(row - radius, 0), max(column - radius, 0)
    area = taken[top : row + radius + 1, left : column + radius + 1]
    cut = DISCS[radius][top - row + radius :, left - column + radius :]
    area |= cut[: area.shape[0], : area.shape[1]]


def trace(points: Array, flow: Array, pace: float, count: int) -> Array:
    """(count + 1, k, 2): from each point along the flow, which has no sense of forward."""
    way = [points]
    last = None
    for _ in range(count):
        angle = at(flow, way[-1])
        move = pace * np.stack([np.cos(angle), np.sin(angle)], 1)
        if last is not None:
            move *= np.where((move * last).sum(1) < 0, -1, 1)[:, None]
        last = move
        way.append(way[-1] + move)
    return np.array(way)


def drawn(lines: Iterator[Array], n: int, width: Callable[[Array], Array]) -> Array:
    """Cover of tapered lines; `width` gives that of each point, in pixels of the picture."""
    image, canvas = blank(2 * n)
    for line in lines:
        taper = np.sin(np.pi * np.linspace(0.06, 0.97, len(line))) ** 0.6
        ribbon(canvas, line, taper * width(line) * FINE, 2)
    small = image.resize((n, n), Image.Resampling.BOX)
    return np.asarray(small, np.float32) / 255


def at(field: NDArray[Any], points: Array) -> NDArray[Any]:
    """The field's values at (k, 2) points."""
    column, row = points.astype(int).clip(0, len(field) - 1).T
    return field[row, column]


# -- techniques: each gives (size × FINE) RGB in [0, 1] -------------------------------------------

# Of the scene that a technique draws first, and then renders; paper-cut has none, but layers.
BOLD = {"ink-hatching": 1.25, "glass-mosaic": 2.4, "stipple": 1.9, "linocut": 2.0, "gouache": 1.0}
# The colours of a plan, from dark to light.
PLAN = {
    SKY: colours("1c2f6b", "a9cbf2"),
    SUN: colours("d99a00", "ffe14d"),
    HILL: colours("0f3d1c", "a9dd8b"),
    WATER: colours("005a64", "7fe3e6"),
    TREE: colours("40210f", "a9764f"),
    LEAF: colours("6e0f3a", "f59ac0"),
}


def ink_hatching(rng: Rng, n: int) -> Array:
    """Pen on warm paper: hatching along the forms, crossed again and again where it is dark."""
    view = scene(rng, n, BOLD["ink-hatching"])
    dark = np.where(view.kind == TREE, 0.97, 1 - view.tone).clip(0, 1).astype(np.float32)
    wobble = 0.12 * noise(rng, n, 14, 2)
    width = (1.6 + 0.6 * noise(rng, n, 9)).clip(0.6, 3)
    cover = outlines(view.part, width, 3) * np.where(view.kind == SKY, 0, 1)
    cover = np.maximum(cover, outlines(view.kind.astype(np.int16), width, 3))
    passes = ((0.08, 0.0, 7.5), (0.4, 0.9, 7.0), (0.62, -0.75, 6.0), (0.8, 1.5, 5.0))
    for least, turn, apart in passes:
        spacing = FINE * apart * (1.6 - 0.95 * (dark - least) / (1 - least))
        spacing[(dark + 0.05 * wobble < least) | (least > 0.1) & (view.kind == TREE)] = 0
        spacing[(spacing > 0) & (view.kind == TREE)] = 3.6 * FINE
        lines = strokes(rng, view.part, view.flow + turn + wobble, spacing, (40, 340))
        pen = drawn(lines, n, lambda line: 0.9 + 1.9 * at(dark, line))
        cover = 1 - (1 - cover) * (1 - pen)
    solid = np.where(view.kind == TREE, 0.55, step(dark, 0.88, 0.08))
    cover = np.maximum(cover, solid)
    paper = ramp(colours("e6d3ae", "f6ead0"), 0.6 + 0.25 * noise(rng, n, 5, 4))
    wash = ramp(colours("b98f5e", "ffffff"), step(view.tone, 0.35, 0.9))
    ink = ramp(colours("14100f", "3a2418"), 0.4 + 0.3 * noise(rng, n, 6, 2))
    return mix(paper * (0.45 + 0.55 * wash), ink, 0.96 * cover)


def glass_mosaic(rng: Rng, n: int) -> Array:
    """Stained glass: panes along the forms, small and large, held by lead."""
    view = scene(rng, n, BOLD["glass-mosaic"])
    size = (
        np.where(view.kind == SUN, 1.4, 1)
        * FINE
        * np.exp((3.0 + 0.45 * noise(rng, n, 3)).clip(2.65, 4))
    )  # of the panes
    pane = np.zeros((n, n), np.int16)
    near = np.zeros((n, n), np.float32)
    image = np.zeros((n, n, 3), np.float32)
    palettes = {
        SKY: colours("071a52", "0b3c9c", "1673c8", "3fb4e0", "f7d774", "ffefb0"),
        SUN: colours("f25c05", "ff9d1e", "ffd23f"),
        HILL: colours("062430", "0a5a55", "1f8a5b", "7fae2e", "e8b923"),
        WATER: colours("10307a", "1c86c4", "7fdbe6", "effcff"),
        TREE: colours("3b0a1e", "7a1230"),
        LEAF: colours("5c0a14", "b3151d", "ea4a12", "ffb01f"),
    }
    count = 0
    streaks = noise(rng, n, 60, 2, 0.2), noise(rng, n, 60, 2, 5)
    for number in np.unique(view.part):
        rows, columns = np.nonzero(view.part == number)
        chosen = rng.random(len(rows)) < 0.55 / size[rows, columns] ** 2
        chosen[rng.integers(len(rows))] = True
        places = np.stack([columns, rows], 1)[chosen].astype(np.float32)
        angle = at(view.flow, places)
        best = np.full(len(rows), np.inf, np.float32)
        owner = np.zeros(len(rows), np.int16)
        for i, ((cx, cy), turn) in enumerate(zip(places, angle, strict=True)):
            u = (columns - cx) * np.cos(turn) + (rows - cy) * np.sin(turn)
            v = (rows - cy) * np.cos(turn) - (columns - cx) * np.sin(turn)
            distance = u * u / 2.2 + v * v * 1.6
            closer = distance < best
            best[closer], owner[closer] = distance[closer], i
        pane[rows, columns] = count + owner
        near[rows, columns] = np.minimum(np.sqrt(best) / size[rows, columns], 1)
        kind = view.kind[rows[0], columns[0]]
        value = at(view.tone, places) + rng.normal(0, 0.13, len(places))
        colour = ramp(palettes[int(kind)], value.clip(0, 1))
        colour = (colour * rng.uniform(0.8, 1.15, (len(places), 1)))[owner]
        tilt = rng.uniform(-1, 1, (2, len(places)))[:, owner] / (90 * FINE)
        light = (columns - places[owner, 0]) * tilt[0] + (rows - places[owner, 1]) * tilt[1]
        streak = np.where(owner % 2, streaks[0][rows, columns], streaks[1][rows, columns])
        shade = 1 + 0.45 * np.clip(light, -1, 1) + 0.06 * streak - 0.25 * near[rows, columns]
        image[rows, columns] = colour * (shade + 0.1)[:, None]
        count += len(places)
    glow = np.stack([blur(channel, 14 * FINE) for channel in np.moveaxis(image, 2, 0)], -1)
    image = image + 0.22 * glow
    lead = outlines(pane, (0.1 * size / FINE).clip(1.1, 3.4), 4)
    frame = outlines(view.kind.astype(np.int16), 3.0, 5)
    lead = np.maximum(lead, frame)
    round_ = blur(lead, 1.5 * FINE)
    bevel = np.clip(moved(round_, 1.5, 1.5) - moved(round_, -1.5, -1.5), 0, 1)
    metal = colours("0d0d12")[0] + 0.4 * bevel[..., None] * colours("b9bcc8")[0]
    return mix(image, metal, lead)


def paper_cut(rng: Rng, n: int) -> Array:
    """Layers of coloured paper, each with its shadow on those below."""
    palettes = {
        SKY: colours("14213d", "274b7a", "5d93b5", "e8825a", "f2b866", "f8dc9a", "fff3d8"),
        SUN: colours("e4572e", "ffb400"),
        HILL: colours("0b2b33", "14505c", "23787a", "55a08c", "a5c8a0", "f4e1c1"),
        WATER: colours("1f4e79", "dfecee"),
        TREE: colours("2b0f1f", "4a1a2c"),
        LEAF: colours("7d1128", "d1345b", "ff8552", "ffe1a8"),
    }
    fibre = noise(rng, n, 150, 2, 0.3) + noise(rng, n, 150, 2, 3)
    grain = rng.standard_normal((n, n)).astype(np.float32)
    image = np.ones((n, n, 3), np.float32)
    for layer in landscape(rng, n):
        if not layer.mask.any():
            continue
        mask = layer.mask.astype(np.float32)
        lift = 7 if layer.kind in (SKY, HILL) else 4
        sheet = Image.fromarray(layer.mask).convert("L")
        soft = np.asarray(sheet.filter(ImageFilter.GaussianBlur(FINE * lift)), np.float32) / 255
        shadow = moved(soft, lift, 0.7 * lift)
        image *= (1 - 0.6 * shadow)[..., None]
        tone = float(layer.tone[layer.mask].mean())
        palette = palettes[layer.kind]
        flat = palette[round((len(palette) - 1) * min(max(1.4 * tone - 0.2, 0), 1))]
        flat = flat * rng.uniform(0.92, 1.06)
        paper = flat * (1 + 0.014 * np.roll(fibre, rng.integers(n), 0) + 0.02 * grain)[..., None]
        edge = np.clip(mask - moved(mask, 1, 1), 0, 1)
        image = mix(image, np.clip(paper + 0.16 * edge[..., None], 0, 1), mask)
    return image


def stipple(rng: Rng, n: int) -> Array:
    """Dots of three inks, never on a grid; paper dots where the ink is nearly solid."""
    view = scene(rng, n, BOLD["stipple"])
    image = ramp(colours("f1e6cf", "faf4e6"), 0.5 + 0.3 * noise(rng, n, 5, 3))
    dark, third = 1 - view.tone, view.part % 3
    plain = np.isin(view.kind, (SKY, HILL))
    warm = np.where(plain & (third == 0), 0.75 * dark, 0) + (view.kind == SUN)
    warm = warm + (view.kind == LEAF) * step(view.tone, 0.4, 0.5)
    cool = np.where(plain & (third == 1) | (view.kind == WATER), dark, 0)
    black = np.where(plain & (third == 2), 0.8 * dark, step(dark, 0.65, 0.6))
    black = np.where(view.kind == TREE, 0.93, black) * (view.kind != SUN)
    for ink, amount in (("f2682a", warm), ("1f8a9e", cool), ("15173a", black)):
        amount = np.clip(amount, 0, 1).astype(np.float32)
        solid = amount > 0.66
        cover = dots(rng, np.where(solid, 0, amount))
        holes = dots(rng, np.where(solid, 1.1 - amount, 0))
        cover = np.where(solid, 1 - holes, cover)
        image = mix(image, image * 0.12 + 0.88 * colours(ink)[0], 0.95 * cover)
    return image


def dots(rng: Rng, amount: Array) -> Array:
    """Cover of dots that keep apart, larger and closer with the amount."""
    n = len(amount)
    image, canvas = blank(2 * n)
    radius = FINE * (0.9 + 2.6 * amount**0.8 + 0.3 * noise(rng, n, 8)).clip(0.8, 5)
    apart = radius * (0.55 + 0.95 / np.sqrt(amount.clip(0.02)))
    taken = amount < 0.04
    for _ in range(40):
        places = rng.integers(0, n, (n * n // 300, 2))
        for row, column in places[~taken[places[:, 0], places[:, 1]]]:
            if taken[row, column]:
                continue
            stamp(taken, row, column, min(round(apart[row, column]), 63))
            a, b = 2 * radius[row, column] * rng.uniform(0.85, 1.15, 2)
            canvas.ellipse((2 * column - a, 2 * row - b, 2 * column + a, 2 * row + b), 255)
    return np.asarray(image.resize((n, n), Image.Resampling.BOX), np.float32) / 255


def linocut(rng: Rng, n: int) -> Array:
    """A black block carved with the gouge, printed over two colours."""
    view = scene(rng, n, BOLD["linocut"])
    tone = np.clip(view.tone + 0.06 * noise(rng, n, 10, 2), 0, 1)
    tone = np.where(view.kind == TREE, 0.2, tone).astype(np.float32)
    apart = (7.5 + 2.2 * noise(rng, n, 4)).clip(5, 13)
    spacing = np.where(tone < 0.12, 0, FINE * apart).astype(np.float32)
    lines = strokes(rng, view.part, view.flow + 0.1 * noise(rng, n, 10), spacing, (30, 420))
    carved = drawn(lines, n, lambda line: at(apart, line) * (0.2 + 1.1 * at(tone, line)))
    carved = np.maximum(carved, step(tone, 0.84, 0.02))
    carved *= 1 - outlines(view.part, 2.2, 4)
    block = 1 - carved * (1 - outlines(view.kind.astype(np.int16), 3, 4))
    block *= 1 - 0.8 * step(noise(rng, n, 260) + 0.5 * noise(rng, n, 20), 2.8, 0.5)
    paper = ramp(colours("eadbb9", "f7edd6"), 0.5 + 0.3 * noise(rng, n, 6, 3))
    warm = (view.kind == LEAF) | (view.kind == SKY) & (view.part % 2 == 0)
    cool = (view.kind == HILL) & (view.part % 3 != 0) | (view.kind == SKY) & (view.part % 4 == 1)
    image = paper
    for colour, plate in (("ec6a2c", warm), ("4fa79b", cool)):
        cover = moved(plate.astype(np.float32), 1.5, -1.5)  # never quite in register
        image = mix(image, paper * colours(colour)[0], 0.93 * cover)
    return mix(image, colours("15141f")[0] * (1 + 0.2 * noise(rng, n, 90, 2))[..., None], block)


def gouache(rng: Rng, n: int) -> Array:
    """Opaque dabs in a bold palette, broad ones first, that follow the forms."""
    view = scene(rng, n, BOLD["gouache"])
    palettes = {
        SKY: colours("1b1f5e", "3b3fa3", "4f7fd0", "f08fa0", "ffc27a", "fff0b8"),
        SUN: colours("ff5a36", "ffd84a"),
        HILL: colours("16243f", "1d5e5a", "4f9a4a", "d9b93b", "f7a15c"),
        WATER: colours("233a8f", "2fa6b8", "ffe9d6"),
        TREE: colours("23122f", "6a2c3f"),
        LEAF: colours("6b1240", "d22f4f", "ff7a45", "ffd166"),
    }
    base = np.zeros((n, n, 3), np.float32)
    for kind, palette in palettes.items():
        base[view.kind == kind] = ramp(palette, view.tone[view.kind == kind])
    image = Image.fromarray((255 * base * 0.8).astype(np.uint8))
    canvas = ImageDraw.Draw(image)
    bend = 0.25 * noise(rng, n, 9)
    for width, length in ((26.0, (50, 240)), (13.0, (30, 160)), (7.0, (20, 100))):
        spacing = np.full((n, n), 0.55 * width * FINE, np.float32)
        if width < 10:
            spacing[noise(rng, n, 5) < 0.5] = 0
        for line in list(strokes(rng, view.part, view.flow + bend, spacing, length)):
            middle = line[len(line) // 2].astype(int)
            colour = base[middle[1], middle[0]] * rng.uniform(0.82, 1.18)
            colour = colour + rng.normal(0, 0.05, 3)
            t = np.linspace(0.04, 0.97, len(line))
            body = width * FINE * np.sin(np.pi * t) ** 0.35 * rng.uniform(0.6, 1)
            for bristle in np.linspace(0, 1, 5):
                shade = (255 * (colour + 0.12 * (bristle - 0.5) + rng.normal(0, 0.02))).clip(0, 255)
                ribbon(
                    canvas,
                    line + bristle * 0.12 * width,
                    body * (1 - 0.75 * bristle),
                    1,
                    tuple(shade.astype(int).tolist()),
                )
    return np.asarray(image, np.float32) / 255


TECHNIQUES: dict[str, Callable[[Rng, int], Array]] = {
    "ink-hatching": ink_hatching,
    "glass-mosaic": glass_mosaic,
    "paper-cut": paper_cut,
    "stipple": stipple,
    "linocut": linocut,
    "gouache": gouache,
}


def draw(name: str, seed: int = 0, size: int = 1024) -> Image.Image:
    """A picture of size × size pixels.

    Raises:
        InputError: there is no such drawing, the seed is negative or the size too small.
    """
    check([name], seed, size)
    return as_image(TECHNIQUES[name](generator(name, seed), size * FINE))


def plan(name: str, seed: int = 0, size: int = 1024) -> Image.Image:
    """The landscape of that drawing, each part in one colour that says its kind and its tone.

    Raises:
        InputError: as of `draw`, and for a technique without a scene.
    """
    check([name], seed, size, plans=True)
    view = scene(generator(name, seed), size * FINE, BOLD[name])
    image = np.zeros((*view.part.shape, 3), np.float32)
    for number in np.unique(view.part):
        where = view.part == number
        palette = PLAN[int(view.kind[where][0])]
        image[where] = ramp(palette, view.tone[where].mean())
    return as_image(image)


def generator(name: str, seed: int) -> Rng:
    """Of all that is random in a drawing; each technique has landscapes of its own."""
    return np.random.default_rng([seed, *name.encode()])


def as_image(picture: Array) -> Image.Image:
    """Of RGB in [0, 1], FINE times as large."""
    return Image.fromarray((255 * reduced(picture).clip(0, 1) + 0.5).astype(np.uint8))


def check(names: list[str], seed: int, size: int, plans: bool = False) -> None:
    """Refuse what cannot be drawn."""
    known = BOLD if plans else TECHNIQUES
    for name in names:
        if name not in TECHNIQUES:
            raise InputError(f"there is no drawing '{name}'; there are {', '.join(TECHNIQUES)}")
        if name not in known:
            raise InputError(f"'{name}' has no plan; these have one: {', '.join(known)}")
    if seed < 0:
        raise InputError(f"--seed must be at least 0, got {seed}")
    if size < 64:
        raise InputError(f"--size must be at least 64, got {size}")


def beside(left: Image.Image, right: Image.Image) -> Image.Image:
    """Two pictures of one size as one."""
    both = Image.new("RGB", (left.width + right.width, left.height))
    both.paste(left, (0, 0))
    both.paste(right, (left.width, 0))
    return both


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", help=f"default: all of {', '.join(TECHNIQUES)}")
    parser.add_argument("--out", default="drawings", help="folder (default: drawings)")
    parser.add_argument("--seed", type=int, default=0, help="another one, another picture")
    parser.add_argument("--size", type=int, default=1024, help="sides in pixels (default: 1024)")
    parser.add_argument("--plans", action="store_true", help="each beside its landscape's plan")
    options = parser.parse_args(argv)
    names = options.names or list(BOLD if options.plans else TECHNIQUES)
    which = options.seed, options.size
    try:
        check(names, *which, options.plans)
        for name in names:
            path = Path(options.out, f"{name}.png")
            path.parent.mkdir(parents=True, exist_ok=True)
            picture = draw(name, *which)
            if options.plans:
                picture = beside(plan(name, *which), picture)
            picture.save(path)
            print(path)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
