"""What went wrong, told to the one who wrote the project: their frames, their file names, the message."""

import linecache
import os
import traceback

from .plain import NotPlain


class ProjectError(Exception):
    """The project cannot be loaded or run as it is. `mend` says what to do about it."""

    def __init__(self, what, mend=""):
        super().__init__("{}. {}".format(what, mend) if mend else what)


class NoApi(Exception):
    """The project asked MLRun's API for something that cannot be answered without one."""

    def __init__(self, call, subject, job):
        super().__init__(
            "{}({}) needs an MLRun API, and there is none here: it cannot be answered {}".format(
                call,
                repr(subject) if subject else "",
                "while the project is loaded" if job == "load" else "in this run",
            )
        )
        self.call = call


class Forked(Exception):
    """A child that the user's code forked came back to the runner; only the parent goes on."""


# Errors of ours: what they say is all there is to know.
OURS = (ProjectError, NoApi, NotPlain)

_CAUSE = "\nThe above exception was the direct cause of the following exception:\n\n"
_CONTEXT = "\nDuring handling of the above exception, another exception occurred:\n\n"
# A chain longer than this repeats itself.
_CHAIN = 10


def describe(exc, root, step=None):
    """`exc` as {type, message, traceback}, with the frames of files in `root` only, plus `step` where one failed."""
    message = _message(exc)
    told = {"type": _type(exc), "message": message, "traceback": trace(exc, root)}
    if step:
        told["step"] = step
    return told


def trace(exc, root):
    """The traceback as Python prints it, without any frame that is not the user's and with relative file names."""
    parts, seen = [], set()
    while exc is not None and id(exc) not in seen and len(parts) < _CHAIN:
        seen.add(id(exc))
        frames = _frames(exc, root)
        last = (
            "".join(traceback.format_exception_only(type(exc), exc))
            if not isinstance(exc, OURS)
            else ("{}: {}\n".format(_type(exc), exc))
        )
        text = "Traceback (most recent call last):\n" + "".join(frames) + last if frames else last
        joint = ""
        if exc.__cause__ is not None:
            exc, joint = exc.__cause__, _CAUSE
        elif exc.__context__ is not None and not exc.__suppress_context__:
            exc, joint = exc.__context__, _CONTEXT
        else:
            exc = None
        if frames or not parts:
            parts.append((text, joint))
    told = "".join(
        (joint if index < len(parts) - 1 else "") + text for index, (text, joint) in reversed(list(enumerate(parts)))
    )
    return told.replace(os.path.join(root, ""), "")


def _frames(exc, root):
    summary = traceback.extract_tb(exc.__traceback__)
    for frame in summary:
        linecache.checkcache(frame.filename)
    return traceback.StackSummary.from_list([frame for frame in summary if _users(frame.filename, root)]).format()


def _users(filename, root):
    path = os.path.realpath(filename)
    return path.startswith(os.path.join(root, "")) and "site-packages" not in path


def _type(exc):
    module = type(exc).__module__
    if isinstance(exc, OURS) or module in ("builtins", "__main__"):
        return type(exc).__name__
    return "{}.{}".format(module, type(exc).__qualname__)


def _message(exc):
    if isinstance(exc, SystemExit):
        return "the code called sys.exit({})".format("" if exc.code is None else repr(exc.code))
    text = str(exc)
    return text or type(exc).__name__
