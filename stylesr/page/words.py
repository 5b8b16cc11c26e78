"""All that the page says, in English and in Chinese."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape

__all__ = ["CHINESE", "ENGLISH", "LANGUAGES", "Words", "words"]

COMMAND = """```sh
accelerate launch train/style.py --style-image my-painting.jpg --photos my-photos --out runs/mine
stylesr enhance photo.jpg painted.png --style runs/mine/model
```"""
CALL = """```python
from gradio_client import Client, handle_file

page = Client("{address}")
painted = page.predict(
    photo=handle_file("cat.jpg"), style="starry-night", scale=4, api_name="/enhance"
)
```"""


@dataclass(frozen=True)
class Words:
    """The page's sentences in one language; those with braces are for `str.format`."""

    code: str
    tagline: str
    tabs: Mapping[str, str]
    styles: Mapping[str, str]
    ways: Mapping[str, str]
    errors: tuple[tuple[str, str], ...]  # pattern of a package's English sentence, translation

    photo: str
    drop: str
    try_one: str
    style: str
    enlarge: str
    same_size: str
    width_choice: str
    width: str
    strength: str
    detail: str
    detail_info: str
    more: str
    mix: str
    mix_none: str
    share: str
    brush: str
    brushes: tuple[str, str, str, str]
    colors: str
    color_names: tuple[str, str, str]
    colors_info: str
    variation: str
    chain: str
    chain_info: str
    chain_none: str
    chain_photo: str

    choose: str
    limits: str
    seconds: str
    paint: str
    enlarge_it: str
    stop: str
    stopped: str
    waiting: str
    starting: str
    sketch: str
    tile: str
    left: str
    writing: str
    done: str
    slider: str
    side_by_side: str
    zoom: str
    zoom_names: tuple[str, str, str]
    zoom_help: str
    example: str
    photo_and_result: str
    photo_enlarged: str
    result: str
    result_here: str
    compare_with: str
    format: str
    formats: tuple[str, str, str]
    download: str
    gone: str
    not_uploaded: str
    busy: str
    yours: str
    crowded: str
    full: str
    note_title: str
    error_title: str

    compare_intro: str
    is_original: str
    is_original_info: str
    compare: str
    all_ways: str
    time: str
    one_side: str
    other_side: str

    batch_intro: str
    photos: str
    batch_limits: str
    batch_done: str
    batch_failed: str
    batch_file: str

    any_intro: str
    any_model: str
    any_choose: str

    hub_tab: str
    hub_intro: str
    hub_find: str
    hub_none: str
    hub_by: str
    hub_no_licence: str
    hub_choose: str
    hub_loading: str
    video_intro: str
    clip: str
    choose_clip: str
    video_limits: str
    video_length: str
    comma: str
    video_side: str
    video_steady: str
    frame: str
    video_done: str
    video_cut: str
    video_file: str

    note: str
    about: str

    def style_name(self, name: str) -> str:
        """A model's name for a reader: starry-night → The Starry Night."""
        return self.styles.get(name) or name.replace("-", " ").capitalize()

    def way_name(self, name: str) -> str:
        """The name of a model or of another way to enlarge."""
        return self.ways.get(name) or self.style_name(name)

    def say(self, sentence: object) -> str:
        """An error or notice of the package in this language, safe as HTML."""
        text = str(sentence)
        for pattern, translation in self.errors:
            match = re.search(pattern, text, re.DOTALL)
            if match:
                text = translation.format(*match.groups(""))
                break
        return escape(text, quote=False)


NETWORKS = {  # by their names in every language
    "espcn-x2": "ESPCN, ×2",
    "espcn-x4": "ESPCN",
    "span-x4": "SPAN",
    "srcnn-x2": "SRCNN, ×2",
    "srcnn-x4": "SRCNN",
    "srgan-x4": "SRGAN",
    "srresnet-x4": "SRResNet",
    "transformer-sr-x4": "Perceptual SR",
    "vdsr": "VDSR",
}

