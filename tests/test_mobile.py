"""What docs/mobile gives to developers of apps: tokenizers that equal this project's, and code that runs."""

import base64
import importlib.util
import json
import random
import re
import shutil
import subprocess
import unicodedata
from pathlib import Path

import pytest

from albert_zh.export.vectors import PAIRS, TEXTS, vectors, write
from albert_zh.files import read_json
from albert_zh.text import characters
from albert_zh.text.packing import pack_pair, pad_batch
from albert_zh.text.wordpiece import WordPieceTokenizer

REPOSITORY = Path(__file__).parents[1]
MOBILE = REPOSITORY / "docs" / "mobile"
GOLDEN = REPOSITORY / "tests" / "golden"
VOCABULARIES = {"golden": GOLDEN / "tokenization_vocab.txt", "shipped": REPOSITORY / "albert_config" / "vocab.txt"}
ROWS = [json.loads(line) for line in (GOLDEN / "tokenization.jsonl").read_text(encoding="utf-8").splitlines()]
#: Every block a Chinese text draws from, and what ports get wrong; Σ with neighbours of all kinds.
ALPHABET = (
    "中国的艾灸豈𠮷々aAbZ19éǅßİıΣσςΑα한かㄅ１Ａ，。！“”…—!'.:-_#[]~·ʰ\u0301\u0323\u200b\u200d\u00ad\u2028"
    " \t\n\r\u3000\xa0\x00\ufffd\ue000😀㈠½ﬁ\u037e\u1fef\uf900\U0002f800"
)

spec = importlib.util.spec_from_file_location("mobile_tokenizer", MOBILE / "tokenizer.py")
reference = importlib.util.module_from_spec(spec)
spec.loader.exec_module(reference)


def entries(path):
    with open(path, encoding="utf-8", newline="\n") as stream:
        return stream.read().rstrip("\n").split("\n")


def fuzz(count, seed=3):
    dice = random.Random(seed)
    pool = [*ALPHABET, "iPhone15", "unaffable", "CLS", "ΟΔΟΣ", *"".join(row["text"] for row in ROWS)]
    return ["".join(dice.choices(pool, k=dice.randint(0, 24))) for _ in range(count)]


@pytest.mark.parametrize("name", ["tokenizer.py", "Tokenizer.java"])
def test_a_reference_tokenizer_has_fewer_than_100_lines_and_needs_the_standard_library_alone(name):
    lines = (MOBILE / name).read_text(encoding="utf-8").splitlines()
    assert len(lines) < 100
    imports = {line for line in lines if line.startswith("import ")}
    assert (
        imports
        == {
            "tokenizer.py": {"import unicodedata"},
            "Tokenizer.java": {
                "import java.text.Normalizer;",
                "import java.util.*;",
                "import java.util.stream.*;",
                "import static java.lang.Character.*;",
            },
        }[name]
    )


@pytest.mark.parametrize("mode", ["lower", "cased"])
def test_the_python_reference_gives_the_golden_tokens(mode):
    tokens = entries(VOCABULARIES["golden"])
    tokenizer = reference.Tokenizer(tokens, lower_case=mode == "lower")
    for row in ROWS:
        assert [tokens[number] for number in tokenizer.encode(row["text"])] == row[mode], row["text"]


@pytest.mark.parametrize("lower_case", [True, False], ids=["lower", "cased"])
@pytest.mark.parametrize("name", VOCABULARIES)
def test_the_python_reference_equals_the_tokenizer_on_random_texts(name, lower_case):
    own = WordPieceTokenizer(VOCABULARIES[name], lower_case)
    theirs = reference.Tokenizer(entries(VOCABULARIES[name]), lower_case)
    for text in [*TEXTS, *fuzz(3000)]:
        assert theirs.encode(text) == own.encode(text).ids, ascii(text)


@pytest.mark.parametrize("lower_case", [True, False], ids=["lower", "cased"])
def test_the_python_reference_knows_every_character(lower_case):
    for code in [*range(0xD800), *range(0xE000, 0x32400), *range(0xE0000, 0xE0200)]:
        text = f"x{chr(code)}Y"
        assert reference.basic_tokens(text, lower_case) == characters.basic_tokens(text, lower_case), hex(code)


