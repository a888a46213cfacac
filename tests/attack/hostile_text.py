"""Names that act: of tables, columns, schemas, roles, databases, cursors, categories and labels.

They go through every command and form; what reads the output says what acts in it.
"""

import asyncio
import gc
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread
from xml.etree import ElementTree as ET

import psycopg
from psycopg.conninfo import make_conninfo
from rich.cells import cell_len
from typer.testing import CliRunner

from pgiostat import cli
from pgiostat.analysis.rank import By
from pgiostat.errors import PgiostatError
from pgiostat.history.read.history import History
from pgiostat.history.read.windows import Window
from pgiostat.lab.postgres.cluster import embedded_binaries
from pgiostat.postgres.dsn import check_dsn
from pgiostat.queries.describe import describer
from pgiostat.watch import stream
from pgiostat.watch.app import WatchApp
from pgiostat.watch.options import Options, StreamFormat
from pgiostat.watch.sources.replay import ReplaySource
from pgiostat.watch.state import Action, View, moved
from tests.attack import Outcome, Scale
from tests.attack._judges import JUDGES, hidden, is_visible
from tests.support.servers import SETTINGS, ClusterSource, Server, matrix_binaries

__all__ = ["attack"]

KINDS: dict[str, tuple[str, ...]] = {
    "terminal escapes": ("\x1b]52;c;aGk=\x07{}", "\x1b[2J{}", "\x1b]0;title\x07{}", "\x1bc{}"),
    "C1 controls": ("\x9b31m{}", "\x9d8;;http://e/\x9c{}", "\x85{}"),
    "other controls": ("\x08\x08\x08{}", "\x7f{}", "\t{}", "\x0b\x0c{}"),
    "marks of direction": ("C\u202egnp.exe{}", "\u2066\u2069{}", "\u200f{}", "\u061c{}"),
    "of no width": ("a\u200b{}", "a\u200d{}", "\ufeff{}", "\u2060{}", "\u00ad{}", "\u3164{}"),
    "line breaks": ("a\n2026-01-01T00:00:00Z x: {}", "b\r\n<0>{}", "c\u2028forged {}",
                    "d\nHINT:  forged {}", "e\n[[rule]]\nname = 1 # {}", "f\nschema = 9 # {}"),
    "formulas": ("=1+1|{}", "+1{}", "-1+{}", "@SUM(1){}", " =1{}", "'=1{}", '"=1{}', "\t=1{}",
                 "a;=1{}", "\uff1d1{}", "\ufeff=1{}", "\u3000=1{}"),
    "markup of terminals": ("[bold red]F[/]{}", "[link=http://e/]{}", ":smile: {}", "[/]{}"),
    "Markdown": ("![i](http://e/x.png){}", "[l](http://e/){}", "**b** {}", "`a`|b{}", "~~s~~{}",
                 "{}\\|x", "{}\\\\|x", "# {}", "1. {}", "--- {}", "[^1]{}", "$x$ $`y`$ {}",
                 "``` {}"),
    "links of sites": ("http://evil.example/{}", "www.evil.example/{}", "a@evil.example {}",
                       "@here {}", "#1 {}", "GH-1 {}"),
    "HTML": ("<img src=x onerror=alert(1)>{}", "&lt;b&gt;{}", "<!-- {}", "</td>{}"),
    "quotes": ('"""{}', "'''{}", "x]\n{}", '"; DROP {}', "{}\\", "\\u202e{}", "%s %(a)s {{}} {}"),
    "names of rules": ("!{}", "@synced{}", "*?[a]{}", "$HOME{}", "../../{}", "-rf {}"),
    "marks that combine": ("a" + "\u0300" * 12 + "{}", "\u0489{}", "\u20dd{}"),
    "wide, and joined": ("数据库{}", "\U0001f468\u200d\U0001f469{}", "❤\ufe0f{}", "🇩🇪{}", "👍🏽{}"),
    "private, unassigned, tags": ("\ue000{}", "\u0378{}", "\U000e0041\U000e007f{}", "\ufffe{}",
                                  "\U0010fffd{}"),
    "very long": ("w" * 45 + " {}", "宽" * 16 + "{}"),
}  # fmt: skip
"""Names by their kind; {} is where each has what tells it from the others."""

