"""What may be published: everything that is wrong with a folder is said at once."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor

from stylesr import hub, publishing
from stylesr.errors import InputError, ModelError, PublishError
from stylesr.models import Generator, StyleSRNet
from stylesr.sharing import push
from tests import tiny

CARD = """---
library_name: stylesr
license: apache-2.0
pipeline_tag: image-to-image
tags:
- stylesr
- style-transfer
base_model: user/photo
model-index:
- name: dots
  results:
  - task:
      type: image-to-image
    dataset:
      name: Photos ×4
      type: photos
      args:
        protocol: As it was measured.
    metrics:
    - type: style-distance
      value: 0.5
---

# dots

Paints dots.

![before and after](preview.webp)

`StyleSRPipeline.from_pretrained("me/dots")`
"""


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Bundled models: a base alone."""
    folder = tmp_path / "hub_cards"
    tiny.photo().save_pretrained(folder / "photo")
    monkeypatch.setattr(hub, "bundled_folder", lambda: folder)
    return folder


@pytest.fixture
def dots(models: Path, tmp_path: Path) -> Path:
    """A style that may be published as me/dots."""
    return write(tiny.style(tiny.photo(), 1), tmp_path / "dots")


def write(net: Generator, folder: Path, card: str = CARD) -> Path:
    """A folder with all that belongs to a model."""
    net.save_pretrained(folder)
    (folder / "README.md").write_text(card, encoding="utf-8")
    figures = {"weights_sha256": net.fingerprint(), "parameters": 1, "protocol": {}, "results": []}
    (folder / "metrics.json").write_text(json.dumps(figures))
    Image.linear_gradient("L").save(folder / "preview.webp")
    return folder


def failings(folder: Path, repo_id: str = "me/dots") -> tuple[str, ...]:
    with pytest.raises(PublishError) as caught:
        push(folder, repo_id, dry_run=True)
    assert all(failing in str(caught.value) for failing in caught.value.failings)
    return caught.value.failings


def test_a_folder_that_is_fit(dots: Path) -> None:
    done = push(dots, "me/dots", dry_run=True)
    names = ["README.md", "config.json", "metrics.json", "model.safetensors", "preview.webp"]
    assert [name for name, _ in done.files] == names
    assert done.bytes == sum((dots / name).stat().st_size for name in names)
    assert done.commit is done.url is None


@pytest.mark.parametrize("name", ["photo", "starry-night"])
def test_released_models_are_fit(name: str) -> None:
    assert push(hub.locate(name), f"an-org/{name}", dry_run=True).bytes > 500_000


def test_the_cards_of_all_released_models_are_fit() -> None:
    for name in hub.bundled_names():
        card = (hub.locate(name) / "README.md").read_text(encoding="utf-8")
        assert list(publishing._card_failings(card, f"an-org/{name}", is_released=True)) == []


# -- the card -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("license: apache-2.0\n", "", "names no license"),
        ("license: apache-2.0", "license: unknown", "names no license"),
        ("license: apache-2.0", "license: other", "needs license_name and license_link"),
        ("image-to-image\ntags", "text-generation\ntags", "pipeline_tag must be image-to-image"),
        ("library_name: stylesr\n", "", "library_name must be stylesr, got None"),
        ("- stylesr\n", "- style\n", "tags lack stylesr"),
        ("base_model: user/photo", "base_model: photo", "base_model takes ids .* got 'photo'"),
        ("base_model: user/photo", "base_model: [a/b, 3]", "base_model takes ids .* got 3"),
        ("base_model: user/photo", "datasets: [my photos]", "datasets takes ids .* 'my photos'"),
        ("protocol: As it was measured.", "pictures: 3", "style-distance: how it was measured"),
        ("value: 0.5", "value: .nan", "style-distance: nan is not a figure"),
        ("value: 0.5", "value: good", "'good' is not a figure"),
        ("(preview.webp)", "(picture.webp)", "does not show preview.webp"),
        ("me/dots", "you/dots", r'how to load it: from_pretrained\("me/dots"\)'),
        ("tags:\n", "tags: [\n", "front matter cannot be read"),
        ("- name: dots\n  results:", "- name: dots\n  nothing:", "front matter cannot be read"),
    ],
)
def test_a_card_lacks_one_thing(dots: Path, old: str, new: str, message: str) -> None:
    assert old in CARD
    (dots / "README.md").write_text(CARD.replace(old, new), encoding="utf-8")
    (failing,) = failings(dots)
    assert failing.startswith("README.md")
    assert re.search(message, failing)


