//! Files cut short and bytes flipped: never a panic, and never a model of another shape.

use std::sync::LazyLock;

use image_feature::{Dtype, Model};
use proptest::prelude::*;

use super::pickles::pickled;
use super::small;
use super::support::{golden, golden_bytes};

/// Every length near the start and the end, and some between.
fn lengths(len: usize) -> impl Iterator<Item = usize> {
    (0..len).filter(move |&cut| cut < 400 || cut + 100 > len || cut % 997 == 0)
}

/// Reads each beginning of a file. None is a model.
fn cut_everywhere(bytes: &[u8], read: impl Fn(&[u8]) -> image_feature::Result<Model>) {
    for cut in lengths(bytes.len()) {
        assert!(read(&bytes[..cut]).is_err(), "{cut} of {} bytes are read as a model", bytes.len());
    }
}

#[test]
fn cut_files_are_refused() {
    let training = small::training(Some(2));
    cut_everywhere(&pickled(&training.tensors), |bytes| Model::from_bytes("x", bytes));
    cut_everywhere(&training.to_safetensors(Dtype::F32).unwrap(), |bytes| Model::from_bytes("x", bytes));
    let Some(exported) = small::exported() else { return };
    let graph = exported.graph.to_string().into_bytes();
    cut_everywhere(&graph, |bytes| {
        Model::from_files(vec![
            ("inference.json".into(), bytes.to_vec()),
            ("inference.pdiparams".into(), exported.params.clone()),
        ])
    });
}

#[test]
fn cut_golden_files_are_refused() {
    let Some(bytes) = golden_bytes("PP-ShiTuV2_rec_random.pdparams") else { return };
    // the name of the next array follows each array: cut there and around it
    for at in bytes.windows(10).enumerate().filter(|(_, window)| *window == b"backbone.s").map(|(at, _)| at) {
        for cut in [at.saturating_sub(20), at.saturating_sub(1), at, at + 5] {
            assert!(Model::from_bytes("x", &bytes[..cut]).is_err(), "{cut}");
        }
    }

    let Some(folder) = golden("PP-ShiTuV2_rec_infer_pdmodel") else { return };
    let params = std::fs::read(folder.join("inference.pdiparams")).unwrap();
    let graph = std::fs::read(folder.join("inference.pdmodel")).unwrap();
    for cut in (0..graph.len()).filter(|cut| cut % 251 == 0) {
        // protobuf has no end marker: a graph that is cut between two ops is valid, and another graph
        let files = vec![("inference.pdmodel".into(), graph[..cut].to_vec()), ("inference.pdiparams".into(), vec![])];
        let error = Model::from_files(files).unwrap_err().to_string();
        assert!(error.starts_with("inference.pdmodel"), "{cut}: {error}");
    }
    for cut in [0, 1, 15, 16, 24, 100, params.len() / 2, params.len() - 1] {
        let files =
            vec![("inference.pdmodel".into(), graph.clone()), ("inference.pdiparams".into(), params[..cut].to_vec())];
        let error = Model::from_files(files).unwrap_err().to_string();
        assert!(error.starts_with("inference.pdiparams"), "{cut}: {error}");
    }
}

/// A damaged file is refused, or gives a model of the same shapes with other values.
fn same_shape_or_refused(result: image_feature::Result<Model>, expected: &Model) -> Result<(), TestCaseError> {
    if let Ok(model) = result {
        prop_assert_eq!(model.form, expected.form);
        prop_assert_eq!(model.tensors.len(), expected.tensors.len());
        for (name, tensor) in expected.tensors.iter() {
            let read = model.tensors.expect(name, &tensor.shape);
            prop_assert!(read.is_ok(), "{name}");
            prop_assert_eq!(read.unwrap().values.len(), tensor.values.len());
        }
    }
    Ok(())
}

fn flip(bytes: &[u8], flips: &[(prop::sample::Index, u8)]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for (index, with) in flips {
        let at = index.index(bytes.len());
        bytes[at] = *with;
    }
    bytes
}

fn flips() -> impl Strategy<Value = Vec<(prop::sample::Index, u8)>> {
    prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)
}

/// As [`flips`], but only in the first `len` bytes, which are mostly structure.
fn flips_within(len: usize) -> impl Strategy<Value = Vec<(usize, u8)>> {
    prop::collection::vec((0..len, any::<u8>()), 1..3)
}

/// The small exported model, undamaged.
static EXPECTED: LazyLock<Option<Model>> =
    LazyLock::new(|| Some(Model::from_files(small::exported()?.files()).unwrap()));
static GRAPH: LazyLock<Vec<u8>> =
    LazyLock::new(|| small::exported().map_or(vec![], |exported| exported.graph.to_string().into_bytes()));

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn flipped_pickles(flips in flips(), near in flips_within(600)) {
        let model = small::training(None);
        let mut bytes = flip(&pickled(&model.tensors), &flips);
        same_shape_or_refused(Model::from_bytes("x", &bytes), &model)?;
        near.iter().for_each(|&(at, with)| bytes[at] = with);
        same_shape_or_refused(Model::from_bytes("x", &bytes), &model)?;
    }

    #[test]
    fn flipped_safetensors(flips in flips(), near in flips_within(4000)) {
        let model = small::training(None);
        let mut bytes = flip(&model.to_safetensors(Dtype::F16).unwrap(), &flips);
        same_shape_or_refused(Model::from_bytes("x", &bytes), &model)?;
        near.iter().for_each(|&(at, with)| bytes[at] = with);
        same_shape_or_refused(Model::from_bytes("x", &bytes), &model)?;
    }

    #[test]
    fn flipped_weights_and_graphs(in_params in flips(), in_graph in flips()) {
        let Some(exported) = small::exported() else { return Ok(()) };
        let expected = EXPECTED.as_ref().unwrap();
        let graph = GRAPH.to_vec();
        let read = |graph: Vec<u8>, params: Vec<u8>| {
            Model::from_files(vec![("inference.json".into(), graph), ("inference.pdiparams".into(), params)])
        };
        same_shape_or_refused(read(graph.clone(), flip(&exported.params, &in_params)), expected)?;
        same_shape_or_refused(read(flip(&graph, &in_graph), exported.params.clone()), expected)?;
    }

    #[test]
    fn flipped_programs(flips in flips()) {
        let Some(graph) = golden_bytes("PP-ShiTuV2_rec_infer_pdmodel/inference.pdmodel") else { return Ok(()) };
        // without weights: the graph is still read and compared, and the test is fast
        let result = Model::from_files(vec![("inference.pdmodel".into(), flip(&graph, &flips))]);
        prop_assert!(result.is_err());
    }

    #[test]
    fn anything_at_all(bytes in prop::collection::vec(any::<u8>(), 0..600), start in 0..6_usize) {
        let magic: [&[u8]; 6] = [b"", b"\x80\x04", b"PK\x03\x04", b"\x1f\x8b\x08\0", b"\x20\0\0\0\0\0\0\0{", b"{\"base_code\":"];
        let bytes = [magic[start], &bytes].concat();
        for name in ["x", "inference.json", "inference.pdmodel", "inference.pdiparams", "x.pdparams", "x.safetensors"] {
            prop_assert!(Model::from_bytes(name, &bytes).is_err());
        }
    }
}
