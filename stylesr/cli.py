"""The command line: `stylesr enhance`, `video`, `live`, `models`, `evaluate`, `blend`, `export` ….

Whatever is slow to import is imported by the command that needs it, so that help is instant. An
option that is not given is not passed on: its default is that of the function called.
"""

import argparse
import contextlib
import glob
import json
import os
import signal
import sys
import threading
from collections import Counter
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from types import FrameType
from typing import Any, Literal, NoReturn

from stylesr import __version__, cli_hub, cli_per_image
from stylesr.errors import ImageError, InputError, StyleSRError

__all__ = ["main"]

FOLDER_OPTIONS = ("workers", "cluster", "format", "name", "quality", "as_json")


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code: 0, 2 for bad input, 1 for other errors, 130 stopped.

    143 where SIGTERM stopped it, 141 where what it prints is no longer read.
    """
    here = threading.current_thread() is threading.main_thread()
    usual = signal.signal(signal.SIGTERM, _terminate) if here else None
    try:
        args = _parser().parse_args(argv)
        options = {key: value for key, value in vars(args).items() if key != "command"}
        args.command(**options)
        sys.stdout.flush()
    except StyleSRError as error:
        _tell(f"error: {error}")
        return 2 if isinstance(error, (InputError, ImageError)) else 1
    except KeyboardInterrupt as stop:
        _tell("stopped")
        return 128 + (signal.SIGTERM if isinstance(stop, _Terminated) else signal.SIGINT)
    except BrokenPipeError:  # whoever read what is printed has seen enough: `… | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # where the rest goes
        return 141
    except OSError as error:  # a full disk, a folder that may not be written
        _tell(f"error: {error}")
        return 1
    finally:
        if here:
            signal.signal(signal.SIGTERM, usual or signal.SIG_DFL)
    return 0


class _Terminated(KeyboardInterrupt):
    """SIGTERM: a job ends as after Ctrl-C."""


def _terminate(number: int, frame: FrameType | None) -> NoReturn:
    raise _Terminated


# -- commands -----------------------------------------------------------------------------------


def _enhance(
    picture: str,
    output: str,
    style: str = "",
    metadata: Literal["safe", "keep", "strip"] = "safe",
    **options: Any,
) -> None:
    style = style or _usual_style(options)
    many = {key: options.pop(key) for key in FOLDER_OPTIONS if key in options}
    if Path(picture).is_dir() or (glob.has_magic(picture) and not Path(picture).exists()):
        _enhance_folder(picture, output, style, options, metadata=metadata, **many)
        return
    if many:
        given = ", ".join("--" + key.removeprefix("as_") for key in many)
        raise InputError(f"{given}: for a folder or a pattern; {picture!r} is neither")

    from dataclasses import replace

    from stylesr import exif, images

    # what can be refused is refused before work starts
    source = images.decode_for(picture, output, metadata=metadata)
    for notice in source.notices:
        _tell(notice)

    from tqdm import tqdm

    from stylesr import tiling
    from stylesr.pipeline import Progress, open_mix

    pipe, asked = open_mix(_parse_mix(style), options.pop("enlarger", None))
    work = pipe.stream(source, **asked, **options)
    with tqdm(unit="tile", desc="tiles", disable=None) as bar:

        def show(progress: Progress) -> None:
            bar.total = progress.total
            bar.update()

        result = tiling.drain(work, show)
    if metadata != "strip":
        result = replace(result, metadata={**result.metadata, **exif.MARK})
    images.save(result, output)


def _enhance_folder(
    source: str,
    output: str,
    style: str,
    options: dict[str, Any],
    workers: int = 1,
    cluster: str | None = None,
    format: str = "png",
    name: str = "{stem}",
    as_json: bool = False,
    **rest: Any,
) -> None:
    from dataclasses import asdict

    from tqdm import tqdm

    from stylesr import images, jobs

    if Path(output).exists() and not Path(output).is_dir():
        raise InputError(f"{source!r} gives many pictures, but {output!r} is a file, no folder")
    images.format_of(f"x.{format}")
    job = jobs.Job(_parse_mix(style), options, **rest)
    items = jobs.find(source, output, format=format, name=name)
    counts, failed = dict.fromkeys(("made", "kept", "failed"), 0), []
    notices = Counter[str]()
    with tqdm(total=len(jobs.share(items)), unit="picture", disable=None) as bar:
        for outcome in jobs.run(items, output, job, workers, cluster=cluster):
            counts[outcome.status] += 1
            notices.update(outcome.notices)
            bar.update()
            if outcome.status == "failed":
                failed.append(f"{outcome.source}: {outcome.message}")
            if as_json:
                print(json.dumps(asdict(outcome)), flush=True)
    for notice, count in notices.items():
        _tell(f"{count} of {sum(counts.values())} pictures: {notice}")
    for line in failed:
        _tell(f"failed: {line}")
    _tell(", ".join(f"{count} {status}" for status, count in counts.items()))
    if failed:
        raise StyleSRError(f"{len(failed)} of {sum(counts.values())} pictures failed")


def _video(
    source: str, output: str, style: str = "", as_json: bool = False, **options: Any
) -> None:
    style = style or _usual_style(options)
    from dataclasses import asdict

    from tqdm import tqdm

    from stylesr import video
    from stylesr.pipeline import open_mix

    film = video.probe(source)
    pipe, asked = open_mix(_parse_mix(style), options.pop("enlarger", None))
    with tqdm(total=film.frames or None, unit="frame", disable=None) as bar:
        for progress in video.enhance(pipe, source, output, **asked, **options):
            bar.total = progress.total or None
            bar.update(progress.done - bar.n)
            if as_json:
                print(json.dumps(asdict(progress)), flush=True)


def _live(
    source: str | None = None,
    style: str = "",
    port: int | None = None,
    frames: int | None = None,
    browser: bool = False,
    as_json: bool = False,
    **options: Any,
) -> None:
    style = style or _usual_style(options)
    if frames is not None and frames < 1:
        raise InputError(f"--frames must be at least 1, got {frames}")
    import webbrowser

    from tqdm import tqdm

    from stylesr import live
    from stylesr.pipeline import open_mix

    pipe, asked = open_mix(_parse_mix(style), options.pop("enlarger", None))
    moments = live.paint(pipe, source or live.CAMERA, **asked, **options)
    last: live.Painted | None = None
    with (
        contextlib.closing(moments),
        live.Screen(live.PORT if port is None else port) as screen,
        tqdm(unit="frame", desc="painted", disable=None) as bar,
        contextlib.suppress(KeyboardInterrupt),  # the usual end
    ):
        _tell(f"open {screen.address} to see it; Ctrl-C ends it")
        if browser:
            webbrowser.open(screen.address)
        for last in islice(moments, frames):
            screen.show(last.jpeg)
            bar.set_postfix(dropped=last.dropped, refresh=False)
            bar.update()
            if as_json:
                seconds = round(last.seconds, 3)
                line = {"painted": last.painted, "dropped": last.dropped, "seconds": seconds}
                print(json.dumps(line), flush=True)
    if last is None:
        _tell("no frame came")
        return
    rate = last.painted / last.seconds
    _tell(f"{last.painted} frames painted, {last.dropped} dropped, {rate:.1f} painted a second")


def _models(as_json: bool, figures: bool, gallery: str | None, hub: bool) -> None:
    if hub and (figures or gallery):
        option = "--figures" if figures else "--gallery"
        raise InputError(f"{option} is of the models that come along; leave out --hub")
    if hub:
        cli_hub.list_models(as_json)
        return
    from stylesr.hub import WEIGHTS_FILE, bundled_folder, bundled_names
    from stylesr.models import AdaINNet, Generator, StyleSRNet

    if figures:
        from stylesr.comparison import comparison

        print(comparison(bundled_names()), end="")
        return
    if gallery:
        _draw_gallery(Path(gallery))
        return
    rows: list[dict[str, Any]] = []
    for name in bundled_names():
        folder = bundled_folder() / name
        net = Generator.from_pretrained(name)
        kind = "photo" if isinstance(net, StyleSRNet) else "enlarger"
        if net.paints:
            kind = "any style" if isinstance(net, AdaINNet) else "style"
        rows.append(
            {
                "name": name,
                "kind": kind,
                "scales": list(net.scales),
                "parameters": sum(p.numel() for p in net.parameters()),
                "bytes": (folder / WEIGHTS_FILE).stat().st_size,
                "description": _first_sentence(folder / "README.md"),
            }
        )
    if as_json:
        print(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    for row in rows:
        scales = " ".join(f"×{scale}" for scale in row["scales"])
        size = f"{row['parameters'] / 1e6:.2f} M parameters, {row['bytes'] / 1e6:.1f} MB"
        print(f"{row['name']:<20} {row['kind']:<9} {scales}  {size}  {row['description']}".rstrip())


def _draw_gallery(path: Path) -> None:
    from stylesr import previews
    from stylesr.hub import bundled_folder, bundled_names
    from stylesr.models import Generator, StyleSRNet

    nets = {name: Generator.from_pretrained(name) for name in bundled_names()}
    drawn = {
        name: bundled_folder() / name / previews.PREVIEW_FILE
        for name, net in nets.items()
        if isinstance(net, StyleSRNet) and net.paints
    }
    path.write_bytes(previews.encode(previews.gallery(drawn), previews.GALLERY_BYTES))


def _evaluate(
    models: list[str], releases: str | None, write: bool, sheets: str | None, **inputs: Any
) -> None:
    from stylesr import evaluation
    from stylesr.hub import bundled_names, locate
    from stylesr.releases import load

    given = evaluation.Inputs(**inputs)
    if sheets and not given.photos:
        raise InputError("--sheets needs --photos")
    if not (write or sheets or given.benchmarks or given.paintings or given.speed):
        raise InputError("nothing to measure; give --benchmarks, --paintings or --speed")
    words = load(releases) if write or given.paintings else None
    names = models or bundled_names()
    for name in names if write else ():
        if name not in bundled_names() and not Path(name).is_dir():
            raise InputError(f"{name!r} is no folder here; --write needs one")
        assert words is not None
        words[locate(name).resolve().name]  # raises where a card would have nothing to say
    for name in names:
        folder = locate(name).resolve()
        report = evaluation.measure(name, given, words)
        print(f"{folder.name}: {report.parameters:,} parameters, SHA-256 {report.weights_sha256}")
        for task, protocol in report.protocol.items():
            print(f"  {task}: {protocol}")
        for row in report.results:
            print("  " + ", ".join(f"{key} {value}" for key, value in row.items()))
        if sheets and given.photos:
            _draw_sheet(name, given.photos, Path(sheets))
        if write and words:
            _draw_trade(folder, evaluation.write(folder, report))
            _write_card(folder, given, words)


def _draw_sheet(name: str, photos: str | Path, folder: Path) -> None:
    from stylesr import previews
    from stylesr.pipeline import StyleSRPipeline

    folder.mkdir(parents=True, exist_ok=True)
    sheet = previews.contact_sheet(StyleSRPipeline.from_pretrained(name), photos)
    sheet.save(folder / f"{os.path.basename(os.path.abspath(name))}.webp", quality=90)


def _draw_trade(folder: Path, report: Any) -> None:
    """The curve on the card of a model that was measured at several strengths."""
    from stylesr import cards
    from stylesr.evaluation import INTERPOLATION
    from stylesr.models import StyleSRNet

    rows = [row for row in report.rows(INTERPOLATION) if "lpips" in row]
    if not rows:
        return
    try:
        from stylesr import plots
    except ImportError as error:
        raise InputError(
            f"the curve of strengths needs matplotlib: pip install 'stylesr[train]' ({error})"
        ) from error
    base = StyleSRNet.from_pretrained(folder).base
    (folder / cards.TRADE_FILE).write_bytes(plots.trade(rows, str(base), folder.name))


def _write_card(folder: Path, given: Any, words: Any) -> None:
    from stylesr import cards, likeness, previews
    from stylesr.pipeline import StyleSRPipeline

    pipe = StyleSRPipeline.from_pretrained(folder)
    if given.photos and (given.paintings or not pipe.any_style):
        shown = previews.find_photos(given.photos, words[folder.name].preview)
        if pipe.any_style:
            works = likeness.load_unseen(Path(given.paintings), words, folder.name)
            titles = [Path(name).stem for name in words[folder.name].unseen]
            works_shown = dict(list(zip(titles, works, strict=True))[:3])
            preview = previews.draw_any_style(pipe, shown, works_shown)
        else:
            preview = previews.draw(pipe, shown)
        (folder / previews.PREVIEW_FILE).write_bytes(previews.encode(preview))
    cards.write(folder, words)


def _shrink(model: str, photos: str) -> None:
    from stylesr.hub import WEIGHTS_FILE, bundled_names, locate
    from stylesr.storage import store_halved

    if model not in bundled_names() and not Path(model).is_dir():
        raise InputError(f"{model!r} is no folder here")
    folder = locate(model)
    for change in store_halved(folder, photos):
        print(
            f"×{change.scale}: PSNR-Y changes by {change.psnr:.4f} dB, "
            f"no value by more than {255 * change.difference:.2f} levels"
        )
    size = (folder / WEIGHTS_FILE).stat().st_size
    print(f"{folder.name}: {size / 1e6:.2f} MB in float16; measure it anew: stylesr evaluate")


def _blend(mix: str, to: str) -> None:
    from stylesr.blending import blend, normalised
    from stylesr.files import check_unused
    from stylesr.models import StyleSRNet

    parts = _parse_mix(mix)
    shares = normalised(parts)
    if len(shares) < 2:
        raise InputError(f"a blend takes two models or more, name:0.6,other:0.4, got {mix!r}")
    check_unused(Path(to))
    blend({StyleSRNet.from_pretrained(name): parts[name] for name in shares}).save_pretrained(to)
    print(f"{to}: " + ", ".join(f"{share:.2f} {name}" for name, share in shares.items()))


def _usual_style(options: dict[str, Any]) -> str:
    """The model where none is named: plain enlargement, or what paints like a style image."""
    from stylesr.hub import bundled_names, class_name

    if "style_image" not in options:
        return "photo"
    painters = [name for name in bundled_names() if class_name(name) == "AdaINNet"]
    if not painters:
        raise InputError(
            "--style-image needs a --style that takes any picture, and none comes with the "
            "package; train/any_style.py trains one"
        )
    return painters[0]


def _import(checkpoint: str, to: str) -> None:
    from stylesr.importing import import_checkpoint

    done = import_checkpoint(checkpoint, to)
    factors = " ".join(f"×{scale}" for scale in done.model.scales)
    parameters = sum(p.numel() for p in done.model.parameters())
    print(f"{to}: {type(done.model).__name__} {factors}, {parameters / 1e6:.2f} M parameters")
    for name, digest in done.sources.items():
        print(f"  from {name}, SHA-256 {digest}")
    print("  The licence of the weights is still their authors'.")


def _export(model: str, folder: str, **options: Any) -> None:
    try:
        from stylesr.export import export
    except ImportError as error:
        raise InputError(f"export needs onnx: pip install 'stylesr[onnx]' ({error})") from error
    for path in export(model, folder, **options):
        print(f"{path.stat().st_size:>12,}  {path}")


def _parse_mix(text: str) -> dict[str, float]:
    """`name`, `a,b` or `a:0.6,b:0.4` as weights by name; a colon without a number is a name's."""
    mix: dict[str, float] = {}
    for part in text.split(","):
        name, _, weight = part.rpartition(":")
        try:
            value = float(weight) if name else 1.0
        except ValueError:
            name, value = part, 1.0
        name = (name or part).strip()
        if not name or name in mix:
            raise InputError(f"a style is a name, or name:0.6,other:0.4 of two, got {text!r}")
        mix[name] = value
    return mix