def packed(tokenizer, first, second, length):
    ids = [None if text is None else tokenizer.encode(text).ids for text in (first, second)]
    return pack_pair(*ids, tokenizer, length)


def test_the_python_reference_packs_and_cuts_as_this_project_does():
    own = WordPieceTokenizer(VOCABULARIES["shipped"])
    theirs = reference.Tokenizer(entries(VOCABULARIES["shipped"]))
    texts = [text for text in fuzz(300) if own.encode(text).ids]
    for place, first in enumerate(texts):
        second = None if place % 3 == 0 else texts[-place]
        length = 5 + place % 40
        ids, segments = packed(own, first, second, length)
        assert theirs.pack(first, second, length) == (ids, [1] * len(ids), segments)
        padded = [array[0].tolist() for array in pad_batch([(ids, segments)], length, own.pad_id)]
        assert list(theirs.pack(first, second, length, pad=True)) == padded


# Test vectors


def test_vectors_of_the_golden_vocabulary_are_the_golden_tokens():
    tokens = entries(VOCABULARIES["golden"])
    held = {row["text"]: row for row in vectors(WordPieceTokenizer(VOCABULARIES["golden"]))["texts"]}
    golden = {row["text"]: row for row in ROWS}
    assert len(held.keys() & golden.keys()) == 38
    for text in held.keys() & golden.keys():
        for mode in ("lower", "cased"):
            assert [tokens[number] for number in held[text][mode]] == golden[text][mode]


@pytest.mark.parametrize("lower_case", [True, False])
def test_a_port_can_be_checked_against_the_file_alone(lower_case, tmp_path):
    own = WordPieceTokenizer(VOCABULARIES["shipped"], lower_case)
    held = read_json(write(own, tmp_path))
    assert (held["lower_case"], held["tokenizer"]) == (lower_case, "wordpiece")
    assert held["vocabulary_sha256"] == own.fingerprint
    ports = {mode: reference.Tokenizer(entries(own.path), mode == "lower") for mode in ("lower", "cased")}
    for row in held["texts"]:
        assert {mode: port.encode(row["text"]) for mode, port in ports.items()} == {
            mode: row[mode] for mode in ports
        }, row
    port = ports["lower" if lower_case else "cased"]
    for row in held["pairs"]:
        made = port.pack(row["first"], row["second"], row["length"], pad=True)
        assert made == (row["input_ids"], row["input_mask"], row["segment_ids"])


def test_the_pairs_show_one_text_and_two_whole_and_cut():
    own = WordPieceTokenizer(VOCABULARIES["shipped"])
    seen = set()
    for first, second, length in PAIRS:
        whole = sum(len(own.encode(text).ids) + 1 for text in (first, second) if text) + 1
        seen.add((second is None, whole > length))
    assert seen == {(True, False), (True, True), (False, False), (False, True)}


# The pages


def blocks(name):
    """(language, code) of the fenced blocks of a page."""
    return re.findall(r"```(\w*)\n(.*?)```", (MOBILE / name).read_text(encoding="utf-8"), re.DOTALL)


def test_both_pages_show_the_same_code():
    english, chinese = blocks("README.md"), blocks("README_zh.md")
    assert [block for block in english if block[0]] == [block for block in chinese if block[0]]
    assert [language for language, _ in english] == ["", "python", "kotlin", "kotlin", "swift"]


@pytest.mark.parametrize("page", ["README.md", "README_zh.md"])
def test_the_picture_of_the_input_is_what_the_tokenizer_packs(page):
    picture = blocks(page)[0][1].splitlines()
    first, second = (part.split()[0] for part in re.split(r" [AB] +", picture[0])[1:])
    tokens = entries(VOCABULARIES["shipped"])
    ids, mask, segments = reference.Tokenizer(tokens).pack(first, second, 16, pad=True)
    assert picture[1].split() == ["input_ids", *(tokens[number] for number in ids)]
    assert picture[2].split() == ["input_mask", *map(str, mask)]
    assert picture[3].split() == ["segment_ids", *map(str, segments)]


