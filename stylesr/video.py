"""Films: every frame through the pipeline, its time kept, the sound copied untouched.

PyAV reads and writes (`pip install 'stylesr[video]'`). The result is encoded in segments, files of
their own in a folder beside it, and joined at the end; a job that was killed goes on after its last
whole segment, and ends at the same file.
"""

import heapq
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from itertools import chain, islice, pairwise, takewhile
from math import inf
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from stylesr import __version__, tiling
from stylesr.errors import InputError, StyleSRError
from stylesr.files import sha256, sha256_each
from stylesr.images import MAX_PIXELS
from stylesr.motion import Drift
from stylesr.picture import Picture, to_levels
from stylesr.pipeline import StyleSRPipeline

try:
    import av
    from av.error import FFmpegError
    from av.filter import Graph
    from av.video.reformatter import ColorRange, Colorspace, Interpolation
except ImportError as error:
    raise InputError(f"films need PyAV: pip install 'stylesr[video]' ({error})") from error
if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream

    from stylesr.smoothing import Smoother

__all__ = [
    "Codec",
    "Film",
    "VideoError",
    "VideoProgress",
    "as_picture",
    "enhance",
    "film_of",
    "probe",
    "to_rgb",
]

Codec: TypeAlias = Literal["h264", "hevc", "av1", "vp9", "ffv1"]
Array: TypeAlias = NDArray[Any]

SEGMENT = 48  # frames
MAX_GRAIN = 25
GRAINS = 3  # what differs by less than so much grain is taken for grain: more leaves ghosts
SMOOTH = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT
CONTAINERS = (".mp4", ".mov", ".mkv", ".webm")
# What is read. FFmpeg also takes lists of other files for films, and would open what they name.
READABLE = "mov,matroska,avi,mpegts,mpeg,mpegvideo,ogg,asf,flv,dv,mxf,nut,h264,hevc,ivf"
ENCODERS: dict[str, tuple[str, int | None, dict[str, str]]] = {  # name, quality, other options
    "h264": ("libx264", 17, {"preset": "medium"}),
    "hevc": ("libx265", 20, {"preset": "medium", "x265-params": "log-level=error"}),
    "av1": ("libsvtav1", 26, {"preset": "7", "svtav1-params": "pred-struct=1"}),
    "vp9": ("libvpx-vp9", 24, {"b": "0", "row-mt": "1", "lag-in-frames": "0"}),
    "ffv1": ("ffv1", None, {"level": "3"}),
}


class VideoError(StyleSRError):
    """A film cannot be read or written."""


@dataclass(frozen=True)
class Film:
    """What is known of a film before it is worked on.

    Attributes:
        size: (height, width) in pixels, as it is shown.
        frames: how many, by the file's own account; 0 where it does not say.
        rate: frames a second, on average.
        time_base: seconds a tick; times of frames are whole numbers of these.
        bits: 8 or 10 a channel; more are read as 10.
        rotation: quarter turns counterclockwise from how it is stored to how it is shown.
        interlaced: its frames are made of two fields, which are made one picture.
        matrix, full_range: how colours are stored: 1 for BT.709, 5 for BT.601, 9 for BT.2020.
        primaries, transfer: what its colours mean; passed on.
        aspect: width of a pixel over its height.
        sound: number of sound tracks.
    """

    size: tuple[int, int]
    frames: int
    rate: Fraction
    time_base: Fraction
    bits: int
    rotation: int
    interlaced: bool
    matrix: int
    full_range: bool
    primaries: int
    transfer: int
    aspect: Fraction
    sound: int


@dataclass(frozen=True)
class VideoProgress:
    """Frames done, those of an earlier run included, and of how many (0 where unknown)."""

    done: int
    total: int


def probe(path: str | Path, *, max_pixels: int = MAX_PIXELS) -> Film:
    """Look at a film's first frame and its account of itself.

    Args:
        path: a film.
        max_pixels: films of larger frames are refused before one is decoded.

    Raises:
        VideoError: it cannot be read, shows no picture, or too large a one.
    """
    with _opened(path) as container:
        if not container.streams.video:
            raise VideoError(f"{Path(path).name!r} holds no moving picture")
        stream = container.streams.video[0]
        if stream.width * stream.height > max_pixels:
            raise VideoError(
                f"{Path(path).name!r} has {stream.width}×{stream.height} pixels a frame; "
                f"at most {max_pixels:,} are accepted"
            )
        try:
            first = next(container.decode(stream), None)
        except FFmpegError as error:
            raise VideoError(f"{Path(path).name!r} cannot be read: {error}") from error
        if first is None or stream.time_base is None:
            raise VideoError(f"{Path(path).name!r} holds no frame")
        return film_of(stream, first)


