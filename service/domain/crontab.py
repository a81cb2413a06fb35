"""The grammar of a cron line, crontab(5)'s: five fields; numbers, names, ranges, lists, and steps after `*` or a range.

What Debian's parser takes is taken, but for a range that runs backwards: to cron it means nothing, to its author it
meant something. Extensions of others (`L`, `#`, `5/15`, seconds) and nicknames are refused with what to write instead.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from service.errors import CronError
from service.limits import CRON_BYTES

_VALUE, _STEP = "[0-9]{1,2}|[A-Z]{3}", "/0{0,2}[1-9][0-9]{0,2}"
_ITEM = re.compile(rf"\*(?:{_STEP})?|(?P<first>{_VALUE})(?:-(?P<last>{_VALUE})(?:{_STEP})?)?")


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    low: int
    high: int
    names: tuple[str, ...] = ()

    def plain(self, item: str) -> str:
        """One item of the field as cronsim should read it; ValueError, with what to write, if it is no cron."""
        found = _ITEM.fullmatch(item)
        if found is None:
            also = "ranges, lists with commas, and steps after * or a range such as */5 or 8-18/2"
            raise ValueError(f"{self._takes()}, {also}")
        if found["first"] is None:
            return item
        first = self._number(found["first"])
        last = self._number(found["last"] or found["first"])
        if first > last:
            raise ValueError(f"it runs backwards; write {first}-{self.high},{self.low}-{last}")
        # cronsim reads `5-5/2` as "from 5 on", cron as 5.
        return found["first"] if first == last else item

    def numbers(self, item: str) -> range:
        """What an item that `plain` took stands for."""
        found = _ITEM.fullmatch(item)
        assert found is not None
        step = int(item.partition("/")[2] or 1)
        if found["first"] is None:
            return range(self.low, self.high + 1, step)
        return range(self._number(found["first"]), self._number(found["last"] or found["first"]) + 1, step)

    def _number(self, text: str) -> int:
        if text in self.names:
            return self.names.index(text) + self.low
        if not text.isdigit() or not self.low <= int(text) <= self.high:
            raise ValueError(self._takes())
        return int(text)

    def _takes(self) -> str:
        names = f" or {self.names[0]}-{self.names[-1]}" if self.names else ""
        return f"it takes {self.low}-{self.high}{names}"


_FIELDS = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of month", 1, 31),
    _Field("month", 1, 12, ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")),
    _Field("day of week", 0, 7, ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")),
)
_NICKNAMES = {
    "@YEARLY": "0 0 1 1 *",
    "@ANNUALLY": "0 0 1 1 *",
    "@MONTHLY": "0 0 1 * *",
    "@WEEKLY": "0 0 * * 0",
    "@DAILY": "0 0 * * *",
    "@MIDNIGHT": "0 0 * * *",
    "@HOURLY": "0 * * * *",
}
_FIVE = "write five fields: minute, hour, day of month, month, day of week"


def checked(expression: str) -> str:
    """The five fields as cronsim should read them. Raises CronError."""
    fields = zip(_FIELDS, _fields(expression), strict=True)
    return " ".join(_field(expression, kind, field) for kind, field in fields)


def items(expression: str) -> tuple[dict[str, range], ...]:
    """Of each field of a valid expression its items, and the numbers that each stands for; Sunday is 0 and 7. Raises CronError."""
    fields = zip(_FIELDS, checked(expression).split(), strict=True)
    return tuple({item: kind.numbers(item) for item in field.split(",")} for kind, field in fields)


def _fields(expression: str) -> list[str]:
    if not expression.isascii() or len(expression) > CRON_BYTES:
        raise CronError(f"cron {expression[:CRON_BYTES]!r} is no cron expression", mend=_FIVE)
    fields = expression.upper().split()
    if fields and fields[0].startswith("@"):
        same = _NICKNAMES.get(fields[0])
        mend = f"write {same!r}" if same and len(fields) == 1 else _FIVE
        raise CronError(f"cron {expression!r}: nicknames are not taken", mend=mend)
    if len(fields) != len(_FIELDS):
        hint = "; there are no seconds and no years" if len(fields) > len(_FIELDS) else ""
        raise CronError(f"cron {expression!r} has {len(fields)} fields, not 5", mend=_FIVE + hint)
    return fields


def _field(expression: str, kind: _Field, field: str) -> str:
    items = field.split(",")
    for at, item in enumerate(items):
        try:
            items[at] = kind.plain(item)
        except ValueError as error:
            raise CronError(f"cron {expression!r}: {item!r} is no {kind.name}", mend=str(error)) from None
    return ",".join(items)
