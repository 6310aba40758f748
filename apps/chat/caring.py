"""Words that a program must not answer alone: somebody in danger, or somebody who asks for a human.

Patterns, not a model: short, readable, and on the side of calling a person once too often.
"""

import re

_DISTRESS = [
    # English
    r"\b(?:kill|killing|hang|hanging|shoot|cut|cutting|hurt|hurting|harm|harming|drown) myself\b",
    r"\b(?:want|wanna|wish|going|ready|plan|planning|decided|rather|better)(?: \w+){0,3} "
    r"(?:to die|be dead|dead|end (?:it all|my life|it|everything))\b",
    r"\b(?:end|ending|take|taking) my (?:own )?life\b",
    r"\b(?:i|i'm|im|i am|feel|feeling|been|am)\b.{0,20}\bsuicidal\b",
    r"\bsuicide\b.{0,40}\b(?:i|me|my)\b|\b(?:i|me|my)\b.{0,40}\b(?:commit(?:ting)? )?suicide\b",
    r"\b(?:don'?t|do not|no longer) (?:want to|wanna) (?:live|be alive|be here|exist|wake up)\b",
    r"\b(?:no|any) (?:reason|point) (?:to|in) (?:live|living|go(?:ing)? on)\b",
    r"\bbetter off (?:dead|without me)\b",
    r"\b(?:self[- ]?harm(?:ing|ed)?|overdos(?:e|ed|ing)|slit(?:ting)? my wrists?)\b",
    r"\bkms\b|\bunalive (?:me|myself)\b",
    r"\b(?:he|she|they|my \w+|somebody|someone)\b.{0,30}\b(?:is going to|will|wants to|"
    r"threatens? to|tried to) (?:kill|hurt|rape|stab|shoot) me\b",
    r"\b(?:he|she|my \w+) (?:hits|beats|rapes|raped|abuses|abused|molested) me\b",
    r"\bi(?:'m| am)? (?:being )?(?:abused|beaten|raped)\b",
    # German, French, Spanish, Portuguese, Italian
    r"\b(?:mich umbringen|bringe mich um|will nicht mehr leben|will sterben|selbstmord|suizid)\b",
    r"\b(?:me suicider|me tuer|envie de mourir|veux mourir|plus envie de vivre)\b",
    r"\b(?:suicidarme|quiero morir|matarme|no quiero vivir|quitarme la vida)\b",
    r"\b(?:me matar|quero morrer|suicidar[- ]me|não quero viver|tirar a minha vida)\b",
    r"\b(?:uccidermi|voglio morire|suicidarmi|farla finita)\b",
]
_distress = re.compile("|".join(_DISTRESS), re.I)
# Figures of speech that would stop a friendly chat.
_figure = re.compile(
    r"\b(?:laugh(?:ing|ed)?|embarrass\w*|boredom|died? (?:of|from) (?:laugh|embarrass|bore)\w*|"
    r"to die for|dying to|killed it|killing it|suicide squad)\b",
    re.I,
)
_human = re.compile(
    r"\b(?:talk|speak|chat|write|connect me)\b.{0,20}\b(?:a |an |the |real |actual )*"
    r"\b(?:human|person|somebody|someone|staff|team|support|agent)\b"
    r"|\b(?:need|want|get me|give me|call) (?:a |an )(?:real )?(?:human|person|agent)\b",
    re.I,
)


def speaks_of_danger(text: str) -> bool:
    """Whether somebody may be about to be harmed, by themselves or by others."""
    plain = text.replace("\u2019", "'")
    return bool(_distress.search(_figure.sub(" ", plain)))


def asks_for_a_human(text: str) -> bool:
    """Whether the writer wants a person to answer."""
    return bool(_human.search(text))
