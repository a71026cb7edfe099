"""What is going on in there? So far: what ails a run.

In reading order: `findings` (everything that a doctor can say), `evidence` (reading what may be damaged), `learning`
(what the curve tells), `doctor`.
"""

from .doctor import Diagnosis, examine
from .findings import Finding

__all__ = ["Diagnosis", "Finding", "examine"]
