//! Writes Python pickles: the few kinds of object in Paddle's checkpoints.

/// A Python object.
pub(super) enum Object<'a> {
    Text(&'a str),
    Int(i64),
    Float(f64),
    /// A NumPy array of float32 in C order.
    Array {
        shape: &'a [usize],
        values: &'a [f32],
    },
    Dict(Vec<(&'a str, Object<'a>)>),
    List(Vec<Object<'a>>),
}

/// The object as a pickle of protocol 4.
pub(super) fn write(object: &Object) -> Vec<u8> {
    let mut out = vec![0x80, 4];
    put(object, &mut out);
    out.push(b'.');
    out
}

fn put(object: &Object, out: &mut Vec<u8>) {
    match object {
        Object::Text(text) => put_text(text, out),
        &Object::Int(value) => put_int(value, out),
        Object::Float(value) => {
            out.push(b'G');
            out.extend(value.to_be_bytes());
        }
        Object::Array { shape, values } => put_array(shape, values, out),
        Object::Dict(entries) => {
            out.extend(b"}(");
            for (key, value) in entries {
                put_text(key, out);
                put(value, out);
            }
            out.push(b'u');
        }
        Object::List(items) => {
            out.extend(b"](");
            items.iter().for_each(|item| put(item, out));
            out.push(b'e');
        }
    }
}

fn put_text(text: &str, out: &mut Vec<u8>) {
    out.push(b'X');
    out.extend((text.len() as u32).to_le_bytes());
    out.extend(text.as_bytes());
}

fn put_int(value: i64, out: &mut Vec<u8>) {
    match i32::try_from(value) {
        Ok(value) => {
            out.push(b'J');
            out.extend(value.to_le_bytes());
        }
        Err(_) => {
            out.extend([0x8a, 8]);
            out.extend(value.to_le_bytes());
        }
    }
}

/// An array as `numpy.ndarray.__reduce__` gives it: an empty array and its state. NumPy 2 reads the module's old name, too.
fn put_array(shape: &[usize], values: &[f32], out: &mut Vec<u8>) {
    out.extend(b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\0\x85C\x01b\x87R");
    out.extend(b"(K\x01(");
    shape.iter().for_each(|&side| put_int(side as i64, out));
    out.extend(b"tcnumpy\ndtype\nX\x02\0\0\0f4\x89\x88\x87R(K\x03X\x01\0\0\0<NNN");
    put_int(-1, out);
    put_int(-1, out);
    out.extend(b"K\0tb\x89");
    match u32::try_from(4 * values.len()) {
        Ok(len) => {
            out.push(b'B');
            out.extend(len.to_le_bytes());
        }
        Err(_) => {
            out.push(0x8e);
            out.extend((4 * values.len() as u64).to_le_bytes());
        }
    }
    values.iter().for_each(|value| out.extend(value.to_le_bytes()));
    out.extend(b"tb");
}
