"""Metadata in all their forms say the same thing; what makes no sense is refused in one sentence."""

import numpy as np
import pytest
from painted_people import OTHER, VIDEO, annotation

from mien.data.metadata import read_annotation, read_clips, read_metadata, selected
from mien.errors import InputError, MissingDataError

BOX = (100, 60, 90, 120)
TABLE = "video_id,start,end,bbox,fps,width,height,partition,person_id\n"


def test_both_versions_give_the_same_box(tmp_path):
    (tmp_path / "1.txt").write_text(annotation(1300, 1400, BOX))
    share = (BOX[0] / 640, BOX[1] / 360, BOX[2] / 640, BOX[3] / 360)
    (tmp_path / "2.txt").write_text(annotation(1300, 1400, share, is_share=True))
    one, two = (read_annotation(tmp_path / name) for name in ("1.txt", "2.txt"))
    assert (one.name, one.first, one.last, one.num_frames) == ("1", 1300, 1400, 101)
    assert one.reference == (360, None) and two.reference == (1, 1)
    for size in ((360, 640), (720, 1280), (1080, 1920)):
        factor = size[0] / 360
        assert one.box_px(7, size) == pytest.approx(np.array([100, 60, 190, 180]) * factor)
        assert two.box_px(7, size) == pytest.approx(one.box_px(7, size), abs=1.5 * factor)


def test_pixels_of_version_one_do_not_stretch_with_the_width(tmp_path):
    (tmp_path / "1.txt").write_text(annotation(0, 10, BOX))
    (tmp_path / "2.txt").write_text(annotation(0, 10, (0.25, 0.5, 0.25, 0.25), is_share=True))
    narrow = (360, 480)
    assert read_annotation(tmp_path / "1.txt").box_px(0, narrow) == pytest.approx([100, 60, 190, 180])
    assert read_annotation(tmp_path / "2.txt").box_px(0, narrow) == pytest.approx([120, 180, 240, 270])


def test_boxes_move_between_annotated_frames(tmp_path):
    text = annotation(10, 10, BOX) + "000014 \t120\t60\t90\t120 \n"
    (tmp_path / "1.txt").write_text(text)
    chunk = read_annotation(tmp_path / "1.txt")
    assert [chunk.box_px(n, (360, 640))[0] for n in (0, 1, 4, 9)] == [100, 105, 120, 120]


@pytest.mark.parametrize(
    "text",
    ["", "FRAME X Y W H\n", "FRAME X Y W H\n1 2 3 4\n", "FRAME X Y W H\n1 2 3 4 5\n1 2 3 4 5\n"]
    + ["FRAME X Y W H\n1 2 3 nan 5\n", "FRAME X Y W H\n1 2 3 0 5\n", "FRAME X Y W H\n-1 2 3 4 5\n", "hello"],
)
def test_nonsense_is_refused(tmp_path, text):
    (tmp_path / "1.txt").write_text(text)
    with pytest.raises(InputError):
        read_annotation(tmp_path / "1.txt")


def test_a_folder_of_annotations(tmp_path):
    for person, video, name in (("id10002", OTHER, "00003"), ("id10001", VIDEO, "00010"), ("id10001", VIDEO, "00002")):
        file = tmp_path / "txt" / person / video / f"{name}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(annotation(0, 10, BOX))
    (tmp_path / "txt" / "id10001" / VIDEO / "00005.txt").write_text("FRAME X Y W H\n")
    (tmp_path / "readme.txt").write_text("about")
    tasks = read_metadata(tmp_path)
    assert [(t.person, t.video) for t in tasks] == [("id10001", VIDEO), ("id10002", OTHER)]
    chunks, problems = tasks[0].read_chunks()
    assert [chunk.name for chunk in chunks] == ["00002", "00010"] and list(problems) == ["00005"]
    assert [t.person for t in selected(tasks, ["id10002"])] == ["id10002"] and len(selected(tasks, (), 1)) == 1


def test_tables_old_and_new(tmp_path):
    row = "1500,1750,389-6-956-782,25,1280,720,train"
    (tmp_path / "new.csv").write_text(f"{TABLE}{VIDEO},{row},id10001\n{VIDEO},0,10,1-2-3-4,50,1280,720,train,id10001\n")
    old = TABLE.replace(",person_id", "")
    (tmp_path / "old.csv").write_text(f"{old}{VIDEO}#id10001,{row}\n")
    (new,), (former,) = (read_metadata(tmp_path / name) for name in ("new.csv", "old.csv"))
    assert (new.person, new.video) == (former.person, former.video) == ("id10001", VIDEO)
    chunk, late = new.read_chunks()[0]
    assert (chunk.name, chunk.first, chunk.last) == ("001500-001750", 1500, 1749)
    assert chunk.box_px(0, (360, 640)) == pytest.approx([194.5, 3, 478, 391])
    assert (late.first, late.last) == (0, 4), "frames at 50 per second are counted at 25"


@pytest.mark.parametrize(
    "row",
    [
        f"{VIDEO},5,5,1-2-3-4,25,1280,720,train,id10001",
        f"{VIDEO},0,5,1-2-3,25,1280,720,train,id10001",
        f"{VIDEO},0,5,3-2-1-4,25,1280,720,train,id10001",
        f"{VIDEO},0,5,1-2-3-4,0,1280,720,train,id10001",
        f"{VIDEO},0,5,1-2-3-4,25,1280,0,train,id10001",
        f"{VIDEO},x,5,1-2-3-4,25,1280,720,train,id10001",
        f"{VIDEO},0,5,1-2-3-4,25",
        "../../../ab,0,5,1-2-3-4,25,1280,720,train,id10001",
        f"{VIDEO},0,5,1-2-3-4,25,1280,720,train,../id10001",
        f"{VIDEO},0,5,1-2-3-4,25,1280,720,train,..",
    ],
)
def test_rows_that_make_no_sense_are_refused_by_line(tmp_path, row):
    (tmp_path / "t.csv").write_text(TABLE + row + "\n")
    with pytest.raises(InputError, match="line 2"):
        read_metadata(tmp_path / "t.csv")


def test_clips_of_both_kinds(tmp_path):
    for name in (f"train/id10001#{VIDEO}#000993#001143.mp4", f"id00012/{OTHER}/00001.mp4", "readme.mp4"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    first, second = read_clips(tmp_path)
    assert (first.person, first.video, list(first.clips)) == ("id00012", OTHER, ["00001"])
    assert (second.person, second.video, list(second.clips)) == ("id10001", VIDEO, ["000993-001143"])


def test_nothing_there(tmp_path):
    with pytest.raises(MissingDataError):
        read_metadata(tmp_path / "none")
    for read in (read_metadata, read_clips):
        with pytest.raises(InputError, match="<person>/<video>"):
            read(tmp_path)
    (tmp_path / "a.csv").write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match="lacks bbox"):
        read_metadata(tmp_path / "a.csv")