MOST_BYTES = 63
PASSWORD = "secret"
QUICK_DATABASES = 17
NO_LINE_BREAKS_SINCE = 19
"""PostgreSQL refuses them in names of databases and roles, but not in those of other objects."""
BY = ("category", "fingerprint", "statement", "relation", "database", "user", "server")
FORMS = {"text": "text", "csv": "CSV", "json": "JSON", "markdown": "Markdown"}
WATCHED = (("user", "csv"), ("relation", "text"), ("database", "json"), ("statement", "text"))
READY_SECONDS, COUNTED_SECONDS, PATIENCE_SECONDS = 1.5, 2.5, 60.0
_MARK = re.compile(r"zq\d{3}z")
WIDTH = "400"


def _names() -> Iterator[tuple[str, str]]:
    """Yield names with their kinds, each with a number that is in it wherever it is shown."""
    number = 0
    for kind, patterns in KINDS.items():
        for pattern in patterns:
            name = pattern.replace("{}", f"zq{number:03d}z", 1)
            assert len(name.encode()) <= MOST_BYTES, name
            yield name, kind
            number += 1


NAMES = dict(_names())


@dataclass(slots=True)
class _Found:
    """What was seen of each name in each form, and what acted."""

    seen: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    wrong: dict[tuple[str, str], set[str]] = field(default_factory=lambda: defaultdict(set))
    failures: list[str] = field(default_factory=list)
    refused: set[str] = field(default_factory=set)
    """Names that no database can be connected to by, so that no log need have them."""

    def judge(self, form: str, output: str, where: str) -> None:
        """Take an output apart."""
        try:
            units = list(JUDGES[form](output))
        except Exception as error:  # noqa: BLE001 - whatever a parser says, it is wrong
            self.failures.append(f"{where}: cannot be read: {error!r:.200}")
            return
        for text, wrong in units:
            marks = _MARK.findall(text)
            self.seen[form].update(marks)
            for mark in marks if wrong else ():
                self.wrong[form, mark].add(wrong)
            if wrong:
                self.failures.append(f"{where}: {wrong}: {text[:100]!a}")


def attack(scale: Scale) -> Outcome:
    """Try all names on servers, in all forms."""
    majors = scale.versions[-1:] if scale.quick else (scale.versions[0], scale.versions[-1])
    found = _Found()
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = WIDTH
    try:
        for major in majors:
            source = ClusterSource("attack", {major: _binaries(major)})
            try:
                _on(
                    source.make(major, SETTINGS),
                    found,
                    scale.scratch / str(major),
                    quick=scale.quick,
                )
            finally:
                source.close()
    finally:
        os.environ.pop("COLUMNS", None)
        if before is not None:
            os.environ["COLUMNS"] = before
        gc.enable()  # a command that reads a history ends with its process
    return _outcome(found, majors)


def _binaries(major: int) -> Path:
    newest = 18
    return embedded_binaries() if major == newest else matrix_binaries(major)


def _outcome(found: _Found, majors: Sequence[int]) -> Outcome:
    rows, failures = [], list(dict.fromkeys(found.failures))
    marks = {kind: [_mark(name) for name, of in NAMES.items() if of == kind] for kind in KINDS}
    for kind, numbers in marks.items():
        cells = []
        for form in JUDGES:
            seen = [mark for mark in numbers if mark in found.seen[form]]
            acted = [mark for mark in seen if found.wrong.get((form, mark))]
            cells.append(f"{len(acted)} of {len(seen)}" if seen else "–")
            # A category is printable, and so is all that is on the page of metrics.
            missing = sorted(
                set(numbers) - set(seen) - (found.refused if form == "log, errors" else set())
            )
            if form != "metrics" and missing:
                failures.append(f"{form}: not seen at all: {kind}: {', '.join(missing)}")
        rows.append((kind, *cells))
    versions = ", ".join(map(str, majors))
    return Outcome(
        "Names that act",
        f"{len(NAMES)} names of {len(KINDS)} kinds as names of tables, columns, schemas, roles,"
        " databases, cursors, categories and labels, through every command and form, on PostgreSQL"
        f" {versions}. A cell counts the names shown by the form that did anything but get"
        " printed.",
        ("kind of name", *JUDGES),
        rows,
        failures,
    )


def _mark(name: str) -> str:
    found = _MARK.search(name)
    assert found is not None
    return found[0]


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


# --- on a server -------------------------------------------------------------------------


