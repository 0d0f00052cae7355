"""What differs from run to run although nothing has changed: times. It is marked wherever it stands."""

import re
from typing import Any

PREFIX = "timed_"
OPEN, CLOSE = "<!--timed-->", "<!--/timed-->"
_MARKED = re.compile(f"{OPEN}.*?{CLOSE}", re.DOTALL)


def without_times(value: Any) -> Any:
    """JSON without what stands under keys that begin with ``timed_``.

    Args:
        value: nested dictionaries and lists.

    Returns:
        A copy.

    Example:
        >>> without_times({"checks": 3, "timed_seconds": 0.2})
        {'checks': 3}
    """
    if isinstance(value, dict):
        return {key: without_times(item) for key, item in value.items() if not str(key).startswith(PREFIX)}
    if isinstance(value, list | tuple):
        return [without_times(item) for item in value]
    return value


def text_without_times(text: str) -> str:
    """HTML or Markdown without what stands between the two marks, which are comments.

    Args:
        text: of a page.

    Example:
        >>> text_without_times("3 checks<!--timed-->, 0.2 s<!--/timed-->.")
        '3 checks.'
    """
    return _MARKED.sub("", text)
