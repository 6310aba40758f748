"""The addresses of sentiment."""

from django.urls import include, path, re_path

from apps.core.rest.resources import UUID_PATTERN, Router
from apps.sentiment.api import analysing, comments, reports, rows

router = Router()
router.register("readings", rows.ReadingViewSet, "reading")
router.register("comments", comments.CommentViewSet, "comment")
router.register("batches", comments.BatchViewSet, "batch")
router.register("corrections", rows.CorrectionViewSet, "correction")
router.register("competitors", rows.CompetitorViewSet, "competitor")
router.register("watches", rows.WatchViewSet, "watch")
router.register("alerts", rows.SpikeViewSet, "spike")

api = [
    re_path("^analyze-text/?$", analysing.AnalyzeTextView.as_view(), name="analyze-text"),
    re_path(
        "^analyze-comments/?$", analysing.AnalyzeCommentsView.as_view(), name="analyze-comments"
    ),
    re_path(
        "^analyze-engagement/?$",
        analysing.AnalyzeEngagementView.as_view(),
        name="analyze-engagement",
    ),
    re_path(
        f"^trends/(?P<persona_id>{UUID_PATTERN})/?$", reports.TrendsView.as_view(), name="trends"
    ),
    re_path("^compare-competitors/?$", reports.CompareView.as_view(), name="compare-competitors"),
    re_path("^health/?$", analysing.HealthView.as_view(), name="sentiment-health"),
    *router.urls,
]

urlpatterns = [path("api/v1/sentiment/", include(api))]
