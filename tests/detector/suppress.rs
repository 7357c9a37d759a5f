//! Hand-made boxes through Paddle's own kernel: ties, overlaps at the limit, areas of 0, sides in the wrong order, limits.

use image_feature::detector::suppress;
use image_feature::model::picodet::Nms;

use crate::common::golden;

#[test]
fn boxes_are_chosen_as_by_paddle() {
    let Some(file) = golden("detector/nms_cases.safetensors") else { return };
    let names: Vec<&str> = file.keys().filter_map(|key| key.strip_suffix("/boxes")).collect();
    assert_eq!(names.len(), 11);
    let nms = Nms::default();
    let mut wrong = Vec::new();
    for name in names {
        let of = |part: &str| &file[&format!("{name}/{part}")];
        let (boxes, scores) = (of("boxes").as_chunks::<4>().0, of("scores"));
        let expected: Vec<[f32; 6]> = of("out").as_chunks::<6>().0.to_vec();
        // only this case has several images
        let images = if name == "batch_with_empty" { 3 } else { 1 };
        let each = scores.len() / images;
        let mut found = Vec::new();
        for (boxes, scores) in boxes.chunks(each).zip(scores.chunks(each)) {
            for index in suppress(&nms, boxes, scores).into_iter().take(nms.keep) {
                let [left, top, right, bottom] = boxes[index];
                found.push([0.0, scores[index], left, top, right, bottom]);
            }
        }
        if found != expected {
            wrong.push(format!("{name}: {found:?} is not {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
