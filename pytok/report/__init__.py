"""What a tokenizer is like, in figures and as one page of HTML.

>>> import pytok
>>> from pytok import report
>>> tok = pytok.train(["the theme of the thesis"], 262, special_tokens=())
>>> report.measure(tok).tokens_by_length
(0, 256, 4, 1, 1)

`measure` needs nothing but the tokenizer, and tells more with a corpus; `render` draws what it
found. ``pytok train --report`` and ``pytok show --report`` do both.
"""

try:
    import fontTools as _fontTools  # noqa: F401 (both are asked for here, before any work is done)
    import jinja2 as _jinja2  # noqa: F401
except ImportError as error:
    raise ImportError(f"a report needs {error.name}; pip install 'pytok[report]'") from error

from pytok.report.figures import Figures, Usage, measure
from pytok.report.page import render
from pytok.report.scripts import ScriptUse

__all__ = ["Figures", "ScriptUse", "Usage", "measure", "render"]
