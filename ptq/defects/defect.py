"""What a known defect of TensorFlow Lite's runtime is, and what ptq does where it meets one."""

from __future__ import annotations

from dataclasses import dataclass

from ptq.errors import UnsupportedError
from ptq.numerics import LITERT_REFERENCE, Numerics

BOTH = ("reproduce", "intended")
INTENDED = ("intended",)
NEITHER = ()


@dataclass(frozen=True)
class Defect:
    """One defect, and what ptq does about it.

    operators: where it is. what: when it happens, and what "it", the runtime, does then. remedy: what to
    change in the model. source: file and function. choices: the values of `Numerics.upstream_defects` with
    which ptq computes a result; there is none to reproduce where it is a crash, or depends on what lies in
    memory. setting: the field of `Numerics` that decides, where it is another one.
    """

    operators: str
    what: str
    remedy: str
    source: str
    choices: tuple[str, ...] = BOTH
    setting: str = "upstream_defects"

    def reproduced(self, numerics: Numerics, found: str) -> bool:
        """Whether to compute what the runtime computes (True), or what was meant (False).

        Raises UnsupportedError where the numerics choose neither.
        """
        choice = getattr(numerics, self.setting)
        if choice not in self.choices:
            raise UnsupportedError(self.message(found))
        return bool(choice == "reproduce")

    def message(self, found: str) -> str:
        """What a refusal says: the defect, what was found, and all ways round it."""
        text = f"{self.operators}: a defect of TensorFlow Lite: {self.what}; {found} found; {self.remedy}"
        if not self.choices:
            return text
        setting = f"{self.setting}={' or '.join(map(repr, self.choices))}"
        return f"{text}, or choose numerics=dataclasses.replace(ptq.LITERT_REFERENCE, {setting})"

    @property
    def treatment(self) -> str:
        """What ptq does, in few words."""
        if not self.choices:
            return "refused"
        default = "" if getattr(LITERT_REFERENCE, self.setting) in self.choices else "refused, or "
        return f"{default}`{self.setting}` " + " or ".join(f"`{choice}`" for choice in self.choices)