def _on(server: Server, found: _Found, place: Path, *, quick: bool) -> None:
    place.mkdir()
    owners = _owners(server.major)
    databases = _few(owners) if quick else owners
    _make(server, owners, databases)
    server.restart()  # what is read then comes from disk, and is counted
    rules = place / "rules.toml"
    categories = [name for name in NAMES if name.isprintable()]
    rules.write_text(_rules(categories), "utf-8")
    history = place / "history"
    _watched(server, found, history, rules, databases)
    _reported(found, history, rules, categories[0], place)
    _sat(found, history)
    _examined(server, found, databases, place, quick=quick)


def _owners(major: int) -> list[str]:
    """Return the names that roles and databases can have: from 19 on no line breaks."""
    return [name for name in NAMES if major < NO_LINE_BREAKS_SINCE or not set(name) & {"\n", "\r"}]


def _few(names: Iterable[str]) -> list[str]:
    """Return the first name of each kind."""
    first: dict[str, str] = {}
    for name in names:
        first.setdefault(NAMES[name], name)
    return list(first.values())[:QUICK_DATABASES]


def _make(server: Server, owners: Sequence[str], databases: Sequence[str]) -> None:
    with server.connect() as connection:
        connection.execute("CREATE EXTENSION pg_stat_statements")
        connection.execute("CREATE DATABASE noext")
        for name in map(_quoted, NAMES):
            connection.execute(
                f"CREATE SCHEMA {name};"
                f"CREATE TABLE {name}.{name} ({name} int PRIMARY KEY, row_version int8);"
                f"INSERT INTO {name}.{name} SELECT g, g FROM generate_series(1, 200) AS g"
            )
        for name in map(_quoted, owners):
            connection.execute(f"CREATE ROLE {name} LOGIN SUPERUSER PASSWORD '{PASSWORD}'")
        for name in map(_quoted, databases):
            connection.execute(f"CREATE DATABASE {name}")
            connection.execute(f"ALTER DATABASE {name} SET track_io_timing = off")
            connection.execute(f"ALTER ROLE {name} SET track_io_timing = off")
    for name in databases:
        with psycopg.connect(make_conninfo(server.dsn(), dbname=name)) as connection:
            connection.execute("CREATE EXTENSION pg_stat_statements")


def _rules(categories: Sequence[str]) -> str:
    """Return rules that give each table's statements a category of its name, by what JSON has."""
    lines = ["schema = 1"]
    for name in categories:
        written = json.dumps(name, ensure_ascii=False)
        lines += [
            "[[rule]]", f"name = {written}", f"category = {written}",
            f"when = {{ text_regex = '{_mark(name)}' }}",
        ]  # fmt: skip
    return "\n".join(lines)


def _work(server: Server, databases: Iterable[str]) -> None:
    """Read with each name in each place."""
    owners = set(map(_quoted, _owners(server.major)))
    with server.connect() as connection:
        for name in map(_quoted, NAMES):
            with connection.transaction():
                if name in owners:
                    connection.execute(f"SET LOCAL ROLE {name}")
                connection.execute(f"SET LOCAL application_name = {_literal(name)}")
                connection.execute(f"SELECT sum({name}) AS {name} FROM {name}.{name} AS {name}")
                connection.execute(f"DECLARE {name} CURSOR FOR SELECT * FROM {name}.{name}")
                connection.execute(f"FETCH 10 FROM {name}")
    for name in databases:
        with psycopg.connect(make_conninfo(server.dsn(), dbname=name)) as connection:
            connection.execute("SELECT count(*) FROM pg_attribute, pg_namespace")


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _watched(
    server: Server, found: _Found, history: Path, rules: Path, databases: Sequence[str]
) -> None:
    """Watch and collect while there is work, beside servers that cannot be connected to."""
    page = f"http://127.0.0.1:{(port := _free_port())}/metrics"
    collector = _collector(server, found, history, rules, port)
    stop = Event()
    labels = [name for name, kind in NAMES.items() if kind in {"line breaks", "formulas"}]
    watches = [
        _Watch(
            server.dsn(),
            Options(interval=1.0, by=By(by), form=StreamFormat(form), label=label),
            stop,
        )
        for (by, form), label in zip(WATCHED, labels, strict=False)
    ]
    try:
        _until(lambda: _answers(page), "the collector's page")
        for each in watches:
            each.start()
        _wait(READY_SECONDS)
        _work(server, databases)
        _wait(COUNTED_SECONDS)
        with urllib.request.urlopen(page) as told:
            found.judge("metrics", told.read().decode("utf-8"), "metrics")
    finally:
        stop.set()
        collector.send_signal(signal.SIGTERM)
        _, log = collector.communicate()
    for each in watches:
        each.join()
        what = f"watch by {each.options.by}"
        found.judge(FORMS[each.options.form], each.out.getvalue(), what)
        found.judge("log, errors", each.err.getvalue(), f"{what}, aside")
    found.judge("log, errors", log.decode("utf-8", "replace"), "collect's log")


