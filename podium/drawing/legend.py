"""What colours of drawings mean, apart from how figures look: a new look trains nothing again."""

from collections.abc import Mapping

#: Words to red, green and blue (0 to 255), or to None without a colour.
Key = Mapping[str, tuple[int, int, int] | None]
