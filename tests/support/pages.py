"""Run the code blocks of a page as its reader would, and compare the output that it shows.

A page's blocks run in their order, in one directory that holds a copy of sample_data. A block of
`text` below commands is their output. `toml title="NAME"` is a file of that name, `sql` runs as the
server's superuser, and a comment in it restarts the server. Of commands that have no end, here they
do: a screen gets the key `q`, and a collector stops after two seconds.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict

from tests.support.servers import Server

ROOT = Path(__file__).parents[2]
PROGRAMS = Path(__file__).parent / "page_programs"
COLUMNS = 98
TIMEOUT_SECONDS = 120.0
DATABASE = "app"
HOST = "db.example"
PASSWORDS = "*:*:*:pgiostat:choose a password\n"
"""The password file of a reader who took the password of docs/start/connect.md as it stands."""

_FENCE = re.compile(r"^```(\w+)( [^\n]*)?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_TITLE = re.compile(r'title="([^"]+)"')


@dataclass(frozen=True)
class Block:
    """A code block of a page."""

    language: str
    title: str
    text: str
    begin: int
    end: int


def blocks(page: str) -> list[Block]:
    """Return the code blocks of a page, in their order."""
    return [
        Block(found[1], _title(found[2] or ""), found[3], found.start(3), found.end(3))
        for found in _FENCE.finditer(page)
    ]


def _title(attributes: str) -> str:
    found = _TITLE.search(attributes)
    return found[1] if found else ""


class PageError(AssertionError):
    """A block that did not run, or that nothing can run."""


@dataclass
class PageRun:
    """The state in which the blocks of one page run.

    Args:
        directory: Where they run; it is filled with a copy of sample_data.
        make_server: Makes the server of a page that connects to one; it is made when needed.
        prepares: The page prepares the server itself; for all others docs/start/connect.md did.
    """

    directory: Path
    make_server: Callable[[], Server]
    prepares: bool = False
    exports: list[str] = field(default_factory=list)
    server: Server | None = None

    def __post_init__(self) -> None:
        """Copy the sample data, and write the reader's password file."""
        shutil.copytree(ROOT / "sample_data", self.directory / "sample_data")
        passwords = self.directory / ".pgpass"
        passwords.write_text(PASSWORDS, "utf-8")
        passwords.chmod(0o600)

    def run(self, page: str) -> str:
        """Return the page with the outputs that its commands have now.

        Raises:
            PageError: A block failed, or no test can run it.
        """
        outputs: list[tuple[Block, str]] = []
        before, shown = "", ""
        for block in blocks(page):
            if block.language == "text" and before == "sh":
                outputs.append((block, shown))
            elif not block.title or block.language == "toml":
                shown = self._run(block)
            before = block.language
        for block, output in reversed(outputs):
            page = page[: block.begin] + output + page[block.end :]
        return page

    def _run(self, block: Block) -> str:
        match block.language:
            case "sh":
                return self._shell(block.text)
            case "python":
                return self._shell(f"$PYTHON - << 'PYTHON'\n{block.text}PYTHON\n")
            case "sql":
                self._sql(block.text)
            case "toml" if block.title:
                (self.directory / block.title).write_text(self._here(block.text), "utf-8")
            case _:
                raise PageError(f"nothing runs this block of {block.language}:\n{block.text}")
        return ""

    def _shell(self, text: str) -> str:
        here = self._here(text)
        self.exports += [line for line in here.splitlines() if line.startswith("export ")]
        script = "\n".join([*self.exports, here])
        return self._process(["bash", "-e", "-c", script], text)

    def _process(self, arguments: list[str], text: str) -> str:
        done = subprocess.run(
            arguments, cwd=self.directory, env=self._environment(), capture_output=True, text=True,
            timeout=TIMEOUT_SECONDS, stdin=subprocess.DEVNULL, check=False,
        )  # fmt: skip
        if done.returncode:
            raise PageError(f"status {done.returncode} of:\n{text}\n{done.stdout}{done.stderr}")
        return "".join(f"{line.rstrip()}\n" for line in done.stdout.splitlines())

    def _environment(self) -> dict[str, str]:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        return clean | {
            "PATH": f"{PROGRAMS}:{os.environ['PATH']}",
            "PYTHON": sys.executable,
            "PYTHONPATH": str(ROOT),
            "HOME": str(self.directory),
            "COLUMNS": str(COLUMNS),
            "TERM": "xterm-256color",
        }

    def _here(self, text: str) -> str:
        """Return a text with the address of the test's server in place of the example's."""
        if HOST not in text:
            return text
        found = conninfo_to_dict(self._served().dsn(DATABASE))
        host, port = found["host"], found.get("port", "5432")
        for written, here in (
            ("PGHOST={}", "PGPORT={1} PGHOST={0}"),
            ("host={}", "host={0} port={1}"),
            ("-h {}", "-h {0} -p {1}"),
        ):
            text = text.replace(written.format(HOST), here.format(host, port))
        return text

    def _sql(self, text: str) -> None:
        server = self._served()
        for line in text.splitlines():
            with server.connect(DATABASE) as connection:
                connection.execute(line.encode())
            if line.endswith("restart the server"):
                server.restart()

    def _served(self) -> Server:
        if self.server is None:
            self.server = self.make_server()
            with self.server.connect() as connection:
                connection.execute(f"CREATE DATABASE {DATABASE}")
            if not self.prepares:
                _prepare(self.server)
        return self.server


def _prepare(server: Server) -> None:
    """Do what docs/start/connect.md does; the libraries of a test's server are loaded already."""
    page = (ROOT / "docs" / "start" / "connect.md").read_text("utf-8")
    with server.connect(DATABASE) as connection:
        for block in blocks(page):
            if block.language == "sql" and "restart" not in block.text:
                for line in block.text.splitlines():
                    connection.execute(line.encode())