@pytest.fixture(scope="module", params=["dynamic", "24"])
def exported(request, finetuned, tmp_path_factory):
    """The folder that ``export --to litert`` writes, for any length and for one."""
    pytest.importorskip("ai_edge_litert", reason="no LiteRT here: pip install -e '.[litert]'")
    from albert_zh.export.options import ExportOptions
    from albert_zh.export.run import run

    folder = tmp_path_factory.mktemp("exported") / "lcqmc"
    return run(ExportOptions(str(finetuned), str(folder), "litert", max_seq_length=request.param, rows=8))


def test_the_page_s_python_answers_as_the_classifier_does(exported, finetuned, toy, monkeypatch):
    from albert_zh.serve.predictor import Classifier

    (code,) = (code for language, code in blocks("README.md") if language == "python")
    monkeypatch.syspath_prepend(MOBILE)
    page: dict = {}
    exec(code, page)
    model = page["Model"](exported)
    rows = [line.split("\t")[:2] for line in (toy / "pairs" / "dev.txt").read_text(encoding="utf-8").splitlines()]
    rows = [*rows[:10], ["天地人" * 9, "山水"], ["天", "日月星光花草树木" * 4]]
    for row, expected in zip(rows, Classifier(finetuned).predict([tuple(row) for row in rows]), strict=True):
        found = model.predict(*row)
        assert list(found) == ["0", "1"]
        assert list(found.values()) == pytest.approx(expected.probabilities, abs=1e-5)


def test_the_page_tells_of_every_file_of_the_folder_and_the_file_of_its_inputs(exported):
    text = (MOBILE / "README.md").read_text(encoding="utf-8")
    assert {file.name for file in exported.iterdir()} == set(re.findall(r"^\| `([\w.]+\.\w+)` \|", text, re.MULTILINE))
    about = read_json(exported / "model.json")
    assert about["signature"] == "serving_default"
    assert [f"| `{name}` |" in text for name in about["inputs"]] == [True] * 3
    held = read_json(exported / "tokenizer_vectors.json")
    tokenizer = reference.Tokenizer(entries(exported / "vocab.txt"), about["lower_case"])
    for row in held["pairs"]:
        arrays = tokenizer.pack(row["first"], row["second"], row["length"], pad=True)
        assert arrays == (row["input_ids"], row["input_mask"], row["segment_ids"])


# Java

DRIVER = """
import java.io.*;
import java.nio.charset.StandardCharsets;
import java.nio.file.*;
import java.util.*;

public class Driver {
    static String text(String word) {
        return word.equals("-") ? null : new String(Base64.getDecoder().decode(word), StandardCharsets.UTF_8);
    }
    public static void main(String[] args) throws IOException {
        PrintWriter out = new PrintWriter(new OutputStreamWriter(System.out, StandardCharsets.UTF_8));
        List<String> entries = Files.readAllLines(Paths.get(args[0]), StandardCharsets.UTF_8);
        Tokenizer[] both = {new Tokenizer(entries, false), new Tokenizer(entries, true)};
        for (String line : Files.readAllLines(Paths.get(args[1]), StandardCharsets.UTF_8)) {
            String[] words = line.split(" ");
            boolean lower = words[1].equals("1");
            Tokenizer one = both[lower ? 1 : 0];
            if (words[0].equals("encode")) out.println(one.encode(words.length > 2 ? text(words[2]) : ""));
            if (words[0].equals("pack")) out.println(Arrays.deepToString(
                one.pack(text(words[2]), text(words[3]), Integer.parseInt(words[4]), true)));
            if (words[0].equals("unknown"))
                for (int c = 0; c < 0x110000; c++) if (!Character.isDefined(c)) out.print(c + " ");
            if (words[0].equals("characters"))
                for (int c = 0; c < 0x32400; c++)
                    if (Character.isDefined(c) && (c < 0xD800 || c >= 0xE000))
                        out.print(c + "\\t" + Character.getType(c) + "\\t" + String.join("\\n", Tokenizer.basicTokens(
                            "x" + new String(Character.toChars(c)) + "Y", lower)) + "\\0");
            if (words[0].equals("unknown") || words[0].equals("characters")) out.println();
        }
        out.flush();
    }
}
"""


