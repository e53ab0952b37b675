"""Penn Treebank tokens of a caption without Java: prints what pycocoevalcap's PTBTokenizer prints.

Written against the output of ``edu.stanford.nlp.process.PTBTokenizer -preserveLines -lowerCase`` (the jar of pycocoevalcap 1.2,
treated as a closed box), followed by the removal of pycocoevalcap's punctuation list. At every place the longest pattern wins,
the earlier one on a tie, except that the patterns of ``_CUTS`` (``do|n't``, ``can|not``) come before all others.

A line is read alone. Java joins all captions of a run with line ends, so that there the first word of the *next* caption can
decide whether a single letter at the very end keeps its dot (``plan b.``); here it always does.
"""

import re
import unicodedata
from functools import lru_cache

TOKENIZER = "ptb-py-1"

# pycocoevalcap's PUNCTUATIONS. It lists brackets in capitals (-LRB-), which never match lower-cased tokens: brackets stay.
_DROPPED = frozenset(["''", "'", "``", "`", ".", "?", "!", ",", ":", "-", "--", "...", ";"])
_BRACKETS = {"(": "-lrb-", ")": "-rrb-", "[": "-lsb-", "]": "-rsb-", "{": "-lcb-", "}": "-rcb-"}
_RENAMED = _BRACKETS | {
    "¢": "cents",
    "£": "#",
    "€": "$",
    "¤": "$",
    "₠": "$",
    "¼": "1/4",
    "½": "1/2",
    "¾": "3/4",
    "⅓": "1/3",
    "⅔": "2/3",
    "…": "...",
    **dict.fromkeys("–—―", "--"),
    **dict.fromkeys(('"', "“", "”", "«", "»", "‘", "‛", "‹"), "''"),
    "&amp;": "&",
    "&lt;": "<",
    "&gt;": ">",
    "---": "--",
    "----": "--",
    "‒": "",
}
_CLEANED = {  # before matching: a soft hyphen vanishes; Windows-1252 bytes read as Latin-1 mean what they meant
    "\u00ad": "",
    "’": "'",
    "›": "'",
    "&apos;": "'",
    "&quot;": '"',
    "&nbsp;": " ",
    "\x80": "$",
    "\x85": "…",
    "\x91": "‘",
    "\x92": "'",
    "\x93": "“",
    "\x94": "”",
    "\x96": "–",
    "\x97": "—",
}
_TO_CLEAN = re.compile("|".join(map(re.escape, _CLEANED)))

# Abbreviations that keep their dot; the second list only as Title or CAPITALS, the third only before a number.
_ABBREVIATIONS = """al cf co ct dr ft ga jr ky lt md mo mr ms mt ph rd rt sq sr st va vs vt wm adj adm adv ala alex apr ariz
    assn assoc asst attys? aug ave bancorp bhd bldg blvd brig bros calif capt cie cmdr col colo conn corp cos cpl dak dec dept
    det drs? elec ens esq est etc ext feb fla fri gen govs? hon inc ind insp intl invt jan jos jul jun kans? lieut ltd maj mar
    messrs mfg mich minn mlle mme mon mont mrs msgr mtg natl neb nev nov oct okla penn pfc plc p?ptes? p?ptys? pres profs?
    pvt reps? rev sens? sep sept seq sfc sgt spc ste supts? sys tel tenn thu thurs tue tues univ wed wis wisc wyo"""
_CAPITALIZED = "ark az del ill la mass miss ore pa tex wash"
_NUMBERED = "art ca figs? nos? op pp prop"
# Capitalized words that begin a new sentence: a single letter before them is a word with a full stop, not an initial.
_STARTS = """A About According Additionally After An As At But He Her Here However If In It Last Many Now One Other Our She
    Since So Some Such That The Their Then There These They This We What When While Yet You"""


def _any(words: str) -> str:
    return "(?:" + "|".join(words.split()) + ")"


_L = (  # a letter (or a mark that belongs to one)
    r"[A-Za-zªºÀ-ÖØ-öø-ʹʺ-ͽͿ-ΆΈ-\u0588\u058f-\u05bd\u05d0-\u05f2\u0610-\u061a\u0620-\u0669\u066e-\u06d3\u06d5-\u06ff\u0710-\u07f5"
    r"\u0900-\u0963\u0966-\u0e3e\u0e40-\u0e4e\u0e50-\u1fbc\u1fbe-\u1fff\u2c00-\u2dff\u3005-\u3006\u3041-\u30fa\u30fc-\ud7ff\uf900-\ufdff]"
)
_W = rf"(?:{_L}|\d)"
_END = r"(?![\w'&-])"
_NUMBER = r"\d+(?:[.,]\d+)+"  # with a mark: disjoint from _W+, so that nothing is tried twice
_HYPHENATED = rf"(?:{_NUMBER}(?=[-‑])|{_W}+)(?:[-_‑](?:{_NUMBER}(?!{_W})|{_W}+))*"
_DOTTED = rf"{_L}{_W}*(?:\.{_L}{_W}*)+"
_DOMAIN = r"(?:[^\s\"<>|().!?,;:/']+\.)+"
_PAGE = r"(?:/[^\s\"<>|()]+[^\s\"<>|().!?,'-])?"
_ATTRIBUTES = r"(?:\s+[A-Za-z][^<>'\"]*(?:\"[^\"<>]*\"[^<>'\"]*)*)?"