ENGLISH = Words(
    code="en",
    tagline="Enlarge a photo and repaint it, in one pass.",
    tabs={
        "create": "Create",
        "compare": "Compare",
        "video": "Video",
        "batch": "Batch",
        "any": "Any style",
        "about": "About",
    },
    styles={
        "composition-vii": "Composition VII",
        "delaunay-portrait": "Mosaic",
        "great-wave": "The Great Wave",
        "night-cafe": "The Night Café",
        "scream": "The Scream",
        "starry-night": "The Starry Night",
        "transformer-composition-vii": "Fast neural style",
    },
    ways={
        "bicubic": "Bicubic",
        "photo": "Enlarge only",
        "photo-vivid": "Enlarge, vivid",
        "two-stages": "Style first, then enlarge",
        **NETWORKS,
    },
    errors=(),
    photo="Photo",
    drop="Drop a photo\nor click to choose",
    try_one="Or try one of these",
    style="Style",
    enlarge="Size",
    same_size="Same",
    width_choice="Width…",
    width="Width of the result in pixels",
    strength="Strength of the style",
    detail="Detail",
    detail_info="0 is faithful; 1 is vivid, with more that is invented.",
    more="Mix, brush, colours, variation, chain",
    mix="Mix with",
    mix_none="No second style",
    share="Share of the second style",
    brush="Brush",
    brushes=("Auto", "Fine", "Medium", "Broad"),
    colors="Colours",
    color_names=("Painting", "Photo", "Palette only"),
    colors_info="“Palette only” keeps the photo's drawing and takes just the painting's colours.",
    variation="Variation",
    chain="Chain",
    chain_info="The style paints at the photo's own size, then another network enlarges that.",
    chain_none="None: painted and enlarged in one pass",
    chain_photo="Our photo model",
    choose="Choose a photo to begin.",
    limits="JPEG, PNG or WebP, up to {file} MB and {input} megapixels; results up to {output}.",
    seconds="≈ {seconds} s",
    paint="Paint",
    enlarge_it="Enlarge",
    stop="Stop",
    stopped="Stopped.",
    waiting="Waiting for its turn…",
    starting="Starting…",
    sketch="A first sketch; the full picture follows.",
    tile="Tile {done} of {total}, {seconds} s",
    left="about {seconds} s left",
    writing="writing the file…",
    done="Done in {seconds} s",
    slider="Slider",
    side_by_side="Side by side",
    zoom="Zoom both pictures",
    zoom_names=("Zoom out", "Zoom in", "Show all"),
    zoom_help="Both move together: wheel and drag, or here + − 0 and the arrow keys.",
    example="An example: photo and {style}",
    photo_and_result="{before} · result",
    photo_enlarged="Photo, enlarged",
    result="Result",
    result_here="The result appears here.",
    compare_with="Compare with",
    format="File",
    formats=("PNG", "WebP, lossless", "JPEG"),
    download="Download {format}, {width} × {height}, {size} MB",
    gone="The file is deleted by now: paint it again.",
    not_uploaded="This file was not uploaded to the page; upload it first.",
    busy="Many people are painting right now. Please try again in a minute.",
    yours="{count} of your jobs wait already, so that others get their turn too. Please try again "
    "when one is done. People of one network count together.",
    crowded="The file or request is larger than the page accepts.",
    full="Too much was uploaded in the last minutes. Please try again in a quarter of an hour.",
    note_title="Please note",
    error_title="That did not work",
    compare_intro="One photo in all styles, at up to {side} pixels, and any two of them beside "
    "each other.",
    is_original="My photo is the original",
    is_original_info="It is reduced first, then enlarged again and measured: PSNR tells how close "
    "each comes.",
    compare="Compare",
    all_ways="All results",
    time="Time",
    one_side="Left",
    other_side="Right",
    batch_intro="Several photos in one style, as one zip file.",
    photos="Photos",
    batch_limits="Up to {count} photos, {file} MB and {input} megapixels each; their results "
    "up to {output} megapixels together.",
    batch_done="{painted} of {total} done in {seconds} s",
    batch_failed="{name}: {reason}",
    batch_file="Download zip, {size} MB",
    any_intro="A photo painted like any other picture. A single small network reads that picture's "
    "colours and strokes at a glance; the styles of the gallery were each trained for hours on "
    "theirs, and paint better.",
    any_model="Paint like",
    any_choose="Choose a picture to paint like.",
    hub_tab="Hub",
    hub_intro="Styles that other people have published on the Hugging Face Hub. Nobody has looked "
    "through them: what they are made of and may be used for, their own pages say.",
    hub_find="Look for styles",
    hub_none="Nobody has published a style yet.",
    hub_by="by {author}, licence: {licence}",
    hub_no_licence="not stated",
    hub_choose="Look for styles, and choose one of the list.",
    hub_loading="Fetching the style…",
    video_intro="The first seconds of a clip in one style, with its sound.",
    clip="Clip",
    choose_clip="Choose a clip to begin.",
    video_limits="MP4, MOV, MKV or WebM, up to {file} MB; longer clips are cut after {seconds} "
    "seconds, larger results sooner. At {rate} frames a second: {lengths}.",
    video_length="{side} px {seconds} s",
    comma=", ",
    video_side="Longer side of the result",
    video_steady="Steady strokes, which flicker less and are softer",
    frame="Frame {done} of {total}, {seconds} s",
    video_done="{frames} frames done in {seconds} s",
    video_cut="cut: the clip is longer than what is painted here",
    video_file="Download MP4, {width} × {height}, {length} s, {size} MB",
    note="Detail in an enlarged or painted picture is **invented** by a small neural network: "
    "plausible, not a record of what was there. Do not use it to identify people, to read text or "
    "number plates, or as medical or forensic evidence. Your photo serves your picture alone: "
    "place, camera and other private data are left out of the result, colours are converted to "
    "sRGB, and everything is deleted within 20 minutes.",
    about="""
### How it works
One small network enlarges and paints in one pass. A style is a set of weights, so strengths and
mixtures cost no more than one style. Files are lossless; in them stand the settings and that a
model made the picture (IPTC *digital source type*).

### The styles
The networks were trained for this page, each from one painting whose rights have expired or from a
picture of our own: *The Starry Night*, *Wheat field*, *Olive trees*, *The Night Café* and *Straw
hat* (Vincent van Gogh, 1889, 1889, 1889, 1888, 1887), *The Great Wave* (Katsushika Hokusai, about
1831), *The Scream* (Edvard Munch, 1893), *Water lilies* (Claude Monet, 1919), *Composition VII*
(Wassily Kandinsky, 1913), *Udnie* (Francis Picabia, 1913), *Mondrian* (Piet Mondrian, about 1913),
*Mosaic* (Robert Delaunay, 1906), *Woman with a hat* (Henri Matisse, 1905). *Gouache*, *Ink
hatching* and *Linocut* are ours. Some learnt from another network what it makes of photos. Their
cards tell what each was trained on and what was measured.

### A style of your own
From one picture, with a folder of photos to practise on:

{command}

### From a program
{call}

The other endpoints are listed under “Use via API” below.
""",
)

