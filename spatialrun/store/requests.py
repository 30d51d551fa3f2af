"""Requests to an object store: tried again when network or server fail, and said well when they fail for good.

obstore could try again by itself, but not when an answer breaks off in its middle, and not telling whether it
did: and who writes on a condition must know whether an earlier try may have been carried out.
"""

from __future__ import annotations

import asyncio
import random
import re
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from spatialrun.errors import StoreError, Where

Answer = TypeVar("Answer")

_STATUS = re.compile(r"status code: (\d{3})")
_REASON = re.compile(r"<Code>(\w+)</Code>")
_KIND = re.compile(r"kind: (Connect|Interrupted|Timeout)\b")
_KINDS = {
    "Connect": "no connection can be made",
    "Interrupted": "answers break off",
    "Timeout": "no answer comes in time",
}
_NO_BUCKET = ("NoSuchBucket", "ContainerNotFound", "The specified bucket does not exist")


@dataclass(frozen=True)
class Patience:
    """How often a request is tried, and how long to wait in between.

    Attributes
    ----------
    tries
        How often in all.
    first, longest
        Seconds: the longest wait after the first failure, which doubles each time, and its bound. Each wait is
        drawn between nothing and that, so that many clients do not come back at the same time.
    """

    tries: int = 9
    first: float = 0.1
    longest: float = 10.0

    def waits(self) -> Iterator[float]:
        """Yield the seconds to wait after each failure but the last."""
        for number in range(self.tries - 1):
            yield random.uniform(0, min(self.first * 2**number, self.longest))


class Requests:
    """Carries out requests to one place.

    What a caller has to decide on passes through: ``FileNotFoundError``, and obstore's ``AlreadyExistsError``,
    ``PreconditionError`` and ``NotSupportedError``.
    """

    def __init__(self, url: str, patience: Patience) -> None:
        self._url = url
        self._patience = patience

    def run(self, request: Callable[[], Answer]) -> Answer:
        """Carry out a request.

        Raises
        ------
        StoreError
            ``store.unreachable`` or ``store.permission``.
        """
        waits = self._patience.waits()
        while True:
            try:
                return request()
            except Exception as error:
                wait = self._next(error, waits)
            time.sleep(wait)

    async def run_async(self, request: Callable[[], Awaitable[Answer]]) -> Answer:
        """Carry out a request without holding up the event loop; as :meth:`run`."""
        waits = self._patience.waits()
        while True:
            try:
                return await request()
            except Exception as error:
                wait = self._next(error, waits)
            await asyncio.sleep(wait)

    def _next(self, error: Exception, waits: Iterator[float]) -> float:
        """Return how long to wait before another try, or raise what the failure means.

        Nothing of obstore's own words is passed on, not even as the cause of an error: they hold URLs, which may
        hold signatures, and quote what the server said.
        """
        from obstore.exceptions import (
            AlreadyExistsError,
            BaseError,
            NotSupportedError,
            PermissionDeniedError,
            PreconditionError,
            UnauthenticatedError,
        )

        if not isinstance(error, (BaseError, FileNotFoundError)):
            raise error
        text = str(error)
        if any(word in text for word in _NO_BUCKET):
            raise self._error("there is no such bucket", "make the bucket, or correct its name") from None
        if isinstance(error, (FileNotFoundError, AlreadyExistsError, PreconditionError, NotSupportedError)):
            raise error
        said = _reason(text)
        if isinstance(error, (PermissionDeniedError, UnauthenticatedError)):
            raise StoreError(
                "store.permission",
                f"the object store refuses access: {said}",
                where=Where(file=self._url),
                hint="check the credentials (environment, profile or the machine's role) and what they may do",
            ) from None
        if _may_pass(text):
            for wait in waits:
                return wait
        raise self._error(
            f"the object store does not do what it is asked: {said}",
            "check the network, the endpoint (AWS_ENDPOINT_URL), the region (AWS_REGION) and the credentials",
        ) from None

    def _error(self, what: str, hint: str) -> StoreError:
        return StoreError("store.unreachable", what, where=Where(file=self._url), hint=hint)


def _may_pass(text: str) -> bool:
    """Whether a failure may be gone at the next try: all but what the server understood and refused."""
    status = _STATUS.search(text)
    if status is None:
        return True
    number = int(status[1])
    return number >= 500 or number in (408, 429) or "RequestTimeout" in text


def _reason(text: str) -> str:
    """Say in a few words what went wrong."""
    if status := _STATUS.search(text):
        reason = _REASON.search(text)
        return f"it answers {status[1]}" + (f" ({reason[1]})" if reason else "")
    kind = _KIND.search(text)
    return _KINDS[kind[1]] if kind else "it does not answer as it should"
