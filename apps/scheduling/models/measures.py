"""How posts did: what a network told of one, look by look."""

from typing import ClassVar

from django.db import models

from apps.core.ids import uuid7


class Measurement(models.Model):
    """A delivery's likes, answers and shares at one look; kept where a number had changed."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    # The constraint has an index for it.
    delivery = models.ForeignKey(
        "scheduling.Delivery", models.CASCADE, db_index=False, related_name="measurements"
    )
    at = models.DateTimeField()
    likes = models.PositiveBigIntegerField()
    comments = models.PositiveBigIntegerField()
    shares = models.PositiveBigIntegerField()

    class Meta:
        ordering = ("at",)
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["delivery", "at"], name="one_measurement_at_a_time")
        ]

    def __str__(self) -> str:
        return f"{self.likes} likes, {self.comments} answers, {self.shares} shares"
