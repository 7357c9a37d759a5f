//! `model info`, `model convert`, `model list`, `model download`.

use std::io::{BufRead, Write};

use image_feature::Dtype;
use image_feature::model::vit::VitConfig;
use serde_json::Value;

use super::common::{shared, vit_model};
use super::program::{files_below, finish, program, run, text};

const FORMATS: [(&str, &str, &str); 3] = [
    ("PP-ShiTuV2_rec_infer_pir", "deploy", "PIR"),
    ("PP-ShiTuV2_rec_infer_pdmodel", "deploy", "pdmodel"),
    ("PP-ShiTuV2_rec_random.pdparams", "training", "pdparams"),
];

#[test]
fn info_tells_what_a_model_holds() {
    let Some(models) = shared("golden/models") else { return };
    for (name, form, format) in FORMATS {
        let path = models.join(name);
        let table = run(["model", "info", text(&path)]).good();
        let row = |key: &str| {
            let values = table.lines().filter_map(|line| line.split_once(' '));
            values.into_iter().find(|(name, _)| *name == key).map_or("", |(_, value)| value.trim())
        };
        assert_eq!(row("name"), "PP-ShiTuV2_rec", "{table}");
        assert_eq!(row("dimension"), "512", "{table}");
        assert_eq!(row("input"), "3 x 224 x 224", "{table}");
        assert_eq!(row("resize"), "stretch to 224x224, bilinear", "{table}");
        assert!(row("form").starts_with(form) && row("format").contains(format), "{table}");

        let json: Value = serde_json::from_str(&run(["model", "info", text(&path), "--json"]).good()).unwrap();
        let values = if form == "deploy" { 4_575_616 } else { 4_778_880 };
        assert_eq!(json["parameters"], values, "{name}");
        let tensors = json["tensors"].as_array().unwrap();

        let listed = run(["model", "info", text(&path), "--tensors"]).good();
        let first = "backbone.stem.0.conv.weight [32, 3, 3, 3] float32";
        assert_eq!(
            listed.lines().filter(|line| line.ends_with("float32")).count() - usize::from(form == "training"),
            tensors.len()
        );
        assert!(listed.contains(first), "{listed}");
    }
}

/// A vision transformer works with every command that an LCNet works with, except in 8 bits.
#[test]
fn transformers_are_models_too() {
    let folder = temp_dir::TempDir::new().unwrap();
    let config = VitConfig {
        input: [32, 32],
        patch: 8,
        width: 48,
        depth: 2,
        heads: 3,
        hidden: 64,
        projection: 40,
        average_class_token: false,
        embedding: 24,
    };
    let source = folder.path().join("source.safetensors");
    std::fs::write(&source, vit_model(&config).to_safetensors(Dtype::F32).unwrap()).unwrap();
    let photo = folder.path().join("photo.ppm");
    let pixels: Vec<u8> = (0..3 * 40 * 30).map(|index| (index * 7 % 251) as u8).collect();
    std::fs::write(&photo, [b"P6 40 30 255\n", &pixels[..]].concat()).unwrap();
    let feature = |model: &std::path::Path| -> Vec<f64> {
        let printed = run(["predict", text(&photo), "--model", text(model), "--device", "cpu", "--json"]).good();
        let result: Value = serde_json::from_str(&printed).unwrap();
        serde_json::from_value(result["feature"].clone()).unwrap()
    };
    let expected = feature(&source);
    assert_eq!(expected.len(), 24);
    assert!((expected.iter().map(|value| value * value).sum::<f64>() - 1.0).abs() < 1e-6);

    let half = folder.path().join("half.safetensors");
    run(["model", "convert", text(&source), "--output", text(&half), "--dtype", "f16"]).good();
    let difference = feature(&half).iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(difference > 0.0 && difference < 2e-3, "{difference}");

    let info = run(["model", "info", text(&half)]).good();
    assert!(info.contains("2 blocks of 48 channels, 3 heads") && info.contains("3 x 32 x 32"), "{info}");
    let bytes = folder.path().join("bytes.safetensors");
    let options = ["--output", text(&bytes), "--dtype", "i8", "--calibrate", text(&photo)];
    run([&["model", "convert", text(&source)][..], &options].concat())
        .fails(1, &["no layer that could be computed in 8 bits"]);
}

