"""The report page in a real browser, from disk and without a network: it draws, searches, filters, opens questions.

Chromium and its driver come from Debian (`make browser`); where they are not, the tests are skipped.
"""

import base64
import json
import re
import shutil
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from augen.entries import Entry, QuestionItem
from augen.evaluation.programs import MEANINGS
from augen.evaluation.report.flags import FLAGS
from tests.runs import evaluated, write_run

webdriver = pytest.importorskip("selenium.webdriver")
from selenium.webdriver.chrome.service import Service  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.support.ui import Select, WebDriverWait  # noqa: E402

QUESTIONS, VOTERS, PROGRAMS = 1500, 7, 2
LARGEST = 4_000_000  # bytes of a page with that many questions
SLOWEST = 2.0  # seconds of the page's main thread until it can be used
CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(
    not (CHROMIUM and DRIVER), reason="no chromium with chromedriver here; `make browser` installs them on Debian"
)

ATTACK = '</script><script>window.broken = 1</script><img src=x onerror="window.broken = 1">&lt;b&gt;'
HOSTILE = Entry(
    f"甲说：{ATTACK}",
    [
        QuestionItem(
            f"问{ATTACK}", [f"是{ATTACK}", "否"], f"想{ATTACK}😀\n所以。\n答案是：A", "A", program=f"% {ATTACK}"
        )
    ],
    "train_9999_roads",
)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    write_run(folder, QUESTIONS - 1, VOTERS, more=[HOSTILE], changes={"infer.programs": PROGRAMS})
    return evaluated(folder)


@pytest.fixture(scope="module")
def data(page: Path) -> dict[str, Any]:
    """What the page carries, unpacked."""
    found = re.search(r'<script type="text/plain" id="packed">([^<]*)</script>', page.read_text(encoding="utf-8"))
    assert found is not None
    return json.loads(zlib.decompress(base64.b64decode(found[1])))


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (
        "headless",
        "no-sandbox",
        "disable-gpu",
        "no-first-run",
        "disable-background-networking",
        "disable-component-update",
        "disable-sync",
        "disable-dev-shm-usage",
        "host-resolver-rules=MAP * ~NOTFOUND",
        f"user-data-dir={tmp_path_factory.mktemp('chromium')}",
    ):
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    driver.set_page_load_timeout(120)
    driver.execute_cdp_cmd("Network.enable", {})
    offline = {"offline": True, "latency": 0, "downloadThroughput": 0, "uploadThroughput": 0}
    driver.execute_cdp_cmd("Network.emulateNetworkConditions", offline)
    yield driver
    driver.quit()


@pytest.fixture
def browser(chromium: Any, page: Path) -> Iterator[Any]:
    """The page, freshly opened in a light desktop window; no test may leave an error on the console."""
    look(chromium)
    for log in ("browser", "performance"):
        chromium.get_log(log)
    chromium.get(page.as_uri())
    WebDriverWait(chromium, 60).until(lambda d: rows(d))
    yield chromium
    assert chromium.get_log("browser") == []


def look(driver: Any, width: int = 1280, height: int = 900, scheme: str = "light") -> None:
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", media)


def rows(driver: Any) -> list[Any]:
    return driver.find_elements(By.CSS_SELECTOR, "#list > details")


def count(driver: Any) -> str:
    return driver.find_element(By.ID, "count").text


def search(driver: Any, words: str, expected: str) -> None:
    """Type `words` and wait until the count reads `expected`."""
    field = driver.find_element(By.ID, "search")
    field.clear()
    field.send_keys(words)
    WebDriverWait(driver, 30).until(lambda d: count(d) == expected, f"{words}: never {expected!r}")


def draw(driver: Any, chart: Any) -> None:
    """Scroll to `chart` and wait until something is drawn in it."""
    driver.execute_script("arguments[0].scrollIntoView()", chart)
    WebDriverWait(driver, 30).until(lambda _: chart.find_elements(By.CSS_SELECTOR, "svg path"))


def number(value: int) -> str:
    return f"{value:,}"


def counted(found: list[dict[str, Any]]) -> str:
    right = sum(q["given"] == q["truth"] for q in found)
    return f"{number(len(found))} of {number(QUESTIONS)} questions, {number(right)} of them right"