def test_a_license_of_another_kind_has_name_and_link(dots: Path) -> None:
    licence = "license: other\nlicense_name: mine\nlicense_link: https://example.org"
    (dots / "README.md").write_text(CARD.replace("license: apache-2.0", licence), encoding="utf-8")
    assert push(dots, "me/dots", dry_run=True).files


def test_a_card_without_results(dots: Path) -> None:
    head, _, rest = CARD.partition("model-index")
    card = head + "---" + rest.partition("---")[2]
    (dots / "README.md").write_text(card, encoding="utf-8")
    assert failings(dots) == ("README.md has no model-index: no result was measured",)


def test_the_card_that_the_mixin_writes_is_none(dots: Path) -> None:
    (dots / "README.md").unlink()
    tiny.style(tiny.photo(), 1).save_pretrained(dots)
    (failing,) = failings(dots)
    assert "what save_pretrained writes where there is none" in failing


# -- the other files ------------------------------------------------------------------------------


def test_all_that_is_wrong_is_said_at_once(dots: Path) -> None:
    (dots / "README.md").write_text(CARD.replace("license: apache-2.0\n", ""), encoding="utf-8")
    (dots / "preview.webp").unlink()
    (dots / "metrics.json").write_text('{"weights_sha256": "another"}')
    (dots / "optimizer.pt").write_bytes(b"")
    strange, metrics, preview, card = failings(dots)
    assert strange.startswith("unexpected optimizer.pt")
    assert metrics == "metrics.json tells of other weights; run stylesr evaluate … --write again"
    assert preview == "preview.webp is missing: a picture of what the model does"
    assert "license" in card


def test_an_imported_model_says_what_it_was_made_of(dots: Path) -> None:
    digest = "1b" * 32
    (dots / "source.json").write_text(json.dumps({"files": {"net.pth": digest}}))
    assert failings(dots) == (
        f"README.md does not say that it was made of net.pth with the SHA-256 {digest}",
    )
    (dots / "README.md").write_text(f"{CARD}\nFrom net.pth, {digest}.", encoding="utf-8")
    assert "source.json" in dict(push(dots, "me/dots", dry_run=True).files)
    (dots / "source.json").write_text("[]")
    (failing,) = failings(dots)
    assert failing.startswith("source.json is not what stylesr import writes")


def test_weights_that_do_not_load_are_said_beside_the_rest(dots: Path) -> None:
    weights = (dots / "model.safetensors").read_bytes()
    (dots / "model.safetensors").write_bytes(weights[:-5])
    (dots / "preview.webp").unlink()
    broken, preview = failings(dots)
    assert "model.safetensors is not a readable safetensors file" in broken
    assert "preview.webp is missing" in preview


@pytest.mark.parametrize("name", ["README.md", "metrics.json"])
def test_a_file_is_missing(dots: Path, name: str) -> None:
    (dots / name).unlink()
    (failing,) = failings(dots)
    assert name in failing


@pytest.mark.parametrize("text", ["", "[]", "{}", "[" * 100_000])
def test_figures_that_are_none(dots: Path, text: str) -> None:
    (dots / "metrics.json").write_text(text)
    (failing,) = failings(dots)
    assert failing.startswith("metrics.json is not what stylesr evaluate writes")


def test_previews_that_are_none(dots: Path) -> None:
    Image.new("RGB", (40, 300)).save(dots / "preview.webp")
    assert failings(dots) == ("preview.webp has 40×300 pixels, too few to see a thing",)
    Image.new("RGB", (300, 300)).save(dots / "preview.webp", "PNG")
    (failing,) = failings(dots)
    assert failing.startswith("preview.webp is no WebP picture")
    exif = Image.Exif()
    exif[0x010F] = "my camera"
    Image.new("RGB", (300, 300)).save(dots / "preview.webp", exif=exif)
    assert failings(dots) == ("preview.webp holds EXIF data of a photo; save it without",)