#[test]
fn convert_writes_a_file_that_says_the_same() {
    let Some(models) = shared("golden/models") else { return };
    let folder = temp_dir::TempDir::new().unwrap();
    let source = models.join("PP-ShiTuV2_rec_infer_pir");
    let info = |path: &std::path::Path| -> Value {
        serde_json::from_str(&run(["model", "info", text(path), "--json"]).good()).unwrap()
    };
    let original = info(&source);
    for (dtype, element, least) in [("f32", "float32", 4 * 4_575_616), ("f16", "float16", 2 * 4_575_616)] {
        let target = folder.path().join(format!("{dtype}.safetensors"));
        let arguments = ["model", "convert", text(&source), "--output", text(&target), "--dtype", dtype, "--json"];
        let written: Value = serde_json::from_str(&run(arguments).good()).unwrap();
        let bytes = std::fs::metadata(&target).unwrap().len();
        assert_eq!(written["bytes"], bytes);
        assert!((least..least + 64_000).contains(&bytes), "{bytes}");

        let converted = info(&target);
        for key in ["name", "form", "dimension", "input_size", "parameters", "preprocess"] {
            assert_eq!(converted[key], original[key], "{key} of {dtype}");
        }
        assert_eq!(converted["format"], "safetensors");
        assert!(converted["tensors"].as_array().unwrap().iter().all(|tensor| tensor["dtype"] == element));
    }
}

/// A model that is calibrated on photos has a quarter of the size, and can be written again without photos.
#[test]
fn convert_calibrates_for_i8() {
    let (Some(models), Some(photos)) = (shared("golden/models"), shared("golden/features/inputs")) else { return };
    let folder = temp_dir::TempDir::new().unwrap();
    let source = models.join("PP-ShiTuV2_rec_infer_pir");
    let (first, second) = (folder.path().join("1.safetensors"), folder.path().join("2.safetensors"));
    let convert = |source: &std::path::Path, target: &std::path::Path, more: &[&str]| {
        finish(program().args(["model", "convert"]).arg(source).arg("--output").arg(target).args(more))
    };
    convert(&source, &first, &["--dtype", "i8"]).fails(2, &["not been calibrated", "--calibrate"]);
    convert(&source, &first, &["--calibrate", text(&photos)]).fails(2, &["--dtype i8"]);
    let nothing = folder.path().join("notes.png");
    std::fs::write(&nothing, "no image").unwrap();
    convert(&source, &first, &["--dtype", "i8", "--calibrate", text(&nothing)]).fails(2, &["none of the 1 inputs"]);

    let damaged = folder.path().join("cut.jpg");
    let jpeg = super::generated::jpeg(&super::generated::photo(1), 90);
    std::fs::write(&damaged, &jpeg[..jpeg.len() / 2]).unwrap();
    let images = [text(&photos), text(&nothing), text(&damaged)];
    let calibrated = convert(&source, &first, &[&["--dtype", "i8", "--calibrate"][..], &images].concat());
    assert_eq!(calibrated.code, Some(0), "{calibrated:?}");
    assert!(
        calibrated.stderr.contains("warning: 1 of ") && calibrated.stderr.contains("inputs cannot be read"),
        "{calibrated:?}"
    );
    assert!(
        calibrated.stderr.contains("images is damaged: ") || calibrated.stderr.contains("images are damaged: "),
        "{calibrated:?}"
    );
    assert!(calibrated.stderr.contains("cut.jpg ("), "{calibrated:?}");
    let bytes = std::fs::metadata(&first).unwrap().len();
    assert!((4_575_616..5_000_000).contains(&bytes), "{bytes}");
    let info: Value = serde_json::from_str(&run(["model", "info", text(&first), "--json"]).good()).unwrap();
    assert_eq!((&info["parameters"], &info["form"]), (&Value::from(4_575_616), &Value::from("deploy")));
    let dtypes =
        |dtype: &str| info["tensors"].as_array().unwrap().iter().filter(|tensor| tensor["dtype"] == dtype).count();
    assert_eq!(dtypes("int8"), 19 + 12 + 1, "1x1 convolutions, gates, the last layer");
    convert(&first, &second, &["--dtype", "i8"]).good();
    assert_eq!(std::fs::metadata(&second).unwrap().len(), bytes);
}

