"""Progress events of a start."""

import asyncio

from yarnspawner.launch.progress import Progress


async def messages(progress):
    return [event["message"] async for event in progress.follow()]


async def test_all_events():
    """Each follower gets all events, including earlier ones."""
    progress = Progress()
    progress.tell(10, "Submitting")
    first = asyncio.create_task(messages(progress))
    await asyncio.sleep(0)
    progress.tell(50, "Waiting")
    second = asyncio.create_task(messages(progress))
    await asyncio.sleep(0)
    progress.end()
    assert await first == await second == ["Submitting", "Waiting"]


async def test_no_repetition():
    """A repeated event is dropped."""
    progress = Progress()
    progress.tell(30, "Waiting")
    progress.tell(30, "Waiting")
    progress.end()
    assert await messages(progress) == ["Waiting"]


async def test_after_end():
    """A follower after the end gets all events and ends."""
    progress = Progress()
    progress.tell(30, "Waiting")
    progress.end()
    assert await asyncio.wait_for(messages(progress), 1) == ["Waiting"]


async def test_html_escaped():
    """YARN's text is escaped in HTML."""
    progress = Progress()
    progress.tell(30, "<b>queue</b>", "http://rm/?a=1&b=2")
    progress.end()
    (event,) = [event async for event in progress.follow()]
    assert event["progress"] == 30
    assert event["html_message"].startswith('&lt;b&gt;queue&lt;/b&gt; (<a href="http://rm/?a=1&amp;b=2"')


async def test_before_start():
    """A follower before a start gets its events."""
    progress = Progress()
    progress.tell(30, "Of the last start")
    page = asyncio.create_task(messages(progress))
    await asyncio.sleep(0)
    progress.begin()
    progress.tell(10, "Submitting")
    await asyncio.sleep(0)
    progress.end()
    assert await asyncio.wait_for(page, 1) == ["Of the last start", "Submitting"]
    assert await messages(progress) == ["Submitting"]
