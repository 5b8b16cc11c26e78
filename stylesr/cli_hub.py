"""The commands that talk to the Hub: `stylesr pull`, `push`, `space`, and `models --hub`.

As in `cli`, what is slow to import is imported by the command that needs it, and an option that is
not given is not passed on.
"""

import argparse
import json
from typing import Any

from stylesr.errors import InputError

__all__ = ["add", "list_models"]


def add(commands: Any) -> None:
    """Add the commands to the parser of `stylesr`."""
    _add_pull(commands)
    _add_push(commands)
    _add_space(commands)


def list_models(as_json: bool) -> None:
    """`stylesr models --hub`: what others have published."""
    from dataclasses import asdict

    from stylesr.discovery import discover

    found = discover()
    if as_json:
        print(json.dumps([asdict(model) for model in found], indent=2, ensure_ascii=False))
        return
    for model in found:
        licence = f"license {model.licence or 'not stated'}"
        print(f"{model.source}  {licence}  {model.downloads:,} downloads  {model.page}")


def _push(folder: str, repo_id: str, **options: Any) -> None:
    from stylesr.sharing import push

    done = push(folder, repo_id, **options)
    for name, size in done.files:
        print(f"{size:>12,}  {name}")
    print(f"{done.bytes:>12,}  bytes in all")
    print(f"{done.repo_id}: {done.url or 'fit to be published; nothing was sent'}")


def _pull(models: list[str], **options: Any) -> None:
    from stylesr.sharing import pull

    for model in models:
        done = pull(model, **options)
        kind = f"from {done.base}" if done.base else "a base"
        print(
            f"{done.source}: {kind}, {done.parameters / 1e6:.2f} M parameters, "
            f"{done.bytes / 1e6:.1f} MB, license {done.licence or 'not stated'}"
        )
        print(f"  {done.folder}")


def _space(repo_id: str, dry_run: str | None, private: bool, static: bool, **options: Any) -> None:
    from tempfile import TemporaryDirectory

    if static and "hardware" in options:
        raise InputError("a static Space runs in its visitors' browsers; leave out --hardware")
    if not static and "runtime" in options:
        raise InputError("--runtime is for a static Space; give --static too")
    with TemporaryDirectory(prefix="stylesr-") as temporary:
        folder = dry_run or temporary
        for line in _write_space(repo_id, folder, static, options):
            print(line)
        if dry_run:
            print(f"{repo_id}: written to {dry_run}; nothing was sent")
            return
        from stylesr.space import push_space

        if static:
            how: dict[str, Any] = {"sdk": "static", "hardware": None}
        else:
            how = {key: options[key] for key in ("hardware",) if key in options}
        done = push_space(repo_id, folder, private=private or None, **how)
    print(f"{repo_id}: {len(done.files)} files, {done.bytes:,} bytes; {done.url}")


def _write_space(repo_id: str, folder: str, static: bool, options: dict[str, Any]) -> list[str]:
    """Write the folder; a line for each model."""
    if not static:
        from stylesr.space import write_space

        return list(write_space(repo_id, folder, **options).values())
    try:
        from stylesr.static_space import write_static_space
    except ImportError as error:
        raise InputError(
            f"a static Space needs onnx: pip install 'stylesr[onnx]' ({error})"
        ) from error
    prints = write_static_space(repo_id, folder, **options)
    return [f"{name}  SHA-256 {sha256}" for name, sha256 in prints.items()]


# -- options --------------------------------------------------------------------------------------


def _add_pull(commands: Any) -> None:
    parser = commands.add_parser(
        "pull",
        help="fetch models of the Hub, to have them without a network",
        description="Fetch models of the Hub with their cards and bases into the cache, and check "
        "them. What is printed first is a name that always means these weights.",
        epilog="Example: stylesr pull user/my-style user/another@v2",
        argument_default=argparse.SUPPRESS,
    )
    parser.set_defaults(command=_pull)
    parser.add_argument(
        "models", nargs="+", metavar="REPO_ID", help="a Hub id, with @ and a revision if wanted"
    )
    parser.add_argument("--revision", help="branch, tag or commit of all of them")
    parser.add_argument(
        "--force", action="store_true", dest="force_download", help="also what is there already"
    )


def _add_push(commands: Any) -> None:
    parser = commands.add_parser(
        "push",
        help="check a model's folder and publish it on the Hub",
        description="Check a model's folder and publish exactly its files. What is not fit to be "
        "published is refused, with everything that is wrong. See hub_cards/README.md.",
        epilog="Example: stylesr push my-style user/my-style",
        argument_default=argparse.SUPPRESS,
    )
    parser.set_defaults(command=_push)
    parser.add_argument("folder", metavar="FOLDER", help="weights, card, figures, preview")
    parser.add_argument("repo_id", metavar="REPO_ID", help="owner/name, made if there is none")
    parser.add_argument("--private", action="store_true", help="a new repository is seen by you")
    parser.add_argument(
        "--create-pr", action="store_true", help="propose it to a repository of someone else"
    )
    parser.add_argument("--branch", help="other than main; made if there is none")
    parser.add_argument("--dry-run", action="store_true", help="check only; nothing is sent")


def _add_space(commands: Any) -> None:
    parser = commands.add_parser(
        "space",
        help="make a Space of the page, its models pinned",
        description="Write the page's Space, with models pinned to commits and preloaded, and push "
        "it. From a clone of the repository. Or, with --static, a Space that costs nothing: its "
        "visitors' browsers do the work.",
        epilog="Examples: stylesr space my-org/stylesr --dry-run space; "
        "stylesr space my-org/stylesr --static",
        argument_default=argparse.SUPPRESS,
    )
    parser.set_defaults(command=_space)
    parser.add_argument("repo_id", metavar="REPO_ID", help="owner/name of the Space")
    parser.add_argument(
        "--models",
        nargs="+",
        metavar="ID",
        help="models of the Hub, one of them named photo, with @ and a revision if wanted "
        "(default: the released ones, of the same owner); with --static folders and released "
        "names too",
    )
    parser.add_argument(
        "--hardware",
        choices=("cpu-basic", "cpu-upgrade", "zero-a10g"),
        help="zero-a10g is a GPU lent for each picture (default: cpu-basic)",
    )
    parser.add_argument(
        "--static", action="store_true", default=False, help="the page that runs in the browser"
    )
    parser.add_argument(
        "--runtime",
        metavar="FILE",
        help="for --static: onnxruntime-web's tarball (default: fetched by npm, once)",
    )
    parser.add_argument("--private", action="store_true", default=False, help="seen by you alone")
    parser.add_argument(
        "--dry-run", metavar="DIR", default=None, help="write the folder; nothing is sent"
    )
