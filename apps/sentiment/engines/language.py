"""Guesses a text's language by its script and its commonest words; short texts stay unknown.

py3langid was weighed and left out: docs/decisions/ says why.
"""

import unicodedata
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

from apps.sentiment.engines.base import UNKNOWN_LANGUAGE

_SCRIPTS = {
    "CYRILLIC": "ru",
    "ARABIC": "ar",
    "DEVANAGARI": "hi",
    "BENGALI": "bn",
    "GREEK": "el",
    "HEBREW": "he",
    "HANGUL": "ko",
    "HIRAGANA": "ja",
    "KATAKANA": "ja",
    "CJK": "zh",
    "THAI": "th",
    "TAMIL": "ta",
    "TELUGU": "te",
    "KANNADA": "kn",
    "MALAYALAM": "ml",
    "GUJARATI": "gu",
    "GURMUKHI": "pa",
    "GEORGIAN": "ka",
    "ARMENIAN": "hy",
    "ETHIOPIC": "am",
    "KHMER": "km",
    "LAO": "lo",
    "MYANMAR": "my",
    "SINHALA": "si",
    "TIBETAN": "bo",
}
# Words that are common in one of these languages; those that several share say less.
_COMMON = {
    "en": """the and to of is it you that for on with this was have are be not at my so me just but
        i'm your all what they we can his her do if about out up when who how get will she he no am
        don't it's love good great really very too never why been has had would there their like
        think know thanks thank best more one see want new i u lol please because an from by its
        nice cool wow beautiful amazing bad awesome hate happy omg yes""",
    "es": """que de no la el y en los las por con una para se es lo mi me un pero como más te si ya
        muy esta este todo bien hay yo del al su tu eso nada cuando gracias hoy porque está estoy
        son soy hace tiene también le nos qué así siempre día sin mejor buenos mucho""",
    "pt": """que de não o e eu a um uma para com por se na no os as mais é do da meu minha você em
        tá muito mas ele ela isso foi pra ser vou tem bem já estou gente hoje quando só tudo
        me dia obrigado obrigada sem aqui como ao são seu sua esse essa também""",
    "fr": """le la les de des et je est pas un une que qui en pour dans ce tu il elle on nous vous
        mais avec sur plus du au ça c'est j'ai mon ma mes ton ta son sa si tout bien très fait
        être suis merci aux ne ou quand comme même cette sont été d'un qu'il""",
    "de": """der die das und ist nicht ich du es ein eine zu mit den auf für von im dem sich auch so
        wie was wir sie er hat aber war noch nur bei nach mir mich dich oder wenn schon mal kein
        keine haben sind bin danke sehr gut immer dass über heute mehr zum zur einen""",
    "it": """di che non è la il e un una per in sono mi ma con si ho lo le ti i del della da come
        più se ci al questo questa anche io hai ha tutto bene fa grazie perché molto quando c'è
        gli nel alla dei solo poi sempre oggi mio mia cosa fare""",
    "nl": """de het een en is van ik niet dat je op te in met voor er maar zijn ook aan die wat om
        nog naar dan wel geen mijn heeft heb bij hij we als zo goed bedankt deze""",
    "id": """yang di dan ini itu aku saya kamu tidak ada untuk dengan dari ke bisa sudah lagi juga
        akan banget kalau gak nya tapi sama mau""",
    "tr": """bir ve bu çok ne için ama da de ben sen var yok gibi daha mi mı değil güzel kadar her
        şey en bana""",
    "pl": """nie to jest się na że w z i co jak do tak ale mi za od po już tylko jestem bardzo czy
        mnie""",
}
_WEIGHTS: dict[str, tuple[tuple[str, float], ...]] = {}
for _language, _words in _COMMON.items():
    for _word in set(_words.split()):
        _WEIGHTS[_word] = (*_WEIGHTS.get(_word, ()), (_language, 1.0))
_WEIGHTS = {
    word: tuple((language, weight / len(pairs)) for language, weight in pairs)
    for word, pairs in _WEIGHTS.items()
}
_ENOUGH_WORDS = 400


@lru_cache(maxsize=4_096)
def _script(character: str) -> str:
    return unicodedata.name(character, "").partition(" ")[0].partition("-")[0]


def guess(words: Sequence[str], known: int) -> str:
    """The language of these lower-case words, `known` of which the English lexicon lists."""
    if not words:
        return UNKNOWN_LANGUAGE
    sample = words[:_ENOUGH_WORDS]
    foreign = Counter(
        _script(word[0]) for word in sample if not word.isascii() and word[0] > "\u024f"
    )
    if foreign:
        # Japanese mixes three scripts; one word of kana decides.
        if foreign["HIRAGANA"] or foreign["KATAKANA"]:
            foreign["HIRAGANA"] += foreign["CJK"]
        script, count = foreign.most_common(1)[0]
        if count * 2 >= len(sample):
            return _SCRIPTS.get(script, UNKNOWN_LANGUAGE)
    scores: dict[str, float] = {}
    for word in sample:
        for language, weight in _WEIGHTS.get(word, ()):
            scores[language] = scores.get(language, 0.0) + weight
    english = scores.get("en", 0.0)
    # The lexicon is large and English: a word it lists speaks for English a little.
    if known:
        english += 0.25 * known
    rest = max((score for language, score in scores.items() if language != "en"), default=0.0)
    if rest > english:
        # A single shared word is no proof.
        if rest < 0.9 and len(sample) > 2:
            return UNKNOWN_LANGUAGE
        return max(scores, key=lambda each: scores[each] if each != "en" else 0.0)
    if english > 0:
        return "en"
    return UNKNOWN_LANGUAGE
