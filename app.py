"""The page: `python app.py` opens it; on a Space it is the app file.

Layout and wiring only: each tab is a file of `stylesr.page`, and what happens to a picture is in
`stylesr.studio`.
"""

import os
import sys
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.utils import get_upload_folder

from stylesr.page import any_style, batch, compare, create, endpoints, film, hub_styles, parts
from stylesr.page.guard import COOKIE, Guard
from stylesr.page.keeping import keeping, one_heap
from stylesr.page.parts import MAX_FILE_MB, QUICK, Site, Spoken
from stylesr.page.words import CALL, COMMAND, Words, words
from stylesr.studio import MAX_BATCH, Studio
from stylesr.workshop import open_studio

MAX_SESSIONS = 100  # that are remembered, the last ones: a quarter of a megabyte each
TITLE = "<h1>stylesr</h1><p>{}</p>"
BROWSER_LANGUAGE = f"""
() => (document.cookie.match(/{COOKIE}=(\\w+)/)?.[1]
  ?? (navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en"))
"""
REMEMBER_LANGUAGE = f"""
(language) => {{
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
  document.cookie = `{COOKIE}=${{language}}; path=/; max-age=31536000; SameSite=Lax`;
  return language;
}}
"""

# Gradio sums up all events that it remembers whenever so many have ended, monitored or not.
os.environ.setdefault("GRADIO_ANALYTICS_MAX_EVENTS", "100")
os.environ.setdefault("GRADIO_ANALYTICS_CACHE_FREQUENCY", "1000000000")

THEME = gr.themes.Default(
    primary_hue="orange",
    neutral_hue="stone",
    # Of Gradio's fonts few hold all Latin letters; these two weights do. The rest are Chinese.
    font=[
        gr.themes.LocalFont("Source Sans Pro", weights=(400, 700)),
        "PingFang SC",
        "Microsoft YaHei",
        "Noto Sans CJK SC",
        "Noto Sans SC",
        "sans-serif",
    ],
).set(
    body_text_color_subdued="*neutral_600",
    body_text_color_subdued_dark="*neutral_400",
    color_accent="*primary_700",
    button_primary_background_fill="*primary_700",
    button_primary_background_fill_hover="*primary_800",
    button_primary_background_fill_dark="*primary_700",
    button_primary_background_fill_hover_dark="*primary_800",
    slider_color="*primary_700",
    slider_color_dark="*primary_600",
)


def build_page(studio: Studio | None = None, *, discovery: bool | None = None) -> gr.Blocks:
    """The whole page.

    Args:
        studio: the models and limits; by default all models that come with the package.
        discovery: whether visitors may paint in styles that others have published on the Hub; by
            default only where the environment says STYLESR_DISCOVERY=1.
    """
    discovery = os.environ.get("STYLESR_DISCOVERY") == "1" if discovery is None else discovery
    studio = studio or open_studio()
    spoken = Spoken()
    with gr.Blocks(title="stylesr", fill_width=True, analytics_enabled=False) as page:
        site = Site(page)
        with gr.Row(elem_id="head"):
            spoken(gr.HTML, lambda w: {"value": TITLE.format(w.tagline)}, elem_id="title")
            language = gr.Radio(
                [("English", "en"), ("中文", "zh")],
                value="en",
                label="Language · 语言",
                container=False,
                elem_id="language",
            )
        with gr.Tabs(elem_id="tabs"):
            with spoken(gr.Tab, lambda w: {"label": w.tabs["create"]}, id="create"):
                first = create.build(studio, spoken, language, site)
                endpoints.build(first, language)
            with spoken(gr.Tab, lambda w: {"label": w.tabs["compare"]}, id="compare"):
                compare.build(studio, spoken, language, site)
            if studio.has_films:
                with spoken(gr.Tab, lambda w: {"label": w.tabs["video"]}, id="video"):
                    film.build(studio, spoken, language, site)
            with spoken(gr.Tab, lambda w: {"label": w.tabs["batch"]}, id="batch"):
                batch.build(studio, spoken, language, site)
            if studio.any_style:
                with spoken(gr.Tab, lambda w: {"label": w.tabs["any"]}, id="any"):
                    other = any_style.build(studio, spoken, language, site)
                    endpoints.build_any_style(other, language)
            if discovery:
                with spoken(gr.Tab, lambda w: {"label": w.hub_tab}, id="hub"):
                    hub_styles.build(studio, spoken, language, site)
            with spoken(gr.Tab, lambda w: {"label": w.tabs["about"]}, id="about"):
                spoken(gr.Markdown, lambda w: {"value": about(w)}, elem_id="about")
        spoken(gr.Markdown, lambda w: {"value": w.note}, elem_id="note")

        i, o = first.inputs, first.outputs
        page.load(None, None, language, js=BROWSER_LANGUAGE, api_visibility="private")
        shown = [i.thumbnails, o.result, o.slider, o.before, o.after]
        page.load(first.welcome, language, shown, show_progress="hidden", api_visibility="private")
        language.change(
            lambda code: spoken.updates(words(code)),
            language,
            spoken.components,
            js=REMEMBER_LANGUAGE,
            **QUICK,
        )
    return page.queue(max_size=200, api_open=False)


def about(say: Words) -> str:
    """The tab About."""
    return say.about.format(command=COMMAND, call=CALL.format(address="http://127.0.0.1:7860"))


def launch(page: gr.Blocks, **options: Any) -> Any:
    """Serve the page with its looks and safety settings; options as for `gr.Blocks.launch`."""
    one_heap()
    limits: dict[str, Any] = {
        "max_upload": MAX_BATCH * MAX_FILE_MB * 1_000_000,
        "uploads": get_upload_folder(),
        "functions": parts.functions(page),
    }
    settings: dict[str, Any] = {
        "theme": THEME,
        "css_paths": Path(__file__).with_name("app.css"),
        "js": Path(str(parts.__file__)).with_name("zoom.js").read_text(encoding="utf-8"),
        "footer_links": ["api", "gradio", "settings"],
        "app_kwargs": {  # as Starlette takes them
            "middleware": [(Guard, (), limits)],
            "lifespan": partial(keeping, page),
        },
        "mcp_server": find_spec("mcp") is not None,
        "max_file_size": f"{MAX_FILE_MB}mb",
        "max_threads": 8,
        "state_session_capacity": MAX_SESSIONS,
        "show_error": False,
        "strict_cors": True,
        "enable_monitoring": False,
        "run_history": False,
        "ssr_mode": False,
        "allowed_paths": parts.EXAMPLES,  # Gradio's own; else they cannot change their language
    }
    return page.launch(**settings | options)


if __name__ == "__main__":
    launch(build_page(), inbrowser=sys.stdout.isatty())
