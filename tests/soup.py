"""Texts that nobody would send, and somebody will: what fuzzing draws from.

FUZZ_EXAMPLES says how many (make fuzz takes many). Each test drawn from here has a
fuzz_one_input, which a coverage-guided fuzzer such as atheris can call with bytes.
"""

import os

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
"""

SOUP = st.lists(st.sampled_from(WORDS.split()), max_size=25).map(" ".join)
"""What looks like SQL."""

TEXTS = st.text() | st.text(alphabet="'\"$/*-+<?@#aeEU&1_.:=(), \n\\")
"""Any text, and texts of the characters that mean something."""

BYTES = st.binary() | st.text(alphabet="'\"$/*-?@ae1(),. \n\\\ud800")
"""What no encoding explains."""
