//! `/shitu-infer`: the things in an image, and what each is.

use std::time::Instant;

use axum::http::StatusCode;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::request::{self, InferRequest};
use super::{Api, BATCH, Refusal};
use crate::recognize::{labelled, name};
use image_feature::dataset::compat::{SampleFormat, draw};
use image_feature::detector::{Region, Regions, WholeImage};
use image_feature::gallery::{Gallery, Metric};
use image_feature::recognizer::{RecognizeOptions, Recognized};
use image_feature::{Error, RgbImage};

pub fn infer(api: &Api, body: &[u8], deadline: Instant) -> Result<Value, Refusal> {
    let request: InferRequest = request::parse(body)?;
    let Some(key) = &request.index_key else {
        let message = "`indexKey` is missing: the service has no index of its own; /shitu-index-build makes one";
        return Err(Refusal::new(StatusCode::BAD_REQUEST, message));
    };
    let gallery = api.indexes.get(key)?;
    let options = options(api, &request, &gallery)?;
    let in_image = |error: Error| Refusal::from(error.context("image"));
    let (image, _share) = api.decoded(&request.image).map_err(in_image)?;
    let regions = match &api.detector {
        Some(detector) => detector.regions(&image, options.det_threshold, options.whole).map_err(in_image)?,
        None => Regions { found: vec![Region::whole(image.width(), image.height())], too_small: Vec::new() },
    };
    let mut things = Vec::new();
    for batch in regions.found.chunks(BATCH) {
        if Instant::now() > deadline {
            return Err(api.too_late());
        }
        let inputs = batch.iter().map(|region| api.description.network_input(&image.crop(region.roi)?));
        let inputs = inputs.collect::<Result<Vec<_>, Error>>().map_err(in_image)?;
        for (region, feature) in batch.iter().zip(api.network.features(inputs)?) {
            let hits = options.hits(&feature.map_err(in_image)?, &gallery)?;
            things.push(Recognized { region: region.clone(), hits });
        }
    }
    let mut result = json!({ "detectedObjects": things.iter().map(object).collect::<Vec<Value>>() });
    // PaddleX's default; without a detector there is no box to be seen
    if request.visualize.unwrap_or(api.detector.is_some()) {
        result["image"] = picture(&image, &things).map_err(in_image)?.into();
    }
    Ok(result)
}

fn options(api: &Api, request: &InferRequest, gallery: &Gallery) -> Result<RecognizeOptions, Refusal> {
    let defaults = RecognizeOptions { as_paddlex: api.as_paddlex, ..RecognizeOptions::default() };
    let k = match request.topk {
        None => defaults.k,
        Some(_) if api.as_paddlex => defaults.k,
        Some(k) if k > 0 => usize::try_from(k).unwrap_or(usize::MAX).min(gallery.len()),
        Some(k) => {
            return Err(Refusal::new(StatusCode::BAD_REQUEST, format!("`topk` is {k}; a number above 0 is needed")));
        }
    };
    let rec_threshold =
        if gallery.metric() == Metric::Hamming { request.hamming_radius } else { request.rec_threshold };
    let whole = WholeImage::WithoutBoxes;
    Ok(RecognizeOptions { det_threshold: request.det_threshold, rec_threshold, k, whole, ..defaults })
}

fn object(thing: &Recognized) -> Value {
    let hits = thing.hits.iter().map(|hit| json!({ "label": name(hit), "score": hit.score }));
    json!({
        "bbox": thing.region.coordinate(),
        "recResults": hits.collect::<Vec<Value>>(),
        "score": thing.region.score(),
    })
}

/// The image with its boxes, as a JPEG in base64.
fn picture(image: &RgbImage, things: &[Recognized]) -> Result<String, Error> {
    let frames: Vec<_> = things.iter().map(labelled).collect();
    let drawn = draw::with_boxes(image, &frames)?;
    let jpeg = draw::encode(&drawn, SampleFormat::Jpeg)?.ok_or_else(|| Error::internal("a JPEG was not written"))?;
    Ok(STANDARD.encode(jpeg))
}