_CUTS = re.compile(
    rf"""
    {_L}+(?=n['`]t) | n['`]t(?!{_L})                                # do|n't
    | can(?=not{_END}) | (?:gon|wan)(?=na{_END}) | got(?=ta{_END}) | (?:lem|gim)(?=me{_END})
    | '(?:t(?=is|was) | (?:s|m|d|re|ve|ll)(?!{_L}))              # '|tis, dog|'s
    | '(?:em|till?|cause | n' | n(?!{_W}) | \d0s(?!{_W}))
    | (?:cap'n | c'(?:mon|est) | ol')(?!{_W}) | [djl]'(?!{_W}) | y'(?={_L})
    """,
    re.VERBOSE | re.IGNORECASE,
)
_LONGEST = tuple(
    re.compile(pattern, flags)
    for pattern, flags in (
        (rf"</?[A-Za-z][\w:.-]*{_ATTRIBUTES}\s*/?>|<[!?][A-Za-z-][^<>]*>", 0),  # markup
        (rf"https?://{_DOMAIN}[^\s\"<>|().!?,;:/']+{_PAGE}|(?:{_DOMAIN})(?:com|net|org|edu){_PAGE}(?!{_W})", re.IGNORECASE),
        (r"<?[A-Za-z0-9][^\s\"<>|()@]*@(?:[^\s\"<>|().]+\.)*[^\s\"<>|().]+>?", 0),  # e-mail address
        (rf"@[A-Za-z_]\w*|\#{_L}+", re.ASCII),
        (r"(?:\(\d{2,3}\) ?|(?:\+\d+ )?\d{2,4}[ -])\d{3,4}[ -]?\d{3,5}(?!\d)", re.ASCII),  # telephone number
        (r"\d{1,4}[ ]\d{1,4}/\d{1,4}(?!\d)", 0),  # 1 1/2
        (r"[+-]?(?:\d*(?:[.,:]\d+)+|\d+(?:[/⁄]\d+)?)(?!\d)|\d{1,2}/\d{1,2}/\d{2,4}", 0),
        (rf"{_HYPHENATED}(?:/{_HYPHENATED}){{0,2}}", 0),
        (rf"{_DOTTED}(?:-{_W}+)*|{_L}{_W}*(?:[.!?]{_L}{_W}*)+|{_W}+\.\d+(?:,\d+)*(?:-{_W}+)+", 0),
        (rf"[a-z](?:\.[a-z])+\.(?:-{_W}+)*|ph\.ds?\.", re.IGNORECASE),  # u.s., u.s.-based
        (rf"{_any(_ABBREVIATIONS)}\.(?:-{_W}+)*", re.IGNORECASE),
        (rf"(?:{_any(_CAPITALIZED.title())}|{_any(_CAPITALIZED.upper())})\.", 0),
        (rf"{_any(_NUMBERED)}\.(?=\s?\d)", re.IGNORECASE),
        (rf"{_HYPHENATED}(?<!\d)\.(?=[,;:])", 0),  # any word with its dot before another mark
        (rf"[A-Za-z]\.(?!\s+{_any(_STARTS)}(?!{_W}))", 0),
        (rf"[dlno]'{_W}{{2,}}|{_L}+[aeiouy]'[aeiou]{_L}*", re.IGNORECASE),  # o'clock, ma'am
        (r"[A-Z]+(?:&[A-Z]+)+|[A-Z]{1,3}\$|[Cc]\+\+|[CFcf]\#", 0),  # AT&T, US$, C++
        (rf"[:;=]-?[()\[\]{{|@\\DPpO](?!{_W})|:'[()](?!{_W})|([-^=~<>'])_[-^=~<>']", 0),  # :-) ^_^
        (r"&(?:amp|lt|gt|\#\d+);|[?!]+|\.\.\.|\*+|_+|\#+|@+|-+|<<|>>|''", 0),
    )
)
_PLAIN = re.compile(rf"{_L}+(?=\s|$)")
_COMPOUND = frozenset(["cannot", "gonna", "wanna", "gotta", "lemme", "gimme"])
_UNTOKENIZABLE = frozenset(["Cc", "Cf", "Cn", "Co", "Cs", "Me", "Mn", "Mc", "Lo", "Lm", "Nl"])


@lru_cache(maxsize=1 << 16)
def tokenize(text: str) -> str:
    """Lower-case Penn Treebank tokens of one caption, separated by single spaces, punctuation removed.

    A token may hold no-break spaces (``1\\u00a01/2``), as Java prints them. An empty caption gives an empty string.
    """
    text = _TO_CLEAN.sub(lambda match: _CLEANED[match[0]], text)
    tokens: list[str] = []
    at = 0
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        token = _next(text, at)
        at += len(token)
        printed = _printed(token)
        if printed and printed not in _DROPPED:
            tokens.append(printed)
    return " ".join(tokens)


def _next(text: str, at: int) -> str:
    """The token of ``text`` that begins at ``at``."""
    plain = _PLAIN.match(text, at)
    if plain and plain[0].lower() not in _COMPOUND:
        return plain[0]  # most words: no need to try anything else
    cut = _CUTS.match(text, at)
    if cut:
        return cut[0]
    longest = text[at]
    for pattern in _LONGEST:
        match = pattern.match(text, at)
        if match and match.end() - at > len(longest):
            longest = match[0]
    return longest


def _printed(token: str) -> str:
    """What Java prints for a token; nothing for a character it cannot tokenize."""
    if token.lower() in _RENAMED:
        return _RENAMED[token.lower()]
    if len(token) == 1 and (token > "\uffff" or unicodedata.category(token) in _UNTOKENIZABLE) and not re.match(_L, token):
        return ""
    printed = re.sub(r"\s", "\u00a0", token.lower())
    return printed.replace("(", "-lrb-").replace(")", "-rrb-")
