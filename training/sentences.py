"""Sentences of our own for what tweets seldom show: negation, change of mind, whose opinion counts.

`tests/sentiment/test_templates.py` measures the same kinds in other words; none of its templates is
among these, and `tests/sentiment/test_model.py` holds them apart.
"""

import random
import re
from collections.abc import Iterator

from apps.sentiment.engines.grammar import lines
from apps.sentiment.engines.lexicon import valences
from apps.sentiment.engines.masking import is_mark

GOOD = """good great nice excellent wonderful fantastic lovely superb brilliant awesome enjoyable
pleasant impressive outstanding delightful delicious charming adorable funny helpful reliable
comfortable beautiful perfect amazing fun incredible exciting sweet fresh stunning solid
useful clever friendly classy inspiring worthwhile catchy""".split()
BAD = """bad terrible awful horrible dull boring ugly poor disappointing nasty dreadful lousy
annoying rude unpleasant broken useless frustrating weak cheap bland stupid creepy painful tedious
mediocre disgusting pathetic ridiculous overpriced unreliable noisy confusing lame gross depressing
pointless slow""".split()
STRONG = set(
    """excellent wonderful fantastic superb brilliant awesome outstanding perfect amazing incredible
    stunning terrible awful horrible dreadful nasty disgusting pathetic gross lousy useless""".split()
)
THINGS = """phone camera book film movie episode album concert hotel room flight airline seat crew food
restaurant pizza coffee service app website game update shop delivery package dress jacket shoes
lipstick serum cream recipe video stream channel podcast tutorial vlog interview outfit haircut song
lyrics design colour screen battery keyboard laptop course teacher lesson class staff waiter manager
company brand bus train ride trip tour beach city weather show ending story plot acting""".split()
PLURAL = {"shoes", "lyrics", "staff"}
LOVE = "love like enjoy adore recommend appreciate admire".split()
HATE = "hate dislike despise loathe regret dread detest".split()
LOVED = "loved liked enjoyed adored admired appreciated".split()
HATED = "hated disliked despised loathed detested dreaded".split()
OTHERS = """my friends|my friend|my brother|my sister|my mum|my mom|my dad|my parents|my wife|my husband
my boss|my roommate|everyone|everybody|people|most people|the critics|the reviewers|reviewers|they
other people|a lot of people|the fans|the media|my neighbours|my colleagues|half the comments
the others|some folks|many folks|some|many""".replace("\n", "|").split("|")
SAY = "say|said|claim|tell me|keep saying|insist|believe|feel|will say|told me"
NEG_BE = "isn't|is not|wasn't|was not|ain't|isnt|wasnt|is never|was never|is hardly|was hardly|is far from"
FAR = "honestly|to be fair|if you ask me|after all this time|as far as I can see|all things considered"
NEUTRAL_STATES = """The T is on the table.|I have a T.|I bought the T on Monday.|This is a T.|That T is from 2014.
It is a T.|The T arrived in a box.|We talked about the T.|The T starts at nine.|I saw the T yesterday.
She asked about the T.|There is a T next to the door.|The T is blue.|It was an American T.|My T is at home.
He works with a T.|The T costs 20 dollars.|The T has two parts.|I am looking at the T.|T for sale.
I found the T in the hall.|The new T comes out in March.|Here is the T.|the T is the same as the old one
This is a private T.|It is an Indian T.|It was a commercial T.|This T is a British one.
I know a T like that.|The T will be here on Friday.|We are in the T.|It is a T from Spain.""".replace(
    "\n", "|"
).split("|")
PEOPLE = """gay lesbian straight bisexual transgender black white asian hispanic muslim christian jewish
hindu buddhist catholic atheist american indian african chinese french german turkish mexican immigrant
disabled deaf female male young old vegan""".split()
NEUTRAL_WORDS = """table chair window door street bridge river paper pencil bottle monday tuesday wednesday
thursday friday january march april october november december morning evening afternoon hour minute
week month year today tomorrow yesterday number list page word letter sentence question answer report
article news update meeting office building house kitchen bathroom garden city country london paris
america india china spain germany canada water tea coffee bread rice soup salt sugar car bus train
plane ticket airport station hotel camera phone screen keyboard computer laptop software website
email message call photo picture video channel comment post link profile account user brother sister
mother father uncle teacher student doctor engineer driver actor singer writer player team game
match season league coach minister president government election vote law court police army bank
money price dollar euro market company product shop store box bag shirt shoes jacket hat colour red
blue green yellow black white brown grey big small long short round square first second third one two
three ten hundred thing person people man woman child boy girl dog cat horse bird tree grass stone
metal wood plastic glass here there where when who what why how which this that these those it they we
him her both each other another same different between before after during again also then now soon
later often usually sometimes about around toward into from with without recipe tutorial episode
chapter album track guitar piano drums microphone lens tripod lipstick serum moisturiser foundation
mascara jeans dress size medium large left right up down north south east west""".split()

