"""One queue: a key waits once, is worked on once at a time, and comes back when it failed."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from ondol.cluster.queue import QUIET_LIMIT_SECONDS, QUIET_SECONDS, Queue

Work = Callable[[str], Awaitable[bool]]


@pytest.fixture
async def queue() -> Queue[str]:
    return Queue(asyncio.get_running_loop().time)


@asynccontextmanager
async def running(queue: Queue[str], work: Work, workers: int = 4) -> AsyncIterator[None]:
    task = asyncio.create_task(queue.run(work, workers))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(condition: Callable[[], bool], seconds: float = 5) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - any condition can be waited for
            await asyncio.sleep(0.001)


async def test_many_changes_of_a_waiting_key_are_one_look(queue: Queue[str]) -> None:
    looks: list[str] = []

    async def work(key: str) -> bool:
        looks.append(key)
        return True

    for _ in range(100):
        queue.add("a")
    async with running(queue, work):
        queue.add("end")
        await until(lambda: "end" in looks)
    assert looks == ["a", "end"]


async def test_a_key_that_changes_while_it_is_worked_on_gets_another_look_afterwards(
    queue: Queue[str],
) -> None:
    at_once, most, looks = 0, 0, 0
    started = asyncio.Event()

    async def work(_: str) -> bool:
        nonlocal at_once, most, looks
        at_once += 1
        most = max(most, at_once)
        started.set()
        await asyncio.sleep(0.01)
        at_once -= 1
        looks += 1
        return True

    async with running(queue, work):
        queue.add("a")
        await started.wait()
        queue.add("a")
        queue.add("a")
        await until(lambda: looks == 2)
    assert (most, looks) == (1, 2)


async def test_no_more_than_the_given_number_work_at_once(queue: Queue[str]) -> None:
    at_once, most, looks = 0, 0, 0

    async def work(_: str) -> bool:
        nonlocal at_once, most, looks
        at_once += 1
        most = max(most, at_once)
        await asyncio.sleep(0.001)
        at_once -= 1
        looks += 1
        return True

    for number in range(50):
        queue.add(str(number))
    async with running(queue, work, workers=3):
        await until(lambda: looks == 50)
    assert most == 3


async def test_live_keys_go_before_those_of_a_resync(queue: Queue[str]) -> None:
    looks: list[str] = []

    async def work(key: str) -> bool:
        looks.append(key)
        return True

    for key in ("old-1", "old-2"):
        queue.add(key, low=True)
    queue.add("live")
    queue.add("old-2")  # an event makes it live
    async with running(queue, work, workers=1):
        await until(lambda: len(looks) == 3)
    assert looks == ["live", "old-2", "old-1"]


async def test_a_failed_key_comes_back_by_itself_and_the_others_do_not_wait(
    queue: Queue[str],
) -> None:
    looks: list[str] = []

    async def work(key: str) -> bool:
        looks.append(key)
        return key != "bad" or looks.count("bad") == 3

    async with running(queue, work, workers=1):
        queue.add("bad")
        queue.add("good")
        await until(lambda: looks.count("bad") == 3)
    assert looks.index("good") == 1


async def test_a_later_look_is_had_once_at_the_earliest_time_asked_for(queue: Queue[str]) -> None:
    looks: list[float] = []
    loop = asyncio.get_running_loop()

    async def work(_: str) -> bool:
        looks.append(loop.time())
        return True

    async with running(queue, work):
        start = loop.time()
        queue.add_after("a", 60)
        queue.add_after("a", 0.02)
        queue.add_after("a", 30)
        await until(lambda: bool(looks))
    assert 0.02 <= looks[0] - start < 1
    assert len(looks) == 1


class Clock:
    """A clock that only moves when told to."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


async def test_a_burst_is_one_look_after_it_is_quiet() -> None:
    clock = Clock()
    queue: Queue[str] = Queue(clock)
    queue.add_when_quiet("proxy")
    clock.now = QUIET_SECONDS * 0.9
    queue.add_when_quiet("proxy")
    clock.now = QUIET_SECONDS * 1.5
    assert queue.take() is None
    clock.now = QUIET_SECONDS * 2
    assert queue.take() == "proxy"


async def test_a_burst_that_never_ends_is_looked_at_after_the_limit() -> None:
    clock = Clock()
    queue: Queue[str] = Queue(clock)
    looks: list[float] = []
    while clock.now < QUIET_LIMIT_SECONDS + QUIET_SECONDS:
        queue.add_when_quiet("proxy")
        clock.now += QUIET_SECONDS / 2
        if queue.take():
            looks.append(clock.now)
    assert looks == [QUIET_LIMIT_SECONDS]


async def test_the_age_of_the_longest_waiting_key_is_known() -> None:
    clock = Clock()
    queue: Queue[str] = Queue(clock)
    queue.add("a")
    clock.now = 7
    queue.add("b")
    assert (queue.oldest(), len(queue)) == (7, 2)
