"""Texts that nobody would send, and somebody will: what fuzzing draws from.

FUZZ_EXAMPLES says how many (make fuzz takes many). Each test drawn from here has a
fuzz_one_input, which a coverage-guided fuzzer such as atheris can call with bytes.
"""

import os
import re
from collections.abc import Iterable
from itertools import count

from hypothesis import strategies as st

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "300"))

WORDS = """
    select from where as a b t u ( ) [ ] , . .. ; :: : := + - * / ? ?| @ @1 @1. $1 $ $$ 'x' 'y "A"
    "a" "select" E'\\' U&"d" uescape 1 .5 in array values insert into update set delete using
    merge on join left order by group limit union with true null is not distinct and or like
    date interval day zone at time over exists any row case when then else end extract year
    returning conflict declare cursor for fetch close savepoint release rollback to prepare
    execute deallocate create alter role password table view copy local explain /* */ -- é
    tablesample lateral rows ordinality operator <> != = < => filter max id version N'n' N$1
    by 1 2 1_0 0x2 all on first between value escape overriding system rollup sets n$1 n$2 $2 date$1
    "date$1" temp unlogged into data
"""

SOUP = st.lists(st.sampled_from(WORDS.split()), max_size=25).map(" ".join)
"""What looks like SQL."""

PIECES = r"""
    'S' E'a\'S' E'S\\' $$S$$ $a$S$b$S$a$ U&'S' N'S' B'101' X'S' /*S*/ /*/*S*/S*/ /*S 'S $$S $1$S$1$
    a$b$S$b$ 1$b$S$b$ date'S' "q"'S' "S'S" xE'S' _E'S' é'S' é$t$S$t$ $é$S$é$ U&"S" 'a\'S' '\\'S'
    'S\\' '\\\'S' 'S\ \'S' N'a\'S' E'\ S ; ( ) [ ] + - * / /* */ -- ' '' " \ $$ $ ? @1 @ :: : .. . ,
    % ^ 0x1F 1_000 1e 1e+ .5 5. $1 n$1 password set = to execute prepare declare in( array[ values(
    case end begin with select from as null true extract( uescape listen fetch copy create alter
    function
"""
FRAGMENTS = (
    *PIECES.split(),
    *("'a\\'', 'S'", "U&'S' UESCAPE '!'", "-- S\n", "--S\r", "'a'\n'S'", "'a' -- c\n'S'"),
    *("E'a'\n'b\\'S'", "E'a' -- it's S\n  'b\\'S'", "B'1'\n'S'", "U&'a'\n'S'", "X'1'\n'a\\'S'"),
    *("\x0b", "\x0c", "\u2028", "\u200b", "\n", " ", "\t"),
)
"""What constants, comments and names are made of; S is a secret."""


def joined(parts: Iterable[str]) -> str:
    """Return fragments as one text, each of its secrets with a number of its own."""
    numbers = count()
    return re.sub(r"\bS\b", lambda _: f"Zk7Q{next(numbers)}q", "".join(parts))


SECRETS = st.lists(st.sampled_from(FRAGMENTS) | st.sampled_from(["", " ", "\n"]), max_size=25).map(
    joined
)
"""Texts with secrets, of which joined() knows how they look: SECRET_MARK."""
SECRET_MARK = re.compile("Zk7Q[0-9]+q")

TEXTS = st.text() | st.text(alphabet="'\"$/*-+<?@#aeEU&1_.:=(), \n\\")
"""Any text, and texts of the characters that mean something."""

BYTES = st.binary() | st.text(alphabet="'\"$/*-?@ae1(),. \n\\\ud800")
"""What no encoding explains."""