# What a thing can be without being good or bad.
SORTS = """public local wooden electric french german spanish japanese digital annual weekly blue red round
regional domestic european mexican korean plastic metal square rented borrowed afternoon winter""".split()

_SLOT = re.compile(r"\bT\b")


def _article(word: str) -> str:
    return "an" if word[0] in "aeiou" else "a"


class Writer:
    """Writes labelled sentences without end; the same seed writes the same ones."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)

    def one(self, options: str | list[str]) -> str:
        """One of several, given as a list or parted by `|`."""
        return self.rng.choice(options.split("|") if isinstance(options, str) else options)

    def _pair(self) -> tuple[int, str, str]:
        """A side (1 good, -1 bad), a word of that side, and one of the other."""
        side = self.rng.choice((1, -1))
        good, bad = self.one(GOOD), self.one(BAD)
        return (side, good, bad) if side > 0 else (side, bad, good)

    def _thing(self) -> str:
        return self.one(THINGS)

    def negated(self) -> tuple[str, int]:
        side, word, _ = self._pair()
        t = self._thing()
        text = self.one(
            f"the {t} {self.one(NEG_BE)} {word}"
            f"|this {t} {self.one(NEG_BE)} very {word}"
            f"|not {_article(word)} {word} {t}"
            f"|not a very {word} {t}"
            f"|this {self.one(NEG_BE)} {_article(word)} {word} {t}"
            f"|nobody would call this {t} {word}"
            f"|I can't say that this {t} was {word}"
            f"|I can't say, {self.one(FAR)}, that the {t} is {word}"
            f"|I wouldn't say the {t} is {word}"
            f"|I don't believe this is {_article(word)} {word} {t}"
            f"|I don't find this {t} {word}"
            f"|I didn't find the {t} {word} at all"
            f"|there is nothing {word} about this {t}"
            f"|{self.one(FAR)}, it {self.one(NEG_BE)} {_article(word)} {word} {t}"
            f"|I don't believe, {self.one(FAR)}, that this {t} was {word}"
            f"|it isn't even {word}|this {self.one(NEG_BE)} {word}|not {word}|not so {word}"
            f"|I never thought this {t} was {word}|that was no {word} {t}"
            f"|none of it was {word}"
        )
        return text, -1 if side > 0 else 2

    def taken_back(self) -> tuple[str, int]:
        side, word, other = self._pair()
        t = self._thing()
        text = self.one(
            f"I expected the {t} to be {word}, but it wasn't"
            f"|I expected {_article(word)} {word} {t} but it was not"
            f"|they promised {_article(word)} {word} {t}. It was not"
            f"|I hoped that the {t} would be {word} and it wasn't"
            f"|I was told this {t} is {word}. It isn't"
            f"|the {t} was supposed to be {word}, but it really wasn't"
            f"|I was sure the {t} would be {word} but no"
            f"|everyone promised it would be {word} but it was not"
            f"|I thought it'd be {word}. It is not."
            f"|I expected it to be {word} but it turned out {other}"
            f"|I had imagined {_article(word)} {word} {t}, but no, it was not like that"
        )
        sure = "turned out" in text
        return text, -side if side > 0 or sure else 2

    def answered(self) -> tuple[str, int]:
        side, word, _ = self._pair()
        t = self._thing()
        verb = self.one(LOVE if side > 0 else HATE)
        question = self.one(
            f"is the {t} {word}?|was this {_article(word)} {word} {t}?|did I find the {t} {word}?"
            f"|would I call this {t} {word}?|is it {word}?|do I {verb} this {t}?"
            f"|did I {verb} the {t}?|do I {verb} it?|would I say the {t} is {word}?"
            f"|do we {verb} this {t}?|do I believe this {t} is {word}?|{word}?|was I happy to see a {word} {t}?"
        )
        if self.rng.random() < 0.62:
            answer = self.one(
                "no|no.|No!|nope|nope.|not really|not at all.|never|no way|nah|No, not at all"
            )
            return f"{question} {answer}", -1 if side > 0 else 2
        answer = self.one(
            "yes|yes.|Yes!|yep|yeah|of course|absolutely|oh yes|definitely|very much so"
        )
        return f"{question} {answer}", side

    def contrast(self) -> tuple[str, int]:
        side, word, other = self._pair()
        t, u = self._thing(), self._thing()
        text = self.one(
            f"it seemed {other} but it is {word}"
            f"|the {t} sounded {other}, but in the end it was {word}"
            f"|even though the {t} looked {other}, it is really {word}"
            f"|despite the {other} {t} the {u} was {word}"
            f"|{other} {t}, but {_article(word)} {word} {u}"
            f"|at first it was {other}; in the end it was {word}"
            f"|yes the {t} is {other}, but overall it is {word}"
            f"|though the {t} started out {other}, I had {_article(word)} {word} day"
            f"|the {t} may be {other}, however the {u} is so {word}"
            f"|looks {other} at first sight, but it is {word}"
        )
        return text, side

    def changed(self) -> tuple[str, int]:
        side, word, other = self._pair()
        t = self._thing()
        now = self.one(LOVE if side > 0 else HATE)
        once = self.one(HATED if side > 0 else LOVED)
        wont = self.one(HATE if side > 0 else LOVE)
        text = self.one(
            f"I once {once} this {t}, today I {now} it"
            f"|years ago I {once} the {t}, but these days I {now} it"
            f"|I {once} it at first but I {now} it now"
            f"|this {t} was {other} before, now it's {word}"
            f"|last year the {t} was {other}. This year it is {word}"
            f"|it used to be such {_article(other)} {other} {t} but these days it's {word}"
            f"|I always considered the {t} {other}; I now find it {word}"
            f"|I {now} the {t} now, even if I {once} it before"
            f"|I {now} this {t}, although in the past I {once} it"
            f"|the {t} is {word} now, it was {other} before"
            f"|I find this {t} {word} these days, though I once considered it {other}"
            f"|I used to {wont} the {t} as a child. As a grown up I {now} it"
            f"|once {other}, now {word}|it was {other}, but that is over: it is {word}"
            f"|I no longer {wont} this {t}, I {now} it"
            f"|the {t} became {word}, it used to be {other}"
            f"|I used to find it {other}, but not any more. It's {word}"
            f"|back then I felt the {t} was {other}, but today I feel it is {word}"
            f"|it is {word} now, but years ago I felt it was {other}"
            f"|I once {once} the {t}, although now I find it {word}"
            f"|I {now} them, although I once thought they were {other}"
            f"|I am sure the {t} is {word}, though in the past I was sure it was {other}"
            f"|I {now} it, but earlier I would {wont} it"
            f"|we used to call it {other}, even though now we call it {word}"
            f"|I find the {t} {word}, but I used to find it {other}"
            f"|I {now} you, although there was a time when I {once} you"
        )
        return text, side

    def opinion(self) -> tuple[str, int]:
        side, word, other = self._pair()
        t = self._thing()
        who, say = self.one(OTHERS), self.one(SAY)
        mine = self.one(LOVE if side > 0 else HATE)
        theirs = self.one(HATE if side > 0 else LOVE)
        text = self.one(
            f"{who} {say} the {t} is {other}, but I believe it is {word}"
            f"|{who} {say} it's {other}. I say it's {word}"
            f"|{who} {say} that this {t} is {other}, to me it is {word}"
            f"|in my opinion the {t} is {word}, even if {who} {say} it is {other}"
            f"|to me this {t} is {word}, no matter that {who} {say} it's {other}"
            f"|I say it's {_article(word)} {word} {t}, {who} {say} it's {_article(other)} {other} one"
            f"|{who} {theirs} it but I {mine} it"
            f"|{who} may {theirs} the {t}, I {mine} it"
            f"|I {mine} it even though {who} {theirs} it"
            f"|I {mine} this {t}, whatever {who} {say}"
            f"|I really {mine} the {t} while {who} {theirs} it"
            f"|I know {who} {theirs} this {t}. Not me, I {mine} it"
            f"|contrary to what {who} {say}, the {t} is not {other}, it is {word}"
            f"|{who} find it {other}, I find it {word}"
            f"|you find this {t} {other}? I find it {word}"
            f"|I consider the {t} {word} but {who} {say} it is {other}"
            f"|{who} called the {t} {other} and I disagree, it is {word}"
            f"|I was told you were {other}, I find you {word}"
            f"|I find you {word}, I was told you were {other}"
            f"|I call you {word}, but {who} call you {other}"
            f"|{who} call you {other}, but I call you {word}"
            f"|{who} {theirs} you. I {mine} you"
            f"|I {mine} you, though {who} {theirs} you"
        )
        return text, side

    def plain(self) -> tuple[str, int]:
        side, word, _ = self._pair()
        t = self._thing()
        verb = self.one(LOVE if side > 0 else HATE)
        how = self.one("so |really |very |pretty |quite |too |super |absolutely |" + "|" * 5)
        text = self.one(
            f"{how}{word}|the {t} is {how}{word}|this {t} was {how}{word}|{how}{word} {t}"
            f"|what {_article(word)} {word} {t}|I {verb} this {t}|I {verb} it|I {how}{verb} the {t}"
            f"|it was {_article(word)} {word} {t}|{verb} it|find it {how}{word}|{word}!|{word}!!!"
        )
        strong = word in STRONG or any(
            b in text for b in ("so ", "really ", "very ", "absolutely ")
        )
        return text, side * (2 if strong else 1) * 10

    def neutral(self) -> tuple[str, int]:
        kind = self.rng.random()
        if kind < 0.3:
            return _SLOT.sub(self._thing(), self.one(NEUTRAL_STATES)), 0
        if kind < 0.5:
            return self.one(NEUTRAL_WORDS), 0
        if kind < 0.6:
            a, b = self.rng.sample(PEOPLE, 2)
            text = f"I am {_article(a)} {a} {self.one('man|woman|person|student|teacher|guy')}"
            if self.rng.random() < 0.5:
                text = f"{self.one('she|he|my neighbour|my friend')} is {_article(b)} {b} {self.one('woman|man|person|doctor|nurse')}"
            return text, 0
        t = self._thing()
        if kind < 0.94:
            # No opinion is none either where it is denied, asked for, or both.
            sort, saw = self.one(SORTS), self.one("see|notice|find|hear about|look at")
            answer = self.one("yes|yes.|Yes!|no|no.|No!|nope|yep")
            return (
                self.one(
                    f"the {t} {self.one(NEG_BE)} {sort}|not {_article(sort)} {sort} {t}"
                    f"|that {self.one(NEG_BE)} {_article(sort)} {sort} {t}|I didn't {saw} the {t}"
                    f"|we don't {saw} this {t}|there is no {sort} {t} here"
                    f"|I don't believe this was {_article(sort)} {sort} {t}"
                    f"|is this {_article(sort)} {sort} {t}? {answer}|did we {saw} the {t}? {answer}"
                    f"|would I call the {t} {sort}? {answer}|was that {t} {sort}? {answer}"
                ),
                0,
            )
        return (
            self.one(
                f"where did you buy the {t}?|what {t} is that?|when does the {t} start?|how much is the {t}?"
                f"|which {t} do you use?|is the {t} available in Spain?|does the {t} work on android?"
                f"|who made the {t}?|what is the name of the {t}?|how long is the {t}?"
            ),
            0,
        )

    def wish(self) -> tuple[str, int]:
        side, word, _ = self._pair()
        t = self._thing()
        good, bad = self.one(GOOD), self.one(BAD)
        return self.rng.choice(
            [
                (f"I wish the {t} were {good}", -1),
                (f"if only the {t} was {good}", -1),
                (f"could have been {_article(good)} {good} {t}", -1),
                (f"it would be {good} if the {t} worked", -1),
                (f"not as {good} as the old {t}", -1),
                (f"not as {bad} as the old {t}", 1),
                (f"much better than the last {t}", 1),
                (f"worse than the last {t}", -1),
                (f"the old {t} was better", -1),
                (f"can't stop watching this {t}", 1),
                (f"couldn't be happier with the {t}", 1),
                (f"never been so happy with a {t}", 1),
                (f"nothing beats this {t}", 1),
                (f"I have no complaints about the {t}", 1),
                (f"no problems with the {t}, works", 1),
                (f"you can't go wrong with this {t}", 1),
                (f"what a waste of time this {t} was", -1),
                (f"thanks for nothing, {t} broke again", -1),
                (f"oh great, the {t} broke again", -1),
                (f"just what I needed, another {bad} {t}", -1),
                (f"wow, {bad} {t}, thank you so much", -1),
                (f"yeah right, {_article(good)} {good} {t}", -1),
            ]
        )

    KINDS = (
        ("negated", 7),
        ("taken_back", 3),
        ("answered", 5),
        ("contrast", 2),
        ("changed", 6),
        ("opinion", 6),
        ("plain", 3),
        ("neutral", 8),
        ("wish", 2),
    )

    def write(self, count: int) -> Iterator[tuple[str, int, str]]:
        """Different sentences: text, what it says, and its kind.

        -1, 0 and 1 are bad, neutral and good; 2 is neutral or good, "not bad"; +-10 and +-20 are a
        plain and a strong word.
        """
        names = [name for name, share in self.KINDS for _ in range(share)]
        seen: set[str] = set()
        tries = 0
        while len(seen) < count and tries < 20 * count:
            tries += 1
            kind = self.one(names)
            text, said = getattr(self, kind)()
            if text in seen:
                continue
            seen.add(text)
            yield self._dressed(text), said, kind

    def _dressed(self, text: str) -> str:
        if self.rng.random() < 0.5:
            text = text[0].upper() + text[1:]
            if text[-1].isalpha() and self.rng.random() < 0.8:
                text += "."
        chance = self.rng.random()
        if chance < 0.05:
            return "@user " + text
        return text.replace("'", "’") if chance > 0.9 else text


def rated_words(least: float = 0.4) -> Iterator[tuple[str, float]]:
    """The words of the rules' lexicon, each with its mood in [-1, 1]."""
    for word, value in valences().items():
        if abs(value) >= least and word.replace(" ", "").replace("'", "").isalpha():
            yield word, max(-1.0, min(1.0, value / 3.2))


def rated_emoji() -> Iterator[tuple[str, float]]:
    """Emoji with their mood in [-1, 1], as the rules have them."""
    for line in lines("emoji.txt"):
        value, _, signs = line.split(maxsplit=2)
        for sign in signs:
            if is_mark(sign):
                yield sign, max(-1.0, min(1.0, float(value) / 3.2))
