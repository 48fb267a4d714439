"""What a start tells the user while it goes on."""

import asyncio

from yarnspawner.launch.progress import Progress


async def messages(progress):
    return [event["message"] async for event in progress.follow()]


async def test_every_follower_gets_every_event_also_those_from_before_it_came():
    progress = Progress()
    progress.tell(10, "Submitting")
    first = asyncio.create_task(messages(progress))
    await asyncio.sleep(0)
    progress.tell(50, "Waiting")
    second = asyncio.create_task(messages(progress))
    await asyncio.sleep(0)
    progress.end()
    assert await first == await second == ["Submitting", "Waiting"]


async def test_an_event_that_says_nothing_new_is_not_told_again():
    progress = Progress()
    progress.tell(30, "Waiting")
    progress.tell(30, "Waiting")
    progress.end()
    assert await messages(progress) == ["Waiting"]


async def test_who_follows_after_the_end_gets_all_and_does_not_wait():
    progress = Progress()
    progress.tell(30, "Waiting")
    progress.end()
    assert await asyncio.wait_for(messages(progress), 1) == ["Waiting"]


async def test_what_yarn_says_is_not_taken_for_html():
    progress = Progress()
    progress.tell(30, "<b>queue</b>", "http://rm/?a=1&b=2")
    progress.end()
    (event,) = [event async for event in progress.follow()]
    assert event["progress"] == 30
    assert event["html_message"].startswith('&lt;b&gt;queue&lt;/b&gt; (<a href="http://rm/?a=1&amp;b=2"')


async def test_who_follows_before_a_start_begins_sees_that_start():
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
