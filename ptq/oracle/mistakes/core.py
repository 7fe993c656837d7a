"""What a known mistake is: the rules with one of them replaced."""

from __future__ import annotations

from ptq.spec.rules import Rules


class Mistake(Rules):
    """A subclass overrides one rule; its docstring is a sentence that begins with a verb, about the kernel.

    title: what the checker and the manifests call it, in a few words.
    """

    title = ""
