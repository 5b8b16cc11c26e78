"""What comes with stylesr: licences, known holes, calls home, the wheel, where models are from.

    python -m tests.reliability.supply_chain
    python -m tests.reliability.supply_chain --audit    # asks PyPI for known vulnerabilities

Licences are read from the metadata of every installed package of requirements.txt, and from the
names of the shared libraries that its wheel brings along. Calls home are watched for by Python's
audit events, in processes that enlarge a picture, list the models, and start the page and fetch it:
any name looked up or address connected to beyond this machine is printed; once with the variables
that turn telemetry off, once without. The wheel is built twice, from this folder and from a copy of
it elsewhere with other times.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Sequence
from hashlib import sha256
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from tempfile import TemporaryDirectory

from packaging.requirements import Requirement

from stylesr.hub import bundled_folder, bundled_names
from stylesr.models import Generator

ROOT = Path(__file__).parents[2]

# A family of licences, what marks it in metadata, and what it asks of who distributes a program of
# Apache-2.0 that imports the package. The first that fits counts.
FAMILIES = {
    "LGPL": (
        r"LGPL|Lesser General Public",
        "used as a library that its user can replace: no condition on stylesr; whoever ships both "
        "in one image passes on its text and its source, or an offer of it",
    ),
    "GPL or AGPL": (r"GPL|General Public", ""),
    "MPL-2.0": (
        r"MPL|Mozilla",
        "changes of its own files would have to be published: stylesr changes none",
    ),
    "Apache-2.0": (r"Apache", "its text and its notices"),
    "BSD": (r"BSD", "its text"),
    "MIT": (r"MIT|Expat", "its text"),
    "PSF": (r"PSF|Python Software Foundation", "its text"),
    "HPND, ISC, 0BSD, zlib": (r"HPND|ISC|0BSD|Zlib|CNRI", "its text"),
    "public domain": (r"Unlicense|CC0|Public Domain", "nothing"),
}
ALLOWED = [name for name in FAMILIES if name != "GPL or AGPL"]

# Libraries inside wheels whose licences differ from the wheel's own
LIBRARIES = {
    "libx264": "GPL-2.0",
    "libx265": "GPL-2.0",
    "libvips": "LGPL-2.1",
    "libheif": "LGPL-3.0",
    "libde265": "LGPL-3.0",
    "libavcodec": "LGPL-2.1, or GPL-2.0 where it was built with x264 or x265",
}

WATCH = """
import sys

def watch(event, args):
    if event in ("socket.connect", "socket.sendto"):
        address = args[1]
        host = address[0] if isinstance(address, tuple) else "a local socket"
    elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
        host = args[0]
    else:
        return
    if isinstance(host, bytes):
        host = host.decode()
    if host not in (None, "", "a local socket", "127.0.0.1", "::1", "localhost", "0.0.0.0"):
        print("CALLS", host, file=sys.stderr, flush=True)

sys.addaudithook(watch)
"""
JOBS = {
    "control": """
import urllib.request
try:
    urllib.request.urlopen("http://stylesr.invalid")
except OSError:
    pass
""",
    "enhance": """
from stylesr.cli import main
sys.exit(main(["enhance", sys.argv[1], sys.argv[2]]))
""",
    "models": "from stylesr.cli import main; sys.exit(main(['models']))",
    "page": """
