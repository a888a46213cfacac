"""A mistake in a rules file, before its place in the file is known."""

__all__ = ["Mistake"]


class Mistake(Exception):  # noqa: N818 - a PgiostatError is made of it, which is the error
    """A mistake in a rules file; key: of the line at fault."""

    def __init__(self, slug: str, message: str, *, key: str = "", hint: str | None = None) -> None:
        super().__init__(message)
        self.slug = slug
        self.message = message
        self.key = key
        self.hint = hint
