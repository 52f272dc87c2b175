"""Write the table of character widths that pictures measure text with.

Needs ``pip install fonttools`` and Debian's ``fonts-liberation``. Arial, Helvetica, Arimo and Liberation Sans have the
same widths.
"""

import argparse
import json
import unicodedata
from collections import defaultdict
from pathlib import Path

from fontTools.ttLib import TTFont

TABLE = Path(__file__).parent.parent / "vinix_async" / "cli" / "drawing" / "assets" / "text_widths.json"
FOLDER = Path("/usr/share/fonts/truetype/liberation")
FONTS = {"regular": "LiberationSans-Regular.ttf", "bold": "LiberationSans-Bold.ttf"}
LAST = 0x25FF  # beyond it RANGES apply
RANGES = [
    (0xA0, 0xA0, 278),  # spaces
    (0x2000, 0x200A, 400),
    (0x202F, 0x202F, 278),
    (0x0590, 0x05FF, 540),  # Hebrew, in DejaVu Sans
    (0x0600, 0x08FF, 480),  # Arabic; joined letters are narrower than the isolated ones
    (0x0900, 0x0EFF, 450),  # the scripts of India, and Thai
    (0x1100, 0x115F, 1000),  # Hangul
    (0x20E3, 0x20E3, 690),  # turns a digit into an emoji
    (0x2600, 0x27BF, 1000),  # symbols
    (0x2B00, 0x2BFF, 1000),
    (0x2E80, 0xA4CF, 1000),  # Chinese, Japanese and Korean
    (0xAC00, 0xD7A3, 1000),
    (0xF900, 0xFAFF, 1000),
    (0xFE30, 0xFE6F, 1000),
    (0xFF00, 0xFF60, 1000),
    (0xFFE0, 0xFFE6, 1000),
    (0x1F000, 0x1F1E5, 1245),  # emoji, as wide as Noto's
    (0x1F1E6, 0x1F1FF, 623),  # two of these letters are a flag
    (0x1F200, 0x1F3FA, 1245),
    (0x1F3FB, 0x1F3FF, 0),  # skin tones are part of the emoji before them
    (0x1F400, 0x1FAFF, 1245),
    (0x20000, 0x3FFFD, 1000),  # rare ideographs
]
"""The widths of characters that the font lacks; in a picture ``textLength`` fits what they really need into these."""

OTHER = 600
"""The width of every other character."""


def main() -> None:
    """Write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fonts", type=Path, default=FOLDER, help="the folder of Liberation Sans")
    folder = parser.parse_args().fonts
    table: dict[str, object] = {name: widths(folder / file) for name, file in FONTS.items()}
    table |= {"ranges": RANGES, "other": OTHER}
    TABLE.write_text(json.dumps(table, ensure_ascii=False, separators=(",\n", ":")) + "\n", encoding="utf-8")


def widths(path: Path) -> dict[str, str]:
    """Return the characters by their width in thousandths of the font's size."""
    font = TTFont(path)
    found = defaultdict(list)
    for code, glyph in sorted(font.getBestCmap().items()):
        letter = chr(code)
        if code <= LAST and letter.isprintable() and not unicodedata.category(letter).startswith("M"):
            found[round(font["hmtx"][glyph][0] * 1000 / font["head"].unitsPerEm)].append(letter)
    return {str(width): "".join(letters) for width, letters in sorted(found.items())}


if __name__ == "__main__":
    main()
