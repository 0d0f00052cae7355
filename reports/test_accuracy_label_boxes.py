"""Labels of points: none covers another, a point, or leaves the frame."""

from itertools import combinations

import torch

from fishergauge.reports.accuracy_label_boxes import RADII, Box, around, placed

FRAME = Box(0, 0, 300, 300)


def test_boxes_meet_where_they_share_a_point() -> None:
    box = Box(0, 0, 10, 5)
    assert box.meets(Box(9, 4, 20, 20))
    assert not box.meets(Box(10, 0, 20, 5))
    assert not box.meets(Box(0, 5, 10, 9))
    assert box.inside(Box(-1, 0, 10, 5))
    assert not box.inside(Box(1, 0, 20, 9))
    assert box.middle == (5, 2.5)
    assert box.nearest(-3, 2) == (0, 2)
    assert box.nearest(20, 20) == (10, 5)


def test_a_label_alone_stands_to_the_right_of_its_point() -> None:
    (box,) = placed([(100, 100)], [(30, 8)], [around(100, 100, 3)], FRAME)
    assert box == Box(105, 96, 135, 104)


def test_a_label_does_not_leave_the_frame() -> None:
    (box,) = placed([(290, 100)], [(30, 8)], [around(290, 100, 3)], FRAME)
    assert box == Box(255, 96, 285, 104)


def test_labels_of_a_crowd_cover_neither_each_other_nor_the_points() -> None:
    source = torch.Generator().manual_seed(0)
    points = [(float(x), float(y)) for x, y in 100 + 100 * torch.rand(20, 2, generator=source)]
    taken = [around(x, y, 3) for x, y in points]
    boxes = [box for box in placed(points, [(25.0, 7.0)] * 20, taken, FRAME) if box is not None]
    assert len(boxes) >= 15
    assert all(box.inside(FRAME) for box in boxes)
    assert not any(one.meets(other) for one, other in combinations(boxes, 2))
    assert not any(box.meets(point) for box in boxes for point in taken)


def test_where_no_place_is_free_there_is_no_label() -> None:
    assert placed([(150, 150)], [(30, 8)], [FRAME], FRAME) == [None]
    near_full = [around(150, 150, 20)]
    assert placed([(150, 150)], [(30, 8)], near_full, FRAME, reach=[1]) == [None]
    assert placed([(150, 150)], [(30, 8)], near_full, FRAME, reach=[len(RADII)]) != [None]
