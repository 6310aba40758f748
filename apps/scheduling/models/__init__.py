"""The rows of scheduling, a file for each thought; everybody imports them from here."""

from apps.scheduling.models.accounts import SignIn as SignIn
from apps.scheduling.models.accounts import SocialAccount as SocialAccount
from apps.scheduling.models.drafts import LONGEST_BRIEF as LONGEST_BRIEF
from apps.scheduling.models.drafts import Candidate as Candidate
from apps.scheduling.models.drafts import DraftRun as DraftRun
from apps.scheduling.models.hooks import WebhookEndpoint as WebhookEndpoint
from apps.scheduling.models.hooks import WebhookMessage as WebhookMessage
from apps.scheduling.models.measures import Measurement as Measurement
from apps.scheduling.models.plans import Evergreen as Evergreen
from apps.scheduling.models.plans import Occurrence as Occurrence
from apps.scheduling.models.plans import QueueSlot as QueueSlot
from apps.scheduling.models.plans import Series as Series
from apps.scheduling.models.plans import SeriesMedia as SeriesMedia
from apps.scheduling.models.posts import DAY as DAY
from apps.scheduling.models.posts import Attempt as Attempt
from apps.scheduling.models.posts import Delivery as Delivery
from apps.scheduling.models.posts import DeliveryQuerySet as DeliveryQuerySet
from apps.scheduling.models.posts import Media as Media
from apps.scheduling.models.posts import Post as Post
from apps.scheduling.models.posts import PostMedia as PostMedia
from apps.scheduling.models.wall import WallPost as WallPost
from apps.scheduling.models.writing import HashtagSet as HashtagSet
from apps.scheduling.models.writing import PostComment as PostComment
from apps.scheduling.models.writing import Template as Template
