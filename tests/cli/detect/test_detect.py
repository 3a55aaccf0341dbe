from __future__ import annotations

import csv
import json
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from bright import image, load_bright, predictor, saved
from PIL import Image
from videos import damaged, film, truncated

import detkit.inference
from detkit.checkpoint import make_header, save_checkpoint
from detkit.cli.detect.coco import CocoIds
from detkit.cli.detect.job import DetectJob
from detkit.cli.main import main
from detkit.data.media.video import Video
from detkit.inference import Predictor


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with three images, where ``--model bright`` is a detector of bright rectangles."""
    monkeypatch.setattr(detkit.inference, "load", load_bright)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    for i in (1, 2, 3):
        saved(tmp_path / "in", f"image_00{i}.png", image(red=(i, 20, 30, 40)))
    return tmp_path


def detect(*words: str) -> int:
    return main(["detect", "--model", "bright", *words])


def test_images_of_a_folder_are_detected_drawn_and_printed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert detect("in") == 0
    out = capsys.readouterr().out
    assert "model: bright (as given; 2 classes), on cpu in fp32" in out
    assert "image_002.png (80 x 60): 2 detections" in out.replace("in/", "")
    assert "  red    0.900   2.0  20.0  30.0  40.0" in out
    assert "3 images, 6 detections: 3 red, 3 green" in out
    assert "peak memory" in out
    drawn = sorted((folder / "runs" / "detect-1").iterdir())
    assert [path.name for path in drawn] == ["image_001.jpg", "image_002.jpg", "image_003.jpg"]
    assert Image.open(drawn[0]).size == (480, 360)


def test_default_image_is_a_sample_photograph(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert detect() == 0
    assert "chelsea.png" in capsys.readouterr().out
    assert [path.name for path in (folder / "runs" / "detect-1").iterdir()] == ["chelsea.jpg"]


def test_output_files(folder: Path) -> None:
    assert detect("in", "--json", "a.json", "--csv", "out/a.csv", "--coco", "a.coco.json", "--no-draw") == 0
    assert not (folder / "runs").exists()
    content = json.loads(Path("a.json").read_text())
    assert content["class_names"] == ["red", "green", None]
    first = content["images"][0]
    assert (first["width"], first["height"]) == (80, 60)
    assert first["detections"][0] == {"class": "red", "label": 0, "score": 0.9, "box": [1.0, 20.0, 30.0, 40.0]}
    rows = list(csv.DictReader(Path("out/a.csv").read_text().splitlines()))
    assert len(rows) == 6
    assert (rows[1]["class"], rows[1]["x1"], rows[1]["y2"]) == ("green", "40.0", "15.0")
    results = json.loads(Path("a.coco.json").read_text())
    assert results[0] == {"image_id": 1, "category_id": 1, "bbox": [1.0, 20.0, 29.0, 20.0], "score": 0.9}
    assert {row["image_id"] for row in results} == {1, 2, 3}


def test_an_unwritable_file_does_not_prevent_the_others(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> str:
        raise OSError(28, "No space left on device", ".a.json.123.tmp")

    monkeypatch.setattr("detkit.cli.detect.files.as_json", fail)
    assert detect("in", "--json", "a.json", "--csv", "a.csv", "--no-draw") == 2
    done = capsys.readouterr()
    assert done.err == "detkit: error: --json a.json: could not be written: No space left on device\n"
    assert done.out.splitlines()[-1] == "written: a.csv"
    assert len(Path("a.csv").read_text().splitlines()) == 7


def test_ids_from_annotations(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images = [{"id": 10 * i, "file_name": f"image_00{i}.png"} for i in (1, 2, 3)]
    Path("gt.json").write_text(json.dumps({"images": images, "categories": [{"id": 7, "name": "red"}]}), "utf-8-sig")
    assert detect("in", "--coco", "dt.json", "--annotations", "gt.json", "--no-draw") == 0
    results = json.loads(Path("dt.json").read_text())
    assert [(row["image_id"], row["category_id"]) for row in results] == [(10, 7), (20, 7), (30, 7)]
    assert "dt.json: skipped 3 detections of classes that the annotations do not have" in capsys.readouterr().out


def test_scores_and_classes(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert detect("in/image_001.png", "--min-score", "0.7", "--no-draw") == 0
    assert "1 image, 1 detection: 1 red" in capsys.readouterr().out
    assert detect("in/image_001.png", "--classes", "green, red", "--no-draw") == 0
    assert "2 detections: 1 red, 1 green" in capsys.readouterr().out


def test_an_image_after_classes_is_not_a_class(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert detect("--classes", "bright", "in/image_001.png") == 2
    assert "--classes: expected class names, got the file in/image_001.png; name the images before --classes" in capsys.readouterr().err


def test_classes_are_words_or_separated_by_commas(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert detect("in/image_001.png", "--classes", "green", "red", "--no-draw") == 0
    assert "2 detections: 1 red, 1 green" in capsys.readouterr().out
    assert detect("in/image_001.png", "--classes", "green", "--classes", "red", "--no-draw") == 0
    assert "2 detections: 1 red, 1 green" in capsys.readouterr().out


@pytest.mark.parametrize("words", [[","], [""], ["", " , "]])
def test_classes_without_a_name_are_refused(folder: Path, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert detect("in/image_001.png", "--classes", *words) == 2
    assert "--classes: expected class names, such as cat dog; got" in capsys.readouterr().err


def test_a_folder_may_have_the_name_of_a_class(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "red").mkdir()
    assert detect("in/image_001.png", "--classes", "red", "--no-draw") == 0
    assert "1 image, 1 detection: 1 red" in capsys.readouterr().out


@pytest.mark.parametrize(("words", "classes"), [(["dog, big"], ["dog, big"]), (["dog, big", "cat, red"], ["dog, big", "cat", "red"])])
def test_class_names_with_commas_are_not_split(
    folder: Path, words: list[str], classes: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(*_: Any, **options: Any) -> None:
        raise ValueError(f"to load: {options['classes']}")

    monkeypatch.setattr(detkit.inference, "load", load)
    save_checkpoint("run.safetensors", {"a": torch.zeros(1)}, make_header("{}", ["dog, big", "cat", None]))
    assert main(["detect", "in", "--model", "run.safetensors", "--classes", *words]) == 2
    assert f"to load: {classes}" in capsys.readouterr().err


def test_patterns_are_expanded_and_duplicates_removed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert detect("in/*_00[12].png", "in/image_001.png", "**/*_002.png", "--no-draw") == 0
    assert "2 images" in capsys.readouterr().out


def test_no_detections_are_not_an_error(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    saved(folder, "dark.png", np.zeros((50, 50, 3), np.uint8))
    assert detect("dark.png", "--csv", "a.csv") == 0
    assert "dark.png (50 x 50): no detections" in capsys.readouterr().out
    assert Path("a.csv").read_text().splitlines() == ["file,width,height,class,label,score,x1,y1,x2,y2"]


def test_no_detections_name_the_best_score_below_the_minimum(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert detect("in", "--min-score", "0.95", "--no-draw") == 0
    assert "note: the best detection is red 0.9, below the minimum score of 0.95; lower it with --min-score" in capsys.readouterr().out
    assert detect("in", "--min-score", "0.95", "--classes", "green", "--no-draw") == 0
    assert "note: the best detection is green 0.6, below" in capsys.readouterr().out
    assert detect("in", "--min-score", "0.95", "--pyramid", "1", "2", "--no-draw") == 0
    assert "note: the best detection is red 0.9, below the minimum score of 0.95" in capsys.readouterr().out
    assert detect("in", "--min-score", "0.7", "--no-draw") == 0
    assert "note: the best detection" not in capsys.readouterr().out


def test_inputs_and_other_files_are_never_overwritten(folder: Path) -> None:
    other = saved(folder / "in", "image_002.jpg", image(90, 90))
    own = saved(folder, "a.jpg", image())
    before = {path: path.read_bytes() for path in (other, own)}
    assert detect("in/image_002.png", "--output", "in") == 0
    assert detect("a.jpg", "--output", ".") == 0
    assert detect("a.jpg", "--output", ".") == 0
    assert all(path.read_bytes() == content for path, content in before.items())
    assert (folder / "in" / "image_002-2.jpg").is_file()
    assert (folder / "a-2.jpg").is_file()
    assert not (folder / "a-3.jpg").exists()


def test_two_images_with_the_same_name(folder: Path) -> None:
    (folder / "more").mkdir()
    saved(folder / "more", "image_001.png", image(90, 90))
    assert detect("in/image_001.png", "more") == 0
    assert sorted(path.name for path in (folder / "runs" / "detect-1").iterdir()) == ["image_001-2.jpg", "image_001.jpg"]
    assert detect("more") == 0
    assert (folder / "runs" / "detect-2").is_dir()


def test_a_video_is_drawn_and_printed_on_one_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    film(folder / "a.mp4", frames=6, rate=10)
    assert detect("a.mp4", "--json", "a.json", "--csv", "a.csv") == 0
    out = capsys.readouterr().out
    assert "a.mp4 (80 x 60, 6 frames): 12 detections: 6 red, 6 green in" in out
    assert "\n1 video of 6 frames, 12 detections: 6 red, 6 green\n" in out
    assert " per frame, plus " in out
    drawn = Video(folder / "runs" / "detect-1" / "a.mp4")
    assert (drawn.length, drawn.frames_per_second) == (6, 10.0)
    assert next(drawn.frames()).pixels.shape == (360, 480, 3)  # the size of a drawn image
    content = json.loads(Path("a.json").read_text())
    assert content["images"] == []
    (video,) = content["videos"]
    assert (video["file"], video["width"], video["height"]) == ("a.mp4", 80, 60)
    assert [(frame["frame"], frame["seconds"]) for frame in video["frames"]] == [(i, i / 10) for i in range(6)]
    assert [len(frame["detections"]) for frame in video["frames"]] == [2] * 6
    rows = list(csv.DictReader(Path("a.csv").read_text().splitlines()))
    assert [(row["class"], row["frame"], row["seconds"]) for row in rows[2:4]] == [("red", "1", "0.1"), ("green", "1", "0.1")]
    assert video["frames"][1]["detections"][0]["box"] == [float(rows[2][key]) for key in ("x1", "y1", "x2", "y2")]


def test_every_second_frame_halves_the_frame_rate(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    film(folder / "a.mp4", frames=5, rate=10)
    assert detect("a.mp4", "--every", "2", "--json", "a.json") == 0
    assert "1 video of 3 frames" in capsys.readouterr().out
    frames = json.loads(Path("a.json").read_text())["videos"][0]["frames"]
    assert [frame["frame"] for frame in frames] == [0, 2, 4]
    assert Video("runs/detect-1/a.mp4").frames_per_second == 5


@pytest.mark.parametrize("words", [["--every", "0"], ["--every", "-1"], ["--every", "1.5"], ["--every", "x"]])
def test_every_must_be_a_whole_number(folder: Path, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        detect("in", *words)
    assert f"--every: expected a whole number of 1 or more, got '{words[1]}'" in capsys.readouterr().err


def test_a_folder_with_images_and_videos(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    film(folder / "in" / "image_002.mp4", frames=3)
    assert detect("in", "--csv", "a.csv") == 0
    assert "3 images, 1 video of 3 frames, 12 detections" in capsys.readouterr().out
    assert sorted(path.name for path in Path("runs/detect-1").iterdir()) == [
        "image_001.jpg",
        "image_002.jpg",
        "image_002.mp4",
        "image_003.jpg",
    ]
    rows = list(csv.DictReader(Path("a.csv").read_text().splitlines()))
    assert [(row["frame"], row["seconds"]) for row in rows[:2]] == [("", ""), ("", "")]


def test_videos_are_never_overwritten(folder: Path) -> None:
    before = film(folder / "in" / "a.mp4", frames=2).read_bytes()
    (folder / "other").mkdir()
    film(folder / "other" / "a.mp4", frames=3)
    for _ in range(2):
        assert detect("in/a.mp4", "other/a.mp4", "--output", "in") == 0
    assert (folder / "in" / "a.mp4").read_bytes() == before
    assert [Video(folder / "in" / f"a-{n}.mp4").length for n in (2, 3, 4, 5)] == [2, 3, 2, 3]


def test_a_truncated_video(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    truncated(film(folder / "a.avi", frames=30, codec="MJPG"))
    Path("no.mp4").write_text("text")
    assert detect("no.mp4", "truncated_a.avi", "in/image_001.png", "--json", "a.json") == 1
    done = capsys.readouterr()
    assert "no.mp4: not a readable video" in done.err
    assert done.err.splitlines()[-1] == "detkit: 2 of 3 files could not be read completely"
    videos = {video["file"]: video for video in json.loads(Path("a.json").read_text())["videos"]}
    assert "frames" not in videos["no.mp4"]
    frames = len(videos["truncated_a.avi"]["frames"])
    assert f"truncated_a.avi: {30 - frames} of 30 frames are damaged or missing and were skipped" in videos["truncated_a.avi"]["error"]
    assert videos["truncated_a.avi"]["frames_lost"] == 30 - frames
    assert f"1 image, 2 videos of {frames} frames" in done.out
    assert Video("runs/detect-1/truncated_a.mp4").length == frames > 5


def test_damaged_frames_of_a_video(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    damaged(film(folder / "b.avi", frames=10, codec="MJPG"), 3, 4)
    assert detect("damaged_b.avi", "b.avi", "--json", "b.json") == 1
    done = capsys.readouterr()
    assert "damaged_b.avi: 2 of 10 frames are damaged or missing and were skipped; export the video again" in done.err
    assert "detkit: 1 of 2 files could not be read completely" in done.err
    assert "2 videos of 18 frames" in done.out
    assert "note: damaged frames that the decoder completes from others are not counted, as OpenCV does not report them" in done.out
    video, whole = json.loads(Path("b.json").read_text())["videos"]
    assert [frame["frame"] for frame in video["frames"]] == [0, 1, 2, 5, 6, 7, 8, 9]
    assert "2 of 10 frames are damaged or missing" in video["error"]
    assert (video["frames_lost"], video["frames_concealed"]) == (2, None)
    assert (whole["frames_lost"], whole["frames_concealed"]) == (0, None)
    assert Video("runs/detect-1/damaged_b.mp4").length >= 8


def test_an_interrupted_video_keeps_the_processed_frames(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    film(folder / "a.mp4", frames=9)

    class Interrupting(Predictor):
        def detect(self, prepared: Any) -> Any:
            self.calls: int = getattr(self, "calls", 0) + 1
            if self.calls == 4:
                raise KeyboardInterrupt
            return super().detect(prepared)

    def load(_: Any, *__: Any, **options: Any) -> Any:
        interrupting = predictor(60, **options)
        interrupting.__class__ = Interrupting
        return interrupting

    monkeypatch.setattr(detkit.inference, "load", load)
    assert detect("a.mp4", "--json", "a.json") == 130
    assert len(json.loads(Path("a.json").read_text())["videos"][0]["frames"]) == 3
    assert Video("runs/detect-1/a.mp4").length == 3


def test_an_interruption_with_an_unwritable_file(folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> str:
        raise OSError(28, "No space left on device", ".a.json.123.tmp")

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("detkit.cli.detect.files.as_json", fail)
    monkeypatch.setattr("detkit.cli.detect.job.DetectJob.detect", interrupt)
    assert detect("in", "--json", "a.json", "--csv", "a.csv") == 130
    stopping = "detkit: stopping: writing what was detected; again to stop now"
    expected = [stopping, "detkit: error: --json a.json: could not be written: No space left on device", "detkit: stopped"]
    assert capsys.readouterr().err.splitlines() == expected
    assert Path("a.csv").is_file()


def test_images_too_large_for_jpeg_are_drawn_as_png(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("detkit.cli.drawing_writer._MAX_JPEG_SIDE", 1000)
    saved(folder / "in", "image_002.png", np.zeros((50, 1001, 3), np.uint8))
    saved(folder / "in", "image_003.png", np.zeros((50, 30, 3), np.uint8))
    assert detect("in", "--output", "out") == 0
    assert detect("in", "--output", "out") == 0
    assert sorted(path.name for path in Path("out").iterdir()) == ["image_001.jpg", "image_002.png", "image_003.jpg"]


def test_coco_results_refuse_videos(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    film(folder / "a.mp4", frames=2)
    assert detect("a.mp4", "--coco", "a.json") == 2
    assert "--coco: expected images, got the video a.mp4, whose frames have no COCO ids; use --json or --csv" in capsys.readouterr().err


def test_a_video_after_classes_is_not_a_class(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    film(folder / "a.mp4", frames=2)
    assert detect("--classes", "bright", "a.mp4") == 2
    assert "--classes: expected class names, got the file a.mp4" in capsys.readouterr().err


def test_a_folder_with_videos_only(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "films").mkdir()
    film(folder / "films" / "a.avi", frames=2, codec="MJPG")
    assert detect("films", "--no-draw") == 0
    assert "\n1 video of 2 frames, " in capsys.readouterr().out
    assert not (folder / "runs").exists()


def test_ids_by_the_longest_matching_path() -> None:
    ids = CocoIds({"a.jpg": 1, "x/a.jpg": 2, "y/b.jpg": 3, "c.jpg": 4})
    assert [ids.image_id(Path(path)) for path in ("p/x/a.jpg", "p/z/a.jpg", "x/a.jpg", "other/b.jpg", "c.jpg")] == [2, 1, 2, 3, 4]
    with pytest.raises(ValueError, match=r"d\.jpg: not among the 4 images of the annotations"):
        ids.image_id(Path("d.jpg"))


def test_ids_of_a_large_data_set_are_found_without_repeated_scans() -> None:
    class Names(dict[str, int]):
        scans = 0

        def __iter__(self) -> Any:
            Names.scans += 1
            return super().__iter__()

    ids = CocoIds(Names({f"{number:06d}.jpg": number for number in range(1000)}))
    assert [ids.image_id(Path(f"in/{number:06d}.jpg")) for number in range(1000)] == list(range(1000))
    assert Names.scans == 1


def test_model_and_min_score_are_written(folder: Path) -> None:
    assert detect("in", "--min-score", "0.7", "--json", "a.json", "--no-draw") == 0
    content = json.loads(Path("a.json").read_text())
    assert (content["model"], content["min_score"]) == ("bright", 0.7)


def test_a_weights_file_needs_a_model(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["detect", "in", "--weights-file", "a.pth"]) == 2
    assert capsys.readouterr().err == (
        "detkit: error: --weights-file is the file of a published model; give the model's name with --model, see `detkit models list`\n"
    )


def test_a_weights_file_is_passed_on(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def load(source: Any, *_: Any, **options: Any) -> None:
        raise ValueError(f"load {source} from {options['file']}")

    monkeypatch.setattr(detkit.inference, "load", load)
    assert main(["detect", "in", "--model", "yolox_nano", "--weights-file", "a.pth"]) == 2
    assert "load yolox_nano from a.pth" in capsys.readouterr().err


@pytest.mark.parametrize("flag", ["--no-images", "--weights", "--limit"])
def test_flags_of_the_previous_version_are_refused(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["detect", "in", flag])
    assert f"unrecognized arguments: {flag}" in capsys.readouterr().err


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_keeps_what_was_detected(
    number: signal.Signals, code: int, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    original, before = DetectJob._keep, signal.getsignal(number)

    def keep(job: Any, result: Any, pixels: Any) -> Any:
        kept = original(job, result, pixels)
        if len(job.results) == 2:
            signal.raise_signal(number)
        return kept

    monkeypatch.setattr(DetectJob, "_keep", keep)
    assert detect("in", "--json", "a.json", "--csv", "a.csv", "--labels", "made") == code
    assert len(json.loads(Path("a.json").read_text())["images"]) == 2
    assert len(Path("a.csv").read_text().splitlines()) == 5
    assert (Path("made") / "data.yaml").is_file()
    assert capsys.readouterr().err.splitlines() == ["detkit: stopping: writing what was detected; again to stop now", "detkit: stopped"]
    assert signal.getsignal(number) == before


def test_a_signal_that_is_sent_twice_at_once_counts_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: Any) -> None:
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(DetectJob, "detect", interrupt)
    assert detect("in", "--json", "a.json") == 143
    assert json.loads(Path("a.json").read_text())["images"] == []


@pytest.mark.parametrize("output", ["drawings", "labels", "json", "csv"])
def test_a_full_disk_is_one_line_that_names_the_file(
    output: str, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    targets = {"drawings": "PIL.Image.Image.save", "labels": "shutil.copyfile", "json": "pathlib.Path.write_text"}
    monkeypatch.setattr(targets.get(output, targets["json"]), full)
    words = {"drawings": (), "labels": ("--no-draw", "--labels", "made")}.get(output, ("--no-draw", f"--{output}", f"a.{output}"))
    assert detect("in", *words) == 2
    err = capsys.readouterr().err
    assert len(err.splitlines()) == 1
    file = {"drawings": "runs/detect-1/image_001.jpg", "labels": "made/images/train/image_001.png"}.get(output, f"a.{output}")
    assert err.startswith(
        f"detkit: error: {file}: could not be" if output in {"drawings", "labels"} else f"detkit: error: --{output} {file}:"
    )
    assert "no space left on the disk" in err
    assert not list(folder.rglob("*.tmp"))


def test_unreadable_images_are_not_counted_as_images(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "in" / "image_000.png").write_bytes(b"broken")
    assert detect("in", "--no-draw") == 1
    done = capsys.readouterr()
    assert "\n3 images, 6 detections: " in done.out
    assert done.err.splitlines()[-1] == "detkit: 1 of 4 images could not be read"