def _first_sentence(card: Path) -> str:
    """The line that follows a card's title."""
    if not card.is_file():
        return ""
    body = card.read_text(encoding="utf-8").partition("\n# ")[2]
    return next((line for line in body.splitlines()[1:] if line), "")


# -- options ------------------------------------------------------------------------------------


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """One line, as for all other errors."""
        _tell(f"error: {message} (see {self.prog} --help)")
        sys.exit(2)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="stylesr", description="Enlarge photos and paint them, in one pass.")
    parser.add_argument("--version", action="version", version=f"stylesr {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_enhance(commands)
    _add_video(commands)
    _add_live(commands)
    _add_models(commands)
    _add_evaluate(commands)
    _add_blend(commands)
    _add_shrink(commands)
    _add_import(commands)
    _add_export(commands)
    cli_per_image.add(commands)
    cli_hub.add(commands)
    return parser


def _add_enhance(commands: Any) -> None:
    parser = commands.add_parser(
        "enhance",
        help="enlarge a picture or a folder of them, plain or in a style",
        description="Enlarge a picture, plain or in a style; or all in a folder or of a pattern, "
        "each once: started again, it makes what is missing, what failed and what was changed. "
        "Detail is invented: likely, but no record of what was there.",
        epilog="Examples: stylesr enhance cat.jpg cat.png --style starry-night --scale 4; "
        "stylesr enhance photos painted --style starry-night --workers 2",
        argument_default=argparse.SUPPRESS,
    )
    parser.set_defaults(command=_enhance)
    parser.add_argument(
        "picture",
        metavar="IN",
        help="a JPEG, PNG, WebP, AVIF, TIFF or BMP file, HEIC with the extra heic, DICOM with "
        "dicom; a folder; or a pattern such as 'photos/*.jpg'",
    )
    parser.add_argument(
        "output",
        metavar="OUT",
        help="the result, whose extension is its format; or the folder of the results",
    )
    _add_painting(parser)
    parser.add_argument(
        "--metadata",
        choices=("safe", "keep", "strip"),
        help="safe keeps dates, keep all that the photo's EXIF says, place and camera included; "
        "both say that a model made the picture; strip writes none (default: safe)",
    )
    many = parser.add_argument_group("for a folder or a pattern")
    many.add_argument("--workers", type=int, help="pictures worked on at once (default: 1)")
    many.add_argument(
        "--cluster",
        metavar="ADDRESS",
        help="of a Dask scheduler, such as tcp://host:8786, whose workers make the pictures; they "
        "need stylesr and the same disk",
    )
    many.add_argument("--format", help="of the results: png, webp, jpg, tiff, bmp (default: png)")
    many.add_argument("--name", help="of a result, from {stem} and {extension} (default: {stem})")
    many.add_argument("--quality", type=int, help="of JPEG (default: 95), 1 to 100")
    many.add_argument(
        "--json", action="store_true", dest="as_json", help="a line of JSON for each picture"
    )


def _add_video(commands: Any) -> None:
    parser = commands.add_parser(
        "video",
        help="enlarge a film, plain or in a style",
        description="Enlarge a film, plain or in a style: every frame at its time, the sound "
        "copied untouched. Started again after a stop, it goes on.",
        epilog="Example: stylesr video cat.mp4 painted.mp4 --style starry-night --scale 1",
        argument_default=argparse.SUPPRESS,
    )
    parser.set_defaults(command=_video)
    parser.add_argument("source", metavar="IN", help="a film that FFmpeg reads")
    parser.add_argument("output", metavar="OUT", help="the result: .mp4, .mov, .mkv or .webm")
    _add_painting(parser)
    parser.add_argument(
        "--codec",
        choices=("h264", "hevc", "av1", "vp9", "ffv1"),
        help="h264 plays everywhere, ffv1 is lossless, for .mkv (default: h264)",
    )
    parser.add_argument(
        "--quality",
        type=int,
        help="on the codec's own scale, CRF: less is better (default: 17 for h264, 20 for hevc, 26 "
        "for av1, 24 for vp9)",
    )
    parser.add_argument(
        "--bits", type=int, choices=(8, 10), help="a channel; browsers play 8 (default: the film's)"
    )
    parser.add_argument("--frames", type=int, help="at most so many, from the first, to try it out")
    parser.add_argument(
        "--grain",
        type=float,
        metavar="LEVELS",
        help="of an old film, of 255: 8 is much. It is averaged away where nothing moves, so that "
        "it does not become texture (default: 0)",
    )
    parser.add_argument(
        "--smooth",
        type=float,
        metavar="WEIGHT",
        help="average strokes along the film's motion, 0 to 0.9, so that they flicker less: 0.5 "
        "takes most of it (default: 0)",
    )
    parser.add_argument(
        "--json", action="store_true", dest="as_json", help="a line of JSON after each frame"
    )


def _add_live(commands: Any) -> None:
    parser = commands.add_parser(
        "live",
        help="paint what a camera sees, while it films",
        description="Paint what a camera sees, while it films, and show it on a page that only "
        "this machine can open. Frames that come while one is painted are dropped.",
        epilog="Examples: stylesr live --style starry-night --browser; "
        "stylesr live cat.mp4 --style great-wave --side 384",
        argument_default=argparse.SUPPRESS,
    )
    parser.set_defaults(command=_live)
    parser.add_argument(
        "source",
        metavar="CAMERA",
        nargs="?",
        help="a camera such as /dev/video0, a film, or a stream's address (default: the system's "
        "first camera)",
    )
    parser.add_argument(
        "--side",
        type=int,
        help="frames are reduced to this longest side in pixels and painted so; less is faster "
        "(default: 512)",
    )
    _add_painting(parser, scale="1")
    parser.add_argument(
        "--port", type=int, help="of the page; 0 takes any that is free (default: 7861)"
    )
    parser.add_argument("--browser", action="store_true", help="open the page in the browser")
    parser.add_argument("--frames", type=int, help="end after so many painted ones")
    parser.add_argument(
        "--json", action="store_true", dest="as_json", help="a line of JSON for each painted frame"
    )


def _add_painting(parser: argparse.ArgumentParser, scale: str = "4") -> None:
    """The options of the pipeline."""
    parser.add_argument(
        "--style",
        help="a released model, a local folder, a Hub id, or a mix of them such as "
        "starry-night:0.6,great-wave:0.4 (default: photo, plain enlargement)",
    )
    parser.add_argument(
        "--style-image",
        nargs="+",
        metavar="FILE",
        help="paint like this picture, or like several mixed, by a --style that takes any",
    )
    parser.add_argument(
        "--style-weights",
        nargs="+",
        type=float,
        metavar="N",
        help="how much of each --style-image (default: all alike)",
    )
    parser.add_argument(
        "--enlarger",
        metavar="MODEL",
        help="a model such as srcnn-x4: the style paints at the picture's own size, and this one "
        "enlarges that (default: the style does both)",
    )
    parser.add_argument(
        "--scale",
        type=float,
        help=f"how many times larger, up to 8; fractions too (default: {scale})",
    )
    parser.add_argument(
        "--strength", type=float, help="0 is plain, 1 the style, up to 1.5 more (default: 1.0)"
    )
    parser.add_argument(
        "--brush",
        type=_number_or_auto,
        metavar="{auto,1,2,4}",
        help="how large the strokes are; auto fits them to the result's size (default: auto)",
    )
    parser.add_argument("--seed", type=int, help="of the style's variation (default: 0)")
    parser.add_argument(
        "--color",
        choices=("style", "photo", "palette"),
        help="colours and drawing of the style, the photo's colours, or the photo's drawing in "
        "the style's colours (default: style)",
    )
    parser.add_argument(
        "--tile-size",
        type=_number_or_auto,
        metavar="N",
        help="side of a tile of the result in pixels, a multiple of 4; less needs less memory "
        "(default: auto)",
    )


def _add_models(commands: Any) -> None:
    parser = commands.add_parser(
        "models",
        help="list the models that come along, or those of the Hub",
        description="List the bundled models, or those of the Hub with the tag stylesr.",
    )
    parser.set_defaults(command=_models)
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", dest="as_json", help="as JSON")
    form.add_argument(
        "--figures",
        action="store_true",
        help="cost and fidelity of those that enlarge, as a Markdown table for each factor",
    )
    form.add_argument(
        "--gallery", metavar="FILE", help="draw a photo in all styles, from their previews, as WebP"
    )
    parser.add_argument("--hub", action="store_true", help="those that others have published")


def _add_evaluate(commands: Any) -> None:
    parser = commands.add_parser(
        "evaluate",
        help="measure models, and write their figures, previews and cards",
        description="Measure models by the protocol that metrics.json states. What is not given "
        "is not measured.",
    )
    parser.set_defaults(command=_evaluate)
    parser.add_argument(
        "models", nargs="*", metavar="MODEL", help="names or folders (default: all bundled models)"
    )
    parser.add_argument("--benchmarks", metavar="DIR", help="holds Set5, Set14, BSD100 …")
    parser.add_argument("--photos", metavar="DIR", help="held-out photos, for styles and previews")
    parser.add_argument("--paintings", metavar="DIR", help="the works that releases.toml names")
    parser.add_argument(
        "--vgg",
        metavar="FILE",
        help="distilled VGG-19, safetensors; or fetch, for the public one (4 MB, kept)",
    )
    parser.add_argument("--squeezenet", metavar="FILE", help="SqueezeNet 1.1, safetensors")
    parser.add_argument("--lpips", metavar="FILE", help="LPIPS heads for SqueezeNet, safetensors")
    parser.add_argument(
        "--peer", metavar="FILE", help="a community's network (.pth) to compare photo models with"
    )
    parser.add_argument("--speed", action="store_true", help="time the pipeline against its peer")
    parser.add_argument(
        "--releases", metavar="FILE", help="what cards say in words (default: train/releases.toml)"
    )
    parser.add_argument(
        "--write", action="store_true", help="write metrics.json, pictures and README.md"
    )
    parser.add_argument(
        "--sheets", metavar="DIR", help="draw a sheet per model: photos, factors and strengths"
    )


def _add_blend(commands: Any) -> None:
    parser = commands.add_parser(
        "blend",
        help="make a model's folder of a mix of styles",
        description="Make a style of its own of the weighted sum of two or more of one base, such "
        "as a mix that you like, or the weights before and after a last leg of training. With "
        "the base itself among them it is a milder style.",
        epilog="Example: stylesr blend starry-night:0.6,great-wave:0.4 --to my-mix",
    )
    parser.set_defaults(command=_blend)
    parser.add_argument("mix", metavar="MIX", help="names, folders or Hub ids, with their shares")
    parser.add_argument("--to", metavar="DIR", required=True, help="a new or an empty folder")


def _add_shrink(commands: Any) -> None:
    parser = commands.add_parser(
        "shrink",
        help="store a style's weights in float16 where no picture changes",
        description="Rewrite a style's weights in float16, half the size, if that changes PSNR by "
        "less than 0.01 dB and no value of a picture by a level. They are still computed with in "
        "float32.",
    )
    parser.set_defaults(command=_shrink)
    parser.add_argument("model", metavar="MODEL", help="a bundled name or a folder; rewritten")
    parser.add_argument("--photos", metavar="DIR", required=True, help="photos to judge by")


def _add_import(commands: Any) -> None:
    parser = commands.add_parser(
        "import",
        help="make a model's folder of a community's checkpoint (.pth)",
        description="Make a model's folder of a checkpoint of a known architecture: Real-ESRGAN's "
        "compact networks, RRDBNet, SPAN, RLFN, fast neural style, CycleGAN, MicroAST. A process "
        "with limits on memory and time reads it, and runs no code of it.",
        epilog="Example: stylesr import realesr-general-x4v3.pth --to my-upscaler",
    )
    parser.set_defaults(command=_import)
    parser.add_argument("checkpoint", metavar="FILE", help="written by torch.save")
    parser.add_argument("--to", metavar="DIR", required=True, help="a new or an empty folder")


def _add_export(commands: Any) -> None:
    parser = commands.add_parser(
        "export",
        help="write a StyleSRNet as ONNX",
        description="Write a StyleSRNet as ONNX, for programs without torch: a graph for each "
        "factor, of any picture size, and one file of weights for all.",
        epilog="Example: stylesr export starry-night exported --dtype float16",
        argument_default=argparse.SUPPRESS,
    )
    parser.set_defaults(command=_export)
    parser.add_argument("model", metavar="MODEL", help="a released model, a folder or a Hub id")
    parser.add_argument("folder", metavar="DIR", help="a new or empty folder")
    parser.add_argument(
        "--dtype", choices=("float32", "float16"), help="of the weights (default: float32)"
    )


def _number_or_auto(text: str) -> int | None:
    if text == "auto":
        return None
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"a whole number or auto, got {text!r}")
    return int(text)


def _tell(message: str) -> None:
    """One line on stderr, which leaves stdout to results."""
    print("stylesr: " + " ".join(message.split()), file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
