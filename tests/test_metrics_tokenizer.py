"""The tokenizer against what Java prints.

Each right side of ``PAIRS`` was printed by
    java -cp stanford-corenlp-3.4.1.jar edu.stanford.nlp.process.PTBTokenizer -preserveLines -lowerCase
(the jar of pycocoevalcap 1.2, OpenJDK 17), after removal of pycocoevalcap's PUNCTUATIONS.
"""

import importlib.util
import random
import shutil
import subprocess
from pathlib import Path

import pytest

from vlmgate.datasets.scenes import captions, sample_scene
from vlmgate.metrics.tokenizer import TOKENIZER, tokenize

PAIRS = [
    ("A red circle on a white background.", "a red circle on a white background"),
    ("The dog doesn't run, and it can't sit.", "the dog does n't run and it ca n't sit"),
    ("I'm here; you're there; he'll go; we've seen; she'd say.", "i 'm here you 're there he 'll go we 've seen she 'd say"),
    ("A man cannot swim", "a man can not swim"),
    ("They're gonna play", "they 're gon na play"),
    ("He's gotta go and wanna stay", "he 's got ta go and wan na stay"),
    ("lemme see, gimme that", "lem me see gim me that"),
    ("The dog's bone and the dogs' bones", "the dog 's bone and the dogs bones"),
    ("James' bike", "james bike"),
    ("Don’t touch the cat’s tail", "do n't touch the cat 's tail"),
    ("isn`t", "is n`t"),
    ("'Tis the season, 'twas the night", "'t is the season 't was the night"),
    ("rock 'n' roll", "rock 'n' roll"),
    ("a '60s diner in the 1950's", "a '60s diner in the 1950 's"),
    ("o'clock at O'Hare", "o'clock at o'hare"),
    ("ma'am and y'all", "ma'am and y' all"),
    ("C'mon, get 'em", "c'mon get 'em"),
    ("it's shouldn't've", "it 's should n't 've"),
    ("A street sign on Main St. near 5th Ave.", "a street sign on main st. near 5th ave."),
    ("Mr. Smith, Mrs. Jones and Dr. Who", "mr. smith mrs. jones and dr. who"),
    ("the U.S. flag in Washington D.C.", "the u.s. flag in washington d.c."),
    ("In the U.S. The flag", "in the u.s. the flag"),
    ("at 10 a.m. and 3:45 p.m.", "at 10 a.m. and 3:45 p.m."),
    ("a clock at 5:30pm", "a clock at 5:30 pm"),
    ("10 ft. tall and 6 in. wide", "10 ft. tall and 6 in wide"),
    ("8 oz. of milk", "8 oz of milk"),
    ("No. 5 and no. twelve", "no. 5 and no twelve"),
    ("on Sun., at noon", "on sun. at noon"),
    ("St. Louis vs. St.-Tropez", "st. louis vs. st.-tropez"),
    ("cats, dogs, etc.", "cats dogs etc."),
    ("vitamin c. The end", "vitamin c the end"),
    ("plan b.", "plan b."),
    ("J. K. Rowling", "j. k. rowling"),
    ("i.e. a dog, e.g. a poodle", "i.e. a dog e.g. a poodle"),
    ('a "stop" sign', "a stop sign"),
    ("a 'stop' sign", "a stop sign"),
    ("a “stop” sign", "a stop sign"),
    ("``quoted'' text", "quoted text"),
    ("a man (left) and [right] and {both}", "a man -lrb- left -rrb- and -lsb- right -rsb- and -lcb- both -rcb-"),
    ("a black-and-white t-shirt", "a black-and-white t-shirt"),
    ("a two-story building -- mid-air", "a two-story building mid-air"),
    ("dog--cat dog – cat—bird", "dog cat dog cat bird"),
    ("a dog - a cat", "a dog a cat"),
    ("3-4 year old with 1/2 a pizza", "3-4 year old with 1/2 a pizza"),
    ("2 1/2 cups", "2\xa01/2 cups"),
    ("½ cup and 1½ spoons", "1/2 cup and 1 1/2 spoons"),
    ("and/or black/white", "and/or black/white"),
    ("his / her w/ w/o", "his / her w / w/o"),
    ("1,000 people and 3.5 dogs", "1,000 people and 3.5 dogs"),
    ("10:30 on 12/25/2010", "10:30 on 12/25/2010"),
    ("$5.00 and £5 and €10 and 99¢", "$ 5.00 and # 5 and $ 10 and 99 cents"),
    ("50% off", "50 % off"),
    ("5'10\" tall", "5 10 tall"),
    ('10" x 12" photo', "10 x 12 photo"),
    ("5ft and 5.5km", "5ft and 5.5 km"),
    ("-5 degrees or +5", "-5 degrees or +5"),
    ("90°F outside", "90 ° f outside"),
    ("AT&T park and B&B and at&t", "at&t park and b&b and at & t"),
    ("salt & pepper &amp; more", "salt & pepper & more"),
    ("#1 fan #dog @user", "# 1 fan #dog @user"),
    ("bob@mail.com wrote", "bob@mail.com wrote"),
    ("see www.flickr.com or http://flickr.com/photos/1234", "see www.flickr.com or http://flickr.com/photos/1234"),
    ("google.com/foo", "google.com/foo"),
    ("happy :) sad :( wink ;-)", "happy :-rrb- sad :-lrb- wink ;--rrb-"),
    ("I <3 cats", "i < 3 cats"),
    ("wow! really? what?! wow!!!", "wow really what ?! wow !!!"),
    ("wait... what…", "wait what"),
    ("the dog...the cat", "the dog the cat"),
    ("end.The start", "end.the start"),
    ("hey!you", "hey!you"),
    ("a * b ** c = d + e ~ f", "a * b ** c = d + e ~ f"),
    ("a | b \\ c ^ d _ e", "a | b \\ c ^ d _ e"),
    ("dog_cat", "dog_cat"),
    ("<b>bold</b> text", "<b> bold </b> text"),
    ("a café with crème brûlée", "a café with crème brûlée"),
    ("a jalapeño ★ ♥", "a jalapeño ★ ♥"),
    ("a 😀 face", "a face"),
    ("日本語 text", "日本語 text"),
    ("C++ and C#", "c++ and c#"),
    ("  many   blanks\there  ", "many blanks here"),
    ("THE QUICK DOG'S TAIL ISN'T", "the quick dog 's tail is n't"),
    ("Messrs. Calif. Mass. mass. Wash. wash.", "messrs. calif. mass. mass wash. wash"),
    ("Ph.D. student", "ph.d. student"),
    ("555-1234 or (555) 555-1234", "555-1234 or -lrb-555-rrb-\xa0555-1234"),
    ("---- and -----", "and -----"),
    ("US$5 and $1.2 million", "us$ 5 and $ 1.2 million"),
    ("Coca-Cola, 7-Eleven, 747's", "coca-cola 7-eleven 747 's"),
]