def _collector(
    server: Server, found: _Found, history: Path, rules: Path, port: int
) -> "subprocess.Popen[bytes]":
    targets = {"good": server.dsn()}
    for number, name in enumerate(NAMES):
        nowhere = f"{name[:20]}{_mark(name)} too"
        if "\n" in nowhere:  # of the server's reason one line is shown
            found.refused.add(_mark(name))
        dsn = make_conninfo(server.dsn(), dbname=nowhere)
        try:
            check_dsn(dsn)
        except PgiostatError:  # it looks like a connection string within another
            found.refused.add(_mark(name))
        else:
            targets[f"bad{number}"] = dsn
    labels = [word for label in targets for word in ("--label", label)]
    options = [
        "--interval", "1s", "--history", str(history), "--metrics", str(port),
        "--rules", str(rules), "--device", "none",
    ]  # fmt: skip
    return subprocess.Popen(
        [sys.executable, "-m", "pgiostat", "collect", *targets.values(), *labels, *options],
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
    )


class _Watch(Thread):
    """A watch in a thread of its own, until it is stopped."""

    def __init__(self, dsn: str, options: Options, stop: Event) -> None:
        super().__init__(daemon=True)
        self.options = options
        self.out, self.err = io.StringIO(newline=""), io.StringIO()
        self._dsn, self._stopped = dsn, stop

    def run(self) -> None:
        stream.run(
            self._dsn, self.options, describer(), out=self.out, err=self.err, stop=self._stopped
        )


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


def _answers(page: str) -> bool:
    with suppress(OSError), urllib.request.urlopen(page) as told:  # noqa: S310 - our own page
        return b'pgiostat_up{server="good"}' in told.read()
    return False


