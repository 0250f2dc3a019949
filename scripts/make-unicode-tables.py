"""Makes unicode-tables.ts and category-tables.ts in src/models/tokenizers: what the tokenizers library takes each code point for.

Needs tokenizers 0.23; run from the repository's root: python scripts/make-unicode-tables.py
Its parts are built on several versions of Unicode, and JavaScript engines on others again. So every code point is shown to the
library itself, and the package carries what came out.
"""

from tokenizers import Regex, normalizers, pre_tokenizers

POINTS = [chr(code) for code in range(0x110000) if not 0xD800 <= code <= 0xDFFF]
CATEGORIES = "Lu Ll Lt Lm Lo Mn Mc Me Nd Nl No Pc Pd Ps Pe Pi Pf Po Sm Sc Sk So Zs Zl Zp Cc Cf Co".split()
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ!#$%&"


def base36(number):
    digits = "0123456789abcdefghijklmnopqrstuvwxyz"
    return digits[number] if number < 36 else base36(number // 36) + digits[number % 36]


def chosen(test):
    return {ord(point) for point in POINTS if test(point)}


def pieces(pre_tokenizer, text):
    return len(pre_tokenizer.pre_tokenize_str(text))


def matching(pattern):
    split = pre_tokenizers.Split(Regex(pattern), "removed")
    return chosen(lambda point: pieces(split, point) == 0)


def runs(values):
    """[value, length] of code points in a row; surrogates have the value None."""
    out = []
    for code in range(0x110000):
        value = values(code)
        if out and out[-1][0] == value:
            out[-1][1] += 1
        else:
            out.append([value, 1])
    return out


def ranges(codes):
    """How many code points are outside, inside, outside, ... in turn."""
    lengths = [length for _, length in runs(lambda code: code in codes)]
    return " ".join(base36(length) for length in ([0] if 0 in codes else []) + lengths)


def categories():
    of = {}
    for letter, category in zip(LETTERS, CATEGORIES):
        for code in matching(r"\p{%s}" % category):
            assert code not in of, (category, code)
            of[code] = letter
    return "".join(
        (value or "-") + ("" if length == 1 else base36(length)) for value, length in runs(lambda code: of.get(code))
    )


def lower_case():
    """start, count, step, distance of code points that change alike; the one that becomes two is written in unicode.ts."""
    lower = normalizers.Lowercase()
    pairs = [(ord(point), lower.normalize_str(point)) for point in POINTS]
    pairs = [(code, ord(to) - code) for code, to in pairs if len(to) == 1 and ord(to) != code]
    assert len([point for point in POINTS if len(lower.normalize_str(point)) != 1]) == 1
    out = []
    for code, distance in pairs:
        last = out[-1] if out else None
        if last and last[3] == distance and (last[1] == 1 or code == last[0] + last[1] * last[2]) and code - last[0] <= 2 * last[1]:
            last[2] = last[2] if last[1] > 1 else code - last[0]
            last[1] += 1
        else:
            out.append([code, 1, 1, distance])
    signed = lambda number: ("-" if number < 0 else "") + base36(abs(number))
    return " ".join(",".join(signed(number) for number in entry) for entry in out)


def normalised():
    """Code points that any normal form changes, moves or joins."""
    nfd, nfkd = normalizers.NFD(), normalizers.NFKD()
    found = set()
    for point in POINTS:
        parts = nfkd.normalize_str(point)
        if parts != point:
            found.update(map(ord, point + parts + nfd.normalize_str(point)))
        elif nfd.normalize_str("a\u0301" + point) != "a\u0301" + point or nfd.normalize_str("a" + point + "\u0334") != "a" + point + "\u0334":
            found.add(ord(point))
    return found


def main():
    bert = normalizers.BertNormalizer(clean_text=True, handle_chinese_chars=False, strip_accents=False, lowercase=False)
    accents = normalizers.BertNormalizer(clean_text=False, handle_chinese_chars=False, strip_accents=True, lowercase=False)
    nfd, strip = normalizers.NFD(), normalizers.StripAccents()
    punctuation, digits, words = pre_tokenizers.Punctuation(), pre_tokenizers.Digits(), pre_tokenizers.Whitespace()
    tables = {
        "CATEGORIES": ("Oniguruma's general categories, by the letters below: a letter, then how many code points in base 36.", categories()),
        "WORDS": ("`\\\\w` of Rust's regular expressions, as all tables below and in unicode-tables.ts: how many code points are not in it, are, are not, ...", ranges(chosen(lambda point: pieces(words, f"a{point}a") == 1))),
        "NUMERIC": ("What Digits splits.", ranges(chosen(lambda point: pieces(digits, f"a{point}a") == 3))),
        "PUNCTUATION": ("What Punctuation and BertPreTokenizer split: how many code points are not in it, are, are not, ...; as all tables of this form.", ranges(chosen(lambda point: pieces(punctuation, f"a{point}a") == 3))),
        "REMOVED": ("What BertNormalizer removes with clean_text.", ranges(chosen(lambda point: bert.normalize_str(f"a{point}a") == "aa"))),
        "ACCENTS": ("What BertNormalizer removes with strip_accents, after NFD.", ranges(chosen(lambda point: nfd.normalize_str(point) == point and accents.normalize_str(f"a{point}") == "a"))),
        "MARKS": ("What StripAccents removes.", ranges(chosen(lambda point: strip.normalize_str(f"a{point}") == "a"))),
        "NORMALISED": ("What the library's normal forms change, move or join; they know no later letters.", ranges(normalised())),
        "LOWER": ("start,count,step,distance in base 36.", lower_case()),
    }
    title = ["/** Made by scripts/make-unicode-tables.py: what the tokenizers library takes each code point for. */"]
    names = ["", "/** The categories that CATEGORIES names by letters; `-` is none. */", f'export const CATEGORY_NAMES = "{" ".join(CATEGORIES)}";', f'export const CATEGORY_LETTERS = "{LETTERS[:len(CATEGORIES)]}";']
    # What BERT's tokenizers never ask for is a file of its own, which pages need not load.
    apart = ["CATEGORIES", "WORDS", "NUMERIC", "MARKS"]
    files = {"category-tables": title + names, "unicode-tables": title}
    for name, (what, text) in tables.items():
        lines = files["category-tables" if name in apart else "unicode-tables"]
        lines += ["", f"/** {what} */".replace("\\\\", "\\"), f"export const {name} =", f'  "{text}";']
    for file_name, lines in files.items():
        with open(f"src/models/tokenizers/{file_name}.ts", "w") as file:
            file.write("\n".join(lines) + "\n")


main()