#[test]
fn convert_leaves_what_is_there() {
    let Some(models) = shared("golden/models") else { return };
    let folder = temp_dir::TempDir::new().unwrap();
    let (source, target) = (models.join("PP-ShiTuV2_rec_infer_pir"), folder.path().join("m.safetensors"));
    std::fs::write(&target, "precious").unwrap();
    let convert = |source: &std::path::Path, target: &std::path::Path, more: &[&str]| {
        finish(program().args(["model", "convert"]).arg(source).arg("--output").arg(target).args(more))
    };
    convert(&source, &target, &[]).fails(2, &["m.safetensors", "is there already", "--force"]);
    assert_eq!(std::fs::read(&target).unwrap(), b"precious");

    convert(&folder.path().join("nosuch"), &target, &["--force"]).fails(1, &["nosuch"]);
    assert_eq!(std::fs::read(&target).unwrap(), b"precious");

    convert(&source, &target, &["--force"]).good();
    assert!(std::fs::metadata(&target).unwrap().len() > 18_000_000);

    convert(&source, &folder.path().join("m.onnx"), &[]).fails(2, &["m.onnx", "safetensors"]);
    convert(&source, &folder.path().join("no/folder/m.safetensors"), &[]).fails(1, &["no/folder/m.safetensors"]);
    convert(&source, &folder.path().join("x.safetensors"), &["--dtype", "f64"]);
    assert_eq!(files_below(folder.path()), ["m.safetensors"]);
}

#[test]
fn damaged_and_foreign_models_are_the_inputs_fault() {
    let Some(models) = shared("golden/models") else { return };
    let folder = temp_dir::TempDir::new().unwrap();
    let whole = std::fs::read(models.join("PP-ShiTuV2_rec_random.pdparams")).unwrap();
    let cut = folder.path().join("cut.pdparams");
    std::fs::write(&cut, &whole[..whole.len() / 2]).unwrap();
    run(["model", "info", text(&cut)]).fails(1, &["cut.pdparams"]);
    let clip = models.join("PP-ShiTuV2_rec_CLIP_vit_base_infer_pir_graph_only");
    run(["model", "info", text(&clip)]).fails(1, &["PP-ShiTuV2_rec_CLIP_vit_base", "inference.pdiparams"]);
    run(["model", "info", text(&models.join("PP-ShiTuV2_rec.onnx"))]).fails(1, &["PP-ShiTuV2_rec.onnx"]);
}

