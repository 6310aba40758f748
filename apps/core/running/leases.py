"""Leases: a name that one process holds at a time, or a sign of life that expires by itself."""

import os
import socket
from datetime import timedelta

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from apps.core.models import Lease


def this_process() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"


def take(name: str, *, holder: str, seconds: float) -> bool:
    """Take or renew the lease; False while another holder's is alive."""
    now = timezone.now()
    expires = now + timedelta(seconds=seconds)
    # One conditional UPDATE decides between two that ask at once.
    free = Q(holder=holder) | Q(expires_at__lte=now)
    if Lease.objects.filter(free, name=name).update(holder=holder, expires_at=expires):
        return True
    try:
        with transaction.atomic():
            Lease.objects.create(name=name, holder=holder, expires_at=expires)
    except IntegrityError:
        return False
    return True


def bury_the_dead(name: str) -> None:
    """Free a lease at once whose holder was a process of this machine that no longer runs."""
    holder = Lease.objects.filter(name=name).values_list("holder", flat=True).first()
    host, _, pid = (holder or "").rpartition(":")
    if holder and host == socket.gethostname() and pid.isdecimal():
        try:
            os.kill(int(pid), 0)
        except ProcessLookupError:
            give_back(name, holder=holder)
        except PermissionError:
            # It runs, as another user.
            return


def give_back(name: str, *, holder: str) -> None:
    """Let the lease go at once, so that a successor need not wait for it to expire."""
    Lease.objects.filter(name=name, holder=holder).delete()