def test_it_is_one_file_of_a_bearable_size_and_asks_for_nothing(browser: Any, page: Path) -> None:
    assert page.stat().st_size < LARGEST
    messages = (json.loads(entry["message"])["message"] for entry in browser.get_log("performance"))
    asked = {m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"}
    assert page.as_uri() in asked
    assert {url.partition(":")[0] for url in asked} <= {"file", "data", "blob"}


def test_it_is_ready_soon(chromium: Any, page: Path) -> None:
    """Counted in the main thread's own time, which other work on the machine does not lengthen."""
    chromium.execute_cdp_cmd("Performance.enable", {"timeDomain": "threadTicks"})

    def spent() -> float:
        metrics = chromium.execute_cdp_cmd("Performance.getMetrics", {})["metrics"]
        return {m["name"]: m["value"] for m in metrics}["TaskDuration"]

    look(chromium)
    chromium.get("about:blank")
    before = spent()
    chromium.get(page.as_uri())
    WebDriverWait(chromium, 60).until(lambda d: rows(d) and d.find_elements(By.CSS_SELECTOR, "[data-drawn] svg"))
    assert 0 < spent() - before < SLOWEST


def test_every_chart_is_drawn_in_either_scheme(browser: Any) -> None:
    charts = browser.find_elements(By.CSS_SELECTOR, "[data-chart]")
    assert len(charts) == 6
    for chart in charts:
        draw(browser, chart)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= 1280

    line = "return document.querySelector('[data-chart=roc] path[stroke=\"%s\"]') !== null"
    light, dark = "#2f6bd0", "#6ea1f5"
    assert browser.execute_script(line % light)
    look(browser, scheme="dark")
    WebDriverWait(browser, 30).until(lambda d: d.execute_script(line % dark))


def test_search_finds_puzzles_samples_and_ids(browser: Any, data: dict[str, Any]) -> None:
    questions = data["questions"]
    assert count(browser) == counted(questions)
    some = questions[700]
    search(browser, some["id"].upper(), counted([some]))
    assert rows(browser)[0].get_attribute("data-id") == some["id"]

    def holds(q: dict[str, Any], *words: str) -> bool:
        drawn = [s["text"] for s in (*q["samples"], *q["programs"])]
        texts = [data["problems"][q["problem"]], q["question"], *q["options"], *drawn]
        return all(word in "\n".join([q["id"], *texts]).lower() for word in words)

    search(browser, "选b kinship", counted([q for q in questions if holds(q, "选b", "kinship")]))
    search(browser, "no such puzzle", f"none of {number(QUESTIONS)} questions")
    assert rows(browser) == []


@pytest.mark.parametrize("flags", [["wrong"], ["missed", "close"], ["fallback"], ["solver", "wrong"]])
def test_filters(browser: Any, data: dict[str, Any], flags: list[str]) -> None:
    found = [q for q in data["questions"] if set(flags) <= set(q["flags"])]
    for flag in flags:
        browser.find_element(By.CSS_SELECTOR, f"[data-flag={flag}]").click()
    assert count(browser) == (counted(found) if found else f"none of {number(QUESTIONS)} questions")
    meaning = browser.find_element(By.ID, "meaning").text
    assert all(f"{flag}: {FLAGS[flag]}" in meaning for flag in flags)

    found = [q for q in found if q["family"] == "roads"]
    Select(browser.find_element(By.ID, "family")).select_by_value("roads")
    assert count(browser) == (counted(found) if found else f"none of {number(QUESTIONS)} questions")
    assert [row.get_attribute("data-id") for row in rows(browser)][:60] == [q["id"] for q in found][:60]

    for flag in flags:
        button = browser.find_element(By.CSS_SELECTOR, f"[data-flag={flag}]")
        button.click()
        assert button.get_attribute("aria-pressed") == "false"
    assert count(browser) == counted([q for q in data["questions"] if q["family"] == "roads"])


def test_more_rows_come_with_scrolling(browser: Any) -> None:
    first = len(rows(browser))
    assert first < QUESTIONS
    browser.execute_script("document.getElementById('more').scrollIntoView()")
    WebDriverWait(browser, 30).until(lambda d: len(rows(d)) > first)


def test_a_question_opens_by_keyboard_and_shows_all_of_it(browser: Any, data: dict[str, Any]) -> None:
    question = next(q for q in data["questions"] if "missed" in q["flags"] and any(s["round"] for s in q["samples"]))
    browser.find_element(By.TAG_NAME, "body").send_keys("/")
    field = browser.switch_to.active_element
    assert field.get_attribute("id") == "search"
    field.send_keys(question["id"])
    WebDriverWait(browser, 30).until(lambda d: count(d) == counted([question]))

    for _ in range(10):
        browser.switch_to.active_element.send_keys(Keys.TAB)
        if browser.switch_to.active_element.tag_name == "summary":
            break
    browser.switch_to.active_element.send_keys(Keys.ENTER)
    row = rows(browser)[0]
    WebDriverWait(browser, 30).until(lambda _: row.find_elements(By.CSS_SELECTOR, ".body"))
    assert data["problems"][question["problem"]] in row.text.replace("\r", "")

    shown = row.find_elements(By.CSS_SELECTOR, ".sample:not(:has(.program))")
    assert len(shown) == len(question["samples"])
    for card, sample in zip(shown, question["samples"], strict=True):
        assert f"slot {sample['slot']}" in card.text
        assert ("redraw" in card.text) == (sample["round"] > 0)
        assert f"score {sample['score']:.3f}" in card.text
        assert ("accepted" if sample["accepted"] else "rejected") in card.text
        marks = [mark.text for mark in card.find_elements(By.TAG_NAME, "mark")]
        assert marks == ([] if sample["answer"] is None else [sample["answer"]])
    options = row.find_elements(By.CSS_SELECTOR, ".body > div > .options li")
    assert [o.text.split()[0] for o in options if "right" in o.text] == [question["truth"]]
    assert [o.text.split()[0] for o in options if "handed in" in o.text] == [question["given"]]

    example = row.find_element(By.CSS_SELECTOR, ".example")
    example.find_element(By.TAG_NAME, "summary").click()
    assert data["examples"][question["examples"][0]]["reasoning"] in example.text


def test_a_program_stands_with_what_the_solver_said(browser: Any, data: dict[str, Any]) -> None:
    question = next(
        q for q in data["questions"]
        if "solver" in q["flags"] and {"syntax", None} <= {s["cause"] for s in q["programs"]}
    )  # fmt: skip
    search(browser, question["id"], counted([question]))
    row = rows(browser)[0]
    row.find_element(By.TAG_NAME, "summary").click()
    WebDriverWait(browser, 30).until(lambda _: row.find_elements(By.CSS_SELECTOR, ".body"))
    shown = row.find_elements(By.CSS_SELECTOR, ".sample:has(.program)")
    assert len(shown) == len(question["programs"])
    differing = 0
    for card, program in zip(shown, question["programs"], strict=True):
        text = card.find_element(By.CSS_SELECTOR, ".program")
        assert text.get_attribute("textContent") == program["text"]
        assert "monospace" in text.value_of_css_property("font-family")
        assert f"program slot {program['slot']}" in card.text
        letter = card.find_element(By.CSS_SELECTOR, ".letter").text
        if program["answer"] is None:
            said = card.find_element(By.CSS_SELECTOR, ".said").text
            assert (letter, said.partition(":")[0]) == ("abstains", program["cause"])
            assert program["detail"] in said
            continue
        assert letter == f"{program['answer']} {'✓' if program['answer'] == question['truth'] else '✗'}"
        differs = program["answer"] != question["reasoned"]
        differing += differs
        assert (f"The reasonings' winner is {question['reasoned']}." in card.text) == differs
    assert differing
    assert "line " in row.text and ", column " in row.text
    voting = sum(question["program_votes"].values())
    assert f"{voting} program{'s' * (voting > 1)} of weight 3)" in row.text


def test_programs_have_a_section_and_a_tile(browser: Any, page: Path) -> None:
    metrics = json.loads((page.parent / "metrics.json").read_text())["programs"]
    browser.find_element(By.LINK_TEXT, "Programs").click()
    section = " ".join(browser.find_element(By.ID, "programs").text.split())
    assert f"coverage questions with at least one program that answers {metrics['coverage']:.3f} ± " in section
    for cause, samples in metrics["abstentions"].items():
        assert re.search(rf" {cause} {MEANINGS[cause]} {samples:,} [\d.]+%", section), section
    differ = metrics["disagreements"]
    assert f"the programs are right on {differ['programs_right']:,} of these" in section
    assert f"Program precision\n{metrics['precision']:.3f}" in browser.find_element(By.CSS_SELECTOR, ".tiles").text


def test_texts_stay_texts(browser: Any, data: dict[str, Any]) -> None:
    hostile = data["questions"][-1]
    assert ATTACK in hostile["question"]
    search(browser, HOSTILE.id, counted([hostile]))
    rows(browser)[0].find_element(By.TAG_NAME, "summary").click()
    WebDriverWait(browser, 30).until(lambda d: d.find_elements(By.CSS_SELECTOR, "#list .body"))
    shown = browser.find_element(By.CSS_SELECTOR, "#list .body").text
    assert f"甲说：{ATTACK}" in shown
    assert f"问{ATTACK}" in shown
    assert f"是{ATTACK}" in shown
    assert f"想{ATTACK}😀" in shown
    assert browser.execute_script("return window.broken") is None
    assert browser.find_elements(By.CSS_SELECTOR, "#list img, #list script") == []
    marks = [mark.text for mark in browser.find_elements(By.CSS_SELECTOR, "#list mark")]
    assert marks == [s["answer"] for s in hostile["samples"] if s["answer"]]


def test_on_a_phone_nothing_is_wider_than_the_screen(browser: Any) -> None:
    look(browser, width=390, height=844)
    browser.refresh()
    WebDriverWait(browser, 60).until(lambda d: rows(d))
    for chart in browser.find_elements(By.CSS_SELECTOR, "[data-chart]"):
        draw(browser, chart)
    browser.execute_script("document.querySelector('#list summary').click()")
    WebDriverWait(browser, 30).until(lambda d: d.find_elements(By.CSS_SELECTOR, "#list .body"))
    assert browser.execute_script("return document.documentElement.scrollWidth") <= 390
