"""A template that would run for hours or fill the memory is refused; it is text from elsewhere."""

from __future__ import annotations

import pytest

from pytok.chat import jinja_sandbox
from pytok.chat.jinja_rendering import render_source
from pytok.errors import ChatError

MESSAGES = [{"role": "user", "content": "hello"}]
LONG = {
    "loops in a loop": "{% for a in range(999) %}{% for b in range(999) %}{% endfor %}{% endfor %}",
    "a loop over a text": "{% for a in 'x' * 99999 %}{% endfor %}",
    "a loop with a condition": "{% for a in range(99999) if a > 5 %}{% endfor %}",
    "a loop that recurs": "{% for a in [1, 2] recursive %}{{ loop([1, 2]) }}{% endfor %}",
    "a macro that calls itself twice": "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}"
    "{% endif %}{% endmacro %}{{ f(60) }}",
    "many filters": "{% for a in range(5000) %}{{ a | string | upper }}{% endfor %}",
}
DOUBLED = (
    "{{% set ns = namespace(x='aaaa') %}}"
    "{{% for i in range(60) %}}{{% set ns.x = {} %}}{{% endfor %}}"
)
LARGE = {
    "a text times a number": "{{ 'a' * 10**10 }}",
    "a number times a text": "{{ 10**10 * 'a' }}",
    "a list times a number": "{{ [0] * 10**10 }}",
    "a power": "{{ 10 ** 10 ** 10 }}",
    "a text that doubles": DOUBLED.format("ns.x ~ ns.x"),
    "a text that is added to itself": DOUBLED.format("ns.x + ns.x"),
    "a filter that replaces": DOUBLED.format("ns.x | replace('a', 'aaaa')"),
    "a method that replaces": DOUBLED.format("ns.x.replace('a', 'aaaa')"),
    "a wide text": "{{ 'a'.ljust(10 ** 11) }}",
    "a filter with a width": "{{ 'a' | center(10 ** 11) }}",
    "a wide number": "{{ '%100000000000d' % 3 }}",
    "a filter with a wide number": "{{ '%100000000000d' | format(3) }}",
    "a format with a width": "{{ '{:>100000000000}'.format(3) }}",
}


@pytest.mark.parametrize("source", LONG.values(), ids=LONG)
def test_a_template_that_is_too_slow_is_refused(
    source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its steps, not by the clock: the same template is refused everywhere."""
    monkeypatch.setattr(jinja_sandbox, "MOST_STEPS", 50_000)

    with pytest.raises(ChatError, match=r"loops for too long|recursion"):
        render_source(source, [], MESSAGES, True)


@pytest.mark.parametrize("source", LARGE.values(), ids=LARGE)
def test_a_template_that_is_too_large_is_refused(source: str) -> None:
    """Before the memory is taken."""
    with pytest.raises(ChatError, match="a text of more than 100,000,000 characters"):
        render_source(source, [], MESSAGES, True)


def test_each_rendering_has_steps_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """A long chat of short conversations is no attack."""
    monkeypatch.setattr(jinja_sandbox, "MOST_STEPS", 150)
    source = "{% for m in messages * 100 %}{{ m.content }}{% endfor %}"

    assert {render_source(source, [], MESSAGES, True) for _ in range(3)} == {"hello" * 100}


def test_what_loops_and_concatenates_is_unchanged() -> None:
    """With the variables of loops, else, break, and parts that are no text."""
    source = (
        "{% for m in [1, 2, 3] %}{{ loop.index ~ '/' ~ loop.length ~ m }}"
        "{% if m == 2 %}{% break %}{% endif %}{% else %}none{% endfor %}"
        "{% for m in [] %}{% else %}empty{% endfor %}"
        "{{ 2 ** 10 }} {{ 'ab' * 2 }} {{ '%5.1f' % 2.5 }} {{ '{:>4}'.format(7) }}"
    )

    assert render_source(source, [], MESSAGES, True) == "1/312/32empty1024 abab   2.5    7"
