"""What a network demands before an account of it can be connected, as its set-up page shows it."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Setup:
    """One network's demands, in words for people; where Gator was tried is part of the truth."""

    # What kind of account the persona needs there.
    account: str = "Any account."
    # The program one registers with the network, and where.
    app: str = "None."
    review: str = "None."
    cost: str = "Free."
    rights: tuple[str, ...] = ()
    # What a person does, in order.
    steps: tuple[str, ...] = ()
    # Where the network explains and manages all this.
    page: str = ""
    # The network takes only a public https address: for the way back, or to fetch pictures from.
    https: bool = False
    # How this was tried against the real thing; empty: never against the live service.
    tried: str = ""
