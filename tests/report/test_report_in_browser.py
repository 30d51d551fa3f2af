"""The report in a real browser: links, search, sorting, keyboard, themes, narrow screens, print."""

from __future__ import annotations

import pytest
from chromium import PROGRAM, Browser

from spatialrun.report.report import NAME

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="no Chromium is installed")

FIGURE = "  - {id: tissue, uses: plot.spatial, with: {color: total_counts, dpi: 60}}\n"


@pytest.fixture(scope="module")
def path(tmp_path_factory, sections):
    from lab import STEPS, Lab

    lab = Lab(tmp_path_factory.mktemp("browser") / "lab", dict(sections), STEPS + FIGURE)
    run = lab.apply().run
    return lab.store / "runs" / run.id / NAME


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with Browser(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture
def page(browser, path):
    browser.open(path)
    yield browser
    assert browser.failures == []


def test_a_click_on_a_step_opens_what_is_known_of_it(page):
    page.run("probes.click('.flow a[aria-label^=svg]')")
    assert page.run("probes.texts('details[open] summary b')") == ["svg"]
    assert "n_svg" in page.run("document.querySelector('details[open]').innerText")


def test_a_link_into_the_page_opens_the_step(browser, path):
    browser.open(path, "#step-2")
    assert browser.run("document.querySelector('#step-2').open")


def test_a_search_finds_a_gene_as_one_types(page):
    everything = page.run("document.querySelector('#found').value")
    gene = page.run("probes.texts('#browsed tbody th')[7]")
    page.run("document.querySelector('#query').focus()")
    page.type(gene.lower())
    assert page.run("probes.texts('#browsed tbody th')") == [gene]
    assert page.run("document.querySelector('#found').value").startswith("1 of ")
    assert everything.endswith("rows")


def test_a_column_sorts_up_and_down_by_keyboard(page):
    page.run("probes.header('log10p').focus()")
    page.press("Enter")
    rising = page.run("probes.column('log10p')")
    page.press("Enter")
    falling = page.run("probes.column('log10p')")
    assert rising == sorted(rising)
    assert falling == sorted(falling, reverse=True)
    assert rising[0] < falling[0]


def test_another_table_is_a_choice_away(page):
    assert page.run("probes.choose(1)") == "svg, b"
    assert page.run("document.querySelectorAll('#browsed tbody tr').length") == 25


def test_a_figure_is_enlarged_and_closed_with_escape(page):
    page.run("probes.click('.enlarge')")
    assert page.run("document.querySelector('dialog').open")
    assert page.run("document.querySelector('dialog img').naturalWidth") > 100
    page.press("Escape")
    assert not page.run("document.querySelector('dialog').open")


def test_everything_that_acts_is_reached_with_the_keyboard(page):
    page.press("Tab")
    assert page.run("document.activeElement.className") == "skip"
    assert page.run("probes.unreachable()") == 0


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_texts_stand_out_as_wcag_asks(page, theme):
    page.run(f"probes.dress('{theme}')")
    contrast, element, text = page.run("probes.faintest()")
    assert contrast >= 4.5, (element, text)


def test_the_theme_is_the_systems_until_it_is_changed(page):
    page.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}])
    ground = "getComputedStyle(document.body).backgroundColor"
    assert page.run(ground) == "rgb(20, 23, 27)"
    page.run("probes.click('#theme')")
    assert page.run(ground) == "rgb(255, 255, 255)"
    page.ask("Emulation.setEmulatedMedia", features=[])


def test_a_narrow_screen_scrolls_tables_not_the_page(page):
    page.ask("Emulation.setDeviceMetricsOverride", width=400, height=800, deviceScaleFactor=1, mobile=True)
    assert page.run("document.documentElement.scrollWidth") <= 400
    page.ask("Emulation.clearDeviceMetricsOverride")


def test_it_prints(page):
    page.ask("Emulation.setEmulatedMedia", media="print")
    assert not page.run("document.querySelector('nav').checkVisibility()")
    assert len(page.ask("Page.printToPDF")["data"]) > 10_000
    page.run("document.querySelectorAll('details').forEach((step) => { step.open = true; })")
    blank = "(place) => place.clientHeight - place.firstElementChild.offsetHeight"
    assert max(page.run(f"[...document.querySelectorAll('.step .scroll')].map({blank})")) <= 1
    page.ask("Emulation.setEmulatedMedia", media="")
