"""A tokenizer's report: figures, and an HTML page that shows them.

>>> import pytok
>>> from pytok import report
>>> tok = pytok.train(["the theme of the thesis"], 262, special_tokens=())
>>> report.measure(tok).tokens_by_length
(0, 256, 4, 1, 1)

`measure` computes the figures of the vocabulary and, given a corpus, of its use; `render` returns
the page. ``pytok train --report`` and ``pytok show --report`` do both.
"""

try:
    # Imported here, so that a missing library is an error before any work is done.
    import fontTools as _fontTools  # noqa: F401
    import jinja2 as _jinja2  # noqa: F401
except ImportError as error:
    from pytok.distribution import install

    raise ImportError(f"a report requires {error.name}: {install('report')}") from error

from pytok.report.figures import Figures, Usage, measure
from pytok.report.page import render
from pytok.report.scripts import ScriptUse

__all__ = ["Figures", "ScriptUse", "Usage", "measure", "render"]