def test_hidden_files_stay_here(dots: Path) -> None:
    (dots / ".DS_Store").write_bytes(b"")
    assert ".DS_Store" not in dict(push(dots, "me/dots", dry_run=True).files)


# -- the network ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (lambda x, s: x, "at ×2 a picture of 48×48 becomes one of .1, 3, 48, 48."),
        (lambda x, s: x.repeat(1, 1, s, s) / 0, "at ×2 .* not finite"),
        (lambda x, s: x.repeat(1, 1, s, s) * 0, "at ×2 its picture is of one colour"),
    ],
)
def test_a_network_that_draws_nothing(
    dots: Path,
    monkeypatch: pytest.MonkeyPatch,
    result: Callable[[Tensor, int], Tensor],
    message: str,
) -> None:
    forward = StyleSRNet.forward

    def wrong(self: StyleSRNet, x: Tensor, scale: int = 4) -> Tensor:
        return result(x, scale) if scale == 2 else forward(self, x, scale)

    monkeypatch.setattr(StyleSRNet, "forward", wrong)
    (failing,) = failings(dots)
    assert re.search(message, failing)


def test_a_base_that_nobody_else_has(dots: Path, tmp_path: Path) -> None:
    write(tiny.style(tiny.photo(), 1, name="my-photo"), dots)
    (failing,) = failings(dots)
    assert failing.startswith("its base 'my-photo' is neither released nor on the Hub")


def test_another_base_of_that_name(dots: Path) -> None:
    write(tiny.style(tiny.photo(7), 1), dots)
    (failing,) = failings(dots)
    assert failing.startswith("its base is not the 'photo' that others will get")


@pytest.mark.usefixtures("the_hub")
def test_a_base_that_is_not_on_the_hub(dots: Path) -> None:
    write(tiny.style(tiny.photo(), 1, name="me/photo"), dots)
    (failing,) = failings(dots)
    assert failing.startswith("its base 'me/photo' cannot be loaded: no repository me/photo")


# -- before anything is checked -------------------------------------------------------------------


@pytest.mark.parametrize("repo_id", ["dots", "", "me/dots/more", "https://huggingface.co/me/dots"])
def test_a_repository_is_owner_and_name(dots: Path, repo_id: str) -> None:
    with pytest.raises(InputError, match=f"is owner/name, got {repo_id!r}"):
        push(dots, repo_id)


def test_there_is_no_such_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"there is no folder .*nowhere"):
        push(tmp_path / "nowhere", "me/dots")


def test_a_pull_request_has_no_branch(dots: Path) -> None:
    with pytest.raises(InputError, match="goes to main; leave out the branch 'v2'"):
        push(dots, "me/dots", create_pr=True, branch="v2")


# -- push_to_hub ----------------------------------------------------------------------------------


def test_a_network_is_pushed_with_the_folder_it_is_from(dots: Path) -> None:
    net = StyleSRNet.from_pretrained(dots)
    assert net.push_to_hub("me/dots", dry_run=True) == push(dots, "me/dots", dry_run=True)


def test_a_network_is_pushed_with_the_folder_it_was_saved_to(dots: Path, models: Path) -> None:
    net = tiny.style(tiny.photo(), 1)
    with pytest.raises(InputError, match=r"in no folder yet: save_pretrained it"):
        net.push_to_hub("me/dots")
    assert net.push_to_hub("me/dots", folder=dots, dry_run=True).files
    net.save_pretrained(dots)
    assert (dots / "README.md").read_text(encoding="utf-8") == CARD
    assert net.push_to_hub("me/dots", dry_run=True).files


def test_a_network_that_was_changed_since_is_refused(dots: Path) -> None:
    net = StyleSRNet.from_pretrained(dots)
    with torch.no_grad():
        net.skip_gain.add_(0.1)
    with pytest.raises(PublishError, match="holds other weights than this network; save it there"):
        net.push_to_hub("me/dots", dry_run=True)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"class_name": "StyleSRNet", "blocks": 1e9}'])
def test_a_hostile_config_is_refused(dots: Path, text: str) -> None:
    (dots / "config.json").write_text(text)
    with pytest.raises(ModelError, match=r"config.json"):
        StyleSRNet.from_pretrained(dots)
    (failing,) = failings(dots)
    assert "config.json" in failing