def film_of(stream: "VideoStream", first: "av.VideoFrame") -> Film:
    """What an opened film and its first frame say.

    Args:
        stream: its pictures.
        first: of its frames, decoded.
    """
    height, width = first.height, first.width
    quarters = round(first.rotation / 90) % 4
    known = [c.value for c in Colorspace]
    guessed = Colorspace.ITU709 if height >= 720 else Colorspace.ITU601
    matrix = int(first.colorspace) if int(first.colorspace) in known else guessed.value
    rate = stream.average_rate or stream.guessed_rate or Fraction(25)
    return Film(
        size=(width, height) if quarters % 2 else (height, width),
        frames=stream.frames,
        rate=Fraction(rate),
        time_base=stream.time_base or Fraction(1, 90000),
        bits=10 if first.format.components[0].bits > 8 else 8,
        rotation=quarters,
        interlaced=bool(first.interlaced_frame),
        matrix=matrix,
        full_range=first.color_range == ColorRange.JPEG or "yuvj" in first.format.name,
        primaries=int(first.color_primaries),
        transfer=int(first.color_trc),
        aspect=stream.sample_aspect_ratio or Fraction(1),
        sound=len(stream.container.streams.audio),
    )


def enhance(
    pipe: StyleSRPipeline,
    source: str | Path,
    target: str | Path,
    *,
    codec: Codec = "h264",
    quality: int | None = None,
    bits: Literal[8, 10] | None = None,
    frames: int | None = None,
    grain: float = 0,
    smooth: float = 0,
    max_seconds: float = inf,
    metadata: Mapping[str, str] | None = None,
    **options: Any,
) -> Iterator[VideoProgress]:
    """Enlarge and paint a film, frame by frame; close the iterator to stop, call again to go on.

    There are as many frames as before, each at its time. Where the picture moves as a whole, noise
    and grid of the networks move with it, so that strokes do not swim over what they paint. A
    result of an odd side is cut by a pixel, as codecs take even ones.

    Args:
        pipe: its first style paints, unless the options name another.
        source: a film that FFmpeg reads.
        target: .mp4, .mov, .mkv or .webm. Matroska's clock (.mkv, .webm) ticks in milliseconds.
        codec: h264 plays everywhere; ffv1 is lossless, for .mkv.
        quality: of the codec's own scale (CRF), less is better; None takes 17 for h264, 20 for
            hevc, 26 for av1, 24 for vp9.
        bits: a channel of the result; None for those of the film. Browsers play 8.
        frames: how many at most, from the first; the sound ends with them.
        grain: of an old film, as a standard deviation in levels of 255, at most 25: it is averaged
            away over time where nothing moves, before a network may take it for texture.
        smooth: how much each painted frame is averaged with what came before, moved as the film
            moves, 0 to 0.9: strokes flicker less and get softer. It needs OpenCV, and 60 bytes of
            memory a pixel of the result.
        max_seconds: of work; the result ends with the frame that is done by then.
        metadata: what the result says of itself, such as its `comment`; nothing of the film's own
            (place, camera) goes into it.
        options: of `StyleSRPipeline.stream`, such as `scale=2, strength=0.8`.

    Yields:
        `VideoProgress` after each frame.

    Raises:
        InputError: an option out of range, before work starts.
        VideoError: the film cannot be read to its end, or the result cannot be written.
    """
    source, target = Path(source), Path(target)
    if codec not in get_args(Codec):
        raise InputError(f"codec must be one of {', '.join(get_args(Codec))}, got {codec!r}")
    if target.suffix.lower() not in CONTAINERS:
        raise InputError(f"{str(target)!r} must end in one of {', '.join(CONTAINERS)}")
    if not target.absolute().parent.is_dir():
        raise InputError(f"there is no folder for {str(target)!r}; make it first")
    if quality is not None and not 0 <= quality <= 63:
        raise InputError(f"quality is from 0, the best, to 63, got {quality}")
    if bits not in (8, 10, None):
        raise InputError(f"bits is 8, 10 or None for those of the film, got {bits}")
    if frames is not None and frames < 1:
        raise InputError(f"frames must be at least 1, got {frames}")
    if not 0 <= grain <= MAX_GRAIN:
        raise InputError(f"grain is from 0 to {MAX_GRAIN} levels of 255, got {grain}")
    film = probe(source)
    film = replace(film, bits=bits or film.bits)
    if target.exists() and os.path.samefile(source, target):
        raise InputError(f"{str(target)!r} is the source; give the result another name")
    plan = pipe.plan(film.size, **options)
    if options.get("style_image") is not None:  # what cannot be read is refused before any work
        names = ("style_image", "style_weights", "style")
        pipe.read_style(*(options.get(name) for name in names))
    encoder = _Encoder(film, (plan.height // 2 * 2, plan.width // 2 * 2), codec, quality)
    job = _Job(
        pipe=pipe,
        source=source,
        target=target,
        film=film,
        encoder=encoder,
        frames=frames,
        max_seconds=max_seconds,
        grain=grain,
        smoother=_smoother(smooth),
        metadata=metadata or {},
        options=options,
    )
    return job.run()


def _smoother(weight: float) -> "Smoother | None":
    if not weight:
        return None
    from stylesr.smoothing import Smoother  # OpenCV is an extra of its own

    return Smoother(weight)


@dataclass(frozen=True, kw_only=True)
class _Job:
    """A film that is made in segments, which a later run of the same job finds and goes on from."""

    pipe: StyleSRPipeline
    source: Path
    target: Path
    film: Film
    encoder: "_Encoder"
    frames: int | None
    max_seconds: float
    grain: float
    smoother: "Smoother | None"
    metadata: Mapping[str, str]
    options: Mapping[str, Any]

    @property
    def parts(self) -> Path:
        """The folder of the segments."""
        return self.target.with_name(self.target.name + ".parts")

    def marks(self) -> dict[str, Any]:
        """What the segments' pixels depend on: another job may not go on with them."""
        own = dict(self.options)
        if own.get("style_image") is not None:
            own["style_image"] = sha256_each(own["style_image"])
        return {
            "source": sha256(self.source),
            "models": self.pipe.fingerprints,
            "options": own,
            "encoder": self.encoder.settings,
            "frames": self.frames,
            "grain": self.grain,
            "smooth": self.smoother.weight if self.smoother else 0,
            "version": __version__,
        }

    def run(self) -> Iterator[VideoProgress]:
        """Make what is missing, a segment at a time, and join them."""
        end = monotonic() + self.max_seconds
        most, film = self.frames, self.film
        with _writing(self.target):
            segments = _resume(self.parts, self.marks(), self.smoother)
            done = sum(count for _, count in segments)
            total = min(film.frames or most or 0, most or film.frames)
            if done:
                yield VideoProgress(done, total)
            decoded = _frames(self.source, film, self.grain)
            placed = islice(_placed(decoded), max(done - 1, 0), most)
            if done:
                _, before, _ = next(placed)
                if self.smoother:
                    self.smoother.go_on(before.pixels, segments[-1][0].with_suffix(".npy"))
            frames = takewhile(lambda _: monotonic() < end, placed)
            while (first := next(frames, None)) is not None:
                path = self.parts / f"{len(segments):06d}.nut"
                part, count = path.with_suffix(".part"), 0
                with self.encoder.open(part) as segment:
                    for time, picture, drift in chain([first], islice(frames, SEGMENT - 1)):
                        segment.add(time, self._paint(picture, drift))
                        count += 1
                        yield VideoProgress(done + count, total)
                if (found := _count(part)) != count:
                    raise VideoError(
                        f"{count} frames were encoded to {path.name}, but it holds {found}"
                    )
                if self.smoother:  # the last segment may be made again, after the one before it
                    self.smoother.save(path.with_suffix(".npy"))
                    for old, _ in segments[-2:-1]:
                        old.with_suffix(".npy").unlink(missing_ok=True)
                part.replace(path)
                segments.append((path, count))
                done += count
            if not done:
                raise VideoError(f"{self.source.name!r} holds no frame that can be read")
            is_cut = (most, self.max_seconds) != (None, inf)
            paths = [path for path, _ in segments]
            _join(paths, self.source, self.target, film, is_cut, self.metadata)
            shutil.rmtree(self.parts)

    def _paint(self, picture: Picture, drift: tuple[float, float]) -> Picture:
        moved = self.encoder.scaled(drift, picture)
        steps = self.pipe.stream(picture, drift=moved, **self.options)
        result = tiling.drain(steps, lambda _: None)
        if self.smoother is None:
            return result
        return replace(result, pixels=self.smoother.follow(picture.pixels, result.pixels))


@contextmanager
def _writing(target: Path) -> Iterator[None]:
    try:
        yield
    except (FFmpegError, OSError) as error:
        raise VideoError(
            f"{target.name!r} cannot be written: {error}; when that is mended, "
            "the same command goes on after the last whole segment"
        ) from error


# -- reading ------------------------------------------------------------------------------------


def _opened(path: str | Path) -> "InputContainer":
    allowed = {"format_whitelist": READABLE, "protocol_whitelist": "file"}
    try:
        return av.open(str(path), options=allowed)
    except (FFmpegError, OSError) as error:
        # FFmpeg's words hold the whole path, which is nobody's business on a page.
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise VideoError(f"{Path(path).name!r} cannot be read as a film: {reason}") from error


def _frames(path: Path, film: Film, grain: float = 0) -> Iterator[tuple[int, Array]]:
    """Times in ticks, strictly increasing, and pixels (H, W, 3), uint8 or uint16, full range."""
    with _opened(path) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        last: int | None = None
        step = max(1, round(1 / (film.rate * film.time_base)))
        try:
            for frame in _filtered(container.decode(stream), stream, _filters(film, grain)):
                time = 0 if last is None else last + step
                if frame.pts is not None:  # a filter's ticks are not the film's
                    time = round(frame.pts * (frame.time_base or film.time_base) / film.time_base)
                if last is not None and time <= last:  # as broken files have it: no frame is lost
                    time = last + 1
                last = time
                if (frame.height, frame.width) != (stream.height, stream.width):
                    at = float(time * film.time_base)
                    raise VideoError(f"{path.name!r} changes its size at {at:.2f} s")
                yield time, to_rgb(frame, film)
        except FFmpegError as error:
            at = float((last or 0) * film.time_base)
            reason = error.strerror
            raise VideoError(f"{path.name!r} cannot be read after {at:.2f} s: {reason}") from error


def _placed(
    frames: Iterator[tuple[int, Array]],
) -> Iterator[tuple[int, Picture, tuple[float, float]]]:
    """Times, pictures, and how far the window on the scene has moved since the first frame."""
    drift = Drift()
    for time, pixels in frames:
        picture = as_picture(pixels)
        yield time, picture, drift.follow(picture.pixels)


def _filters(film: Film, grain: float) -> list[tuple[str, str]]:
    """FFmpeg's, with their options."""
    found = []
    if film.interlaced:  # one picture of each frame's two fields
        found.append(("yadif", "mode=send_frame:deint=all"))
    if grain:
        least = GRAINS * grain / 255
        sizes = (f"{plane}a={least:.4f}:{plane}b={2 * least:.4f}" for plane in range(3))
        found.append(("atadenoise", ":".join(sizes)))
    return found


def _filtered(
    frames: Iterator[av.VideoFrame], stream: Any, filters: list[tuple[str, str]]
) -> Iterator[av.VideoFrame]:
    """As many frames, of filters one after the other."""
    if not filters:
        yield from frames
        return
    graph = Graph()
    ends = [graph.add_buffer(template=stream), *(graph.add(*each) for each in filters)]
    for one, next_one in pairwise([*ends, graph.add("buffersink")]):
        one.link_to(next_one)
    graph.configure()
    for frame in frames:
        graph.push(frame)
        yield from _pulled(graph)
    graph.push(None)
    yield from _pulled(graph)


def _pulled(graph: Graph) -> Iterator[av.VideoFrame]:
    while True:
        try:
            frame = graph.pull()
        except (BlockingIOError, EOFError):
            return
        assert isinstance(frame, av.VideoFrame)
        yield frame


def to_rgb(frame: av.VideoFrame, film: Film) -> Array:
    """A frame as it is shown: (H, W, 3), uint8 or uint16, full range."""
    rgb = frame.reformat(
        format="rgb48le" if film.bits > 8 else "rgb24",
        src_colorspace=film.matrix,
        src_color_range=ColorRange.JPEG if film.full_range else ColorRange.MPEG,
        dst_color_range=ColorRange.JPEG,
        interpolation=SMOOTH,
    )
    return np.rot90(rgb.to_ndarray(), film.rotation)


def as_picture(pixels: Array) -> Picture:
    """A frame for the pipeline; one without colour is gray, so that it stays so."""
    levels = np.iinfo(pixels.dtype).max
    gray = int(np.ptp(pixels, axis=2).max()) <= levels // 255  # a level, of rounding
    planes = torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)).astype(np.float32))
    if gray:
        planes = planes.mean(0, keepdim=True).expand(3, -1, -1).contiguous()
    return Picture(planes / levels, gray=gray)


