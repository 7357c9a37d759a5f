//! `.pdparams`: the forms in which arrays are written, and pickles that want something else.

use image_feature::model::lcnet_v2::Form;
use image_feature::weights::Tensors;
use image_feature::{ErrorKind, Model, ModelLoader, Result};

use super::small;
use super::support::{expect_error, report};

/// Writes pickles, opcode by opcode.
#[derive(Clone, Default)]
pub struct Pickle(Vec<u8>);

impl Pickle {
    pub fn new() -> Self {
        Pickle(vec![0x80, 4])
    }

    pub fn op(mut self, opcode: u8) -> Self {
        self.0.push(opcode);
        self
    }

    pub fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend(bytes);
        self
    }

    pub fn int(self, value: usize) -> Self {
        self.op(b'J').raw(&(value as i32).to_le_bytes())
    }

    pub fn text(self, text: &str) -> Self {
        self.op(b'X').raw(&(text.len() as u32).to_le_bytes()).raw(text.as_bytes())
    }

    pub fn bytes(self, bytes: &[u8]) -> Self {
        self.op(b'B').raw(&(bytes.len() as u32).to_le_bytes()).raw(bytes)
    }

    pub fn global(self, module: &str, name: &str) -> Self {
        self.text(module).text(name).op(0x93)
    }

    /// `dtype(code)` with a byte order.
    fn dtype(self, code: &str, order: &str) -> Self {
        let pickle = self.global("numpy", "dtype").text(code).op(0x89).op(0x88).op(0x87).op(b'R');
        pickle.op(b'(').int(3).text(order).raw(b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb")
    }

    fn array(self, array: &Array) -> Self {
        let Array { shape, code, order, fortran, data } = array;
        let pickle = self.global("numpy.core.multiarray", "_reconstruct").global("numpy", "ndarray");
        let mut pickle = pickle.raw(b"K\0\x85C\x01b\x87R(K\x01(");
        for &side in shape {
            pickle = pickle.int(side);
        }
        pickle.op(b't').dtype(code, order).op(if *fortran { 0x88 } else { 0x89 }).bytes(data).raw(b"tb")
    }

    fn done(self) -> Vec<u8> {
        self.op(b'.').0
    }
}

struct Array {
    shape: Vec<usize>,
    code: &'static str,
    order: &'static str,
    fortran: bool,
    data: Vec<u8>,
}

/// A dictionary of these tensors as float32.
pub fn pickled(tensors: &Tensors) -> Vec<u8> {
    pickled_with(tensors, |_, array| array)
}

fn pickled_with(tensors: &Tensors, change: impl Fn(&str, Array) -> Array) -> Vec<u8> {
    let mut pickle = Pickle::new().raw(b"}(");
    for (name, tensor) in tensors.iter() {
        let array = Array {
            shape: tensor.shape.clone(),
            code: "f4",
            order: "<",
            fortran: false,
            data: small::floats(&tensor.values),
        };
        pickle = pickle.text(name).array(&change(name, array));
    }
    pickle.text("StructuredToParameterName@@").raw(b"}u").done()
}

fn read(bytes: &[u8]) -> Result<Model> {
    Model::from_bytes("model.pdparams", bytes)
}

const LAST_CONV: &str = "backbone.last_conv.weight";

#[test]
fn small_network_is_told_from_its_shapes() {
    let written = small::training(Some(7));
    let bytes = pickled(&written.tensors);
    let model = ModelLoader::new().with_head().from_bytes("anything", &bytes).unwrap();
    assert_eq!((model.form, model.classes), (Form::Training, Some(7)));
    assert_eq!(model.description.network, written.description.network);
    assert!(model.tensors == written.tensors);
    assert_eq!(model.description.name, "PP-ShiTuV2_rec_x0.02");
}

#[test]
fn other_ways_of_writing_arrays() {
    let tensors = small::training(None).tensors;
    let expected = read(&pickled(&tensors)).unwrap().tensors;

    // Doubles that hold the same numbers.
    let doubles = pickled_with(&tensors, |name, array| Array {
        code: "f8",
        data: tensors.get(name).unwrap().values.iter().flat_map(|&v| f64::from(v).to_le_bytes()).collect(),
        ..array
    });
    assert!(read(&doubles).unwrap().tensors == expected);

    // Halves, and bfloat16 as Paddle writes it: rounded, so compared with the rounded value.
    for (code, dtype, read_back) in [
        ("f2", "float16", (|v| half::f16::from_f32(v).to_f32()) as fn(f32) -> f32),
        ("u2", "bfloat16", |v| half::bf16::from_f32(v).to_f32()),
    ] {
        let bytes = pickled_with(&tensors, |name, array| Array {
            code,
            data: tensors
                .get(name)
                .unwrap()
                .values
                .iter()
                .flat_map(|&v| match code {
                    "f2" => half::f16::from_f32(v).to_le_bytes(),
                    _ => half::bf16::from_f32(v).to_le_bytes(),
                })
                .collect(),
            ..array
        });
        let model = read(&bytes).unwrap();
        let rounded: Vec<f32> = tensors.get(LAST_CONV).unwrap().values.iter().map(|&v| read_back(v)).collect();
        assert_eq!(model.tensors.get(LAST_CONV).unwrap().values, rounded, "{code}");
        assert_eq!(model.info().tensors[0].dtype, dtype);
    }

    // (name, array) instead of the array, as some versions of Paddle write it.
    let mut pickle = Pickle::new().raw(b"}(");
    for (name, tensor) in tensors.iter() {
        let data = small::floats(&tensor.values);
        let array = Array { shape: tensor.shape.clone(), code: "f4", order: "<", fortran: false, data };
        pickle = pickle.text(name).text("linear_0.w_0").array(&array).op(0x86);
    }
    assert!(read(&pickle.op(b'u').done()).unwrap().tensors == expected);
}

