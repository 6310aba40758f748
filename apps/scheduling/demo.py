"""What a newcomer finds: a persona who knows things, an account on the Wall, a post due soon."""

from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from apps.core.models import User
from apps.personas.models import Fact, Persona
from apps.scheduling import services
from apps.scheduling.models import Post, SocialAccount

FIRST_POST_AFTER = timedelta(seconds=20)

FACTS = [
    "Luna lives between Lisbon and Oslo and photographs both.",
    "She shoots with a 35 mm lens on an old rangefinder and develops at home.",
    "Her favourite hour is the one before sunrise, when the trams are still empty.",
    "She drinks her coffee black and finds every bakery within a mile.",
]
FAQ = {
    "Which camera do you use?": "An old rangefinder with a 35 mm lens. It is slow, and so am I.",
    "Where should I go for photos in Portugal?": "Sintra first, early, while the fog is on the "
    "palace; then Cabo da Roca for the last light.",
    "Can I buy prints?": "Not yet. When that changes I will say so here.",
    "Are you a real person?": "No. I am an AI persona, and the people who run me read along.",
}
POSTS = [
    (timedelta(), "Fog on the river, one tram, no hurry. Good morning, Lisbon.", ["lisbon", "fog"]),
    (timedelta(hours=6), "Three frames left on the roll. What would you save them for?", ["35mm"]),
    (timedelta(days=1), "Home is where the enlarger is.", ["darkroom"]),
]


@transaction.atomic
def make(*, by: User | None = None) -> Post | None:
    """Make the demo once; None when the studio has a persona already."""
    if Persona.objects.exists():
        return None
    luna = Persona.objects.create(
        name="Luna",
        handle="luna",
        bio="Travel photographer between Lisbon and Oslo. Slow mornings, fast lenses.",
        voice="Warm, dry, short sentences. Never uses exclamation marks. Asks back.",
        time_zone="Europe/Lisbon",
    )
    Fact.objects.bulk_create(Fact(persona=luna, text=text) for text in FACTS)
    Fact.objects.bulk_create(
        Fact(persona=luna, kind=Fact.Kind.FAQ, question=question, text=answer)
        for question, answer in FAQ.items()
    )
    wall = SocialAccount.objects.create(
        persona=luna, network="wall", handle="luna", status=SocialAccount.Status.WORKING
    )
    now = timezone.now()
    posts = [
        services.schedule_post(
            services.Draft(
                persona=luna,
                accounts=[wall],
                text=text,
                hashtags=hashtags,
                scheduled_at=now + FIRST_POST_AFTER + later,
            ),
            by=by,
        )
        for later, text, hashtags in POSTS
    ]
    return posts[0]


def first_run() -> str:
    """Make the demo; the page where its posts appear."""
    post = make()
    return f"/wall/{post.persona.handle}/" if post else ""