#[test]
fn list_knows_paddlexs_cache() {
    let home = temp_dir::TempDir::new().unwrap();
    let list = || finish(program().args(["model", "list", "--json"]).env("PADDLE_PDX_CACHE_HOME", home.path()));
    let models: Value = serde_json::from_str(&list().good()).unwrap();
    assert_eq!(models.as_array().unwrap().len(), 6);
    assert!(models[5]["name"] == "PP-ShiTuV2_det" && models[5]["dimension"].is_null());
    assert!(models[0]["name"] == "default" && models[0]["dimension"] == 512);
    assert!(models[1]["name"] == "tiny" && models[1]["dimension"] == 512);
    assert_eq!(models[2]["name"], "PP-ShiTuV2_rec");
    assert_eq!(models[3]["network"], "CLIP_vit_base_patch16_224");
    assert!(models.as_array().unwrap().iter().all(|model| model["cached"].is_null()));
    assert!(models[4]["archive"].as_str().unwrap().ends_with("/PP-ShiTuV2_rec_CLIP_vit_large_infer.tar"));

    let cached = home.path().join("official_models/PP-ShiTuV2_rec");
    std::fs::create_dir_all(&cached).unwrap();
    let models: Value = serde_json::from_str(&list().good()).unwrap();
    assert_eq!(models[2]["cached"], text(&cached));
    assert!(run(["model", "list"]).good().contains("PP-ShiTuV2_rec_CLIP_vit_base"));

    // an official name is read from there
    let Some(golden) = shared("golden/models/PP-ShiTuV2_rec_infer_pir") else { return };
    for file in std::fs::read_dir(golden).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), cached.join(file.file_name())).unwrap();
    }
    let info =
        finish(program().args(["model", "info", "PP-ShiTuV2_rec"]).env("PADDLE_PDX_CACHE_HOME", home.path())).good();
    assert!(info.contains("4575616"), "{info}");
}

/// A server with the archive of the golden model, at the address of a mirror.
fn mirror(archive: Vec<u8>) -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/mirror", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut request = std::io::BufReader::new(stream.try_clone().unwrap()).lines();
            let first = request.next().unwrap().unwrap();
            while request.next().is_some_and(|line| !line.unwrap().is_empty()) {}
            let found = first.starts_with("GET /mirror/PP-ShiTuV2_rec_infer.tar ");
            let (status, body) = if found { ("200 OK", &archive[..]) } else { ("404 Not Found", &b""[..]) };
            let head = format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
            stream.write_all(&[head.as_bytes(), body].concat()).unwrap();
        }
    });
    address
}

#[test]
fn an_official_model_is_downloaded_by_name() {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, content) in [("inference.json", &b"{}"[..]), ("inference.pdiparams", &[0; 5000]), ("inference.yml", b"")]
    {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, format!("PP-ShiTuV2_rec_infer/{name}"), content).unwrap();
    }
    let address = mirror(archive.into_inner().unwrap());
    let home = temp_dir::TempDir::new().unwrap();
    let download = |arguments: &[&str], variables: &[(&str, &str)]| {
        let mut command = program();
        command.args(["model", "download"]).args(arguments).env("PADDLE_PDX_CACHE_HOME", home.path());
        finish(command.env_remove("IMAGE_FEATURE_OFFLINE").envs(variables.iter().copied()))
    };

    download(&["PP-ShiTuV3"], &[]).fails(2, &["PP-ShiTuV3: no official model", "PP-ShiTuV2_rec_CLIP_vit_base"]);
    let offline = [("IMAGE_FEATURE_OFFLINE", "1"), ("IMAGE_FEATURE_MIRROR", address.as_str())];
    download(&["PP-ShiTuV2_rec"], &offline).fails(1, &["PP-ShiTuV2_rec", "IMAGE_FEATURE_OFFLINE"]);
    download(&["PP-ShiTuV2_rec_CLIP_vit_base", "--mirror", &address], &[]).fails(1, &["404", "IMAGE_FEATURE_MIRROR"]);

    let run = download(&["PP-ShiTuV2_rec"], &offline[1..]);
    let folder = home.path().join("official_models/PP-ShiTuV2_rec");
    assert!(run.stderr.contains(&format!("downloading {address}/PP-ShiTuV2_rec_infer.tar (0.0 MB)")), "{run:?}");
    assert_eq!(run.good(), format!("{}\n", folder.display()));
    assert_eq!(std::fs::read(folder.join("inference.pdiparams")).unwrap().len(), 5000);
    // it is there now: nothing is fetched
    assert_eq!(download(&["PP-ShiTuV2_rec", "--quiet"], &offline[..1]).good(), format!("{}\n", folder.display()));
}