@pytest.fixture(scope="module")
def java(tmp_path_factory):
    """``java(vocabulary, lines)``: what the Java tokenizer prints for the driver's requests."""
    if not (shutil.which("javac") and shutil.which("java")):
        pytest.skip("no JDK here: javac compiles docs/mobile/Tokenizer.java")
    folder = tmp_path_factory.mktemp("java")
    (folder / "Driver.java").write_text(DRIVER, encoding="utf-8")
    sources = [str(MOBILE / "Tokenizer.java"), str(folder / "Driver.java")]
    subprocess.run(
        ["javac", "-Xlint:all", "-Werror", "--release", "8", "-Xlint:-options", "-d", folder, *sources], check=True
    )

    def ask(vocabulary, lines):
        (folder / "lines").write_text("\n".join(lines) + "\n", encoding="utf-8")
        # A Turkish phone: lower-casing by its language would make I another letter.
        words = [
            "java",
            "-Duser.language=tr",
            "-Duser.country=TR",
            "-cp",
            folder,
            "Driver",
            vocabulary,
            folder / "lines",
        ]
        return subprocess.run(words, check=True, capture_output=True).stdout.decode("utf-8")

    return ask


def word(text):
    return "-" if text is None else base64.b64encode(text.encode()).decode()


def test_the_java_reference_gives_the_golden_tokens_and_equals_the_tokenizer_on_random_texts(java):
    unknown = {chr(int(code)) for code in java(VOCABULARIES["golden"], ["unknown 0"]).split()}
    texts = [text for text in [*TEXTS, *(row["text"] for row in ROWS), *fuzz(2000)] if not unknown & set(text)]
    assert len(texts) > 2000
    for vocabulary in VOCABULARIES.values():
        lines = [f"encode {lower} {word(text)}".rstrip() for lower in (0, 1) for text in texts]
        answers = iter(java(vocabulary, lines).splitlines())
        for lower in (False, True):
            own = WordPieceTokenizer(vocabulary, lower)
            for text in texts:
                assert json.loads(next(answers)) == own.encode(text).ids, ascii(text)
    tokens = entries(VOCABULARIES["golden"])
    lines = [f"encode {lower} {word(row['text'])}".rstrip() for lower in (0, 1) for row in ROWS]
    found = [
        [tokens[number] for number in json.loads(line)] for line in java(VOCABULARIES["golden"], lines).splitlines()
    ]
    assert found == [row[mode] for mode in ("cased", "lower") for row in ROWS]


def test_the_java_reference_packs_as_the_vectors_say(java, tmp_path):
    for lower_case in (False, True):
        held = vectors(WordPieceTokenizer(VOCABULARIES["shipped"], lower_case))["pairs"]
        lines = [f"pack {int(lower_case)} {word(p['first'])} {word(p['second'])} {p['length']}" for p in held]
        answers = [json.loads(line) for line in java(VOCABULARIES["shipped"], lines).splitlines()]
        assert answers == [[p["input_ids"], p["input_mask"], p["segment_ids"]] for p in held]


#: Java's numbers of the general categories.
CATEGORIES = dict(
    zip(
        [*range(17), *range(18, 31)],
        "Cn Lu Ll Lt Lm Lo Mn Me Mc Nd Nl No Zs Zl Zp Cc Cf Co Cs Pd Ps Pe Pc Po Sm Sc Sk So Pi Pf".split(),
        strict=True,
    )
)


def test_the_java_reference_knows_every_character_that_both_unicode_versions_put_into_one_category(java):
    answers = java(VOCABULARIES["golden"], ["characters 0", "characters 1"]).split("\0\n")[:2]
    compared, moved = 0, set()
    for lower_case, answer in zip((False, True), answers, strict=True):
        for item in answer.strip("\0").split("\0"):
            code, category, tokens = item.split("\t", 2)
            character = chr(int(code))
            if unicodedata.category(character) != CATEGORIES[int(category)]:
                moved.add(character)
                continue
            expected = characters.basic_tokens(f"x{character}Y", lower_case)
            assert tokens.split("\n") == expected, (hex(int(code)), lower_case)
            compared += 1
    assert compared > 200_000
    assert len(moved) < 30, sorted(map(ascii, moved))