import urllib.request
import app
_, address, _ = app.launch(app.build_page(), prevent_thread_lock=True, quiet=True)
assert b"stylesr" in urllib.request.urlopen(address).read()
urllib.request.urlopen(address + "config").read()
import time; time.sleep(5)  # what a thread sends later
import os; os._exit(0)
""",
}
OFF = {"GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_DISABLE_TELEMETRY": "1", "DO_NOT_TRACK": "1"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Check everything, print it; 1 where something is not as it should be."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--audit", action="store_true", help="ask PyPI for vulnerabilities, too")
    options = parser.parse_args(arguments)
    checks: list[Callable[[], bool]] = [licences, calls_home, wheels, models]
    if options.audit:
        checks.append(audit)
    results = []
    for check in checks:
        results.append(check())
        print(flush=True)
    return 0 if all(results) else 1


# -- licences -------------------------------------------------------------------------------------


def licences() -> bool:
    """Print the packages by family of licence; False where one does not go with Apache-2.0."""
    families, inside, missing = defaultdict[str, list[str]](list), [], []
    for requirement in _requirements():
        try:
            package = distribution(requirement.name)
        except PackageNotFoundError:
            missing.append(requirement.name)
            continue
        said = licence(package)
        family = next((f for f, (mark, _) in FAMILIES.items() if re.search(mark, said)), "unknown")
        families[family].append(
            requirement.name if family != "unknown" else f"{package.name}: {said}"
        )
        found = {lib for lib in LIBRARIES for file in package.files or [] if lib in file.name}
        inside += [f"{requirement.name} brings {lib} ({LIBRARIES[lib]})" for lib in sorted(found)]
    print("| Licence | Packages | What it asks |")
    print("|---|---|---|")
    for family in sorted(families, key=lambda family: -len(families[family])):
        names = families[family]
        shown = f"{len(names)}: {', '.join(names)}" if len(names) < 9 else str(len(names))
        print(f"| {family} | {shown} | {FAMILIES.get(family, ('', ''))[1]} |")
    print(f"\nInside wheels: {'; '.join(inside)}.")
    if missing:
        print(f"Not installed here: {', '.join(missing)}.")
    return set(families) <= set(ALLOWED)


def licence(package: Distribution) -> str:
    """What its metadata says: an expression, classifiers, or the first line of a free text."""
    data = package.metadata
    classifiers = [c for c in data.get_all("Classifier", []) if c.startswith("License ::")]
    said = data.get("License-Expression") or " ".join(classifiers)
    return said or (data.get("License") or "nothing").splitlines()[0]


def _requirements() -> list[Requirement]:
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    found = [Requirement(line) for line in lines if line and not line.startswith("#")]
    return [r for r in found if r.marker is None or r.marker.evaluate()]


# -- calls home -----------------------------------------------------------------------------------


def calls_home() -> bool:
    """Print which hosts are asked for; False where there is one, or the watch sees none."""
    is_silent = True
    with TemporaryDirectory() as folder:
        picture = next((bundled_folder() / "photo").glob("preview.webp"))
        for words, environment in (("off", OFF), ("not set", {})):
            kept = {name: value for name, value in os.environ.items() if name not in OFF}
            kept |= {"HF_HOME": folder, "PYTHONPATH": str(ROOT), **environment}
            for job, code in JOBS.items():
                done = subprocess.run(
                    [sys.executable, "-c", WATCH + code, str(picture), f"{folder}/out.png"],
                    env=kept,
                    cwd=ROOT,
                    capture_output=True,
                    text=True,
                    check=False,
                )
                hosts = re.findall(r"^CALLS (.*)$", done.stderr, re.MULTILINE)
                if job == "control":
                    is_silent &= bool(hosts)
                    continue
                is_silent &= not hosts and done.returncode == 0
                said = ", ".join(sorted(set(hosts))) or "nobody"
                print(f"Telemetry variables {words}, {job}: asks {said}.")
                if done.returncode:
                    print(done.stderr[-2000:])
    return is_silent


# -- the wheel ------------------------------------------------------------------------------------


def wheels() -> bool:
    """Print the SHA-256 of two builds; False where they differ."""
    with TemporaryDirectory() as home:
        copy = Path(home, "elsewhere")
        shutil.copytree(
            ROOT, copy, ignore=shutil.ignore_patterns(".git", "__pycache__", ".*_cache")
        )
        for path in copy.rglob("*"):
            os.utime(path, (1e9, 1e9))
        digests = []
        for number, folder in enumerate((ROOT, copy)):
            out = Path(home, str(number))
            words = ["-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(folder)]
            environment = os.environ | {"SOURCE_DATE_EPOCH": "1700000000"}
            subprocess.run(
                [sys.executable, *words], env=environment, check=True, capture_output=True
            )
            (wheel,) = out.iterdir()
            digests.append(sha256(wheel.read_bytes()).hexdigest())
    print(f"Two wheels: {' and '.join(digests)}.")
    return digests[0] == digests[1]


# -- models ---------------------------------------------------------------------------------------


def models() -> bool:
    """Print how many released folders say what they hold and where it is from."""
    wrong = []
    prints = {name: Generator.from_pretrained(name).fingerprint() for name in bundled_names()}
    for name in bundled_names():
        folder = bundled_folder() / name
        card = (folder / "README.md").read_text(encoding="utf-8")
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
        says = {
            "its weights' SHA-256": metrics["weights_sha256"] == prints[name],
            "its base's SHA-256 where it is blended with one": "base_sha256" not in config
            or config["base_sha256"] == prints.get(config["base"]),
            "its licence": "\nlicense: apache-2.0\n" in card,
            "what it was trained on": bool(re.search(r"\n## Training\n[^#]*\]\(https://", card)),
        }
        wrong += [f"{name} does not say {what}" for what, said in says.items() if not said]
    print(
        f"{len(prints)} model folders: each says {', '.join(says)}."
        if not wrong
        else "\n".join(wrong)
    )
    return not wrong


# -- known holes ----------------------------------------------------------------------------------


def audit() -> bool:
    """Ask PyPI for known vulnerabilities of the pinned versions; False where there are any."""
    words = ["-m", "pip_audit", "--requirement", "requirements.txt", "--disable-pip", "--no-deps"]
    done = subprocess.run(
        [sys.executable, *words], cwd=ROOT, capture_output=True, text=True, check=False
    )
    skipped = done.stdout.count("could not be audited")
    if "No module named" in done.stderr:
        print("The audit needs pip-audit: pip install pip-audit.")
    elif skipped:
        print(f"{skipped} packages could not be audited: the index in use tells of no holes.")
    else:
        print(f"pip-audit: {done.stdout.strip() or done.stderr.strip()}")
    return done.returncode == 0 and not skipped


if __name__ == "__main__":
    sys.exit(main())
