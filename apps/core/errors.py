"""What a service raises when it will not do what it was asked; nothing is stored then."""


class Refused(Exception):
    """The request cannot be done as asked; `problems` lists (field, code, message)."""

    def __init__(self, *problems: tuple[str, str, str]) -> None:
        super().__init__(" ".join(message for _, _, message in problems))
        self.problems = problems


class Duplicate(Refused):
    """The same is there already; asking again with the override does it all the same."""


class WrongState(Refused):
    """The thing exists, but is in no state in which this can be done."""

    def __init__(self, message: str) -> None:
        super().__init__(("state", "wrong_state", message))
