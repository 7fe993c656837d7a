"""The known defects of TensorFlow Lite's runtime: results that nobody can have meant, as data.

Wherever a kernel of ptq meets one of them, it asks the entry here what to do, so that none is followed
silently and these files are the whole list. `python -m ptq.defects` prints it as a Markdown table.

Here are defects that lead to a wrong result, a crash or memory that nothing wrote, at places where the model
is right. Rules that differ between builds but are right within their rounding are in `numerics`; operators
and types that the runtime itself refuses are no defects; what ptq does better than the converters is said
where it is done, in `passes`.
"""

from ptq.defects import hybrid, integer, movement, recurrent
from ptq.defects.defect import Defect as Defect

# kernels name an entry as `defects.NAME`, whatever family it belongs to; KNOWN below lists them all
from ptq.defects.hybrid import *  # noqa: F403
from ptq.defects.integer import *  # noqa: F403
from ptq.defects.movement import *  # noqa: F403
from ptq.defects.recurrent import *  # noqa: F403

KNOWN = {
    name: value
    for module in (hybrid, recurrent, movement, integer)
    for name, value in vars(module).items()
    if isinstance(value, Defect)
}
"""All defects by name."""


def table() -> str:
    """All known defects as a Markdown table."""
    rows = [("operators", "defect of the runtime", "way round it", "in `ptq`", "source, in `tflite/`")]
    rows += [("---",) * 5]
    rows += [(d.operators, d.what, d.remedy, d.treatment, d.source) for d in KNOWN.values()]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
