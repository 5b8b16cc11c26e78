"""The page's parts: a file for each tab, its words, its guard; `app.py` puts them together.

Needs the extra `app`, that is Gradio.
"""
