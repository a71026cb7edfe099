"""Am I right? The path through the parts, from the first multiplication to a model that writes.

In reading order: `case` (what a part is called with), `wire` (values as bytes), `stubs`, `observe` (one call, looked
at), `reference` (a part with its mistakes as switches), `child` and `sandbox` (the process in which a learner's code
runs, and the judge's end of it), `words` (two languages), `compare`, `evidence`, `catalog` (the list of parts, read
from the units), `diagnose` (why is it wrong?), `replay`, `answer`, `source`, `verdict`, `judge`, `texts`,
`workspace`, and `check`, where it comes together.
"""

from .answer import Answer, Found
from .check import check

__all__ = ["Answer", "Found", "check"]
