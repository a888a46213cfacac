"""Words that prose and names do without: the glossary has a better one for each."""

import re

AVOIDED = {
    "told", "said", "asked", "seen", "given", "whose", "anew", "far", "lately", "mend", "stood",
}  # fmt: skip
"""Words that say nothing about a database."""
PHRASES = ("for ever", "so many", "so long", "a time of", "lest", "sitting", "sealed", "burned")
"""What else prose avoids."""
FORBIDDEN = re.compile(rf"\b(?:{'|'.join((*sorted(AVOIDED), *PHRASES))})\b", re.IGNORECASE)
