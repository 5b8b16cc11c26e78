"""Folders of pictures: what is made, kept, made again; failures, ranks and workers."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
from PIL import Image
from torch import Tensor

from stylesr import images, jobs
from stylesr.cli import main
from stylesr.errors import InputError, StyleSRError
from stylesr.jobs import Job, Outcome
from stylesr.picture import Picture, to_pil
from tests import tiny

Scene = Callable[[int, int], Tensor]
ALL = ("a.png", "b.png", "sub/c.png")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scene: Scene) -> Path:
    """A base, a style, and a folder of three photos, one of them in a folder below."""
    photo = tiny.photo()
    photo.save_pretrained(tmp_path / "photo")
    tiny.style(photo, 1, str(tmp_path / "photo")).save_pretrained(tmp_path / "dots")
    (tmp_path / "in" / "sub").mkdir(parents=True)
    for name, size in (("a.png", (20, 24)), ("b.jpg", (24, 20)), ("sub/c.webp", (16, 16))):
        to_pil(Picture(scene(*size))).save(tmp_path / "in" / name)
    (tmp_path / "in" / "notes.txt").write_text("not a picture")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def made(job: Job | None = None, workers: int = 1, cluster: str | None = None) -> dict[str, str]:
    """Run a job from in/ into out/; the status of each target."""
    job = job or Job({"./photo": 1.0})
    outcomes = jobs.run(jobs.find("in", "out"), "out", job, workers, cluster=cluster)
    return {outcome.target: outcome.status for outcome in outcomes}


# -- what there is to do ------------------------------------------------------------------------


def test_a_folder_is_searched_with_all_below_it(here: Path) -> None:
    items = jobs.find("in", "out", format="webp", name="{stem}-{extension}")
    assert {item.source.as_posix(): item.target.as_posix() for item in items} == {
        "in/a.png": "out/a-png.webp",
        "in/b.jpg": "out/b-jpg.webp",
        "in/sub/c.webp": "out/sub/c-webp.webp",
    }


@pytest.mark.parametrize(
    ("pattern", "targets"),
    [
        ("in/*.png", ["a.png"]),
        ("in/**/*.*", ["a.png", "b.png", "notes.png", "sub/c.png"]),
        ("in/[ab].*", ["a.png", "b.png"]),
    ],
)
def test_a_pattern_keeps_the_folders_below_its_fixed_part(
    here: Path, pattern: str, targets: list[str]
) -> None:
    found = jobs.find(pattern, "out")
    assert [item.target.relative_to("out").as_posix() for item in found] == targets


def test_results_inside_the_source_are_no_sources(here: Path) -> None:
    list(jobs.run(jobs.find("in", "in/out"), "in/out", Job({"./photo": 1.0}, {"scale": 1})))
    assert len(jobs.find("in", "in/out")) == 3


@pytest.mark.parametrize(
    ("source", "name", "message"),
    [
        ("missing", "{stem}", "'missing' is no folder and no pattern"),
        ("in/*.gif", "{stem}", "no pictures"),
        ("in/?.*", "same", "would both become out/same.png"),
        ("in", "{other}", "name has {stem} and {extension} to fill in"),
    ],
)
def test_what_cannot_be_found_is_refused(here: Path, source: str, name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        jobs.find(source, "out", name=name)


def test_every_item_belongs_to_one_rank(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    items = jobs.find("in", "out")
    monkeypatch.setenv("WORLD_SIZE", "2")
    shares = []
    for rank in "01":
        monkeypatch.setenv("RANK", rank)
        shares.append(jobs.share(items))
    assert sorted(map(len, shares)) == [1, 2]
    assert {item.target for part in shares for item in part} == {item.target for item in items}


# -- doing it -----------------------------------------------------------------------------------


def test_a_second_run_makes_only_what_is_missing_or_changed(here: Path) -> None:
    assert made() == dict.fromkeys(ALL, "made")
    with Image.open("out/sub/c.png") as result:
        assert result.size == (64, 64)
    assert made() == dict.fromkeys(ALL, "kept")
    os.remove("out/a.png")
    Path("out/b.png").write_bytes(b"cut off")
    assert made() == {"a.png": "made", "b.png": "made", "sub/c.png": "kept"}
    Image.open("in/a.png").transpose(Image.Transpose.FLIP_LEFT_RIGHT).save("in/a.png")
    assert made() == {"a.png": "made", "b.png": "kept", "sub/c.png": "kept"}


@pytest.mark.parametrize(
    "other",
    [
        Job({"./photo": 1.0}, {"scale": 2}),
        Job({"./photo": 1.0}, metadata="strip"),
        Job({"./dots": 1.0}),
    ],
)
def test_another_job_makes_everything_again(here: Path, other: Job) -> None:
    made()
    assert made(other) == dict.fromkeys(ALL, "made")
    assert made(other) == dict.fromkeys(ALL, "kept")


def test_other_weights_make_everything_again(here: Path) -> None:
    made(Job({"./dots": 1.0}))
    tiny.style(tiny.photo(), 2, str(here / "photo")).save_pretrained(here / "dots")
    assert made(Job({"./dots": 1.0})) == dict.fromkeys(ALL, "made")


def test_the_result_is_that_of_one_picture(here: Path) -> None:
    made(Job({"./dots": 1.0}, {"scale": 2, "seed": 3}))
    assert (
        main(["enhance", "in/a.png", "one.png", "--style", "./dots", "--scale", "2", "--seed", "3"])
        == 0
    )
    assert Path("one.png").read_bytes() == Path("out/a.png").read_bytes()


def test_a_failure_is_noted_and_tried_again(here: Path) -> None:
    Path("in/b.jpg").write_bytes(b"not a picture")
    assert made() == {"a.png": "made", "b.png": "failed", "sub/c.png": "made"}
    lines = [json.loads(line) for line in Path("out/manifest.jsonl").read_text().splitlines()]
    assert "b.jpg" in lines[1]["message"] and lines[1]["status"] == "failed"
    assert not list(Path("out").rglob("*.part"))
    assert made() == {"a.png": "kept", "b.png": "failed", "sub/c.png": "kept"}


def test_a_manifest_that_was_cut_off_costs_one_picture(here: Path) -> None:
    made()
    manifest = Path("out/manifest.jsonl")
    manifest.write_bytes(manifest.read_bytes()[:-30])
    assert made() == {"a.png": "kept", "b.png": "kept", "sub/c.png": "made"}
    assert made() == dict.fromkeys(ALL, "kept")


def test_a_manifest_of_odd_bytes_is_read_as_far_as_it_goes(here: Path) -> None:
    made()
    lines = Path("out/manifest.jsonl").read_bytes().splitlines(keepends=True)
    Path("out/manifest.jsonl").write_bytes(lines[0] + b"\xff\xfe\n[1]\n" + lines[2])
    assert made() == {"a.png": "kept", "b.png": "made", "sub/c.png": "kept"}


def test_a_manifest_that_cannot_be_written_ends_the_job(here: Path) -> None:
    Path("out/manifest.jsonl").mkdir(parents=True)
    with pytest.raises(StyleSRError, match=r"what is made cannot be noted: .*Is a directory"):
        made()


@pytest.mark.parametrize("was_made", [False, True])
def test_a_picture_that_vanishes_fails_alone(here: Path, was_made: bool) -> None:
    if was_made:
        made()
    items = jobs.find("in", "out")
    os.remove("in/b.jpg")
    outcomes = list(jobs.run(items, "out", Job({"./photo": 1.0})))
    assert [o.status for o in outcomes if o.target == "b.png"] == ["failed"]
    assert {o.status for o in outcomes if o.target != "b.png"} == {"kept" if was_made else "made"}


def test_sigterm_ends_a_job_that_goes_on(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def save(picture: Picture, path: Path, **options: Any) -> None:
        if path.name == "b.png":
            os.kill(os.getpid(), signal.SIGTERM)
        real(picture, path, **options)

    real = images.save
    usual = signal.getsignal(signal.SIGTERM)
    with monkeypatch.context() as patch:
        patch.setattr(images, "save", save)
        assert main(["enhance", "in", "out", "--style", "./photo"]) == 143
    assert capsys.readouterr().err == "stylesr: stopped\n"
    assert signal.getsignal(signal.SIGTERM) is usual
    assert not list(Path("out").rglob("*.part"))
    assert made() == {"a.png": "kept", "b.png": "made", "sub/c.png": "made"}


@pytest.mark.slow
def test_workers_end_with_a_parent_that_is_killed(here: Path, scene: Scene) -> None:
    for number in range(40):
        to_pil(Picture(scene(200, 200 + number))).save(f"in/{number}.png")
    words = ["-m", "stylesr.cli", "enhance", "in", "out", "--style", "./photo", "--workers", "2"]
    with subprocess.Popen([sys.executable, *words], stderr=subprocess.DEVNULL) as process:
        while not Path("out/manifest.jsonl").exists():
            assert process.poll() is None
            time.sleep(0.05)
        children = psutil.Process(process.pid).children(recursive=True)
        process.kill()
    assert len(children) >= 2
    _, alive = psutil.wait_procs(children, timeout=20)
    assert not alive


@pytest.mark.slow
def test_workers_make_the_same_files(here: Path) -> None:
    job = Job({"./dots": 1.0}, {"scale": 2})
    made(job)
    alone = {name: Path("out", name).read_bytes() for name in ALL}
    for name in ALL:
        os.remove(Path("out", name))
    assert made(job, workers=2) == dict.fromkeys(ALL, "made")
    assert {name: Path("out", name).read_bytes() for name in ALL} == alone


@pytest.mark.slow
def test_a_killed_worker_loses_nothing_that_is_done(here: Path, scene: Scene) -> None:
    for number in range(12):
        to_pil(Picture(scene(32, 32 + number))).save(f"in/{number}.png")
    run = jobs.run(jobs.find("in", "out"), "out", Job({"./photo": 1.0}), 2)
    first = next(run)
    assert first.status == "made"
    for child in psutil.Process().children():
        if "spawn_main" in " ".join(child.cmdline()):
            os.kill(child.pid, signal.SIGKILL)
    with pytest.raises(StyleSRError, match="a worker was killed"):
        list(run)
    again = made()
    assert again[first.target] == "kept"
    assert len(again) == 15 and set(again.values()) == {"kept", "made"}
    assert not list(Path("out").rglob("*.part"))


@pytest.mark.slow
def test_ctrl_c_notes_what_was_begun(
    here: Path, scene: Scene, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(12):
        to_pil(Picture(scene(32, 32 + number))).save(f"in/{number}.png")

    def interrupted(*given: Any, **options: Any) -> Any:
        if Path("out/manifest.jsonl").is_file():
            raise KeyboardInterrupt
        return wait(*given, **options)

    wait = jobs.wait
    monkeypatch.setattr(jobs, "wait", interrupted)
    assert main(["enhance", "in", "out", "--style", "./photo", "--workers", "2"]) == 130
    assert "stopped" in capsys.readouterr().err
    lines = [json.loads(line) for line in Path("out/manifest.jsonl").read_text().splitlines()]
    found = {path.relative_to("out").as_posix() for path in Path("out").rglob("*.png")}
    assert {line["target"] for line in lines} == found and 1 < len(found) < 15
    assert not list(Path("out").rglob("*.part"))


@pytest.fixture
def cluster() -> Iterator[Any]:
    """Two workers, processes of this machine."""
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(2, threads_per_worker=1, dashboard_address=None) as cluster,
        distributed.Client(cluster, set_as_default=False) as client,
    ):
        yield client


@pytest.mark.slow
def test_a_cluster_loses_a_worker_but_no_picture(here: Path, scene: Scene, cluster: Any) -> None:
    for number in range(9):
        to_pil(Picture(scene(90, 90 + number))).save(f"in/{number}.png")
    Path("in/b.jpg").write_bytes(b"not a picture")
    job, items = Job({"./dots": 1.0}), jobs.find("in", "out")
    address = cluster.scheduler_info()["address"]
    work = jobs.run(items, "out", job, cluster=address)
    outcomes = [next(work)]
    processes = cluster.run(os.getpid)
    working = next(name for name, tasks in cluster.processing().items() if tasks)
    os.kill(processes[working], signal.SIGKILL)
    outcomes += work

    expected = {item.target.relative_to("out").as_posix(): "made" for item in items}
    expected["b.png"] = "failed"
    assert {outcome.target: outcome.status for outcome in outcomes} == expected
    lines = [json.loads(line) for line in Path("out/manifest.jsonl").read_text().splitlines()]
    assert sorted(line["target"] for line in lines) == sorted(expected)  # none twice
    assert not list(Path("out").rglob("*.part"))
    again = made(job)  # by this process: what the cluster made is kept
    assert again == {name: status.replace("made", "kept") for name, status in expected.items()}


def test_what_a_cluster_cannot_make(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    distributed = pytest.importorskip("distributed")

    def make(worker: jobs._Worker, item: jobs.Item) -> Outcome:
        if item.source.name == "b.jpg":
            raise distributed.KilledWorker(
                "b.jpg", SimpleNamespace(address="one"), 3
            )  # what Dask says after three
        return real(worker, item)

    real = jobs._Worker.make
    monkeypatch.setattr(jobs._Worker, "make", make)
    with distributed.LocalCluster(1, processes=False, dashboard_address=None) as cluster:
        address = cluster.scheduler_address
        assert made(cluster=address) == {"a.png": "made", "b.png": "failed", "sub/c.png": "made"}
        monkeypatch.setattr(os, "getcwd", lambda: "/none")
        with pytest.raises(StyleSRError, match="workers need stylesr and the folder '/none'"):
            made(cluster=address)
        monkeypatch.undo()


def test_a_cluster_that_is_not_there(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr(jobs, "PATIENCE", 0.3)
    with pytest.raises(StyleSRError, match=r"no Dask scheduler answers at 'tcp://127\.0\.0\.1:9'"):
        made(cluster="tcp://127.0.0.1:9")
    with pytest.raises(InputError, match="a cluster has workers of its own"):
        made(workers=2, cluster="tcp://127.0.0.1:9")


def test_a_worker_of_a_cluster_has_the_models_of_the_job(here: Path) -> None:
    item, job = jobs.find("in", "out")[0], Job({"./dots": 1.0})
    for _ in range(2):
        made(job)
        mark = json.loads(Path("out/manifest.jsonl").read_text().splitlines()[-1])["job"]
        assert jobs._make_there(job, mark, str(here), item).status == "made"
        tiny.style(tiny.photo(), 2, str(here / "photo")).save_pretrained(here / "dots")
    with pytest.raises(StyleSRError, match="has other models or another version of stylesr"):
        jobs._make_there(job, "0" * 64, str(here), item)


@pytest.mark.parametrize(
    ("job", "workers", "message"),
    [
        ({"models": {"./photo": 1.0}}, 0, "workers must be at least 1, got 0"),
        ({"models": {}}, 1, "name at least one model"),
        (
            {"models": {"./photo": 1}, "metadata": "all"},
            1,
            "metadata is safe, keep or strip, got 'all'",
        ),
        ({"models": {"./photo": 1.0}, "options": {"scale": 9}}, 1, "scale"),
        ({"models": {"missing": 1.0}}, 1, "no model 'missing'"),
    ],
)
def test_a_job_that_cannot_work_is_refused_before_any(
    here: Path, job: dict[str, object], workers: int, message: str
) -> None:
    with pytest.raises(StyleSRError, match=message):
        list(jobs.run(jobs.find("in", "out"), "out", Job(**job), workers))  # type: ignore[arg-type]
    assert not list(Path().glob("out/*.*"))


# -- the command --------------------------------------------------------------------------------


def test_a_folder_that_cannot_be_is_told_in_a_line(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["enhance", "in", "in/a.png/out", "--style", "./photo"]) == 2
    said = capsys.readouterr().err
    assert "'in/a.png/out' cannot be a folder of results" in said and said.count("\n") == 1


def test_the_command_tells_what_it_did(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("in/b.jpg").write_bytes(b"not a picture")
    options = ["--style", "./dots", "--scale", "1", "--format", "jpg", "--metadata", "strip"]
    assert main(["enhance", "in", "out", *options, "--json"]) == 1
    printed = capsys.readouterr()
    statuses = [Outcome(**json.loads(line)).status for line in printed.out.splitlines()]
    assert statuses == ["made", "failed", "made"]
    assert "failed: in/b.jpg: " in printed.err
    assert "2 made, 0 kept, 1 failed" in printed.err
    assert "error: 1 of 3 pictures failed" in printed.err
    with Image.open("out/a.jpg") as result:
        assert result.size == (24, 20) and not result.getexif()
    os.remove("in/b.jpg")
    assert main(["enhance", "in", "out", *options]) == 0
    assert "0 made, 2 kept, 0 failed" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("in/a.png out.png --workers 2", "--workers: for a folder or a pattern; 'in/a.png' is"),
        ("in photo/config.json", "gives many pictures, but 'photo/config.json' is a file"),
        ("in out --format gif", "does not end in a known picture extension"),
        ("nothing/*.png out", "no pictures"),
    ],
)
def test_the_command_refuses(
    here: Path, words: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["enhance", *words.split()]) == 2
    assert message in capsys.readouterr().err
    assert not Path("out").exists()
