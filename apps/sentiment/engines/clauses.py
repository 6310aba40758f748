"""Reads a text clause by clause: what each word adds, and which clause outweighs which."""

from apps.sentiment.engines import grammar, lexicon
from apps.sentiment.engines.tokens import (
    COMMA,
    EMOJI,
    EMOTICON,
    STOP,
    TAG,
    WORD,
    Token,
    shortened,
)

# A negator reaches this many words on; "I don't think ..." reaches to the sentence's end.
REACH, SHORT_REACH, FAR = 5, 2, 40
# "not good" is bad, a little less than "bad"; "not bad" is good, a good deal less than "good".
NOT_GOOD, NOT_BAD = -0.75, -0.5
BEFORE_BUT, AFTER_BUT = 0.3, 1.35
ALTHOUGH_CLAUSE = 0.25
NO_LONGER, USED_TO_ALONE = 0.1, -0.4
OTHERS_OPINION = 0.1
OPEN_QUESTION = 0.7
ANSWERED_NO, TAKEN_BACK = -0.9, -0.9
SHOUTED, DRAWN_OUT = 1.2, 1.15
# The same emoji again and again is one feeling, not ten.
REPEATS = (1.0, 0.5, 0.25)


class Unit:
    """A word, phrase or sign with a mood: where it stands and what it adds."""

    __slots__ = ("base", "entry", "first", "last", "negated", "reasons", "value")

    def __init__(
        self,
        first: Token,
        last: Token,
        entry: lexicon.Entry,
        base: float,
        negated: bool,
        reasons: tuple[str, ...],
    ) -> None:
        self.first = first
        self.last = last
        self.entry = entry
        self.base = base
        self.negated = negated
        self.reasons = reasons
        self.value = 0.0


class Clause:
    """A stretch between commas, joining words and full stops."""

    __slots__ = (
        "adverse",
        "conceding",
        "denies",
        "i",
        "now",
        "opines",
        "then",
        "they",
        "tokens",
        "units",
        "weight",
    )

    def __init__(self) -> None:
        self.tokens: list[Token] = []
        self.units: list[Unit] = []
        self.weight = 1.0
        self.adverse = self.conceding = self.then = self.now = False
        self.i = self.they = self.opines = False
        # The negated auxiliary of "but it wasn't".
        self.denies: Token | None = None

    def mood(self) -> float:
        """What its units add once weighed."""
        return sum(unit.value for unit in self.units)


class Sentence:
    """Clauses up to a full stop, and the mark that ends them."""

    __slots__ = ("clauses", "mark")

    def __init__(self) -> None:
        self.clauses: list[Clause] = [Clause()]
        self.mark = ""

    def first_words(self) -> list[str]:
        """Its first three words."""
        found: list[str] = []
        for clause in self.clauses:
            for token in clause.tokens:
                found.append(token.word)
                if len(found) == 3:
                    return found
        return found