#[test]
fn protocol_2_writes_bytes_as_text() {
    let tensors = small::training(None).tensors;
    let mut pickle = Pickle::default().raw(b"\x80\x02}(");
    for (name, tensor) in tensors.iter() {
        pickle = pickle.text(name).raw(b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\0\x85");
        pickle = pickle.raw(b"c_codecs\nencode\n").text("b").text("latin1").raw(b"\x86R\x87R(K\x01(");
        for &side in &tensor.shape {
            pickle = pickle.int(side);
        }
        let latin1: String = small::floats(&tensor.values).into_iter().map(char::from).collect();
        let pickle_with_type = pickle.op(b't').raw(b"cnumpy\ndtype\n").text("f4").raw(b"K\0K\x01\x87R(K\x03").text("<");
        pickle = pickle_with_type.raw(b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb\x89c_codecs\nencode\n");
        pickle = pickle.text(&latin1).text("latin1").raw(b"\x86Rtb");
    }
    assert!(read(&pickle.op(b'u').done()).unwrap().tensors == tensors);
}

#[test]
fn spare_convolutions_may_be_missing() {
    let tensors = small::training(None).tensors;
    let mut without = Tensors::new();
    for (name, tensor) in tensors.iter().filter(|(name, _)| !name.ends_with(".dw_conv.weight")) {
        without.insert(name, tensor.clone());
    }
    let model = read(&pickled(&without)).unwrap();
    assert_eq!(model.tensors.len(), tensors.len());
    assert!(model.info().notes.iter().any(|note| note.starts_with("8 tensors of the unused fused convolutions")));
}

#[test]
fn wrong_contents_are_named() {
    let tensors = small::training(None).tensors;
    let changed = |wanted: &'static str, change: fn(&mut Array)| {
        pickled_with(&tensors, move |name, mut array| {
            if name == wanted {
                change(&mut array);
            }
            array
        })
    };
    let mean = "backbone.stem.0.bn._mean";
    let without = |wanted: &str| {
        let mut rest = Tensors::new();
        tensors.iter().filter(|(name, _)| *name != wanted).for_each(|(name, tensor)| rest.insert(name, tensor.clone()));
        pickled(&rest)
    };
    let cases: Vec<(&str, Vec<u8>, ErrorKind, &[&str])> = vec![
        (
            "missing",
            without(mean),
            ErrorKind::Model,
            &["model.pdparams: tensor `backbone.stem.0.bn._mean` is missing", "[8]"],
        ),
        (
            "not ours",
            without(LAST_CONV),
            ErrorKind::Model,
            &["`backbone.last_conv.weight` is missing", "PP-ShiTuV2_rec family"],
        ),
        (
            "shape",
            changed(mean, |a| (a.shape, a.data) = (vec![4], vec![0; 16])),
            ErrorKind::Model,
            &["`backbone.stem.0.bn._mean`", "[4]"],
        ),
        (
            "too short",
            changed(mean, |a| a.data.truncate(30)),
            ErrorKind::Model,
            &["tensor `backbone.stem.0.bn._mean`", "30 bytes do not make a float32 tensor of shape [8]"],
        ),
        (
            "overflow",
            changed(mean, |a| a.shape = vec![i32::MAX as usize; 8]),
            ErrorKind::Model,
            &["`backbone.stem.0.bn._mean`", "do not make"],
        ),
        ("dimensions", changed(mean, |a| a.shape = vec![1; 9]), ErrorKind::Limit, &["9 dimensions"]),
        (
            "integers",
            changed(mean, |a| a.code = "i4"),
            ErrorKind::Model,
            &["`backbone.stem.0.bn._mean` holds int32 values"],
        ),
        ("strings", changed(mean, |a| a.code = "U4"), ErrorKind::Unsupported, &["type `U4`"]),
        ("big endian", changed(mean, |a| a.order = ">"), ErrorKind::Unsupported, &["big-endian"]),
        ("Fortran order", changed(LAST_CONV, |a| a.fortran = true), ErrorKind::Unsupported, &["Fortran order"]),
        (
            "not a number",
            changed(mean, |a| a.data[..4].copy_from_slice(&f32::INFINITY.to_le_bytes())),
            ErrorKind::Model,
            &["`backbone.stem.0.bn._mean` holds inf at index 0"],
        ),
    ];
    report(cases.into_iter().map(|(case, bytes, kind, parts)| expect_error(case, read(&bytes), kind, parts)));
}

#[test]
fn hostile_pickles_are_refused() {
    let deep = |opcode: u8| Pickle::new().op(b')').raw(&vec![opcode; 100_000]).done();
    let many = |opcode: u8| Pickle::new().raw(&vec![opcode; 3 << 20]).done();
    let cyclic_list = Pickle::new().raw(b"]\x94h\0a").done();
    let cyclic_dict = Pickle::new().raw(b"}\x94").text("a").raw(b"h\0s").done();
    // a text that is decoded a thousand times
    let text = "x".repeat(100_000);
    let mut decoded = Pickle::new().raw(b"c_codecs\nencode\n\x94").text(&text).op(0x94).text("latin1").op(0x94);
    for _ in 0..1000 {
        decoded = decoded.raw(b"h\0h\x01h\x02\x86R");
    }
    let call = |module: &str, name: &str| Pickle::new().global(module, name).text("echo pwned").raw(b"\x85R").done();
    let cases: Vec<(&str, Vec<u8>, ErrorKind, &[&str])> = vec![
        ("os.system", call("os", "system"), ErrorKind::Model, &["asks for `os.system`", "refused", "at byte"]),
        ("builtins.eval", call("builtins", "eval"), ErrorKind::Model, &["asks for `builtins.eval`"]),
        ("GLOBAL", Pickle::new().raw(b"cposix\nsystem\n").done(), ErrorKind::Model, &["asks for `posix.system`"]),
        ("escape codes", call("\x1b[31m", "x"), ErrorKind::Model, &["asks for `\\u{1b}[31m.x`"]),
        ("long name", call(&"a".repeat(10_000), "x"), ErrorKind::Model, &["aaaa…`"]),
        (
            "endless name",
            Pickle::new().op(b'c').raw(&[b'a'; 1000]).done(),
            ErrorKind::Model,
            &["a name without an end"],
        ),
        (
            "escape codes in a key",
            Pickle::new().raw(b"}").text("\x1b[31m").raw(b"Ns").done(),
            ErrorKind::Model,
            &["the name `\\u{1b}[31m` holds control characters"],
        ),
        (
            "long key",
            Pickle::new().raw(b"}").text(&"k".repeat(600)).raw(b"Ns").done(),
            ErrorKind::Limit,
            &["a name has 600 bytes"],
        ),
        ("nested tuples", deep(0x85), ErrorKind::Model, &["no dictionary"]),
        ("marks", many(b'('), ErrorKind::Limit, &["opcodes"]),
        ("objects", many(b'N'), ErrorKind::Limit, &["opcodes"]),
        ("cyclic list", cyclic_list, ErrorKind::Model, &["no dictionary"]),
        ("cyclic dictionary", cyclic_dict, ErrorKind::Model, &["`backbone.last_conv.weight` is missing"]),
        ("decoding", decoded.done(), ErrorKind::Limit, &["again and again"]),
        (
            "huge bytes",
            Pickle::new().raw(b"\x8e\xff\xff\xff\xff\xff\xff\xff\xff").done(),
            ErrorKind::Model,
            &["truncated"],
        ),
        ("huge text", Pickle::new().raw(b"X\xff\xff\xff\xff").done(), ErrorKind::Model, &["truncated"]),
        ("empty stack", Pickle::new().raw(b"R").done(), ErrorKind::Model, &["not there"]),
        ("past a mark", Pickle::new().raw(b"N(\x85").done(), ErrorKind::Model, &["not there"]),
        ("no mark", Pickle::new().raw(b"Nt").done(), ErrorKind::Model, &["mark"]),
        ("odd items", Pickle::new().raw(b"}(Nu").done(), ErrorKind::Model, &["a key without a value"]),
        ("unknown memo", Pickle::new().raw(b"h\x07").done(), ErrorKind::Model, &["object 7"]),
        ("protocol 5", vec![0x80, 5, b'.'], ErrorKind::Unsupported, &["protocol 5"]),
        ("INST", Pickle::new().raw(b"(ios\nsystem\n").done(), ErrorKind::Model, &["opcode 0x69"]),
        ("calling a text", Pickle::new().text("os").raw(b")R").done(), ErrorKind::Model, &["not a known function"]),
        ("state of a dictionary", Pickle::new().raw(b"})b").done(), ErrorKind::Model, &["sets the state"]),
        (
            "long number",
            Pickle::new().raw(b"\x8a\x09\x01\x01\x01\x01\x01\x01\x01\x01\x01").done(),
            ErrorKind::Model,
            &["9 bytes"],
        ),
        ("a list", Pickle::new().raw(b"]").done(), ErrorKind::Model, &["no dictionary"]),
        ("nothing", vec![0x80, 4], ErrorKind::Model, &["truncated"]),
    ];
    report(cases.into_iter().map(|(case, bytes, kind, parts)| expect_error(case, read(&bytes), kind, parts)));
}
