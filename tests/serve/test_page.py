"""The page in a browser: an image from a file or the camera, what is shown of the answers, and the files that it saves."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import bright
import numpy as np
import pytest
from browser import NARROW, WIDE, Opened, launched, opened
from serving import Running, encoded, masked_model, model, running, until

from detkit.data.sources import SourceConfig, read_source
from detkit.drawing.palette import color_of

pytestmark = pytest.mark.slow

CAMERA = ("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with launched(*CAMERA) as started:
        yield started


@pytest.fixture(scope="module")
def web() -> Iterator[Running]:
    with running(model("first"), model("second", min_score=0.8), max_bytes=200_000) as server:
        yield server


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "my photo.png"
    path.write_bytes(encoded(bright.image(120, 160, red=(10, 20, 60, 70))))
    return path


@contextmanager
def page_of(browser: Any, web: Running, size: tuple[int, int] = WIDE, **options: Any) -> Iterator[Opened]:
    with opened(browser, web.url + "/", size, **options) as result:
        wait(result.page, "document.querySelector('#model').options.length > 0")
        yield result


def wait(page: Any, condition: str) -> None:
    """Wait for a condition; the page's security policy does not let playwright's own function evaluate texts."""
    until(lambda: page.evaluate(condition), 60)


def choose(page: Any, photo: Path) -> None:
    page.set_input_files("#file", photo)
    page.wait_for_selector(".view[data-count]")


def counts(page: Any) -> list[int]:
    return [int(view.get_attribute("data-count")) for view in page.query_selector_all(".view")]


def set_score(page: Any, score: float) -> None:
    page.eval_on_selector("#score", f"input => {{ input.value = {score}; input.dispatchEvent(new Event('input', {{ bubbles: true }})); }}")


def saved(page: Any, name: str, folder: Path) -> Path:
    with page.expect_download() as download:
        page.click(f".view .{name}")
    path = folder / download.value.suggested_filename
    download.value.save_as(path)
    return path


@pytest.mark.parametrize("size", [WIDE, NARROW])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_an_image_its_boxes_and_the_filters(browser: Any, web: Running, photo: Path, size: tuple[int, int], scheme: str) -> None:
    with page_of(browser, web, size, color_scheme=scheme) as result:
        page = result.page
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url) if "/v1/detect" in request.url else None)
        choose(page, photo)
        assert counts(page) == [2]
        assert result.overflow() == 0
        assert page.input_value("#score") == "0.5"
        set_score(page, 0.7)
        assert counts(page) == [1]
        assert page.text_content("#score-value") == "0.70"
        page.click("#own")
        assert counts(page) == [2]
        page.uncheck("#classes input[value=red]")
        assert counts(page) == [1]
        assert page.text_content(".view tbody").startswith("green")
        page.click("#none")
        assert counts(page) == [0]
        page.click("#all")
        assert counts(page) == [2]
        page.click(".view summary")
        assert result.overflow() == 0
        assert len(asked) == 1, "the server is asked once"
        assert "min_score=0.01" in asked[0]
        assert not result.problems


def test_boxes_are_drawn_where_they_are_in_the_colors_of_their_classes(browser: Any, web: Running, photo: Path) -> None:
    red, green = bright.predictor(short_side=60)(bright.image(120, 160, red=(10, 20, 60, 70))).boxes.tolist()
    with page_of(browser, web) as result:
        choose(result.page, photo)
        reader = """([x, y]) => {
            const canvas = document.querySelector('.view canvas'), scale = canvas.width / 160;
            return [...canvas.getContext('2d').getImageData(Math.floor(x * scale), Math.floor(y * scale), 1, 1).data.slice(0, 3)];
        }"""
        # The bottom sides of the red and of the green box, a point inside the green one, and one outside of all.
        points = [result.page.evaluate(reader, point) for point in ([35, red[3]], [50, green[3]], [50, 10], [100, 100])]
    np.testing.assert_allclose(points, [color_of(0), color_of(1), (0, 255, 0), (0, 0, 0)], atol=3)


def test_two_models_side_by_side(browser: Any, web: Running, photo: Path) -> None:
    with page_of(browser, web) as result:
        page = result.page
        choose(page, photo)
        page.select_option("#other", "second")
        wait(page, "document.querySelectorAll('.view[data-count]').length === 2")
        assert counts(page) == [2, 1], "each from its own scores"
        assert [view.text_content() for view in page.query_selector_all(".view h2")] == ["first", "second"]
        boxes = [view.bounding_box() for view in page.query_selector_all(".view")]
        assert boxes[0]["y"] == boxes[1]["y"]
        assert boxes[0]["x"] + boxes[0]["width"] <= boxes[1]["x"]
        set_score(page, 0.3)
        assert counts(page) == [2, 2]
        page.select_option("#model", "second")
        page.select_option("#other", "")
        wait(page, "document.querySelectorAll('.view').length === 1")
        assert page.text_content(".view h2") == "second"
        assert not result.problems


def test_saved_files_have_what_is_shown(browser: Any, web: Running, photo: Path, tmp_path: Path) -> None:
    with page_of(browser, web, accept_downloads=True) as result:
        page = result.page
        choose(page, photo)
        page.uncheck("#classes input[value=red]")
        content = json.loads(saved(page, "json", tmp_path).read_text())
        page.check("#classes input[value=red]")
        coco, yolo = saved(page, "coco", tmp_path), saved(page, "yolo", tmp_path)
        assert not result.problems
    assert (content["model"], [row["class_name"] for row in content["detections"]]) == ("first", ["green"])
    assert content["image"] == {"name": "my photo.png", "width": 160, "height": 120}
    assert (coco.name, yolo.name) == ("my_photo-first-coco.json", "my_photo.txt")
    expected = bright.predictor(short_side=60)(bright.image(120, 160, red=(10, 20, 60, 70)))
    (record,) = read_source(SourceConfig(path=str(coco), images=str(photo.parent))).records
    np.testing.assert_allclose(record.targets.boxes.numpy(), expected.boxes.numpy(), atol=1e-3)
    assert record.targets.labels.tolist() == expected.labels.tolist()
    folder = tmp_path / "yolo"
    (folder / "images").mkdir(parents=True)
    (folder / "labels").mkdir()
    (folder / "images" / photo.name).write_bytes(photo.read_bytes())
    (folder / "labels" / photo.with_suffix(".txt").name).write_bytes(yolo.read_bytes())
    (folder / "data.yaml").write_text("train: images\nnames: [red, green]\n")
    (record,) = read_source(SourceConfig(path=str(folder / "data.yaml"))).records
    np.testing.assert_allclose(record.targets.boxes.numpy(), expected.boxes.numpy(), atol=1e-3)


def test_errors_are_shown(browser: Any, web: Running, photo: Path, tmp_path: Path) -> None:
    bad, large = tmp_path / "bad.png", tmp_path / "large.png"
    bad.write_bytes(b"no image")
    large.write_bytes(bytes(300_000))
    with page_of(browser, web) as result:
        page = result.page
        page.set_input_files("#file", bad)
        page.wait_for_selector("#message:not([hidden])")
        assert "not a readable image: it begins with b'no image'" in page.text_content("#message")
        page.set_input_files("#file", large)
        wait(page, "document.querySelector('#message').textContent.includes('at most 200,000')")
        choose(page, photo)
        page.wait_for_selector("#message", state="hidden")
        assert counts(page) == [2]
        assert [problem for problem in result.problems if "422" not in problem] == [], "the browser itself logs the status"


def test_a_stopped_server_is_reported(browser: Any, photo: Path) -> None:
    with running() as web, page_of(browser, web) as result:
        web.stop()
        web.thread.join(10)
        result.page.set_input_files("#file", photo)
        result.page.wait_for_selector("#message:not([hidden])")
        assert "The server does not answer" in result.page.text_content("#message")


def test_the_key_is_asked_for(browser: Any, photo: Path) -> None:
    with running(api_key="s3cret") as web, opened(browser, web.url + "/") as result:
        page = result.page
        page.wait_for_selector("#key-form:not([hidden])")
        page.fill("#key", "wrong")
        page.press("#key", "Enter")
        wait(page, "document.querySelector('#message').textContent.includes('the key is wrong')")
        page.fill("#key", "s3cret")
        page.press("#key", "Enter")
        page.wait_for_selector("#key-form", state="hidden")
        choose(page, photo)
        assert counts(page) == [2]
        page.reload()
        choose(page, photo)


def test_a_dropped_image(browser: Any, web: Running, photo: Path) -> None:
    with page_of(browser, web) as result:
        page = result.page
        page.evaluate(
            """(bytes) => {
                const data = new DataTransfer();
                data.items.add(new File([new Uint8Array(bytes)], 'dropped.png', { type: 'image/png' }));
                const options = { dataTransfer: data, bubbles: true, cancelable: true };
                document.querySelector('#drop').dispatchEvent(new DragEvent('drop', options));
            }""",
            list(photo.read_bytes()),
        )
        page.wait_for_selector(".view[data-count]")
        assert counts(page) == [2]
        assert not result.problems


@pytest.mark.parametrize("size", [WIDE, NARROW])
def test_the_camera(browser: Any, web: Running, size: tuple[int, int]) -> None:
    with page_of(browser, web, size) as result:
        page = result.page
        asked: list[str] = []
        page.on("requestfinished", lambda request: asked.append(request.url) if "/v1/detect" in request.url else None)
        page.click("#camera")
        page.wait_for_selector("#capture video", state="visible")
        wait(page, "document.querySelector('#capture video').videoWidth > 0")
        page.click("#shot")
        page.wait_for_selector(".view[data-count]")
        assert len(asked) == 1
        assert result.overflow() == 0
        page.click("#live")
        assert page.get_attribute("#live", "aria-pressed") == "true"
        wait(page, "document.querySelector('#rate').textContent.includes('images per second')")
        while len(asked) < 4:
            page.wait_for_timeout(20)
        page.click("#live")
        wait(page, "document.querySelector('#views').getAttribute('aria-busy') === 'false'")
        before = len(asked)
        page.wait_for_timeout(300)
        assert len(asked) <= before + 1
        page.click("#close")
        page.wait_for_selector("#capture", state="hidden")
        assert not result.problems


def test_the_keyboard_reaches_everything(browser: Any, web: Running, photo: Path) -> None:
    with page_of(browser, web) as result:
        page = result.page
        choose(page, photo)
        reached = []
        for _ in range(40):
            page.keyboard.press("Tab")
            reached.append(page.evaluate("document.activeElement.id || document.activeElement.className || document.activeElement.tagName"))
        assert {"file", "camera", "model", "other", "score", "all", "none", "json", "yolo", "coco"} <= set(reached)
        page.focus("#score")
        page.keyboard.press("ArrowRight")
        assert page.text_content("#score-value") == "0.51"
        page.focus("#classes input[value=red]")
        page.keyboard.press("Space")
        assert counts(page) == [1]
        unnamed = page.evaluate(
            """[...document.querySelectorAll('button, input, select, canvas')].filter((element) => !(element.labels?.length
               || element.textContent.trim() || element.getAttribute('aria-label'))).map((element) => element.outerHTML)"""
        )
        assert unnamed == []


def test_the_client_in_javascript_of_the_guide_runs(browser: Any, web: Running, photo: Path) -> None:
    guide = (Path(__file__).resolve().parents[2] / "docs" / "serving.md").read_text("utf-8")
    code = guide.partition("```javascript\n")[2].partition("```")[0].replace("http://127.0.0.1:8000", web.url)
    assert "fetch(" in code
    with page_of(browser, web) as result:
        script = f"async (bytes) => {{ const file = new Blob([new Uint8Array(bytes)]); {code} return detections.length; }}"
        assert result.page.evaluate(script, list(photo.read_bytes())) == 2


def test_masks_are_drawn_and_saved_as_outlines(browser: Any, photo: Path, tmp_path: Path) -> None:
    with running(masked_model()) as web, page_of(browser, web, accept_downloads=True) as result:
        choose(result.page, photo)
        colors = result.page.evaluate(
            """() => {
                const canvas = document.querySelector('canvas'), context = canvas.getContext('2d'), scale = canvas.width / 160;
                const { data, width } = context.getImageData(0, 0, canvas.width, canvas.height);
                const pixel = (x, y) => 4 * (Math.round(y * scale) * width + Math.round(x * scale));
                const at = (x, y) => [0, 1, 2].map((channel) => data[pixel(x, y) + channel]);
                return [at(35, 45), at(14, 66)];
            }"""
        )
        inside, corner = (np.array(color) for color in colors)
        assert np.abs(inside - (0.6 * np.array([255, 0, 0]) + 0.4 * np.array(color_of(0)))).max() < 12
        assert np.abs(corner - [255, 0, 0]).max() < 12  # in the box, outside of the mask
        result.page.screenshot(path=str(tmp_path / "page.png"), full_page=True)
        coco, yolo = saved(result.page, "coco", tmp_path), saved(result.page, "yolo", tmp_path)
        assert not result.problems
    lines = yolo.read_text().splitlines()
    assert [len(line.split()) > 17 for line in lines] == [True, True]
    rows = json.loads(coco.read_text())["annotations"]
    assert [len(row["segmentation"]) for row in rows] == [1, 1]
    first = np.array(lines[0].split()[1:], float).reshape(-1, 2) * [160, 120]
    assert np.abs(first - np.array(rows[0]["segmentation"][0]).reshape(-1, 2)).max() < 0.01
