"""Builds a WordPiece vocabulary from Unicode's and Python's own tables and the given text, always the same."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import product

from albert_zh.files import InputError, atomic_writer, expand_paths, read_lines
from albert_zh.text.characters import basic_tokens, is_chinese, is_punctuation
from albert_zh.text.wordpiece import WordPieceTokenizer

#: Where the published Chinese models have them, so that code with fixed ids goes on working.
SPECIAL_ENTRIES = ("[PAD]", *(f"[unused{number}]" for number in range(1, 100)), "[UNK]", "[CLS]", "[SEP]", "[MASK]")

ASCII_LETTERS_AND_DIGITS = [chr(code) for code in range(0x21, 0x7F) if chr(code).isalnum()]
ASCII_PUNCTUATION = [chr(code) for code in range(0x21, 0x7F) if not chr(code).isalnum()]

#: Rows of the Chinese encodings, as (codec, first and last lead byte), the more useful first.
SYMBOL_ROWS = (("gb2312", 0xA1, 0xA9), ("big5", 0xA1, 0xA3))
IDEOGRAPH_ROWS = (
    ("gb2312", 0xB0, 0xD7),  # level 1: 3755 common simplified characters
    ("big5", 0xA4, 0xC6),  # level 1: 5401 common traditional characters
    ("gb2312", 0xD8, 0xF7),  # level 2: 3008 less common simplified characters
    ("big5", 0xC9, 0xF9),  # level 2
    ("gbk", 0x81, 0xFE),  # all others
)
#: Characters of names and of the web that the rows of common characters lack.
OTHER_IDEOGRAPHS = "囧喆赟勠镕珺嬛啰氹滘埗蹚珅翛芃犇燚焱堃玥璟晞祎翀頔旸暐"
#: Signs that Chinese text on the web holds and the encodings' rows do not.
OTHER_SYMBOLS = (
    "〇〜ー€©®™¡¿«»¬µ¶ªº¹²³¼½¾ßæøðþđħıłŋœς‐‑‒―‛„‟†‡•‣‹›⁄⁰⁴⁵⁶⁷⁸⁹₀₁₂₃₄₅₆₇₈₉₩₫₽₿⇒⇔∀∃∅−∓≪≫⊕⊗"
    "⑪⑫⑬⑭⑮⑯⑰⑱⑲⑳⌘⌥⇧⚡⚠─│❤♥♦♣♠♪♫✓✔✕✖✗✘✨⟶😀😁😂🤣😄😅😊😍😭😎🙂🤔👍👏🙏💪🔥🎉"
)
#: Lines of text-mode tables in the encodings' rows: as good as never in sentences.
BOX_DRAWING = range(0x2500, 0x2580)

#: Common English words and the Latin names that Chinese texts about technology, business and daily life hold.
ENGLISH_WORDS = """
the of and to in is it that for on with as are was be by this from at or an not you your have has had we our they
their can will would could should may might must do does did done all any some no one two three four five six seven
eight nine ten first second third last next more most less least many much few other another each every both which
what when where who whom whose why how there here then than so if but because while after before since until about
into over under up down out off above below between through during against without within again also only just even
still yet already always often never ever now today tomorrow yesterday day week month year time times hour minute new
old good better best bad big small large long short high low great little own same different right left wrong true
false yes ok hello hi thanks thank please sorry love like want need know think see look go come get got make made take
give use used using user users work works working world people man men woman women child children life home house
school student teacher university college class book books paper read write word words language english chinese china
beijing shanghai hong kong taiwan america american usa uk japan japanese korea europe european india russia russian
germany france paris london york city country state states united national international global government party law
right rights power war peace history culture art music song film movie video photo picture image game games play
player team sport sports football basketball nba cba fifa world cup olympic news media tv radio show live online
internet web website site page blog post link links email mail message phone mobile call iphone ipad ipod imac mac
apple ios macos android google microsoft windows linux unix ubuntu facebook twitter youtube instagram amazon aws azure
alibaba tencent baidu huawei xiaomi oppo vivo lenovo samsung sony nokia intel amd nvidia arm ibm oracle cisco dell hp
tesla bmw audi benz ford honda toyota app apps wifi bluetooth gps nfc usb hdmi led lcd oled cpu gpu ram rom ssd hdd pc
laptop server client cloud data database big ai ml deep learning machine model models network networks neural training
train test tests testing algorithm code coding program programming programmer software hardware computer computing
science engineer engineering developer development design designer system systems service services platform project
product products open source free public private key security secure safe password login logout account name names
number numbers list lists table tables tree graph string strings text file files folder path line lines input output
import export print return function functions method methods object objects class type types value values variable
static void int float double char bool null none error errors exception debug info warning log logs version update
upgrade install download upload start stop run running build make create delete remove add edit change set get find
search sort filter map reduce copy paste cut save load open close begin end main index home head body html css xml
json http https www com org net cn java javascript python php ruby perl swift kotlin scala rust golang sql mysql redis
mongodb postgresql hadoop spark kafka docker kubernetes git github gitlab svn maven spring tomcat nginx apache react
vue angular node npm api sdk ide url uri ip tcp udp dns ftp ssh ssl tls vpn ui ux seo b2b b2c o2o p2p ceo cto cfo coo
hr it vip pk qq wechat weibo taobao alipay bitcoin blockchain token iot vr ar mr 3d 4g 5g hd uhd mp3 mp4 pdf ppt doc
excel word office adobe photoshop gdp cpi ipo pe vc etf wto un who nato dna rna covid ct mri kg km cm mm ml mg gb mb
kb tb hz mhz ghz kwh am pm no vs etc jan feb mar apr jun jul aug sep oct nov dec monday tuesday wednesday thursday
friday saturday sunday january february march april june july august september october november december black white
red blue green yellow air water fire earth sun moon star sky sea river food tea coffee cafe milk car bus train plane
money price market business company companies group bank stock fund trade economy finance health medical doctor
hospital drug body heart brain eye hand family father mother brother sister friend friends john james david michael
smart pro max plus mini lite note air watch pad book top hot cool fun happy party club shop store sale sales buy pay
"""

VOCAB_SIZE = 21128
#: Words of the text, and continuation pieces learned from its words, that get an entry.
LATIN_WORDS, LATIN_PIECES = 800, 500


@dataclass(frozen=True)
class BuildVocabOptions:
    """What ``build-vocab`` is told."""

    output_file: str = field(metadata={"help": "the vocabulary to write, one token a line"})
    input_file: tuple[str, ...] = field(
        default=("data/*.txt",),
        metadata={
            "help": "text files or patterns: their characters and words come first, and coverage is stated on them"
        },
    )
    vocab_size: int = field(
        default=VOCAB_SIZE, metadata={"help": "entries to write; the published models have 21128", "aliases": ("size",)}
    )
    do_lower_case: bool = field(default=True, metadata={"help": "count the text lower-cased and without accents"})


@dataclass(frozen=True)
class Coverage:
    """What a vocabulary makes of a text.

    Attributes:
        characters: characters of the text that are no spaces.
        covered: of them, those outside of [UNK] tokens.
        missing: distinct characters of words that became [UNK] and have no entry themselves.
        tokens: tokens of the text.
        unknown: of them, [UNK].
    """

    characters: int
    covered: int
    missing: int
    tokens: int
    unknown: int

    def __str__(self) -> str:
        return (
            f"{self.covered / max(self.characters, 1):.4%} of {self.characters:,} characters covered "
            f"({self.missing:,} distinct ones missing), {self.unknown / max(self.tokens, 1):.4%} of "
            f"{self.tokens:,} tokens are [UNK]"
        )


def run(options: BuildVocabOptions) -> Coverage:
    """Writes the vocabulary, prints its coverage of the given text and returns it.

    The same text and size give the same bytes: entries are chosen by fixed tables and by counts, equal counts
    by code point.

    Raises:
        InputError: a text file cannot be read, or the size is too small or too large.
    """
    patterns = (options.input_file,) if isinstance(options.input_file, str) else tuple(options.input_file)
    paths = expand_paths(patterns)
    counts = Counter(token for line in _lines(paths) for token in basic_tokens(line, options.do_lower_case))
    entries = build_vocabulary(counts, options.vocab_size)
    with atomic_writer(options.output_file) as stream:
        stream.writelines(f"{entry}\n" for entry in entries)
    result = coverage(WordPieceTokenizer(options.output_file, options.do_lower_case), _lines(paths))
    print(f"{options.output_file}: {len(entries):,} entries; of the text of {len(paths)} files {result}.")
    return result


def build_vocabulary(counts: Counter[str], vocab_size: int = VOCAB_SIZE) -> list[str]:
    """The entries in id order.

    Special tokens, all of ASCII, what the text holds, symbols, numbers and Latin pieces, then ideographs by
    usefulness until full; a character that may stand inside a word also has its ``##`` twin.

    Args:
        counts: basic tokens of the text and how often each occurs.
        vocab_size: entries to make.

    Raises:
        InputError: ASCII does not fit, or there are not that many characters.
    """
    # Each group is what is added or left out together: a character with its twin.
    chosen: dict[str, None] = dict.fromkeys(SPECIAL_ENTRIES)
    ascii_entries = [*ASCII_PUNCTUATION, *_with_twins(ASCII_LETTERS_AND_DIGITS)]
    least = len(chosen) + len(ascii_entries)
    if vocab_size < least:
        raise InputError(f"vocab_size is {vocab_size}: special tokens and ASCII alone take {least}. Use more.")
    chosen.update(dict.fromkeys(ascii_entries))
    for group in _groups(counts):
        group = [entry for entry in group if entry not in chosen]
        if len(chosen) + len(group) <= vocab_size:
            chosen.update(dict.fromkeys(group))
        if len(chosen) == vocab_size:
            break
    else:
        raise InputError(
            f"vocab_size is {vocab_size}: only {len(chosen)} entries can be made. Use {len(chosen)} or less."
        )
    others = sorted(list(chosen)[len(SPECIAL_ENTRIES) :], key=lambda entry: (_place(entry), entry))
    return [*SPECIAL_ENTRIES, *others]


def coverage(tokenizer: WordPieceTokenizer, lines: Iterable[str]) -> Coverage:
    """How much of a text the vocabulary covers."""
    characters = lost = tokens = unknown = 0
    missing: set[str] = set()
    for line in lines:
        encoding = tokenizer.encode(line)
        characters += sum(not character.isspace() for character in line)
        tokens += len(encoding.ids)
        for number, start, end in zip(*encoding, strict=True):
            if number == tokenizer.unk_id:
                unknown += 1
                lost += end - start
                parts = {c for token in basic_tokens(line[start:end], tokenizer.lower_case) for c in token}
                missing |= {c for c in parts if tokenizer.token_ids([c]) == [tokenizer.unk_id]}
    return Coverage(characters, characters - lost, len(missing), tokens, unknown)


def _groups(counts: Counter[str]) -> Iterator[list[str]]:
    """Entries by usefulness after ASCII, in groups that are taken whole or not at all."""
    characters: Counter[str] = Counter()
    for token, count in counts.items():
        for character in token:
            characters[character] += count
    yield from map(_with_twins, _by_count(characters))
    symbols = [*(symbol for symbol in _encoded(SYMBOL_ROWS) if ord(symbol) not in BOX_DRAWING), *OTHER_SYMBOLS]
    yield from map(_with_twins, sorted({part for symbol in symbols for part in "".join(basic_tokens(symbol))}))
    yield from ([f"{number:02}", f"##{number:02}"] for number in range(100))
    yield from ([str(year)] for year in range(1900, 2050))
    yield from ([word] for word in ENGLISH_WORDS.split())
    words = Counter({word: count for word, count in counts.items() if word.isascii() and len(word) > 1})
    yield from ([word] for word in _by_count(words)[:LATIN_WORDS] if words[word] > 1)
    yield from ([f"##{piece}"] for piece in _continuations(words))
    yield from map(_with_twins, OTHER_IDEOGRAPHS)
    yield from map(_with_twins, filter(is_chinese, _encoded(IDEOGRAPH_ROWS)))
    # Fills the one place that a pair may leave empty.
    yield ["[unused100]"]


def _continuations(words: Counter[str]) -> list[str]:
    """Strings that often go on or end a word: those that would save the most pieces come first."""
    saved: Counter[str] = Counter()
    for word in {*words, *ENGLISH_WORDS.split()}:
        weight = 1 + min(words[word], 20)  # a word that one text repeats says no more about the language
        for begin in range(1, len(word)):
            for end in range(begin + 2, min(begin + 6, len(word)) + 1):
                saved[word[begin:end]] += weight * (end - begin - 1)
    return _by_count(saved)[:LATIN_PIECES]


def _by_count(counts: Counter[str]) -> list[str]:
    return sorted(counts, key=lambda entry: (-counts[entry], entry))


def _with_twins(characters: Iterable[str]) -> list[str]:
    """Each character and, unless it always stands alone, its continuation; ideographs have one as well.

    An ideograph's continuation never comes out of the tokenizer: old brightmart checkpoints learned it as the
    label of a character inside a word.
    """
    return [
        entry
        for character in characters
        for entry in ([character] if is_punctuation(character) else [character, f"##{character}"])
    ]


def _encoded(rows: Iterable[tuple[str, int, int]]) -> Iterator[str]:
    """Characters of rows of two-byte encodings, in the order of their bytes."""
    for codec, first, last in rows:
        for pair in product(range(first, last + 1), range(0x40, 0xFF)):
            text = bytes(pair).decode(codec, "ignore")
            if len(text) == 1 and not unicodedata.category(text).startswith(("Z", "C")):
                yield text


def _place(entry: str) -> int:
    """Order in the file: characters, Latin pieces and numbers, continuations of those, ideographs' twins."""
    if len(entry) == 1:
        return 0
    if not entry.startswith("##"):
        return 1
    return 3 if is_chinese(entry[2]) else 2


def _lines(paths: Iterable[os.PathLike[str]]) -> Iterator[str]:
    return (line for path in paths for _, line in read_lines(path))
