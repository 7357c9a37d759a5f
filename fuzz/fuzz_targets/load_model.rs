//! Reads any bytes as model files: gives an error, or a model with tensors of the described shapes.
#![no_main]

use image_feature::model::Network;
use image_feature::{Dtype, ErrorKind, Model};
use libfuzzer_sys::fuzz_target;

const NAMES: [&str; 4] = ["inference.json", "inference.pdmodel", "inference.yml", "inference.pdiparams"];

fuzz_target!(|input: (u8, Vec<u8>, Vec<u8>)| {
    let (choice, bytes, weights) = input;
    // one file of any format, then a graph or settings together with weights
    check(Model::from_bytes("model", &bytes));
    let name = NAMES[usize::from(choice) % NAMES.len()];
    check(Model::from_files(vec![(name.into(), bytes), ("inference.pdiparams".into(), weights)]));
});

fn check(result: image_feature::Result<Model>) {
    match result {
        Ok(model) => {
            let Network::LcNetV2(config) = &model.description.network else { return };
            for parameter in config.parameters(model.form, model.classes) {
                let tensor =
                    model.tensors.expect(&parameter.name, &parameter.shape).expect("a tensor for each parameter");
                assert_eq!(tensor.values.len(), parameter.len());
            }
            model.to_safetensors(Dtype::F32).expect("what is read can be written");
        }
        Err(error) => assert_ne!(error.kind(), ErrorKind::Internal, "{error}"),
    }
}