CHINESE = Words(
    code="zh",
    tagline="放大照片，同时重新绘制，一步完成。",
    tabs={
        "create": "创作",
        "compare": "比较",
        "video": "视频",
        "batch": "批量",
        "any": "任意风格",
        "about": "关于",
    },
    styles={
        "composition-vii": "构成第七号",
        "delaunay-portrait": "马赛克",
        "gouache": "水粉",
        "great-wave": "神奈川冲浪里",
        "ink-hatching": "墨线排线",
        "linocut": "麻胶版画",
        "mondrian": "蒙德里安",
        "night-cafe": "夜间咖啡馆",
        "olive-trees": "橄榄树",
        "scream": "呐喊",
        "starry-night": "星月夜",
        "straw-hat": "草帽自画像",
        "udnie": "乌德妮",
        "transformer-composition-vii": "快速风格网络",
        "water-lilies": "睡莲",
        "wheat-field": "麦田与柏树",
        "woman-with-a-hat": "戴帽的妇人",
    },
    ways={
        "bicubic": "双三次插值",
        "photo": "仅放大",
        "photo-vivid": "放大（生动）",
        "two-stages": "先绘制，再放大",
        **NETWORKS,
    },
    errors=(
        (r"^'(.+)' is not a JPEG", "“{0}”不是 JPEG、PNG、WebP、TIFF 或 BMP 图片"),
        (
            r"^'(.+)' has (\d+)×(\d+) = .* pixels; at most ([\d,]+)",
            "“{0}”为 {1} × {2} 像素；最多接受 {3} 像素",
        ),
        (r"^'(.+)' is larger than ([\d,]+) pixels", "“{0}”超过 {1} 像素，请先缩小"),
        (r"^'(.+)' is truncated or damaged", "“{0}”不完整或已损坏"),
        (r"^'(.+)' is empty", "“{0}”是空的"),
        (r"is not a file$", "文件已被删除，请重新上传"),
        (r"^CIELAB pictures", "不支持 CIELAB 图片，请先转换为 RGB"),
        (r"^gray values from .* do not fit 16 bits", "灰度值超出 16 位，请以 0 至 65535 保存"),
        (r"^a float picture holds values", "浮点图片的值应在 0 与 1 之间"),
        (
            r"^(\d+) × (\d+) at ×(\S+) makes (\d+) × (\d+), more than (\S+) mega",
            "{0} × {1} 放大 {2} 倍为 {3} × {4}，超过 {5} 百万像素；请选较小的倍数或照片",
        ),
        (r"^width must be a whole number from (\d+) to (\d+)", "宽度应为 {0} 至 {1} 的整数"),
        (
            r"^given up after (\d+) seconds, with (\d+) of (\d+)",
            "{0} 秒后放弃，已完成 {1}/{2} 块；请选较小的倍数或照片",
        ),
        (r"^'(.+)' cannot be read as a film", "“{0}”不是可读取的视频"),
        (r"^'(.+)' cannot be read", "“{0}”不完整或已损坏"),
        (r"^'(.+)' holds no", "“{0}”中没有画面"),
        (
            r"^'(.+)' has (\d+)×(\d+) pixels a frame; at most ([\d,]+)",
            "“{0}”每帧为 {1} × {2} 像素；最多接受 {3} 像素",
        ),
        (r"^'(.+)' changes its size", "“{0}”中途改变了画面尺寸"),
        (r"^(\d+) pictures; at least 1, at most (\d+)", "{0} 张图片；至少 1 张，最多 {1} 张"),
        (
            r"^together they make (\S+) megapixels, more than (\S+);",
            "合计 {0} 百万像素，超过 {1}；请减少张数或选较小的倍数",
        ),
        (r"^JPEG cannot hold transparency", "JPEG 不支持透明；请选 PNG 或 WebP"),
        (r"^(\d+)×(\d+) pixels as (\w+)", "{2} 无法容纳 {0} × {1} 像素；请选 PNG"),
        (r"^the work took too long", "耗时过长，已停止；请选较小的倍数或照片"),
        (r"^the work ended unexpectedly", "处理意外中断；请选较小的倍数或照片，然后重试"),
        (r"^first of (\d+) frames used", "使用了 {0} 帧中的第一帧"),
        (r"^first of several frames used", "使用了多帧中的第一帧"),
        (r"^reduced from 16 to 8 bits", "每通道由 16 位减为 8 位"),
        (r"^its damaged EXIF data", "已忽略损坏的 EXIF 数据"),
        (r"^its colour profile was ignored", "深度灰度图片的色彩配置文件已忽略"),
        (r"^its colour profile is damaged", "色彩配置文件已损坏或不匹配，按 sRGB 读取"),
        (r"^converted from (.+) to sRGB", "已由 {0} 转换为 sRGB"),
        (
            r"^the list of models: (?:the connection|.*cannot be reached)",
            "无法连接 Hugging Face Hub，请稍后再试",
        ),
        (r"^style '(.+?)' was trained from", "风格“{0}”来自另一个基础模型，不能在此使用"),
        (r"^(\S+): (\S+) has ([\d,]+) bytes, more than", "{0} 的 {1} 为 {2} 字节，超过上限"),
        (r"^a style image needs sides of at least (\d+)", "参照图片的边长至少为 {0} 像素"),
        (r"^no model '(.+?)'", "没有名为“{0}”的模型"),
        (r"^style '(.+?)' is not loaded", "没有名为“{0}”的风格"),
    ),
    photo="照片",
    drop="拖入照片\n或点击选择",
    try_one="或试试这些",
    style="风格",
    enlarge="尺寸",
    same_size="原尺寸",
    width_choice="宽度…",
    width="结果宽度（像素）",
    strength="风格强度",
    detail="细节",
    detail_info="0 忠实原图；1 更鲜明，但虚构的细节更多。",
    more="混合、笔触、色彩、变化、串联",
    mix="混合",
    mix_none="不混合",
    share="第二种风格的比例",
    brush="笔触",
    brushes=("自动", "细", "中", "粗"),
    colors="色彩",
    color_names=("画作", "照片", "仅色调"),
    colors_info="“仅色调”保留照片的线条，只取画作的颜色。",
    variation="变化",
    chain="串联",
    chain_info="风格先按照片原尺寸绘制，再由另一个网络放大。",
    chain_none="不串联：绘制与放大一步完成",
    chain_photo="我们的照片模型",
    choose="请先选择一张照片。",
    limits="JPEG、PNG 或 WebP，最大 {file} MB、{input} 百万像素；结果最大 {output} 百万像素。",
    seconds="≈ {seconds} 秒",
    paint="绘制",
    enlarge_it="放大",
    stop="停止",
    stopped="已停止。",
    waiting="正在排队…",
    starting="正在开始…",
    sketch="先看草图，完整图片随后完成。",
    tile="第 {done}/{total} 块，{seconds} 秒",
    left="还需约 {seconds} 秒",
    writing="正在写入文件…",
    done="完成，用时 {seconds} 秒",
    slider="滑块",
    side_by_side="并排",
    zoom="同步缩放两张图片",
    zoom_names=("缩小", "放大", "显示全部"),
    zoom_help="两张图片同步：滚轮与拖动，或在此处按 + − 0 与方向键。",
    example="示例：照片与{style}",
    photo_and_result="{before} · 结果",
    photo_enlarged="照片（放大）",
    result="结果",
    result_here="结果将显示在这里。",
    compare_with="对比",
    format="文件",
    formats=("PNG", "WebP（无损）", "JPEG"),
    download="下载 {format}，{width} × {height}，{size} MB",
    gone="文件已删除，请重新绘制。",
    not_uploaded="该文件未上传到本页面，请先上传。",
    busy="现在使用的人很多，请一分钟后再试。",
    yours="您已有 {count} 项任务在排队；为了让其他人也能轮到，请等其中一项完成后再试。"
    "同一网络的用户合并计算。",
    crowded="文件或请求超过了本页面的上限。",
    full="最近几分钟上传过多，请一刻钟后再试。",
    note_title="请注意",
    error_title="未能完成",
    compare_intro="同一张照片的所有风格，最长 {side} 像素；可任选两张对比。",
    is_original="我的照片是原图",
    is_original_info="先缩小，再放大并测量：PSNR 表示各结果与原图的接近程度。",
    compare="比较",
    all_ways="全部结果",
    time="用时",
    one_side="左",
    other_side="右",
    batch_intro="多张照片，一种风格，一个 zip 文件。",
    photos="照片",
    batch_limits="最多 {count} 张，每张最大 {file} MB、{input} 百万像素；结果合计最大 {output} "
    "百万像素。",
    batch_done="完成 {painted}/{total} 张，用时 {seconds} 秒",
    batch_failed="{name}：{reason}",
    batch_file="下载 zip，{size} MB",
    any_intro="照着任意一张图片来绘制照片。一个小型网络只看一眼那张图片的色彩与笔触；"
    "图库中的风格各自训练了更久，效果更好。",
    any_model="参照图片",
    any_choose="请选择一张参照图片。",
    hub_tab="社区",
    hub_intro="其他人在 Hugging Face Hub 上发布的风格。未经本页面审核：来源与许可请见各自的页面。",
    hub_find="查找风格",
    hub_none="还没有人发布风格。",
    hub_by="作者 {author}，许可：{licence}",
    hub_no_licence="未注明",
    hub_choose="请先查找风格，再从列表中选择一个。",
    hub_loading="正在获取风格…",
    video_intro="用一种风格绘制视频的前几秒，保留声音。",
    clip="视频",
    choose_clip="请先选择一段视频。",
    video_limits="MP4、MOV、MKV 或 WebM，最大 {file} MB；超过 {seconds} 秒的部分会截去，"
    "尺寸越大截得越短。每秒 {rate} 帧时：{lengths}。",
    video_length="{side} 像素 {seconds} 秒",
    comma="，",
    video_side="结果长边",
    video_steady="笔触稳定：闪烁更少，笔触更柔和",
    frame="第 {done}/{total} 帧，{seconds} 秒",
    video_done="完成 {frames} 帧，用时 {seconds} 秒",
    video_cut="已截短：视频超过此处可绘制的长度",
    video_file="下载 MP4，{width} × {height}，{length} 秒，{size} MB",
    note="放大或绘制的图片中的细节由小型神经网络**虚构**：看似合理，但并非真实记录。请勿用于识别人物、"
    "辨认文字或车牌，也不得作为医学或法证依据。您的照片只用于生成您的图片：地点、相机等私人数据不会写入"
    "结果，颜色转换为 sRGB，所有内容在 20 分钟内删除。",
    about="""
### 原理
一个小型网络一次完成放大与绘制。风格是一组权重，因此强度与混合都不增加计算量。文件为无损格式，其中
写明设置，并注明图片由模型生成（IPTC *digital source type*）。

### 风格
网络均为本页面训练，每种风格来自一幅版权已过期的画作或我们自己的图片：《星月夜》《麦田与柏树》
《橄榄树》《夜间咖啡馆》与《草帽自画像》（文森特·梵高，1889、1889、1889、1888、1887）、
《神奈川冲浪里》（葛饰北斋，约 1831）、《呐喊》（爱德华·蒙克，1893）、《睡莲》（克劳德·莫奈，
1919）、《构成第七号》与《乌德妮》（瓦西里·康定斯基、弗朗西斯·毕卡比亚，1913）、蒙德里安（皮特·蒙德
里安，约 1913）、马赛克（罗贝尔·德劳内，1906）、《戴帽的妇人》（亨利·马蒂斯，1905）。其中几种是
从另一网络对照片的绘制中学来的。水粉、墨线排线和麻胶版画是我们自己的作品。各模型卡片说明了训练数据与测量结果。

### 制作自己的风格
只需一张图片和一个练习用的照片文件夹：

{command}

### 在程序中使用
{call}

其他接口见页面底部的 “Use via API”。
""",
)

LANGUAGES = {words.code: words for words in (ENGLISH, CHINESE)}


def words(language: object) -> Words:
    """The sentences of a language by its code; English for any other."""
    return LANGUAGES.get(str(language), ENGLISH)
