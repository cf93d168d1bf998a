"""The report in a real Chromium, from disk, with the network off."""

import shutil
from pathlib import Path

import pytest
from support.boards import NASTY, SPECIAL

from lrbench.leaderboard.report import report

ROOT = Path(__file__).parents[2]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
playwright = pytest.importorskip("playwright.sync_api")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")


@pytest.fixture(scope="module")
def page_file(shown_run, tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(report(shown_run), "utf-8")
    return path


@pytest.fixture(scope="module")
def chromium():
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        )
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def opened(chromium, page_file):
    """Open the report; whatever the console or the network sees ends in `wrong`."""
    contexts = []

    def open_page(**options):
        context = chromium.new_context(offline=True, **options)
        contexts.append(context)
        page = context.new_page()
        page.wrong = []
        page.on("console", lambda message: page.wrong.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: page.wrong.append(str(error)))
        page.on("dialog", lambda dialog: (page.wrong.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.on(
            "request",
            lambda request: None if request.url.startswith(("file:", "data:")) else page.wrong.append(request.url),
        )
        page.goto(page_file.as_uri())
        if options.get("java_script_enabled", True):
            count = page.locator("[data-chart]").count()
            assert count > 8
            page.wait_for_function(f"document.querySelectorAll('.vega-embed svg').length === {count}")
        return page

    yield open_page
    for context in contexts:
        context.close()


@pytest.fixture(scope="module")
def drawn(opened):
    """One page for all that only clicks and types: Chromium takes seconds to draw it."""
    return opened()


@pytest.fixture
def page(drawn):
    """The same, as it was opened but for the order of its rows."""
    drawn.locator("#filter").fill("")
    drawn.locator("#held-up").set_checked(checked=False)
    return drawn


def order(page):
    return page.locator("#main table.sortable").first.locator("tbody th").all_inner_texts()


def visible(page):
    rows = page.locator("#main table.sortable").first.locator("tbody tr")
    return [row.locator("th").inner_text() for row in rows.all() if row.is_visible()]


@pytest.mark.turns("width")
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_opens_without_a_complaint_and_fits(opened, page_file, width, scheme):
    page = opened(viewport={"width": width, "height": 900}, color_scheme=scheme)
    assert page.wrong == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page_file.stat().st_size < 5_000_000
    colours = page.evaluate("[getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor]")
    bright = [sum(int(part) for part in c.partition("(")[2].rstrip(")").split(",")[:3]) for c in colours]
    assert (bright[0] < bright[1]) == (scheme == "light")


def test_sorting_by_mouse_and_by_keyboard(page):
    heading = page.locator("#main table.sortable").first.locator("thead th").nth(1)
    values = "rows => rows.map(row => Number(row.cells[1].dataset.sort))"
    heading.locator("button").click()
    rows = page.locator("#main table.sortable").first.locator("tbody tr")
    found = rows.evaluate_all(values)
    assert found == sorted(found)
    assert heading.get_attribute("aria-sort") == "ascending"
    heading.locator("button").focus()
    page.keyboard.press("Enter")
    assert rows.evaluate_all(values) == sorted(found, reverse=True)
    assert heading.get_attribute("aria-sort") == "descending"
    name = page.locator("#main table.sortable").first.locator("thead th").first.locator("button")
    name.focus()
    page.keyboard.press("Space")
    names = order(page)
    assert names == page.evaluate("names => [...names].sort((a, b) => a.localeCompare(b))", names)
    assert page.wrong == []


def test_a_second_column_of_words_is_sorted_by_its_words(page):
    page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true; })")
    table = page.locator("table.sortable", has=page.locator("th.word")).first
    before = table.locator("td.word").all_inner_texts()
    assert len(set(before)) > 1
    for way in (False, True):
        table.locator("th.word button").click()
        found = table.locator("td.word").all_inner_texts()
        assert found == page.evaluate(
            "([names, down]) => names.sort((a, b) => (down ? -1 : 1) * a.localeCompare(b))", [before, way]
        )


def test_filtering_by_keyboard_hides_rows_and_lines(page):
    assert len(visible(page)) == 4
    lines = page.locator("[data-chart='0'] .vega-embed path[aria-roledescription='line mark']")
    before = lines.count()
    page.locator("#filter").focus()
    page.keyboard.type("LR")
    assert visible(page) == ["lr"]
    assert page.locator("#count").inner_text() == "1 of 4 models"
    path = "[data-chart='0'] .vega-embed path[aria-roledescription='line mark']"
    page.wait_for_function("([path, n]) => document.querySelectorAll(path).length < n", arg=[path, before])
    page.locator("#filter").fill("")
    assert len(visible(page)) == 4
    page.locator("#held-up").focus()
    page.keyboard.press("Space")
    verdicts = page.locator("#main table.sortable").first.locator("tbody tr:visible .verdict").all_inner_texts()
    assert set(verdicts) <= {"held up"}
    assert page.wrong == []


def test_a_name_that_would_be_a_script_is_text(page):
    assert {NASTY, SPECIAL} <= set(order(page))
    assert page.locator("script").count() == 2
    assert page.wrong == []


def test_it_is_readable_without_javascript(opened):
    page = opened(java_script_enabled=False)
    assert len(order(page)) == 4
    assert not page.locator(".controls").is_visible()
    charts = page.locator("[data-chart] > svg")
    assert charts.count() > 8
    assert all(chart.bounding_box()["width"] > 200 for chart in charts.all())
    assert NASTY in page.locator("[data-chart='0'] > svg").text_content()


@pytest.mark.slow
def test_every_control_can_be_reached_by_keyboard(opened):
    page = opened()
    reached = set()
    for _ in range(80):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("(e => e.id || e.tagName)(document.activeElement)"))
    assert {"filter", "held-up", "BUTTON", "A", "SUMMARY"} <= reached


def test_the_index_counts_models_of_several_boards_apart(chromium):
    context = chromium.new_context(offline=True)
    page = context.new_page()
    page.goto((ROOT / "leaderboards/index.html").as_uri())
    rows = page.locator("tr[data-model]")
    names = rows.evaluate_all("rows => rows.map(row => row.dataset.model)")
    assert len({*names}) < len(names)
    assert page.locator("#count").inner_text() == f"{len(names)} of {len(names)} models"
    page.locator("#held-up").set_checked(checked=True)
    left = sum(row.is_visible() for row in rows.all())
    assert left == rows.locator(".verdict.held-up").count()
    assert 0 < left < len(names)
    assert page.locator("#count").inner_text() == f"{left} of {len(names)} models"
    context.close()