# -- writing ------------------------------------------------------------------------------------


class _Encoder:
    """How segments are encoded; the same for all of a film, so that they join."""

    def __init__(self, film: Film, size: tuple[int, int], codec: Codec, quality: int | None):
        name, usual, options = ENCODERS[codec]
        try:
            formats = av.codec.Codec(name, "w").video_formats or []
        except (FFmpegError, ValueError) as error:
            raise InputError(f"this PyAV has no encoder {name} for {codec}") from error
        if quality is not None and usual is None:
            raise InputError(f"{codec} is lossless and has no quality")
        wanted = "yuv420p10le" if film.bits > 8 else "yuv420p"
        if formats and wanted not in {f.name for f in formats}:
            raise InputError(f"{codec} cannot hold {film.bits} bits here; take hevc, av1 or ffv1")
        self.film, self.size, self.name, self.format = film, size, name, wanted
        self.options = dict(options)
        if usual is not None:
            self.options["crf"] = str(usual if quality is None else quality)

    @property
    def settings(self) -> dict[str, Any]:
        """All that determines the encoded bytes, but the pictures."""
        film = {key: str(value) for key, value in asdict(self.film).items()}
        return {"film": film, "size": self.size, "name": self.name, "options": self.options}

    def scaled(self, drift: tuple[float, float], frame: Picture) -> tuple[float, float]:
        """A distance in a frame's pixels, in those of the result."""
        factor = self.size[1] / frame.width
        return drift[0] * factor, drift[1] * factor

    def open(self, path: Path) -> "_Segment":
        """A new segment."""
        return _Segment(self, path)


