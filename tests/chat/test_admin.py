"""Chat in the admin: looking after conversations, and one person's data."""

from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from apps.chat import services
from apps.chat.models import Ban, Conversation, FanMemory, Message
from apps.core.models import AuditEntry, User
from apps.personas.models import Persona, VoiceSettings

pytestmark = pytest.mark.django_db


@pytest.fixture
def as_mo(mo: User, client: Client) -> Client:
    client.force_login(mo)
    return client


def said(where: Conversation, by: User, text: str) -> Message:
    return services.send_message(conversation=where, by=by, content=text)


def act(client: Client, model: str, action: str, *rows: Any, **more: str) -> Any:
    """Run an action of a list on these rows."""
    form = {"action": action, "_selected_action": [str(row.pk) for row in rows], **more}
    return client.post(reverse(f"admin:chat_{model}_changelist"), form, follow=True)


def actions() -> set[str]:
    return set(AuditEntry.objects.values_list("action", flat=True))


def test_conversations_are_found_by_what_was_said(
    as_mo: Client, talk: Conversation, group: Conversation, fan: User
) -> None:
    said(group, fan, "Where is the swordfish?")
    path = reverse("admin:chat_conversation_changelist")
    found = as_mo.get(path, {"q": "swordfish"}).text
    assert str(group.pk) in found
    assert str(talk.pk) not in found
    assert str(talk.pk) in as_mo.get(path, {"q": "Luna"}).text


def test_words_of_people_stay_text(as_mo: Client, group: Conversation, fan: User) -> None:
    row = said(group, fan, "<script>alert(1)</script>")
    for path in (
        reverse("admin:chat_message_changelist"),
        reverse("admin:chat_message_change", args=[row.pk]),
        reverse("admin:chat_conversation_change", args=[group.pk]),
    ):
        page = as_mo.get(path).text
        assert "&lt;script&gt;alert(1)" in page
        assert "<script>alert(1)" not in page


def test_a_person_takes_over_and_hands_back(as_mo: Client, talk: Conversation, mo: User) -> None:
    page = reverse("admin:chat_conversation_change", args=[talk.pk])
    assert "Take over" in as_mo.get(page).text
    as_mo.post(reverse("admin:chat_conversation_take-over", args=[talk.pk]))
    talk.refresh_from_db()
    assert (talk.holder, talk.held_by) == (Conversation.Holder.HUMAN, mo)
    assert "mo answers here." in as_mo.get(page).text
    as_mo.post(reverse("admin:chat_conversation_hand-back", args=[talk.pk]))
    talk.refresh_from_db()
    assert (talk.holder, talk.held_by) == (Conversation.Holder.AI, None)


def test_messages_are_hidden_and_shown_again(as_mo: Client, group: Conversation, fan: User) -> None:
    row = said(group, fan, "Buy my pills")
    act(as_mo, "message", "hide", row)
    row.refresh_from_db()
    assert not row.is_readable
    assert row.content == "Buy my pills"
    act(as_mo, "message", "show", row)
    row.refresh_from_db()
    assert row.is_readable


def test_senders_are_banned_but_staff_are_not(
    as_mo: Client, group: Conversation, fan: User, ada: User
) -> None:
    services.add_member(conversation=group, by=fan, user=ada)
    page = act(
        as_mo, "message", "ban_senders", said(group, fan, "spam"), said(group, ada, "enough")
    ).text
    assert list(Ban.objects.values_list("user__username", flat=True)) == ["fan"]
    assert "Staff cannot be banned" in page
    with pytest.raises(services.Refused) as refused:
        said(group, fan, "more spam")
    assert refused.value.code == "banned"
    ban = Ban.objects.get()
    as_mo.post(reverse("admin:chat_ban_delete", args=[ban.pk]), {"post": "yes"})
    assert said(group, fan, "sorry").content == "sorry"


def test_one_persons_data_is_taken_away(
    as_mo: Client, group: Conversation, fan: User, other_fan: User
) -> None:
    said(group, fan, "mine")
    said(group, other_fan, "another's")
    answer = act(as_mo, "talker", "export", fan)
    assert answer["Content-Type"] == "application/json"
    assert [each["content"] for each in answer.json()["messages"]] == ["mine"]
    assert "export chat data" in actions()
    assert "Choose one person." in act(as_mo, "talker", "export", fan, other_fan).text


def test_one_persons_chat_is_erased_once_their_name_was_written(
    as_mo: Client, talk: Conversation, group: Conversation, fan: User, luna: Persona
) -> None:
    said(group, fan, "forget me")
    FanMemory.objects.create(persona=luna, user=fan, about="home", text="Faro")
    for confirmed in ({}, {"confirmed": "somebody"}):
        page = act(as_mo, "talker", "erase", fan, **confirmed).text
        assert "Erase everything that fan said?" in page
    assert Message.objects.filter(content="forget me").exists()
    act(as_mo, "talker", "erase", fan, confirmed="fan")
    assert not Message.objects.filter(content="forget me").exists()
    assert not Conversation.objects.filter(pk=talk.pk).exists()
    assert not FanMemory.objects.exists()


def test_staff_without_the_permission_come_to_none_of_it(
    as_sam: Client, talk: Conversation, group: Conversation, fan: User
) -> None:
    row = said(group, fan, "words")
    for name in ("conversation", "message", "ban", "reply", "talker", "fanmemory"):
        assert as_sam.get(reverse(f"admin:chat_{name}_changelist")).status_code == 403
    assert act(as_sam, "message", "hide", row).status_code == 403
    assert act(as_sam, "talker", "erase", fan, confirmed="fan").status_code == 403
    for verb in ("take-over", "hand-back"):
        path = reverse(f"admin:chat_conversation_{verb}", args=[talk.pk])
        assert as_sam.post(path).status_code == 403
    row.refresh_from_db()
    assert row.is_readable


def test_who_may_only_look_moderates_nothing(
    client: Client, sam: User, talk: Conversation, group: Conversation, fan: User
) -> None:
    sam.user_permissions.set(
        Permission.objects.filter(content_type__app_label="chat", codename__startswith="view_")
    )
    client.force_login(sam)
    row = said(group, fan, "words")
    assert "words" in client.get(reverse("admin:chat_message_changelist")).text
    act(client, "message", "hide", row)
    act(client, "message", "ban_senders", row)
    act(client, "talker", "erase", fan, confirmed="fan")
    row.refresh_from_db()
    assert row.is_readable
    assert row.content == "words"
    assert not Ban.objects.exists()
    path = reverse("admin:chat_conversation_take-over", args=[talk.pk])
    assert client.post(path).status_code == 403


def test_a_reply_is_tried_before_anybody_gets_one(
    as_ada: Client, as_sam: Client, luna: Persona
) -> None:
    row = VoiceSettings.objects.create(persona=luna)
    path = reverse("admin:personas_voicesettings_try", args=[row.pk])
    page = as_ada.post(path, {"text": "Are you a bot?"}, follow=True).text
    assert "Luna would answer:" in page
    assert "AI persona" in page
    assert as_sam.post(path, {"text": "Hello"}).status_code == 403
    assert not Message.objects.exists()