@pytest.mark.parametrize(("text", "expected"), PAIRS)
def test_prints_what_java_printed(text: str, expected: str) -> None:
    assert tokenize(text) == expected


def test_the_version_is_named() -> None:
    assert TOKENIZER == "ptb-py-1"


@pytest.mark.parametrize("text", ["", "   ", "\n", ".", "😀", "\u200b"])
def test_nothing_to_say_gives_nothing(text: str) -> None:
    assert tokenize(text) == ""


def test_a_line_break_is_a_blank() -> None:
    assert tokenize("a red\ndog") == "a red dog"


def test_a_long_line_without_blanks_ends() -> None:
    assert tokenize("ab-" * 3000 + "x") == "ab-" * 3000 + "x"
    assert tokenize("1-" * 3000 + "1") == "1-" * 3000 + "1"
    assert tokenize("<a" * 2000).startswith("< a")


def test_equals_java_where_there_is_java(tmp_path: Path) -> None:
    if shutil.which("java") is None:
        pytest.skip("needs java on PATH: install a Java runtime to compare the tokenizer with the original")
    lines = _lines()
    printed = _java(lines, tmp_path)
    wrong = [(text, java) for text, java in zip(lines, printed, strict=True) if tokenize(text) != java]
    assert len(wrong) <= 0.002 * len(lines), wrong[:5]


def _lines() -> list[str]:
    """Captions of scenes and, from fixed seeds, sentences with two of the table's phrases in them."""
    rng = random.Random(3)
    phrases = [text.strip() for text, _ in PAIRS]
    varied = [
        f"A {rng.choice(phrases)} on the {rng.choice(phrases)} {rng.choice(('dog', 'street.', 'wall!'))}" for _ in range(2000)
    ]
    return [text for seed in range(300) for text in captions(sample_scene(seed))] + varied


def _java(lines: list[str], folder: Path) -> list[str]:
    """The tokens by the jar that pycocoevalcap ships; reads a file of ours, writes nothing beside the jar."""
    package = importlib.util.find_spec("pycocoevalcap.tokenizer.ptbtokenizer")
    assert package is not None and package.origin is not None
    jar = next(Path(package.origin).parent.glob("stanford-corenlp-*.jar"))
    source = folder / "captions.txt"
    source.write_text("\n".join([*lines, "the"]), encoding="utf-8")  # a last line that begins no sentence
    command = ["java", "-Dfile.encoding=UTF-8", "-cp", str(jar), "edu.stanford.nlp.process.PTBTokenizer"]
    command += ["-preserveLines", "-lowerCase", str(source)]
    done = subprocess.run(command, capture_output=True, check=True, timeout=120)
    from pycocoevalcap.tokenizer.ptbtokenizer import PUNCTUATIONS

    printed = done.stdout.decode("utf-8").split("\n")[: len(lines)]
    return [" ".join(word for word in line.rstrip().split(" ") if word not in PUNCTUATIONS) for line in printed]