class Reader:
    """Takes the tokens of one text and builds its sentences."""

    def __init__(self, tokens: list[Token]) -> None:
        self.sentences: list[Sentence] = [Sentence()]
        self.words: list[str] = []
        self.known = 0
        self._clause = self.sentences[0].clauses[0]
        self._reach = 0
        self._far = False
        self._boost = 1.0
        self._boost_reach = 0
        self._seen: dict[str, int] = {}
        # In a text all in capitals, capitals shout nothing.
        self._shouting = any(t.kind == WORD and t.surface.islower() for t in tokens)
        self._previous = ""
        self._read(tokens)

    def _read(self, tokens: list[Token]) -> None:
        index, count = 0, len(tokens)
        while index < count:
            token = tokens[index]
            kind = token.kind
            if kind == WORD:
                index += self._word(token, tokens, index)
                continue
            index += 1
            if kind == STOP:
                self._end_sentence(token.surface)
            elif kind == COMMA:
                self._end_clause()
            elif kind == TAG:
                self._tag(token)
            elif kind == EMOJI:
                self._sign(token, lexicon.EMOJI.get(token.surface[0]))
            elif kind == EMOTICON:
                self._sign(token, lexicon.emoticon(token.surface))

    def _end_sentence(self, mark: str) -> None:
        if mark == "." and not self._clause.tokens and not self._clause.units:
            return
        self.sentences[-1].mark = mark
        sentence = Sentence()
        self.sentences.append(sentence)
        self._clause = sentence.clauses[0]
        self._reach, self._far, self._boost, self._previous = 0, False, 1.0, ""

    def _end_clause(self) -> None:
        if not self._clause.tokens:
            return
        self._clause = Clause()
        self.sentences[-1].clauses.append(self._clause)
        self._boost = 1.0
        if not self._far:
            self._reach = 0

    def _word(self, token: Token, tokens: list[Token], index: int) -> int:
        """Read one word or the phrase it opens; returns how many tokens that took."""
        word = token.word
        self.words.append(word)
        group = lexicon.PHRASES.get(word)
        if group is not None:
            for phrase in group:
                size = len(phrase.rest)
                following = tokens[index + 1 : index + 1 + size]
                if len(following) == size and all(
                    each.word == part for each, part in zip(following, phrase.rest, strict=True)
                ):
                    self.words.extend(phrase.rest)
                    self.known += size + 1
                    self._clause.tokens.append(token)
                    self._clause.tokens.extend(following)
                    self._note(word)
                    self._unit(token, following[-1], phrase.entry)
                    self._previous = phrase.rest[-1]
                    return size + 1
        entry = lexicon.WORDS.get(word) or lexicon.find(word)
        if entry is None:
            self._clause.tokens.append(token)
            self._pass(word)
            return 1
        self.known += 1
        if word in grammar.BUT:
            self._turn(token, adverse=True)
        elif word in grammar.ALTHOUGH:
            self._turn(token, adverse=False)
        elif word in grammar.JOINING and len(self._clause.tokens) > 2:
            self._join(tokens, index)
        self._clause.tokens.append(token)
        self._note(word)
        if entry.negates:
            self._negate(token, word, tokens, index)
        elif entry.valence or entry.emotions:
            self._unit(token, token, entry)
        elif entry.boost:
            self._boost *= entry.boost
            self._boost_reach = 2
            self._previous = word
            return 1
        self._pass(word)
        return 1

    def _pass(self, word: str) -> None:
        self._reach -= 1
        self._boost_reach -= 1
        if self._boost_reach <= 0:
            self._boost = 1.0
        self._previous = word

    def _turn(self, token: Token, *, adverse: bool) -> None:
        # "but" at the very start turns against what came in the sentence before: weigh nothing.
        self._far = False
        if self._clause.tokens or len(self.sentences[-1].clauses) > 1:
            self._end_clause()
            self._clause.adverse = adverse
        self._clause.conceding = not adverse

    def _join(self, tokens: list[Token], index: int) -> None:
        following = tokens[index + 1].word if index + 1 < len(tokens) else ""
        if following in grammar.SUBJECTS or tokens[index].word not in ("and", "or", "so"):
            self._end_clause()

    def _note(self, word: str) -> None:
        clause = self._clause
        if word in grammar.THEN:
            clause.then = True
        elif word in grammar.NOW:
            clause.now = True
        elif word in grammar.I_WORDS:
            clause.i = True
        elif word in grammar.THEY_WORDS and not clause.i:
            clause.they = True
        if word in grammar.OPINE:
            clause.opines = True
            if self._reach > 0 and word in ("think", "say", "believe", "feel", "know"):
                self._reach, self._far = FAR, True

    def _negate(self, token: Token, word: str, tokens: list[Token], index: int) -> None:
        following = tokens[index + 1].word if index + 1 < len(tokens) else ""
        if following in ("only", "just", "but") or (word == "not" and self._previous == "why"):
            return
        self._reach = SHORT_REACH + 1 if word in ("no", "without") else REACH + 1
        base = word.replace("n't", "").replace("nt", "")
        if (
            base in grammar.AUXILIARIES
            or base in ("ca", "wo", "ai")
            or (word == "not" and self._previous in grammar.AUXILIARIES | {"it's", "that's", "i'm"})
        ):
            self._clause.denies = token

    def _unit(self, first: Token, last: Token, entry: lexicon.Entry) -> None:
        base = entry.valence
        negated = self._reach > 0
        reasons: tuple[str, ...] = ()
        if base:
            if self._boost != 1.0 and not negated:
                base *= max(0.4, min(self._boost, 2.0))
                reasons = ("intensified",) if self._boost > 1 else ("softened",)
            if self._shouting and first.surface.isupper() and len(first.surface) > 1:
                base *= SHOUTED
                reasons = (*reasons, "in capitals")
            if first is last and first.word not in lexicon.WORDS and shortened(first.word):
                base *= DRAWN_OUT
                reasons = (*reasons, "drawn out")
        self._clause.units.append(Unit(first, last, entry, base, negated, reasons))
        if entry.boost and first is last:
            self._boost, self._boost_reach = entry.boost, 3

    def _tag(self, token: Token) -> None:
        words = lexicon.tag_words(token.surface[1:])
        self.words.extend(words)
        negated = False
        for word in words:
            entry = lexicon.find(word)
            if entry is None:
                continue
            self.known += 1
            if entry.negates:
                negated = True
            elif entry.valence or entry.emotions:
                self._clause.units.append(Unit(token, token, entry, entry.valence, negated, ()))

    def _sign(self, token: Token, entry: lexicon.Entry | None) -> None:
        if entry is None:
            return
        times = self._seen.get(token.surface, 0)
        self._seen[token.surface] = times + 1
        if times < len(REPEATS):
            base = entry.valence * REPEATS[times]
            # Signs stand beside the words: no negation reaches them.
            self._clause.units.append(Unit(token, token, entry, base, False, ()))