class _Segment:
    """A file with some frames, of which each is written when it comes."""

    def __init__(self, encoder: _Encoder, path: Path) -> None:
        self.encoder = encoder
        film = encoder.film
        self.container = av.open(str(path), "w", format="nut")  # it keeps any time base
        stream = self.container.add_stream(encoder.name, film.rate, options=encoder.options)
        assert isinstance(stream, av.VideoStream)
        stream.height, stream.width = encoder.size
        stream.pix_fmt = encoder.format
        context = stream.codec_context
        context.time_base = stream.time_base = film.time_base
        context.max_b_frames = 0  # times of decoding are those of showing: segments join anywhere
        context.sample_aspect_ratio = film.aspect if film.rotation % 2 == 0 else 1 / film.aspect
        _tag(context, film)
        self.stream = stream

    def __enter__(self) -> "_Segment":
        return self

    def add(self, time: int, picture: Picture) -> None:
        """Encode a picture at a time in ticks."""
        film, (height, width) = self.encoder.film, self.encoder.size
        levels = 255 if film.bits == 8 else 65535
        pixels = to_levels(picture.pixels[:, :height, :width], levels).permute(1, 2, 0).numpy()
        kind, format = (np.uint8, "rgb24") if film.bits == 8 else (np.uint16, "rgb48le")
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels.astype(kind)), format)
        frame = frame.reformat(
            format=self.encoder.format,
            src_color_range=ColorRange.JPEG,
            dst_colorspace=film.matrix,
            dst_color_range=ColorRange.JPEG if film.full_range else ColorRange.MPEG,
            interpolation=SMOOTH,
        )
        frame.pts, frame.time_base = time, film.time_base
        self._mux(frame)

    def _mux(self, frame: av.VideoFrame | None) -> None:
        self.container.mux(self.stream.encode(frame))

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        try:
            if kind is None:
                self._mux(None)
        finally:
            self.container.close()


