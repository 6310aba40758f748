"""What a comment is for: six intents by plain rules, the clearest sign first."""

import re

from apps.sentiment.engines import grammar
from apps.sentiment.engines.clauses import Sentence

_NOT_THANKED = frozenset(["god", "goodness", "lord", "heavens"])
# Each pattern runs over the words joined by spaces and holds no nested repetition.
_RECOMMENDS = re.compile(
    r"\b(?:(?:i|we|would|highly|strongly|can|definitely|really) recommend"
    r"|you (?:should|could|might want to|need to|must|have to|guys should|ought to)"
    r"|u should|y'all should|should (?:try|add|make|do|consider|watch|read|check|use|come|visit)"
    r"|(?:i|i'd|we) suggest|my advice|why (?:not|don't you|don't we)|how about|what about adding"
    r"|(?:please|pls|plz) (?:add|make|do|bring|consider|try|stop|fix|come|let|give|post|upload)"
    r"|would be (?:\w+ )?(?:nice|great|good|cool|better|awesome|amazing|lovely) (?:if|to|with)"
    r"|(?:must|worth a) (?:see|read|watch|try|visit|buy|have|listen)|check (?:it |this |them )?out"
    r"|give (?:it|this|them) a (?:try|go|shot|chance)|next time (?:try|you)|better to use"
    r"|make sure (?:you|to)|don't miss|try (?:the|this|it|to|using|adding|out)|consider \w+ing)\b"
)
_COMPLAINS = re.compile(
    r"\b(?:refund|money back|customer (?:service|support)|(?:does|did|do|will|is)(?:n't| not) work"
    r"|not working|stopped working|still (?:waiting|no|not|haven't|hasn't|broken|can't|don't)"
    r"|no (?:response|reply|answer|refund|help)|never (?:arrived|received|got|came|again)"
    r"|broken|faulty|defective|crash(?:es|ed|ing)?|unsubscrib\w*|unfollow\w*|cancel(?:led|ing)?"
    r"|fix (?:this|it|your|the)|fed up|sick of|tired of|unacceptable|ripped? off|scam\w*"
    r"|waste of|disappoint\w*|overpriced|(?:too|so) (?:expensive|slow|long|loud|many ads|many)"
    r"|clickbait|poor (?:quality|service)|worst|terrible|horrible|awful|useless|garbage|trash"
    r"|rude|ridiculous|what happened to|used to be|let down|let me down|annoying|lame)\b"
)
_PRAISES = re.compile(
    r"\b(?:you(?:'re| are|r| look| sound| rock| slay| killed| nailed| did| always| never)|u r"
    r"|your|ur|this|that|these|it|love|best|amazing|awesome|great|perfect|beautiful|gorgeous"
    r"|brilliant|fantastic|incredible|stunning|well done|nice|good|congrat\w*|proud|excellent"
    r"|wonderful|talented|genius|queen|king|legend|goat|fire|cute|impressive|lovely|superb)\b"
)
_WORDS_READ = 300


def find(words: list[str], sentences: list[Sentence], score: float, marks: bool) -> str:
    """The intent of a text with these words, this score and (`marks`) only signs or not."""
    words = words[:_WORDS_READ]
    text = " ".join(words)
    asks = _asks(sentences)
    if any(word in grammar.THANKS for word in words) and score > -0.35 and not _ironic(words):
        return "appreciation"
    recommends = _RECOMMENDS.search(text) is not None
    if recommends and score > -0.5:
        return "recommendation"
    if score < 0.1 and _COMPLAINS.search(text):
        return "complaint"
    if asks:
        return "question"
    if score <= -0.45:
        return "complaint"
    if score >= 0.3 and (marks or _PRAISES.search(text)):
        return "praise"
    return "statement"


def _ironic(words: list[str]) -> bool:
    for index, word in enumerate(words[:-1]):
        if word in ("thanks", "thank"):
            following = words[index + 1]
            return following in _NOT_THANKED or (word == "thanks" and following == "but")
    return False


def _asks(sentences: list[Sentence]) -> bool:
    last = len(sentences) - 1
    for number, sentence in enumerate(sentences):
        words = sentence.first_words()
        if not words:
            continue
        if "?" in sentence.mark:
            # A question its writer answers at once asks nothing.
            reply = sentences[number + 1].first_words()[:1] if number < last else []
            if not reply or reply[0] not in grammar.YES | grammar.NO:
                return True
        elif not sentence.mark.startswith("!") and len(words) > 1:
            opener = words[0]
            if opener in grammar.INVERTED and words[1] in grammar.SUBJECTS and opener != "may":
                return True
            if opener in ("what's", "where's", "who's", "how's", "whats", "anyone"):
                return True
            if opener in ("how", "where", "why", "what", "who", "when") and (
                words[1] in grammar.AUXILIARIES | {"much", "many", "long", "old", "come"}
            ):
                return True
    return False