def weigh(sentences: list[Sentence]) -> None:
    """Give every unit its value and every clause its weight."""
    for number, sentence in enumerate(sentences):
        clauses = sentence.clauses
        asks = "?" in sentence.mark
        opening = sentence.first_words()
        rhetorical = asks and bool(opening) and opening[0].endswith("n't")
        for clause in clauses:
            for unit in clause.units:
                if unit.negated and not rhetorical:
                    unit.value = unit.base * (NOT_GOOD if unit.base > 0 else NOT_BAD)
                    unit.reasons = (*unit.reasons, "negated")
                else:
                    unit.value = unit.base
        if len(clauses) > 1:
            _contrast(clauses)
        elif clauses[0].then and not clauses[0].now:
            _scale(clauses[0], USED_TO_ALONE, "no longer")
        if asks and opening:
            _answer(sentences, number, opening[0], rhetorical)


def _scale(clause: Clause, factor: float, reason: str) -> None:
    clause.weight *= factor
    for unit in clause.units:
        unit.value *= factor
        unit.reasons = (*unit.reasons, reason)


def _contrast(clauses: list[Clause]) -> None:
    moods = [clause.mood() for clause in clauses]
    turning = next((n for n, clause in enumerate(clauses) if clause.adverse), 0)
    then = any(clause.then for clause in clauses)
    mine = any(
        clause.i and (mood or clause.opines) and not clause.they
        for clause, mood in zip(clauses, moods, strict=True)
    )
    if then:
        elsewhere = any(
            mood and not clause.then for clause, mood in zip(clauses, moods, strict=True)
        )
        for clause in clauses:
            if clause.then:
                _scale(clause, NO_LONGER if elsewhere else USED_TO_ALONE, "no longer")
        return
    if turning:
        after = clauses[turning:]
        if not any(moods[turning:]):
            denial = next((clause for clause in after if clause.denies), None)
            if denial is not None and len(denial.tokens) <= 6 and any(moods[:turning]):
                _take_back(clauses[:turning], denial, sum(moods[:turning]))
                return
        if mine and all(c.they and c.opines and not c.i for c in after if c.units):
            after = []
        elif any(moods[turning:]):
            for clause in clauses[:turning]:
                _scale(clause, BEFORE_BUT, "before but")
        for clause in after:
            if not (clause.they and clause.opines and not clause.i and mine):
                _scale(clause, AFTER_BUT, "after but")
    for number, clause in enumerate(clauses):
        if clause.conceding and any(moods[:number] + moods[number + 1 :]):
            _scale(clause, ALTHOUGH_CLAUSE, "conceded")
        if clause.they and clause.opines and not clause.i and mine:
            _scale(clause, OTHERS_OPINION, "the opinion of others")


def _take_back(before: list[Clause], denial: Clause, mood: float) -> None:
    for clause in before:
        _scale(clause, 0.0, "taken back")
    assert denial.denies is not None
    entry = lexicon.Entry()
    unit = Unit(denial.denies, denial.denies, entry, mood, True, ("takes it back",))
    unit.value = mood * (TAKEN_BACK if mood > 0 else TAKEN_BACK * 0.7)
    denial.units.append(unit)


def _answer(sentences: list[Sentence], number: int, opener: str, rhetorical: bool) -> None:
    sentence = sentences[number]
    reply = sentences[number + 1].first_words()[:1] if number + 1 < len(sentences) else []
    if opener in grammar.INVERTED and reply:
        if reply[0] in grammar.NO:
            for clause in sentence.clauses:
                _scale(clause, ANSWERED_NO, "answered no")
            return
        if reply[0] in grammar.YES:
            return
    if not rhetorical:
        for clause in sentence.clauses:
            _scale(clause, OPEN_QUESTION, "asked, not said")
