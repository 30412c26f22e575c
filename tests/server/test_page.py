import asyncio
import socket
import threading

import pytest

pytest.importorskip("uvicorn", reason="the server's packages: pip install -e '.[serve]'")

import uvicorn

from albert_zh.server.routes import application

TABS = ["similarity", "classify", "entities", "fill-mask", "answer"]


@pytest.fixture
def address(fake_service):
    """The address of a server in a thread of this process."""
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(application(fake_service(characters=40)), log_level="error", lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve([listening])))
    thread.start()
    yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    server.should_exit = server.force_exit = True
    thread.join(20)
    listening.close()


@pytest.fixture
def page(chromium, address):
    """The browser at the page, in English, with nothing kept from before; no error may be left in its console."""
    chromium.requests.clear()
    chromium.complaints.clear()
    chromium.size(1200)
    chromium.open(address, "document.querySelector('[role=tab]')")
    chromium.run("localStorage.clear()")
    chromium.run("document.querySelector('[data-language=en]').click()")
    yield chromium
    assert {request.split("/")[2] for request in chromium.requests if request.startswith("http")} == {address[7:]}
    assert chromium.complaints == []


def choose(page, name):
    page.click(f"#tab-{name}")
    assert page.run("document.querySelector('[role=tabpanel]:not([hidden])').id") == f"panel-{name}"


def write(page, name, text):
    page.run(f"document.querySelector('#{name}').select()")
    page.type(text)


def asked(page, name):
    page.click(f"#panel-{name} button.main")
    page.wait(f"document.querySelector('#panel-{name} .took')")


def text(page, selector):
    return page.run(f"document.querySelector({selector!r})?.textContent")


def test_two_sentences_get_their_probability_as_a_bar_and_the_time_it_took(page):
    choose(page, "similarity")
    write(page, "similarity-first", "天气")
    write(page, "similarity-second", "天气")
    asked(page, "similarity")
    assert text(page, "#panel-similarity .percent") == "100.0%"
    assert page.run("document.querySelector('#panel-similarity .filled').style.width") == "100%"
    assert " ms in the server" in text(page, "#panel-similarity .took")


def test_the_labels_of_a_text_come_with_their_names_likeliest_first(page):
    choose(page, "classify")
    write(page, "classify-text", "七个字的一句话")
    asked(page, "classify")
    shown = page.run("[...document.querySelectorAll('#panel-classify .bar')].map(e => e.innerText.split('\\n'))")
    assert shown == [["long (1)", "70.0%"], ["short (0)", "30.0%"]]


def test_entities_are_marked_at_their_characters_behind_an_emoji_too_and_text_is_never_markup(page):
    choose(page, "entities")
    write(page, "entities-text", "😀<b>北京</b>👩‍👩‍👧京")
    asked(page, "entities")
    shown = page.run(
        "[...document.querySelector('#panel-entities .marked').childNodes].map(e => [e.nodeName, e.firstChild ? "
        "e.firstChild.textContent : e.textContent])"
    )
    assert shown == [["#text", "😀<b>北"], ["MARK", "京"], ["#text", "</b>👩‍👩‍👧"], ["MARK", "京"], ["#text", ""]]
    assert page.run("document.querySelectorAll('b').length") == 0


def test_what_no_loaded_model_does_is_said_with_the_command_for_one(page):
    for name, command in (("fill-mask", "albert_tiny_zh"), ("answer", "--task_name=cmrc2018")):
        choose(page, name)
        assert command in text(page, f"#panel-{name} code")
        assert page.run(f"document.querySelector('#panel-{name} form')") is None


def test_a_mistake_is_told_at_its_field_and_goes_when_it_is_mended(page):
    choose(page, "similarity")
    write(page, "similarity-first", "天气")
    write(page, "similarity-second", " ")
    page.click("#panel-similarity button.main")
    page.wait("document.querySelector('#similarity-second[aria-invalid=true]')")
    assert text(page, "#similarity-second-problem") == "Write something here."
    assert text(page, "#similarity-first-problem") == ""
    assert page.run("document.activeElement.id") == "similarity-second"
    write(page, "similarity-second", "长" * 41)
    assert text(page, "#similarity-second-problem") == ""
    page.click("#panel-similarity button.main")
    page.wait("document.querySelector('#similarity-second[aria-invalid=true]')")
    assert text(page, "#similarity-second-problem") == "Too long: 41 characters, at most 40."


def test_the_keyboard_alone_is_enough(page):
    choose(page, "similarity")
    page.key("ArrowRight")
    assert page.run("document.activeElement.id") == "tab-classify"
    page.key("End")
    assert page.run("document.activeElement.id") == f"tab-{TABS[-1]}"
    page.key("ArrowRight")
    assert page.run("document.activeElement.id") == f"tab-{TABS[0]}"
    page.key("Tab")
    assert page.run("document.activeElement.id") == "similarity-first"
    page.key("Enter", modifiers=2)  # Ctrl
    page.wait("document.querySelector('#panel-similarity .took')")


def test_the_language_is_the_browser_s_until_one_is_chosen_which_is_remembered(page, address):
    agent = page.run("navigator.userAgent")
    try:
        page.run("localStorage.clear()")
        for language, shown in (("zh-CN", "句子相似度"), ("en-GB", "Similarity")):
            page.send("Emulation.setUserAgentOverride", userAgent=agent, acceptLanguage=language)
            page.open(address, "document.querySelector('[role=tab]')")
            assert text(page, "#tab-similarity") == shown
        page.click("[data-language=zh]")
        assert page.run("document.documentElement.lang") == "zh-CN"
        page.open(address, "document.querySelector('[role=tab]')")
        assert text(page, "#tab-similarity") == "句子相似度"
    finally:
        page.send("Emulation.setUserAgentOverride", userAgent=agent, acceptLanguage="en-US")


def test_both_languages_say_the_same_things(page):
    keys, other = page.run("Object.values(WORDS).map((words) => Object.keys(words))")
    assert keys == other
    assert page.run("Object.values(WORDS).every((words) => Object.values(words).every((word) => word.trim()))")


@pytest.mark.parametrize("width", [320, 420, 1200])
def test_nothing_is_wider_than_the_screen(page, width):
    page.size(width)
    for name in TABS:
        page.run(f"document.querySelector('#tab-{name}').click()")
        assert page.run("document.documentElement.scrollWidth") <= width


def test_the_openapi_page_loads_nothing_from_elsewhere(page, address):
    page.open(f"{address}/docs", "document.querySelectorAll('.opblock').length >= 6")
