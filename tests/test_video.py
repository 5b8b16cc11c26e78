"""Films: frames, times, sound and colours as they were; jobs that go on; what is refused."""

import json
from collections.abc import Generator, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest
import torch

from stylesr import video
from stylesr.cli import main
from stylesr.errors import InputError, StyleSRError
from stylesr.picture import Picture
from stylesr.pipeline import StyleSRPipeline
from tests import tiny

TICK = Fraction(1, 12288)
SIZE = (48, 64)
N = 20
TOP_FIRST = {"x264-params": "tff=1"}


class Copies:
    """A pipeline that changes nothing, and notes what it is shown."""

    def __init__(self, breaks_at: int | None = None) -> None:
        self.seen: list[Picture] = []
        self.breaks_at = breaks_at

    fingerprints = {"copies": "0"}

    def plan(self, size: tuple[int, int], **options: Any) -> Any:
        return SimpleNamespace(height=size[0], width=size[1])

    def stream(self, picture: Picture, **options: Any) -> Generator[None, None, Picture]:
        if len(self.seen) == self.breaks_at:
            raise KeyboardInterrupt
        self.seen.append(picture)
        return picture
        yield


@pytest.fixture(autouse=True)
def short_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(video, "SEGMENT", 8)


def clip(
    path: Path,
    *,
    codec: str = "libx264",
    format: str = "yuv420p",
    matrix: int = 1,
    full_range: bool = False,
    gray: bool = False,
    sound: bool = True,
    rotation: int = 0,
    **options: str,
) -> Path:
    """A bar that moves over a gradient, with uneven times, and noise to hear."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream(codec, 24, options=options)
        stream.height, stream.width = SIZE
        stream.pix_fmt = format
        stream.time_base = stream.codec_context.time_base = TICK
        stream.codec_context.colorspace = matrix
        stream.codec_context.color_range = 2 if full_range else 1
        if rotation:
            stream.set_display_rotation(rotation)
        track = out.add_stream("aac", 48000, layout="mono") if sound else None
        time = 0
        for index in range(N):
            pixels = np.zeros((*SIZE, 3), np.uint8)
            pixels[..., 0] = 40 + np.arange(SIZE[1]) * 2
            pixels[..., 1 if not gray else 0] = 60 + np.arange(SIZE[0])[:, None] * 3
            pixels[:, 3 * index : 3 * index + 6, 2] = 200
            if gray:
                pixels[:] = pixels[..., :1]
            frame = av.VideoFrame.from_ndarray(pixels, "rgb24").reformat(
                format=format, dst_colorspace=matrix, src_color_range=2,
                dst_color_range=2 if full_range else 1,
            )  # fmt: skip
            frame.pts, frame.time_base = time, TICK
            time += 512 if index % 5 else 1100
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
        if track:
            random = np.random.default_rng(0)
            for index in range(40):
                noise = random.random((1, 1024), np.float32) - 0.5
                part = av.AudioFrame.from_ndarray(noise, "fltp", "mono")
                part.sample_rate, part.pts = 48000, 1024 * index
                out.mux(track.encode(part))
            out.mux(track.encode(None))
    return path


def run(pipe: Any, source: Path, target: Path, **options: Any) -> list[Any]:
    return list(video.enhance(pipe, source, target, **options))


def times(path: Path) -> list[Fraction]:
    with av.open(str(path)) as film:
        return [frame.pts * frame.time_base for frame in film.decode(video=0)]


def sound(path: Path) -> list[bytes]:
    with av.open(str(path)) as film:
        return [bytes(p) for p in film.demux(audio=0) if p.size] if film.streams.audio else []


def rgb(path: Path) -> np.ndarray[Any, Any]:
    film = video.probe(path)
    return np.stack([pixels for _, pixels in video._frames(path, film)]).astype(int)


# -- what comes out -----------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv"])
def test_frames_times_and_sound_are_kept(tmp_path: Path, suffix: str) -> None:
    source = clip(tmp_path / "a.mp4")
    target = tmp_path / f"b.{suffix}"
    steps = run(Copies(), source, target)
    assert [step.done for step in steps] == list(range(1, N + 1)) and steps[-1].total == N
    before, after = times(source), times(target)
    assert len(after) == N
    if suffix == "mkv":  # its clock ticks in milliseconds, and begins when the sound does
        after = [time - after[0] for time in after]
        assert all(abs(a - b) <= Fraction(1, 1000) for a, b in zip(before, after, strict=True))
    else:
        assert after == before
    assert sound(target) == sound(source) != []
    assert [p.name for p in tmp_path.iterdir() if "part" in p.name] == []


def test_a_silent_film(tmp_path: Path) -> None:
    source = clip(tmp_path / "a.mp4", sound=False)
    run(Copies(), source, tmp_path / "b.mp4")
    assert times(tmp_path / "b.mp4") == times(source)


def test_frames_go_through_the_pipeline(tmp_path: Path) -> None:
    photo = tiny.photo()
    pipe = StyleSRPipeline(photo, {"dots": tiny.style(photo, 1)})
    source = clip(tmp_path / "a.mp4", sound=False)
    run(pipe, source, tmp_path / "b.mkv", codec="ffv1", scale=2)
    film = video.probe(tmp_path / "b.mkv")
    assert film.size == (96, 128)
    first = next(video._frames(source, video.probe(source)))[1]
    expected = np.asarray(pipe(np.ascontiguousarray(first), scale=2).images[0]).astype(int)
    got = rgb(tmp_path / "b.mkv")[0]
    assert abs(got - expected).mean() < 12  # of a film's halved colour resolution
    assert abs(got.mean() - expected.mean()) < 1


@pytest.mark.parametrize("matrix", [1, 5, 9])
@pytest.mark.parametrize("full_range", [False, True])
def test_colours_stay(tmp_path: Path, matrix: int, full_range: bool) -> None:
    source = clip(tmp_path / "a.mp4", matrix=matrix, full_range=full_range, crf="0")
    run(Copies(), source, tmp_path / "b.mkv", codec="ffv1")
    before, after = (video.probe(path) for path in (source, tmp_path / "b.mkv"))
    assert (after.matrix, after.full_range) == (matrix, full_range)
    assert (before.matrix, before.full_range) == (matrix, full_range)
    difference = abs(rgb(tmp_path / "b.mkv") - rgb(source))
    assert difference.mean() < 1.5 and difference[0, :, 16:].max() <= 3  # beside the bar's edges


def test_an_untagged_film_is_tagged_by_its_size(tmp_path: Path) -> None:
    source = clip(tmp_path / "a.mp4", matrix=2)
    assert video.probe(source).matrix == 5  # BT.601, as players take small films
    run(Copies(), source, tmp_path / "b.mp4")
    assert video.probe(tmp_path / "b.mp4").matrix == 5


@pytest.mark.parametrize("codec", ["hevc", "ffv1"])
def test_ten_bits_stay(tmp_path: Path, codec: str) -> None:
    source = clip(tmp_path / "a.mkv", codec="ffv1", format="yuv420p10le")
    pipe = Copies()
    run(pipe, source, tmp_path / "b.mkv", codec=codec)
    levels = np.unique(np.asarray(pipe.seen[0].pixels[0] * 1023).round())
    assert len(levels) > 64  # more than the 8 bits of a gradient over 64 columns have
    assert video.probe(tmp_path / "b.mkv").bits == 10
    if codec == "ffv1":
        assert abs(rgb(tmp_path / "b.mkv") - rgb(source)).mean() < 1.5 * 65535 / 255


@pytest.mark.parametrize(
    ("codec", "format"), [("libx264", "yuv420p"), ("ffv1", "gray"), ("ffv1", "gray10le")]
)
def test_gray_stays_gray(tmp_path: Path, codec: str, format: str) -> None:
    options = {"crf": "0"} if codec == "libx264" else {}
    source = clip(tmp_path / "a.mkv", codec=codec, format=format, gray=True, **options)
    pipe = Copies()
    run(pipe, source, tmp_path / "b.mkv", codec="ffv1")
    assert all(picture.gray for picture in pipe.seen)
    result = rgb(tmp_path / "b.mkv")
    assert np.ptp(result, axis=-1).max() <= (256 if format == "gray10le" else 1)  # a level of 255
    assert not any(p.gray for p in _seen(clip(tmp_path / "c.mp4"), tmp_path))


def _seen(source: Path, folder: Path) -> list[Picture]:
    pipe = Copies()
    run(pipe, source, folder / "d.mp4")
    return pipe.seen


@pytest.mark.parametrize(("rotation", "quarters"), [(90, 1), (180, 2), (-90, 3)])
def test_a_turned_film_is_turned_for_good(tmp_path: Path, rotation: int, quarters: int) -> None:
    source = clip(tmp_path / "a.mp4", rotation=rotation, crf="0")
    stored = clip(tmp_path / "c.mp4", crf="0")
    film = video.probe(source)
    assert film.rotation == quarters
    assert film.size == (SIZE if quarters == 2 else SIZE[::-1])
    run(Copies(), source, tmp_path / "b.mkv", codec="ffv1")
    result = video.probe(tmp_path / "b.mkv")
    assert (result.rotation, result.size) == (0, film.size)
    expected = np.rot90(rgb(stored), quarters, (1, 2))
    assert abs(rgb(tmp_path / "b.mkv") - expected).mean() < 1


def test_two_fields_become_one_picture(tmp_path: Path) -> None:
    """The bar moves by three pixels between the fields of a frame."""
    frames = list(rgb(clip(tmp_path / "a.mp4", crf="0")))
    woven = np.stack(frames[:-1])
    woven[:, 1::2] = np.stack(frames[1:])[:, 1::2]
    source = film_of(tmp_path / "b.mkv", woven, interlaced=True)
    assert video.probe(source).interlaced
    run(Copies(), source, tmp_path / "c.mkv", codec="ffv1")
    assert not video.probe(tmp_path / "c.mkv").interlaced
    assert times(tmp_path / "c.mkv") == times(source)
    before, after = (comb(pixels) for pixels in (woven, rgb(tmp_path / "c.mkv")))
    assert after < before / 4


def film_of(path: Path, frames: np.ndarray[Any, Any], interlaced: bool = False) -> Path:
    """A lossless film of 25 frames a second."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream(
            "libx264", 25, options={"crf": "0", **(TOP_FIRST if interlaced else {})}
        )
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv444p"
        for pixels in frames.astype(np.uint8):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, "rgb24")))
        out.mux(stream.encode(None))
    return path


