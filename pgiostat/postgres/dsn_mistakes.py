"""Mistakes in a connection string. No text quotes any part of the string."""

from pgiostat.errors import ExitStatus, PgiostatError

MAX_PORT = 65535

BARE = 'It has no "=" and is not a URI.'
UNREADABLE = "It cannot be read."
NOT_TEXT = "It has a zero byte, or bytes that are not UTF-8."
SCHEME = (
    "It does not begin with postgresql:// or postgres://: a URL of JDBC or of SQLAlchemy has"
    " another form."
)
NO_SCHEME = "It looks like a URI without its scheme, postgresql://."
SECOND_AT = 'It has a second "@": "@" in a password is written %40.'
AT_AFTER_SLASH = (
    'There is an "@" after the first "/": in a password "/" is written %2F, and "@" is written'
    ' %40; "@" in the name of a database is written %40, too.'
)
AT_AFTER_QUERY = (
    'There is an "@" after the first "?": in a password "?" is written %3F, and "@" is written %40.'
)
PERCENT = (
    '"%" is not followed by two hexadecimal digits of a character: "%" in a password is written'
    " %25."
)
SPACE = "It has a space: a space in a URI is written %20."
QUERY = (
    'What follows "?" is not a list of keyword=value, separated by "&": in a password "?" is'
    ' written %3F, "&" %26 and "=" %3D.'
)
BRACKET = "The brackets of an IPv6 address do not match, or text follows them."
SEPARATOR = (
    'Its keywords seem to be separated by ";" or ",": libpq separates them by spaces, and in a URI'
    ' by "&". A value with "=" or ";" needs quotes.'
)
URI_WORD = (
    'The name of a user, host or database has ";", "&", "=" or "?": keywords follow a "?",'
    ' separated by "&"; in a name these are written %3B, %26, %3D and %3F.'
)
QUOTE = "A quotation mark is not closed: in a value ' is written \\', and \\ is written \\\\."
SPLIT = (
    "\"=\" is missing after a word: a value with a space needs quotes, for example password='a b'."
)
URI_IN_KEYWORD = "A keyword has a URI as its value: write the URI alone."
USER = (
    'The name of a user has ":" or "/" in it: a password has a keyword of its own; a name with'
    " one needs quotes."
)
URI_USER = (
    'The name of a user has ":" or "/" in it, as it is or encoded: the ":" between a user and a'
    " password is not encoded. Write a user name that has one as a keyword, in quotes."
)
HOST = (
    "The host has a character that no host name, IP address or directory of a socket has. If it is"
    ' part of a password: "@" in a password of a URI is written %40, and a value with spaces needs'
    " quotation marks."
)
HOST_PART = (
    "A part of the host between dots is empty, or has more than 63 letters: no host name has one."
)
DATABASE = (
    'The name of a database has ":", "/" or "@" in it: a host, a port and a password have keywords'
    " of their own; a name that has such a sign needs quotes, and in a URI"
    " %3A, %2F or %40."
)
HOST_PORT = "The host includes a port: with keywords, write it as port=."
ADDRESS = "The value of hostaddr is not an IP address."
PORT = f"The port is not a number from 1 to {MAX_PORT}."
COUNTS = "The number of ports or addresses differs from the number of hosts."
SERVICE = "No service file defines its service."
SERVICE_FILE = "The service file does not exist."
SERVICE_MISTAKE = "A service file has a mistake"

FORM = (
    'Use a URI ("postgresql://user@host:5432/dbname") or keywords '
    '("host=db dbname=app user=pgiostat").'
)


def invalid(detail: str, hint: str = "") -> PgiostatError:
    """Return the error of a connection string; neither text may quote anything of it."""
    return PgiostatError(
        "invalid connection string",
        detail=detail,
        hint=f"{FORM} {hint}".strip(),
        slug="dsn-invalid",
        status=ExitStatus.USAGE,
    )