def _until(holds: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < end, f"waited too long for {what}"
        _wait(0.1)


def _wait(seconds: float) -> None:
    Event().wait(seconds)


# --- commands ----------------------------------------------------------------------------


def _run(*arguments: str) -> tuple[str, str]:
    """Run a command in this process; return what it wrote, and its error as main reports it."""
    done = CliRunner().invoke(cli.app, list(arguments), prog_name="pgiostat")
    if isinstance(done.exception, PgiostatError):
        return done.stdout, done.stderr + done.exception.report()
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.stdout, done.stderr


def _told(found: _Found, form: str, *arguments: str) -> str:
    """Judge what a command writes in a form, and return it."""
    out, err = _run(*arguments)
    what = " ".join(arguments[:2] if arguments[0] != "report" else arguments[-5:])
    if out:
        found.judge(form, out, what)
    found.judge("log, errors", err, f"{what}, aside")
    return out


def _reported(found: _Found, history: Path, rules: Path, category: str, place: Path) -> None:
    """Read the history in every form."""
    there = ("--history", str(history), "--rules", str(rules))
    for name, form in FORMS.items():
        for by in BY:
            _told(found, form, "report", *there, "--by", by, "--format", name, "--top", "1000")
        asked = ("report", *there, "--series", "1m", "--by", "user", "--format", name)
        _told(found, form, *asked, "--top", "1000")
        _told(found, form, "compare", "good", "good", *there, "--format", name, "--top", "1000")
        _told(found, form, "whatif", "--drop", category, *there, "--format", name)
        _told(found, form, "burst", "--volume", "gp2:500", *there, "--format", name)
    for name in ("text", "json"):
        _told(found, FORMS[name], "history", "--history", str(history), "--format", name)
    _told(found, "log, errors", "whatif", "--drop", "no\nforged\x1b", *there)
    _told(found, "text", "export", *there, "--out", str(place / "csv"))
    for path in sorted((place / "csv").glob("*.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            found.judge("CSV", file.read(), f"export: {path.name}")
    _told(found, "text", "rules", "show", "--rules", str(rules))


def _sat(found: _Found, history: Path) -> None:
    """Look at the history on the screen of watch: lines, exports, pictures and the clipboard."""
    with closing(History.open(history)) as opened:
        (server,) = opened.servers()
        window = Window(server.since, server.until, "")
        app = WatchApp(ReplaySource(opened, describer(), window, interval=0.01))

        async def sit() -> None:
            async with app.run_test(size=(int(WIDTH), 3 * len(NAMES))) as pilot:
                while app.replay is None or app.replay.position[0] < app.replay.position[1]:
                    await pilot.pause(0.05)
                await pilot.pause()
                app.action_do(Action.WHOLE.value)
                for view in (View.STATEMENT, View.RELATION, View.DATABASE, View.USER):
                    app.action_view(view.name)
                    await pilot.pause()
                    _seen_on(app, found, f"screen by {view.value}")

        asyncio.run(sit())


def _seen_on(app: WatchApp, found: _Found, where: str) -> None:
    lines = ["".join(text for text, _ in line) for line in app.picture.lines]
    found.judge("text", "\n".join(lines), where)
    if any(cell_len(line) > int(WIDTH) for line in lines):
        found.failures.append(f"{where}: a line is wider than the screen")
    drawn = "".join(ET.fromstring(app.export_screenshot()).itertext())  # noqa: S314 - our own picture
    # Blanks of a picture do not break, and its style has lines.
    found.judge("text", drawn.replace("\xa0", " "), f"{where}, picture")
    found.judge("CSV", app.as_csv(), f"{where}, export")
    for _ in app.table.rows:
        app.action_copy()
        if not all(map(is_visible, app.clipboard)):
            found.failures.append(f"{where}: copied: {app.clipboard!a}")
        app.state = moved(app.state, app.table.keys, 1)


def _examined(
    server: Server, found: _Found, databases: Sequence[str], place: Path, *, quick: bool
) -> None:
    """Ask the server itself: the doctor, rules, and errors."""
    out = place / "found.toml"
    _told(found, "text", "rules", "init", server.dsn(), "--out", str(out))
    found.judge("rules file", out.read_text("utf-8"), "rules init")
    _told(found, "survey", "rules", "test", "--rules", str(out), "--top", "1000", server.dsn())
    texts = place / "texts.sql"
    texts.write_bytes("".join(f"SELECT {n} FROM {n};\n" for n in map(_quoted, NAMES)).encode())
    _told(found, "text", "rules", "test", "-f", str(texts))
    for name in databases:
        _told(found, "log, errors", "report", "--history", str(place / name.replace("/", "_")))
        _told(found, "log, errors", "collect", server.dsn(), "--label", name, "--history", "x")
    _told(found, "log, errors", "watch", make_conninfo(server.dsn(), dbname="noext"), "--once")
    # Without the extension it looks for it in all databases, and names those that have it.
    for form in ("text", "markdown", "json"):
        nowhere = make_conninfo(server.dsn(), dbname="noext")
        _told(found, FORMS[form], "doctor", nowhere, "--format", form)
    for number, name in enumerate(_few(_owners(server.major))):
        dsn = make_conninfo(server.dsn(), dbname=name, user=name, password=PASSWORD)
        forms = ("text", "markdown", "json")
        for form in forms[number % 3 : number % 3 + 1] if quick else forms:
            _told(found, FORMS[form], "doctor", dsn, "--format", form)
    told = json.loads(_told(found, "JSON", "doctor", server.dsn(), "--format", "json"))
    _mended(server, found, [each["mend"] for each in told["findings"]])


def _mended(server: Server, found: _Found, mends: Sequence[str]) -> None:
    """Run what the doctor says ends settings of databases and roles: it ends all of them."""
    with server.connect() as connection:
        for mend in dict.fromkeys(mends):
            if not mend.startswith(("ALTER DATABASE", "ALTER ROLE")):
                continue
            if wrong := hidden(mend):
                found.failures.append(f"doctor: {mend!a}: {wrong}")
            try:
                connection.execute(mend)
            except psycopg.Error as error:
                found.failures.append(f"doctor: {mend!a} does not run: {error}")
        left = connection.execute("SELECT count(*) FROM pg_db_role_setting").fetchone()
        if left != (0,):
            found.failures.append(f"doctor: {left} settings are left by all that it says")