def _tag(context: Any, film: Film) -> None:
    """Say how colours are stored and what they mean."""
    context.colorspace = film.matrix
    context.color_range = ColorRange.JPEG if film.full_range else ColorRange.MPEG
    context.color_primaries, context.color_trc = film.primaries, film.transfer


def _join(
    segments: list[Path],
    source: Path,
    target: Path,
    film: Film,
    cut: bool,
    metadata: Mapping[str, str],
) -> None:
    """One file of the segments' pictures and the source's sound, packet by packet.

    Where the film is `cut`, the sound ends with its pictures.
    """
    end = _last(segments) + 1 / film.rate if cut else inf
    part = target.with_name(target.stem + ".part" + target.suffix)
    flags = {"movflags": "+faststart"} if target.suffix.lower() in (".mp4", ".mov") else {}
    try:
        with _opened(source) as given, av.open(str(part), "w", options=flags) as out:
            with _opened(segments[0]) as first:
                picture = out.add_stream_from_template(first.streams.video[0], opaque=True)
                picture.time_base = film.time_base
                _tag(picture.codec_context, film)  # some codecs hold no colours of their own
                tracks = {
                    track.index: out.add_stream_from_template(track, opaque=True)
                    for track in given.streams.audio
                }
            out.metadata.update(metadata)
            sound = (
                (float(p.dts * p.time_base), 1, n, p, tracks[p.stream.index])
                for n, p in enumerate(given.demux(given.streams.audio) if tracks else ())
                if p.dts is not None and p.time_base is not None and p.dts * p.time_base < end
            )
            shown = (
                (float(p.dts * p.time_base), 0, n, p, picture)
                for n, p in enumerate(_packets(segments))
                if p.dts is not None and p.time_base is not None
            )
            for _, _, _, packet, stream in heapq.merge(shown, sound, key=lambda item: item[:3]):
                packet.stream = stream
                out.mux(packet)
        part.replace(target)
    except (FFmpegError, OSError, ValueError) as error:
        raise VideoError(
            f"{str(target)!r} cannot be written: {error}; a container that takes the source's "
            "sound is needed, .mkv takes any"
        ) from error
    finally:
        part.unlink(missing_ok=True)