def comb(frames: np.ndarray[Any, Any]) -> float:
    """How much each row differs from the rows beside it."""
    return float(abs(frames[:, 1:-1] - (frames[:, :-2] + frames[:, 2:]) / 2).mean())


def test_grain_is_averaged_away_where_nothing_moves(tmp_path: Path) -> None:
    still = rgb(clip(tmp_path / "a.mp4", crf="0"))[:1].repeat(N, 0)
    still[..., 2] = 100
    still[:, 20:28, :, :] = 60
    for index in range(N):
        still[index, 20:28, 3 * index : 3 * index + 6] = 240  # but for this
    noise = np.random.default_rng(0).normal(0, 8, still.shape[:3])[..., None]
    source = film_of(tmp_path / "b.mkv", np.clip(still + noise, 0, 255).round())
    pipe = Copies()
    assert run(pipe, source, tmp_path / "c.mkv", codec="ffv1", grain=8)[-1].done == N
    assert times(tmp_path / "c.mkv") == times(source)
    middle = np.asarray(pipe.seen[N // 2].pixels.permute(1, 2, 0)) * 255
    wrong = abs(middle - still[N // 2])
    assert wrong.mean() < 0.55 * abs(noise[N // 2]).mean()
    assert wrong[20:28].mean() < 1.1 * abs(noise[N // 2, 20:28]).mean()  # it leaves no ghosts


@pytest.mark.parametrize("codec", ["h264", "hevc", "av1", "vp9"])
def test_every_codec_joins_its_segments(tmp_path: Path, codec: str) -> None:
    source = clip(tmp_path / "a.mp4", sound=False)
    run(Copies(), source, tmp_path / "b.mp4", codec=codec)
    assert times(tmp_path / "b.mp4") == times(source)
    with av.open(str(tmp_path / "b.mp4")) as film:
        names = {"h264": "h264", "hevc": "hevc", "av1": "dav1d", "vp9": "vp9"}
        assert names[codec] in film.streams.video[0].codec_context.name
    assert abs(rgb(tmp_path / "b.mp4") - rgb(source)).mean() < 4


def test_the_first_frames_with_their_sound(tmp_path: Path) -> None:
    source, target = clip(tmp_path / "a.mp4"), tmp_path / "b.mp4"
    steps = run(Copies(), source, target, frames=11, metadata={"comment": "painted"})
    assert steps[-1] == video.VideoProgress(11, 11)
    assert times(target) == times(source)[:11]
    end = times(source)[10] + 1 / video.probe(source).rate
    heard = len(sound(target)) * Fraction(1024, 48000)
    assert end <= heard < end + Fraction(3 * 1024, 48000)
    assert sound(target) == sound(source)[: len(sound(target))]
    with av.open(str(target)) as film:
        assert film.metadata["comment"] == "painted"


@pytest.mark.parametrize("frames", [1, 7, 15])
def test_films_of_any_length(tmp_path: Path, frames: int) -> None:
    """FFmpeg tells no times of decoding for a segment of just seven frames."""
    source = clip(tmp_path / "a.mp4", sound=False)
    run(Copies(), source, tmp_path / "b.mp4", frames=frames)
    assert times(tmp_path / "b.mp4") == times(source)[:frames]


def test_what_takes_too_long_ends_where_it_is(tmp_path: Path) -> None:
    class Clock(Copies):
        def stream(self, picture: Picture, **options: Any) -> Generator[None, None, Picture]:
            now[0] += 1
            return super().stream(picture, **options)

    now = [0.0]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(video, "monotonic", lambda: now[0])
        run(Clock(), clip(tmp_path / "a.mp4"), tmp_path / "b.mp4", max_seconds=10)
    assert len(times(tmp_path / "b.mp4")) == 10


def test_ten_bits_become_eight_for_browsers(tmp_path: Path) -> None:
    source = clip(tmp_path / "a.mkv", codec="ffv1", format="yuv420p10le")
    run(Copies(), source, tmp_path / "b.mp4", bits=8, frames=2)
    with av.open(str(tmp_path / "b.mp4")) as film:
        assert film.streams.video[0].pix_fmt == "yuv420p"


# -- going on -----------------------------------------------------------------------------------


class Flickers(Copies):
    """Makes each frame brighter by an amount of its own."""

    def stream(self, picture: Picture, **options: Any) -> Generator[None, None, Picture]:
        picture = yield from super().stream(picture, **options)
        amount = 0.1 * (1 + torch.sin(1e4 * picture.pixels.mean()))
        return replace(picture, pixels=(picture.pixels + amount).clamp(0, 1))


def test_without_the_result_to_smooth_from_a_segment_is_made_again(tmp_path: Path) -> None:
    source = clip(tmp_path / "a.mp4")
    straight, target = tmp_path / "straight.mkv", tmp_path / "b.mkv"
    options: dict[str, Any] = {"codec": "ffv1", "smooth": 0.7}
    run(Flickers(), source, straight, **options)
    with pytest.raises(KeyboardInterrupt):
        run(Flickers(breaks_at=18), source, target, **options)
    (tmp_path / "b.mkv.parts" / "000001.npy").unlink()
    steps = run(Flickers(), source, target, **options)
    assert steps[0].done == 8
    assert np.array_equal(rgb(target), rgb(straight))


@pytest.mark.parametrize("smooth", [0, 0.7])
def test_a_job_goes_on_after_its_last_segment(tmp_path: Path, smooth: float) -> None:
    source = clip(tmp_path / "a.mp4")
    straight, target = tmp_path / "straight.mkv", tmp_path / "b.mkv"
    options: dict[str, Any] = {"codec": "ffv1", "smooth": smooth}
    run(Flickers(), source, straight, **options)
    for breaks_at in (13, 9):  # of 20, then of the 12 that are left
        with pytest.raises(KeyboardInterrupt):
            run(Flickers(breaks_at=breaks_at), source, target, **options)
    assert not target.exists() and (tmp_path / "b.mkv.parts").is_dir()
    pipe = Flickers()
    steps = run(pipe, source, target, **options)
    assert steps[0].done == 16 and len(pipe.seen) == N - 16
    assert np.array_equal(rgb(target), rgb(straight))
    assert not (tmp_path / "b.mkv.parts").exists()


def test_smoothing_takes_flicker(tmp_path: Path) -> None:
    source = clip(tmp_path / "a.mp4", crf="0")
    left = []
    for smooth in (0, 0.7):
        run(Flickers(), source, tmp_path / "b.mkv", codec="ffv1", smooth=smooth)
        steps = np.diff(rgb(tmp_path / "b.mkv")[..., 0].mean((1, 2)))  # the bar is not red
        left.append(float(np.abs(steps).mean()))
    assert left[1] < 0.5 * left[0]


@pytest.mark.parametrize("change", ["options", "source", "codec", "damaged", "lost"])
def test_a_changed_job_starts_anew(tmp_path: Path, change: str) -> None:
    source = clip(tmp_path / "a.mp4")
    with pytest.raises(KeyboardInterrupt):
        run(Copies(breaks_at=18), source, tmp_path / "b.mp4", seed=1)
    options: dict[str, Any] = {"seed": 1}
    if change == "options":
        options = {"seed": 2}
    elif change == "source":
        clip(source, full_range=True)
    elif change == "codec":
        options["codec"] = "hevc"
    else:
        first = tmp_path / "b.mp4.parts" / "000000.nut"
        first.write_bytes(first.read_bytes()[:300])
        if change == "lost":  # as when a run is killed while it clears them away
            first.unlink()
    pipe = Copies()
    run(pipe, source, tmp_path / "b.mp4", **options)
    assert len(pipe.seen) == N
    assert len(times(tmp_path / "b.mp4")) == N


def test_what_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "b.mp4.parts").touch()
    with pytest.raises(video.VideoError, match=r"'b\.mp4' cannot be written: .*Not a directory"):
        run(Copies(), clip(tmp_path / "a.mp4"), tmp_path / "b.mp4")


# -- what is refused ----------------------------------------------------------------------------


def refused() -> Iterator[Any]:
    yield {"source": "missing.mp4"}, "missing.mp4' cannot be read as a film"
    yield {"source": "text.mp4"}, "text.mp4' cannot be read as a film"
    yield {"source": "sound.mp4"}, "holds no moving picture"
    yield {"target": "b.avi"}, "must end in one of .mp4, .mov, .mkv, .webm"
    yield {"target": "none/b.mp4"}, "there is no folder for"
    yield {"target": "a.mp4"}, "is the source; give the result another name"
    yield {"codec": "mpeg2"}, "codec must be one of h264, hevc, av1, vp9, ffv1, got 'mpeg2'"
    yield {"quality": 70}, "quality is from 0, the best, to 63, got 70"
    yield {"codec": "ffv1", "quality": 3}, "ffv1 is lossless and has no quality"
    yield {"source": "list.mp4"}, "list.mp4' cannot be read as a film"
    yield {"grain": 30}, "grain is from 0 to 25 levels of 255, got 30"
    yield {"smooth": 0.95}, r"smoothing is from 0 to 0\.9, got 0\.95"
    yield {"frames": 0}, "frames must be at least 1, got 0"
    yield {"bits": 12}, "bits is 8, 10 or None for those of the film, got 12"


@pytest.mark.parametrize(("change", "message"), list(refused()))
def test_bad_input_is_refused_before_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    clip(Path("a.mp4"))
    Path("text.mp4").write_text("not a film")
    Path("list.mp4").write_text("ffconcat version 1.0\nfile a.mp4\n")  # names another's file
    with av.open("sound.mp4", "w") as out:
        track = out.add_stream("aac", 48000, layout="mono")
        part = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        part.sample_rate = 48000
        out.mux([*track.encode(part), *track.encode(None)])
    pipe = Copies()
    arguments = {"source": "a.mp4", "target": "b.mp4", **change}
    with pytest.raises(StyleSRError, match=message):
        run(pipe, **{k: Path(v) if k in ("source", "target") else v for k, v in arguments.items()})
    assert not pipe.seen


def test_too_large_frames_are_refused_by_the_header(tmp_path: Path) -> None:
    source = clip(tmp_path / "a.mp4")
    with pytest.raises(video.VideoError, match=r"'a\.mp4' has 64×48 pixels a frame; at most 3"):
        video.probe(source, max_pixels=3000)


def test_a_film_that_ends_in_the_middle_says_where(tmp_path: Path) -> None:
    source = clip(tmp_path / "a.mkv", codec="ffv1", sound=False)
    source.write_bytes(source.read_bytes()[: source.stat().st_size // 2])
    try:
        steps = run(Copies(), source, tmp_path / "b.mp4")
    except video.VideoError as error:
        assert "cannot be read after" in str(error)
    else:  # FFmpeg takes a film cut between packets for a shorter one
        assert len(times(tmp_path / "b.mp4")) == len(steps) < N


def test_a_codec_that_cannot_hold_the_bits(tmp_path: Path) -> None:
    source = clip(tmp_path / "a.mkv", codec="ffv1", format="yuv420p10le")
    film = replace(video.probe(source), bits=10)
    with pytest.raises(InputError, match="vp9 cannot hold 10 bits"):
        video._Encoder(film, SIZE, "vp9", None)


# -- the command --------------------------------------------------------------------------------


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tiny.photo().save_pretrained(tmp_path / "photo")
    source = clip(tmp_path / "a.mp4")
    words = ["video", str(source), str(tmp_path / "b.mp4"), "--style", str(tmp_path / "photo")]
    assert main([*words, "--scale", "1.5", "--quality", "30", "--frames", "3", "--json"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [json.loads(line) for line in lines] == [{"done": n, "total": 3} for n in (1, 2, 3)]
    assert len(times(tmp_path / "b.mp4")) == 3
    assert video.probe(tmp_path / "b.mp4").size == (72, 96)
    assert main([*words, "--scale", "1", "--frames", "1", "--bits", "10"]) == 0
    assert video.probe(tmp_path / "b.mp4").bits == 10
    capsys.readouterr()
    assert main([*words, "--scale", "9"]) == 2
    assert "scale" in capsys.readouterr().err
