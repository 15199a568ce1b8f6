"""Several threads want the same done at the same moment: it is done once, for all of them."""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class Together(Generic[Item, Result]):
    """Collects what arrives while a round is under way, and does that in the next round.

    Nobody waits for company: whoever comes alone is served alone, at once, in its own thread.

    Args:
        do: gives one result for each item; when it raises, it has done nothing.
        most: items in a round.
        apart: errors that may be the fault of one item: then each is done by itself.
    """

    def __init__(
        self,
        do: Callable[[Sequence[Item]], Sequence[Result]],
        *,
        most: int,
        apart: type[Exception],
    ) -> None:
        self._do = do
        self._most = most
        self._apart = apart
        self._waiting: deque[_Wish[Item, Result]] = deque()
        self._turn = threading.Lock()

    def __call__(self, item: Item) -> Result:
        """The result for `item`.

        Raises:
            Exception: whatever `do` raises for it.
        """
        wish = _Wish[Item, Result](item)
        self._waiting.append(wish)
        while not wish.done:
            with self._turn:
                if not wish.done:
                    self._round()
        return wish.outcome()

    def _round(self) -> None:
        # Only whoever has the turn takes from the left; others may append meanwhile.
        wishes = [self._waiting.popleft() for _ in range(min(self._most, len(self._waiting)))]
        try:
            results = self._do([wish.item for wish in wishes])
        except self._apart as error:
            for wish in wishes:
                wish.fail(error) if len(wishes) == 1 else self._alone(wish)
        except BaseException as error:
            for wish in wishes:
                wish.fail(error)
        else:
            for wish, result in zip(wishes, results, strict=True):
                wish.grant(result)

    def _alone(self, wish: "_Wish[Item, Result]") -> None:
        try:
            wish.grant(self._do([wish.item])[0])
        except BaseException as error:
            wish.fail(error)


class _Wish(Generic[Item, Result]):
    """What one thread wants, and what came of it."""

    def __init__(self, item: Item) -> None:
        self.item = item
        self.done = False
        self._results: list[Result] = []
        self._error: BaseException | None = None

    def grant(self, result: Result) -> None:
        self._results.append(result)
        self.done = True

    def fail(self, error: BaseException) -> None:
        self._error = error
        self.done = True

    def outcome(self) -> Result:
        if self._error is not None:
            raise self._error
        return self._results[0]
