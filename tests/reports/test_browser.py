"""The page as a browser shows it: no request, nothing sticks out, and text that can be read, at three widths."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from pacbound.certificate import Certificate
from pacbound.reports.report import report

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
REPOSITORY = Path(__file__).parents[2]

# least contrast of visible text with the paper behind it, by the formula of WCAG 2
CONTRAST = """() => {
  const light = c => { const v = c.match(/[0-9.]+/g).slice(0, 3).map(x => x / 255)
      .map(x => x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4);
    return 0.2126 * v[0] + 0.7152 * v[1] + 0.0722 * v[2]; };
  const paper = light(getComputedStyle(document.body).backgroundColor);
  const ratios = [...document.querySelectorAll("h1,h2,h3,p,td,th,li,figcaption,pre,svg text")].map(e => {
    const s = getComputedStyle(e), ink = light(e.closest("svg") ? s.fill : s.color);
    return (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05); });
  return Math.min(...ratios); }"""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    files = sorted((REPOSITORY / "results" / "transfer").glob("*.json"))
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(report([(file.stem, Certificate.load(file)) for file in files]).html(), "utf-8")
    return path


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    pytest.importorskip("matplotlib", reason="the report extra is not installed")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("there is no chromium")
    with playwright.sync_playwright() as running:
        opened = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [380, 900, 1600])
def test_a_page_fits_asks_for_nothing_and_can_be_read(browser, page: Path, width: int, scheme: str) -> None:  # type: ignore[no-untyped-def]
    view = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    tab = view.new_page()
    asked: list[str] = []
    said: list[str] = []
    tab.on("request", lambda request: asked.append(request.url))
    tab.on("console", lambda message: said.append(message.text))
    tab.goto(page.as_uri())
    assert asked == [page.as_uri()]
    assert said == []
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    assert tab.evaluate(CONTRAST) >= 4.5
    dark = tab.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 22, 26)"
    assert dark == (scheme == "dark")
    view.close()
