"""Parameters that several commands share, added to a command by a decorator."""

import inspect
from collections.abc import Callable, Collection, Mapping
from functools import wraps
from typing import Any, TypeAlias

__all__ = ["Command", "with_parameters"]

Command: TypeAlias = Callable[..., None]


def with_parameters(
    added: Mapping[str, tuple[Any, Any]],
    run: Callable[[Command, dict[str, Any]], None],
    *,
    first: bool = False,
    filled: Collection[str] = (),
) -> Callable[[Command], Command]:
    """Return a decorator that gives a command more parameters than its function has.

    Args:
        added: The annotation and the default value of each, by name. One of the function's own
            parameters may be among them: `run` gives it its value.
        run: Takes the function and all values. It removes the added values and calls the function.
        first: Whether they come before the command's own in its help.
        filled: Parameters of the function that only `run` gives a value.
    """

    def decorate(command: Command) -> Command:
        @wraps(command)
        def with_more(**values: Any) -> None:
            run(command, values)

        parameters = inspect.signature(command).parameters
        hidden = {*added, *filled}
        own = [_by_name(each) for name, each in parameters.items() if name not in hidden]
        more = [
            inspect.Parameter(
                name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation
            )
            for name, (annotation, default) in added.items()
        ]
        signature = inspect.Signature([*more, *own] if first else [*own, *more])
        with_more.__signature__ = signature  # type: ignore[attr-defined] # inspect reads it
        return with_more

    return decorate


def _by_name(parameter: inspect.Parameter) -> inspect.Parameter:
    """Return a parameter that may stand anywhere, with a default or without."""
    return parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