def _last(segments: list[Path]) -> Fraction:
    """The time of the last frame, in seconds."""
    return max(packet.pts * packet.time_base for packet in _packets(segments[-1:]))


def _packets(segments: list[Path]) -> Iterator[Any]:
    for path in segments:
        with _opened(path) as container:
            for packet in container.demux(video=0):
                if packet.pts is not None:  # as it is in all but the empty one at the end
                    packet.dts = packet.pts  # FFmpeg would guess it, and gives up on seven frames
                    yield packet


# -- going on -----------------------------------------------------------------------------------


def _resume(
    parts: Path, job: Mapping[str, Any], smoother: "Smoother | None"
) -> list[tuple[Path, int]]:
    """Whole segments of the same job, with their numbers of frames; another's are removed.

    After the last of them there must be a result for the smoother to go on from.
    """
    note, text = parts / "job.json", json.dumps(job, sort_keys=True, indent=1)
    if not (note.is_file() and note.read_bytes() == text.encode()):
        if parts.exists():
            shutil.rmtree(parts)
        parts.mkdir()
        note.write_bytes(text.encode())
    segments: list[tuple[Path, int]] = []
    while _count(path := parts / f"{len(segments):06d}.nut") == SEGMENT:
        segments.append((path, SEGMENT))
    while smoother and segments and not segments[-1][0].with_suffix(".npy").is_file():
        segments.pop()
    kept = {note, *(path for path, _ in segments)}
    kept |= {path.with_suffix(".npy") for path, _ in segments[-2:]}
    for path in set(parts.iterdir()) - kept:  # the last segment may be short: it is made again
        path.unlink()
    return segments


def _count(path: Path) -> int:
    """Frames in a segment."""
    try:
        return sum(1 for _ in _packets([path]))
    except (FFmpegError, VideoError):
        return 0
