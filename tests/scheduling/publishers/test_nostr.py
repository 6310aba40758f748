"""Nostr: one event by the persona's own key, on several relays, the same at every try."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest
from pytest_django import Settings

from apps.scheduling.publishers import nostr_event
from apps.scheduling.publishers.base import (
    Account,
    NeedsReconnect,
    Outgoing,
    Permanent,
    Posted,
    PublishError,
    ReplyTo,
    Temporary,
    Unconfirmed,
)
from apps.scheduling.publishers.nostr import Nostr
from tests.scheduling.publishers import relay as relays
from tests.scheduling.publishers.network import NOON, Network, ok, photo, post, refusal

# The example of NIP-19, in both spellings, and its other half.
SECRET = "67dea2ed018072d675f5415ecfaed7d2597555e202d85b3d65ea4e58d2d92ffa"
NSEC = "nsec1vl029mgpspedva04g90vltkh6fvh240zqtv9k0t9af8935ke9laqsnlfe5"
PUBLIC = "7e7e9c42a91bfef19fa929e5fda1b72e0ebc1a4c1141673e2794234d86addf4e"
NPUB = "npub10elfcs4fr0l0r8af98jlmgdh9c8tcxjvz9qkw038js35mp4dma8qzvjptg"
Run = Any


@pytest.fixture
def run(settings: Settings) -> Iterator[Run]:
    """Starts relays that behave as asked, until the test ends."""
    settings.GATOR_ALLOWED_PRIVATE_HOSTS = ["127.0.0.1"]
    with ExitStack() as stack:
        yield lambda *given: stack.enter_context(relays.running(*given))


def luna(*where: relays.Relay | str, **credentials: Any) -> Account:
    addresses = " ".join(each if isinstance(each, str) else each.url for each in where)
    given = {"private_key": NSEC, "relays": addresses, **credentials}
    return Account(id="1", handle="luna", credentials=given)


def as_posted(number: str) -> Posted:
    return Posted(key="k", remote_id=number, published_at=NOON)


# -- Ids and signatures, by the documents -------------------------------------------------------


@pytest.mark.parametrize("given", [SECRET, SECRET.upper(), NSEC, f" {NSEC}\n"])
def test_a_key_is_read_in_both_spellings(given: str) -> None:
    assert nostr_event.Signer(nostr_event.secret_of(given)).public == PUBLIC


@pytest.mark.parametrize("given", ["", "nsec1", NSEC[:-1] + "q", NPUB, SECRET[:-2], "0" * 64])
def test_what_is_no_key_asks_for_one_and_is_not_repeated(given: str) -> None:
    with pytest.raises(NeedsReconnect) as caught:
        Nostr().publish(luna("wss://relay.example", private_key=given), post())
    assert len(given) < 20 or given not in str(caught.value)


def test_the_id_is_the_hash_of_the_documents_serialisation() -> None:
    text = 'Ol\u00e1 "fog"\\\n\t\x01\u2028'
    event = nostr_event.Signer(bytes.fromhex(SECRET)).event(
        kind=1, content=text, tags=[["t", "fog"]], created_at=1_800_000_000
    )
    # Control characters but the seven of NIP-01 stand as they are.
    whole = f'[0,"{PUBLIC}",1800000000,1,[["t","fog"]],"Ol\u00e1 \\"fog\\"\\\\\\n\\t\x01\u2028"]'
    import hashlib

    assert event["id"] == hashlib.sha256(whole.encode()).hexdigest()
    assert nostr_event.is_genuine(event)
    assert not nostr_event.is_genuine({**event, "content": "Ola"})
    assert not nostr_event.is_genuine({**event, "sig": "0" * 128})
    assert not nostr_event.is_genuine({"id": event["id"]})


def test_an_event_is_found_in_every_way_people_write_it() -> None:
    number = "ab" * 32
    note = nostr_event.bech32_encode("note", bytes.fromhex(number))
    code = nostr_event.nevent(number, ["wss://relay.example"])
    for url in (number, note, f"https://njump.me/{code}", f"nostr:{note}"):
        assert Nostr().id_in(url) == number
    for url in ("", "https://njump.me/", f"https://njump.me/{NPUB}", note[:-1] + "q"):
        assert Nostr().id_in(url) == ""


# -- Publishing ---------------------------------------------------------------------------------


def test_a_note_is_one_signed_event_the_same_on_every_relay(run: Run) -> None:
    one, two = run(), run()
    outgoing = post(text="Olá #Fog", link="https://a.example/fog", hashtags=("luz",))
    receipt = Nostr().publish(luna(one, two), outgoing)
    (event,) = one.given
    assert two.given[0]["id"] == event["id"] == receipt.remote_id
    assert nostr_event.is_genuine(event)
    assert {name: event[name] for name in ("kind", "content", "pubkey", "created_at", "tags")} == {
        "kind": 1,
        "content": "Olá #Fog\n\nhttps://a.example/fog\n\n#luz",
        "pubkey": PUBLIC,
        "created_at": int(NOON.timestamp()),
        "tags": [["t", "fog"], ["t", "luz"], ["gator.key", "3kkeytestpost"]],
    }
    assert receipt.url.startswith("https://njump.me/nevent1")
    assert Nostr().id_in(receipt.url) == event["id"]
    assert SECRET not in json.dumps(one.heard) and NSEC not in json.dumps(one.heard)


def test_the_same_post_sent_twice_is_one_event(run: Run) -> None:
    relay = run()
    first = Nostr().publish(luna(relay), post())
    assert Nostr().publish(luna(relay), post()) == first
    assert len(relay.given) == 2 and len(relay.events) == 1


def test_the_same_words_in_the_same_second_are_two_posts(run: Run) -> None:
    relay = run()
    for key in ("one", "two"):
        Nostr().publish(luna(relay), post(key=key))
    assert len(relay.events) == 2


def test_a_lost_answer_is_unconfirmed_and_the_same_again_completes_it(run: Run) -> None:
    relay = run(relays.takes_and_breaks_off)
    with pytest.raises(Unconfirmed):
        Nostr().publish(luna(relay), post())
    relay.manner = relays.takes
    Nostr().publish(luna(relay), post())
    assert len(relay.events) == 1


@pytest.mark.parametrize(
    ("manner", "error", "code"),
    [
        (relays.refuses("duplicate: have it"), None, ""),
        (relays.refuses("invalid: too far in the past"), Permanent, "invalid"),
        (relays.refuses("blocked: you are banned"), Permanent, "blocked"),
        (relays.refuses("pow: 26 bits needed"), Permanent, "pow"),
        (relays.refuses("<b>no</b>"), Permanent, "refused"),
        (relays.refuses_without_a_name, Permanent, "invalid"),
        (relays.refuses("rate-limited: slow down"), Temporary, "rate_limited"),
        (relays.refuses("error: database is down"), Temporary, "relay_error"),
        (relays.refuses("restricted: members only"), NeedsReconnect, "restricted"),
        (relays.refuses("auth-required: no challenge given"), NeedsReconnect, "restricted"),
        (relays.notices("rate-limited"), Unconfirmed, "no_answer"),
        (relays.takes_and_breaks_off, Unconfirmed, "no_answer"),
    ],
)
def test_every_outcome_of_publishing(
    run: Run, manner: relays.Manner, error: type[PublishError] | None, code: str
) -> None:
    relay = run(manner)
    if error is None:
        assert Nostr().publish(luna(relay), post()).remote_id
        return
    with pytest.raises(error) as caught:
        Nostr().publish(luna(relay), post())
    assert caught.value.code == code
    assert SECRET not in str(caught.value) and NSEC not in str(caught.value)


def test_a_rate_limit_of_every_relay_lets_the_account_wait(run: Run) -> None:
    slow, dead = run(relays.refuses("rate-limited: slow")), run(relays.refuses("blocked: no"))
    with pytest.raises(Temporary) as caught:
        Nostr().publish(luna(slow), post())
    assert caught.value.whole_account
    with pytest.raises(Temporary) as caught:
        Nostr().publish(luna(slow, dead), post())
    assert not caught.value.whole_account


def test_a_notice_is_quoted(run: Run) -> None:
    with pytest.raises(Unconfirmed, match="Could not parse"):
        Nostr().publish(luna(run(relays.notices("Could not parse"))), post())


def test_a_silent_relay_is_given_up(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.scheduling.publishers.nostr.RELAY_SECONDS", 0.5)
    with pytest.raises(Unconfirmed):
        Nostr().publish(luna(run(lambda *given: None)), post())


def test_a_relay_that_asks_who_we_are_is_told_once(run: Run) -> None:
    relay = run(relays.wants_to_know_who, ["AUTH", "challenge-1"])
    Nostr().publish(luna(relay), post())
    (answer,) = [message[1] for message in relay.heard if message[0] == "AUTH"]
    assert answer["kind"] == 22242 and len(relay.events) == 1
    assert answer["tags"] == [["relay", relay.url], ["challenge", "challenge-1"]]


def test_one_relay_is_enough_and_the_others_are_told_of_in_the_log(run: Run) -> None:
    good, bad = run(), run(relays.refuses("blocked: no"))
    receipt = Nostr().publish(luna(bad, "ws://127.0.0.1:9", good), post())
    assert receipt.remote_id in good.events


@pytest.mark.parametrize(
    ("address", "error", "code"),
    [
        ("ws://127.0.0.1:9", Temporary, "unreachable"),
        ("wss://relay.invalid", Temporary, "unreachable"),
        ("wss://10.0.0.1", Permanent, "private_address"),
        ("wss://[::1]:7777", Permanent, "private_address"),
        ("ws://relay.example", Permanent, "bad_relays"),
        ("https://relay.example", Permanent, "bad_relays"),
        ("wss://me:secret@relay.example", Permanent, "bad_relays"),
        ("", Permanent, "bad_relays"),
        (" ".join(f"wss://{n}.example" for n in range(11)), Permanent, "bad_relays"),
    ],
)
def test_addresses_that_are_no_relay_for_us(
    run: Run, address: str, error: type[PublishError], code: str
) -> None:
    with pytest.raises(error) as caught:
        Nostr().publish(luna(address), post())
    assert caught.value.code == code


def test_a_part_of_a_thread_names_root_and_parent(run: Run) -> None:
    relay = run()
    root, parent = "ab" * 32, "cd" * 32
    for follows in (ReplyTo(id=root, root=root), ReplyTo(id=parent, root=root)):
        Nostr().publish(luna(relay), post(reply_to=follows))
    first, second = ([tag for tag in each["tags"] if tag[0] in "ep"] for each in relay.given)
    assert first == [["e", root, "", "root", PUBLIC], ["p", PUBLIC]]
    assert second[1] == ["e", parent, "", "reply", PUBLIC]


# -- After a lost answer, and taking it back ----------------------------------------------------


def test_a_post_is_found_by_its_id_only_once_it_is_there(run: Run) -> None:
    relay = run()
    assert Nostr().find(luna(relay), post(), NOON) is None
    receipt = Nostr().publish(luna(relay), post())
    assert Nostr().find(luna(relay), post(), NOON) == receipt
    with pytest.raises(Temporary):
        Nostr().find(luna("ws://127.0.0.1:9"), post(), NOON)
    # One that is gone for good leaves the question to a person.
    with pytest.raises(Permanent):
        Nostr().find(luna(run(), "ws://127.0.0.1:9"), post(), NOON)


def test_a_post_is_deleted_by_an_event_of_its_author(run: Run) -> None:
    relay = run()
    receipt = Nostr().publish(luna(relay), post())
    Nostr().unpublish(luna(relay), as_posted(receipt.remote_id))
    deletion = relay.given[-1]
    assert (deletion["kind"], deletion["tags"]) == (5, [["e", receipt.remote_id], ["k", "1"]])
    with pytest.raises(Temporary):
        Nostr().unpublish(luna(relay, "ws://127.0.0.1:9"), as_posted(receipt.remote_id))
    with pytest.raises(Permanent):
        Nostr().unpublish(luna(relay), as_posted("../x"))


def test_testing_says_who_we_are_and_what_relays_take(run: Run) -> None:
    relay = run()
    told = {"limitation": {"max_content_length": 8196}}
    publisher = Nostr(transport=httpx.MockTransport(lambda request: ok(told)))
    identity = publisher.test(luna(relay, "ws://127.0.0.1:9"))
    assert (identity.handle, identity.remote_id) == (NPUB, PUBLIC)
    assert identity.facts == {"relays": [relay.url], "bytes": 8196}
    assert relay.given == []
    with pytest.raises(Temporary):
        publisher.test(luna("ws://127.0.0.1:9"))


# -- Pictures -----------------------------------------------------------------------------------

SERVER = "https://blossom.example"
UPLOAD = "PUT /upload"
KEPT = {"url": f"{SERVER}/000.jpg", "sha256": "0" * 64, "size": 1, "type": "image/jpeg"}


def prepared(account: Account, outgoing: Outgoing, network: Network) -> Any:
    publisher = Nostr(transport=network.transport)
    return publisher.prepare(account, outgoing, lambda progress: None)


def test_pictures_are_named_by_address_and_described(run: Run) -> None:
    relay = run()
    outgoing = post(attachments=(photo(),))
    progress = prepared(luna(relay), outgoing, Network({}))
    Nostr().publish(luna(relay), post(attachments=(photo(),), progress=progress))
    (event,) = relay.given
    assert event["content"] == "Good morning\n\nhttps://gator.example/media/fog.jpg"
    assert event["tags"][0] == [
        "imeta",
        "url https://gator.example/media/fog.jpg",
        "m image/jpeg",
        f"x {'0' * 64}",
        "dim 800x600",
        "alt Fog over the river",
    ]


def test_a_media_server_is_given_the_file_by_its_hash() -> None:
    network = Network({UPLOAD: ok(KEPT)})
    account = luna("wss://relay.example", media_server=f"{SERVER}/")
    progress = prepared(account, post(attachments=(photo(),)), network)
    assert progress == {"media": {"0": KEPT["url"]}}
    (request,) = network.asked
    assert (request.content, request.headers["content-length"]) == (b"F", "1")
    assert request.headers["content-type"] == "image/jpeg"
    import base64

    leave = json.loads(base64.b64decode(request.headers["authorization"].removeprefix("Nostr ")))
    assert nostr_event.is_genuine(leave) and leave["kind"] == 24242
    assert leave["tags"][:2] == [["t", "upload"], ["x", "0" * 64]]


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (refusal(401), NeedsReconnect),
        (refusal(413), Permanent),
        (refusal(503), Temporary),
        (ok({**KEPT, "sha256": "1" * 64}), Temporary),
        (ok({**KEPT, "url": "javascript:alert(1)"}), Temporary),
        (ok([]), Temporary),
    ],
)
def test_an_upload_that_fails_publishes_nothing(answer: Any, error: type[PublishError]) -> None:
    account = luna("wss://relay.example", media_server=SERVER)
    with pytest.raises(error):
        prepared(account, post(attachments=(photo(),)), Network({UPLOAD: answer}))


def test_what_fits_and_what_does_not() -> None:
    def problems(account: Account | None = None, **changes: Any) -> list[str]:
        return [each.code for each in Nostr().check(account or luna("wss://a"), post(**changes))]

    assert problems(text="霧" * 10_000) == []
    assert problems(text="霧" * 10_001) == ["text_too_long"]
    assert problems(text="a" * 29_990, attachments=(photo(),)) == ["text_too_long"]
    private = photo(url="http://localhost/fog.jpg")
    assert problems(attachments=(private,)) == ["media_not_public"]
    kept = luna("wss://a", media_server=SERVER)
    assert problems(kept, attachments=(private,)) == []
    short = Account(id="1", handle="luna", facts={"bytes": 100})
    assert problems(short, text="a" * 101) == ["text_too_long"]
