//! Reads Python pickles of named arrays (Paddle's `.pdparams`, `.pdopt`, `.pdstates`), of named tensors (PyTorch's
//! checkpoints) and of labels by id (`id_map.pkl`), and of nothing else.
//!
//! A pickle is a program, and Python's reader lets it import and call anything. This reader knows the few opcodes of a
//! dictionary of arrays and numbers, and the names that such a pickle imports: five of NumPy, a dozen of PyTorch. It calls
//! nothing: a known name stands for the object that it would build, and any other name is refused.
//!
//! All objects are in one flat list, so nothing recurses, however deep or circular the objects are. Their number is
//! limited by [`Limits`]. Array data is borrowed from the input.

// PyTorch's half is not used in browsers
#![cfg_attr(target_arch = "wasm32", allow(dead_code))]

use std::borrow::Cow;
use std::collections::HashMap;

use super::element::{Element, RawTensor};
use super::limits;
use crate::{Error, Result};

/// Limits of a pickle.
struct Limits {
    /// Number of opcodes. Each makes at most one object.
    steps: usize,
    /// The last protocol that is read.
    protocol: u8,
}

/// The largest model of the family has some 15,000 opcodes.
const OF_ARRAYS: Limits = Limits { steps: 1 << 20, protocol: 4 };
/// An id and its label take ten opcodes. Python 3.14 writes protocol 5; without arrays it differs in its number only.
#[cfg(feature = "gallery")]
const OF_LABELS: Limits = Limits { steps: 1 << 23, protocol: 5 };

/// Index of an object.
type Id = usize;

#[derive(Debug)]
enum Object<'a> {
    None,
    Bool(bool),
    Int(i64),
    #[cfg_attr(not(feature = "train"), allow(dead_code))] // only the state of a training run holds numbers
    Float(f64),
    Text(&'a str),
    Bytes(Cow<'a, [u8]>),
    Tuple(Vec<Id>),
    List(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    Global(Global),
    Dtype(Dtype<'a>),
    /// `None` until its state is set.
    Array(Option<Array>),
    Storage(Storage<'a>),
    Tensor(StridedTensor<'a>),
}

/// A block of numbers outside of the pickle, which PyTorch's tensors refer to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::weights) struct Storage<'a> {
    pub element: Element,
    /// The storage's name in the file.
    pub key: &'a str,
    /// Number of elements.
    pub len: usize,
}

/// A tensor of PyTorch: where its elements lie in a storage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::weights) struct StridedTensor<'a> {
    pub storage: Storage<'a>,
    /// Elements before the first.
    pub offset: usize,
    pub shape: Vec<usize>,
    /// Elements from a position to the next, for each dimension.
    pub strides: Vec<usize>,
}

/// The library whose objects a pickle may hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Library {
    #[default]
    NumPy,
    PyTorch,
}

/// The names a pickle may import.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Global {
    /// `numpy.core.multiarray._reconstruct`: makes an empty array.
    Reconstruct,
    /// `numpy.ndarray`
    NdArray,
    /// `numpy.dtype`
    Dtype,
    /// `numpy.core.multiarray.scalar`: a number.
    Scalar,
    /// `_codecs.encode`: protocol 2 has no bytes and writes them as encoded text.
    Encode,
    /// `collections.OrderedDict`
    OrderedDict,
    /// `torch._utils._rebuild_tensor_v2`: a tensor of a storage.
    RebuildTensor,
    /// `torch._utils._rebuild_parameter`: the tensor that a parameter holds.
    RebuildParameter,
    /// `torch.FloatStorage` and its siblings
    Storage(Element),
}

#[derive(Clone, Copy, Debug)]
struct Dtype<'a> {
    code: &'a str,
    /// `<` for little endian, `>` for big endian, `|` or `=` where it does not matter.
    order: &'a str,
}

#[derive(Debug)]
struct Array {
    shape: Vec<usize>,
    element: Element,
    /// The object that holds the data.
    bytes: Id,
}

/// The entries of a pickled dictionary, in its order.
#[derive(Debug, Default)]
pub(in crate::weights) struct Contents<'a> {
    pub arrays: Vec<(&'a str, RawTensor<'a>)>,
    /// Entries that are numbers.
    #[cfg(feature = "train")]
    pub numbers: Vec<(&'a str, f64)>,
    /// Entries of nested dictionaries that are texts: Paddle's last entry holds the internal name of each parameter.
    #[cfg(feature = "train")]
    pub names: Vec<(&'a str, &'a str)>,
}

/// The arrays of a pickled dictionary with their keys, in its order. Other entries are skipped.
pub(in crate::weights) fn read(bytes: &[u8]) -> Result<Vec<(&str, RawTensor<'_>)>> {
    Ok(read_all(bytes)?.arrays)
}

/// Arrays, numbers and names of a pickled dictionary. It may be in a list of one, as in a `.pdopt`.
pub(in crate::weights) fn read_all(bytes: &[u8]) -> Result<Contents<'_>> {
    let mut machine = Machine { input: bytes, ..Machine::default() };
    let root = machine.result(&OF_ARRAYS)?;
    machine.contents(root)
}

/// The ids and labels of PaddleClas's `id_map.pkl`: a dictionary of texts by number, in its order.
///
/// # Errors
/// Where the pickle holds anything else.
#[cfg(feature = "gallery")]
pub(crate) fn read_id_map(bytes: &[u8]) -> Result<Vec<(i64, &str)>> {
    let mut machine = Machine { input: bytes, ..Machine::default() };
    let root = machine.result(&OF_LABELS)?;
    let Object::Dict(entries) = &machine.objects[root] else {
        return Err(Error::model("the pickle holds no dictionary; an id_map.pkl holds one of labels by id"));
    };
    let entry = |&(key, value): &(Id, Id)| match (&machine.objects[key], &machine.objects[value]) {
        (&Object::Int(id), &Object::Text(label)) => Ok((id, label)),
        (Object::Int(id), _) => Err(Error::model(format!("the label of id {id} is no text"))),
        _ => Err(Error::model("an id is no whole number")),
    };
    entries.iter().map(entry).collect()
}

/// The dictionary of a checkpoint of PyTorch.
#[derive(Debug)]
pub(in crate::weights) struct Checkpoint<'a> {
    /// The tensors with their keys, in the dictionary's order.
    pub tensors: Vec<(&'a str, StridedTensor<'a>)>,
    /// Every storage that the pickle names, those of other entries included.
    pub storages: Vec<Storage<'a>>,
    /// Number of bytes of the pickle.
    pub end: usize,
}

/// Reads the pickled dictionary of a checkpoint of PyTorch. It may be the entry `state_dict` or `model` of another one.
pub(in crate::weights) fn read_tensors(bytes: &[u8]) -> Result<Checkpoint<'_>> {
    let mut machine = Machine { input: bytes, library: Library::PyTorch, ..Machine::default() };
    let root = machine.result(&OF_ARRAYS)?;
    let storages = machine.objects.iter().filter_map(|object| match object {
        Object::Storage(storage) => Some(*storage),
        _ => None,
    });
    Ok(Checkpoint { tensors: machine.tensors(root)?, storages: storages.collect(), end: machine.position })
}

/// The texts of a pickled list, and the number of bytes read.
pub(in crate::weights) fn read_texts(bytes: &[u8]) -> Result<(Vec<&str>, usize)> {
    let mut machine = Machine { input: bytes, ..Machine::default() };
    let root = machine.result(&OF_ARRAYS)?;
    let Object::List(items) = &machine.objects[root] else { return Err(Error::model("the pickle holds no list")) };
    let texts = items.iter().map(|&item| match machine.objects[item] {
        Object::Text(text) => Ok(text),
        _ => Err(Error::model("the pickled list holds other things than texts")),
    });
    Ok((texts.collect::<Result<_>>()?, machine.position))
}

/// The number of bytes of a pickle whose object is not needed.
pub(in crate::weights) fn skip(bytes: &[u8]) -> Result<usize> {
    let mut machine = Machine { input: bytes, ..Machine::default() };
    machine.result(&OF_ARRAYS)?;
    Ok(machine.position)
}

#[derive(Default)]
struct Machine<'a> {
    library: Library,
    input: &'a [u8],
    position: usize,
    objects: Vec<Object<'a>>,
    stack: Vec<Id>,
    /// Heights of the stack where marks were set.
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
    /// Number of bytes decoded from text so far. A text may be decoded several times; the total may not exceed the
    /// file.
    decoded: usize,
}

impl<'a> Machine<'a> {
    /// Runs the pickle. Returns the object on top of the stack at its end. Errors say where the pickle stopped.
    fn result(&mut self, limits: &Limits) -> Result<Id> {
        self.run(limits).map_err(|error| {
            let position = self.position;
            error.context(format!("at byte {position} of the pickle"))
        })
    }

    fn run(&mut self, limits: &Limits) -> Result<Id> {
        for _ in 0..limits.steps {
            let [opcode] = self.array()?;
            if opcode == b'.' {
                return self.pop();
            }
            let known = self.framing(opcode, limits)?
                || self.scalar(opcode)?
                || self.text_or_bytes(opcode)?
                || self.collection(opcode)?
                || self.memory(opcode)?
                || self.import_or_call(opcode)?;
            if !known {
                return Err(Error::model(format!(
                    "opcode {opcode:#04x} has no place in a dictionary of arrays or labels; the file is damaged, or of another kind"
                )));
            }
        }
        Err(Error::limit(format!("more than {} opcodes; no such file needs so many", limits.steps)))
    }

    // Each of the following runs an opcode of its group. They return false for any other.

    fn framing(&mut self, opcode: u8, limits: &Limits) -> Result<bool> {
        match opcode {
            // PROTO
            0x80 => match self.array()? {
                [version] if (2..=limits.protocol).contains(&version) => {}
                [version] => {
                    let last = limits.protocol;
                    return Err(Error::unsupported(format!("pickle protocol {version}; 2 to {last} are read")));
                }
            },
            // FRAME
            0x95 => drop(self.array::<8>()?),
            b'(' => self.marks.push(self.stack.len()),
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn scalar(&mut self, opcode: u8) -> Result<bool> {
        let object = match opcode {
            b'N' => Object::None,
            0x88 => Object::Bool(true),
            0x89 => Object::Bool(false),
            // BININT, BININT1, BININT2, LONG1
            b'J' => Object::Int(i32::from_le_bytes(self.array()?).into()),
            b'K' => Object::Int(u8::from_le_bytes(self.array()?).into()),
            b'M' => Object::Int(u16::from_le_bytes(self.array()?).into()),
            0x8a => {
                let length = self.length::<1>()?;
                Object::Int(long(self.take(length)?)?)
            }
            // BINFLOAT
            b'G' => Object::Float(f64::from_be_bytes(self.array()?)),
            _ => return Ok(false),
        };
        self.push(object);
        Ok(true)
    }

    fn text_or_bytes(&mut self, opcode: u8) -> Result<bool> {
        let length = match opcode {
            // SHORT_BINUNICODE, SHORT_BINBYTES
            0x8c | b'C' => self.length::<1>()?,
            // BINUNICODE, BINBYTES
            b'X' | b'B' => self.length::<4>()?,
            // BINBYTES8
            0x8e => self.length::<8>()?,
            _ => return Ok(false),
        };
        let bytes = self.take(length)?;
        self.push(match opcode {
            0x8c | b'X' => Object::Text(utf8(bytes)?),
            _ => Object::Bytes(Cow::Borrowed(bytes)),
        });
        Ok(true)
    }

    fn collection(&mut self, opcode: u8) -> Result<bool> {
        match opcode {
            b')' => self.push(Object::Tuple(Vec::new())),
            b't' => {
                let items = self.pop_mark()?;
                self.push(Object::Tuple(items));
            }
            // TUPLE1, TUPLE2, TUPLE3
            0x85..=0x87 => {
                let mut items = vec![0; usize::from(opcode - 0x84)];
                for item in items.iter_mut().rev() {
                    *item = self.pop()?;
                }
                self.push(Object::Tuple(items));
            }
            b']' => self.push(Object::List(Vec::new())),
            b'a' => {
                let item = self.pop()?;
                self.append(vec![item])?;
            }
            b'e' => {
                let items = self.pop_mark()?;
                self.append(items)?;
            }
            b'}' => self.push(Object::Dict(Vec::new())),
            b's' => {
                let value = self.pop()?;
                let key = self.pop()?;
                self.set_items(vec![key, value])?;
            }
            b'u' => {
                let items = self.pop_mark()?;
                self.set_items(items)?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn memory(&mut self, opcode: u8) -> Result<bool> {
        match opcode {
            // MEMOIZE, BINPUT, LONG_BINPUT
            0x94 => self.memoize(self.memo.len() as u32)?,
            b'q' => {
                let index = u8::from_le_bytes(self.array()?);
                self.memoize(index.into())?;
            }
            b'r' => {
                let index = u32::from_le_bytes(self.array()?);
                self.memoize(index)?;
            }
            // BINGET, LONG_BINGET
            b'h' => {
                let index = u8::from_le_bytes(self.array()?);
                self.recall(index.into())?;
            }
            b'j' => {
                let index = u32::from_le_bytes(self.array()?);
                self.recall(index)?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn import_or_call(&mut self, opcode: u8) -> Result<bool> {
        match opcode {
            // STACK_GLOBAL
            0x93 => {
                let name = self.pop()?;
                let module = self.pop()?;
                let (&Object::Text(module), &Object::Text(name)) = (&self.objects[module], &self.objects[name]) else {
                    return Err(Error::model("imports something that is not a name"));
                };
                self.push(Object::Global(self.library.global(module, name)?));
            }
            // GLOBAL
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.push(Object::Global(self.library.global(module, name)?));
            }
            // BINPERSID
            b'Q' if self.library == Library::PyTorch => self.storage()?,
            // REDUCE, BUILD
            b'R' => self.reduce()?,
            b'b' => self.build()?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn take(&mut self, length: u64) -> Result<&'a [u8]> {
        let rest = &self.input[self.position..];
        let chunk = usize::try_from(length).ok().and_then(|length| rest.get(..length)).ok_or_else(|| {
            Error::model(format!("the file is truncated: {length} bytes are needed, {} are left", rest.len()))
        })?;
        self.position += chunk.len();
        Ok(chunk)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N as u64)?);
        Ok(array)
    }

    /// The text up to the end of the line. Names are short, so the line must be, too.
    fn line(&mut self) -> Result<&'a str> {
        const LONGEST: usize = 256;
        let rest = &self.input[self.position..];
        let length = rest.iter().take(LONGEST).position(|&byte| byte == b'\n');
        let line = self.take(length.ok_or_else(|| Error::model("a name without an end"))? as u64 + 1)?;
        utf8(&line[..line.len() - 1])
    }

    /// A length of `N` bytes.
    fn length<const N: usize>(&mut self) -> Result<u64> {
        let mut wide = [0; 8];
        wide[..N].copy_from_slice(&self.array::<N>()?);
        Ok(u64::from_le_bytes(wide))
    }

    fn push(&mut self, object: Object<'a>) {
        self.stack.push(self.objects.len());
        self.objects.push(object);
    }

    fn pop(&mut self) -> Result<Id> {
        let floor = self.marks.last().copied().unwrap_or(0);
        match self.stack.pop() {
            Some(id) if self.stack.len() >= floor => Ok(id),
            _ => Err(Error::model("an object is used that is not there; the file is damaged")),
        }
    }

    fn top(&self) -> Result<Id> {
        self.stack
            .last()
            .copied()
            .ok_or_else(|| Error::model("an object is used that is not there; the file is damaged"))
    }

    fn pop_mark(&mut self) -> Result<Vec<Id>> {
        let mark =
            self.marks.pop().ok_or_else(|| Error::model("a mark is used that is not there; the file is damaged"))?;
        Ok(self.stack.split_off(mark))
    }

    fn append(&mut self, items: Vec<Id>) -> Result<()> {
        let list = self.top()?;
        match &mut self.objects[list] {
            Object::List(list) => list.extend(items),
            _ => return Err(Error::model("appends to something that is not a list")),
        }
        Ok(())
    }

    fn set_items(&mut self, items: Vec<Id>) -> Result<()> {
        let (pairs, rest) = items.as_chunks();
        let dict = self.top()?;
        match &mut self.objects[dict] {
            Object::Dict(dict) if rest.is_empty() => dict.extend(pairs.iter().map(|&[key, value]| (key, value))),
            _ => {
                return Err(Error::model("sets items of something that is not a dictionary, or a key without a value"));
            }
        }
        Ok(())
    }

    fn memoize(&mut self, index: u32) -> Result<()> {
        self.memo.insert(index, self.top()?);
        Ok(())
    }

    fn recall(&mut self, index: u32) -> Result<()> {
        let id = self.memo.get(&index);
        self.stack.push(*id.ok_or_else(|| Error::model(format!("object {index} is recalled, but was never kept")))?);
        Ok(())
    }

    /// Makes the object that Python would get by calling a function. Calls nothing.
    fn reduce(&mut self) -> Result<()> {
        let (arguments, callee) = (self.pop()?, self.pop()?);
        let (Object::Tuple(arguments), &Object::Global(callee)) = (&self.objects[arguments], &self.objects[callee])
        else {
            return Err(Error::model("calls something that is not a known function"));
        };
        let argument = |index: usize| arguments.get(index).map(|&id| &self.objects[id]);
        let made = match (callee, argument(0), argument(1)) {
            (Global::Reconstruct, Some(Object::Global(Global::NdArray)), _) => Object::Array(None),
            (Global::Dtype, Some(&Object::Text(code)), _) => Object::Dtype(Dtype { code, order: "|" }),
            (Global::Scalar, Some(Object::Dtype(dtype)), Some(Object::Bytes(bytes))) => scalar(*dtype, bytes)?,
            (Global::Encode, Some(&Object::Text(text)), Some(&Object::Text("latin1" | "latin-1"))) => {
                self.decoded += text.len();
                if self.decoded > self.input.len() {
                    return Err(Error::limit("the same text is decoded to bytes again and again"));
                }
                let bytes: Option<Vec<u8>> = text.chars().map(|char| u8::try_from(char).ok()).collect();
                Object::Bytes(Cow::Owned(bytes.ok_or_else(|| Error::model("text that should be bytes is not"))?))
            }
            (Global::OrderedDict, None, _) => Object::Dict(Vec::new()),
            (Global::RebuildTensor, Some(&Object::Storage(storage)), Some(&Object::Int(offset))) => {
                self.strided(storage, offset, argument(2), argument(3)).map(Object::Tensor)?
            }
            (Global::RebuildParameter, Some(Object::Tensor(tensor)), _) => Object::Tensor(tensor.clone()),
            _ => return Err(Error::model(format!("calls {callee:?} with arguments that make no array"))),
        };
        self.push(made);
        Ok(())
    }

    /// A tensor of a storage.
    fn strided(
        &self,
        storage: Storage<'a>,
        offset: i64,
        shape: Option<&Object>,
        strides: Option<&Object>,
    ) -> Result<StridedTensor<'a>> {
        let (Ok(offset), Some(Object::Tuple(shape)), Some(Object::Tuple(strides))) =
            (usize::try_from(offset), shape, strides)
        else {
            return Err(Error::model("a tensor has no offset, shape and strides"));
        };
        Ok(StridedTensor { storage, offset, shape: self.shape(shape)?, strides: self.shape(strides)? })
    }

    /// Makes a storage of a persistent id: `("storage", type, key, device, length, …)`.
    fn storage(&mut self) -> Result<()> {
        let id = self.pop()?;
        let Object::Tuple(parts) = &self.objects[id] else {
            return Err(Error::model("a persistent id is not a tuple"));
        };
        let part = |index: usize| parts.get(index).map(|&id| &self.objects[id]);
        let storage = match (part(0), part(1), part(2), part(4)) {
            (
                Some(&Object::Text("storage")),
                Some(&Object::Global(Global::Storage(element))),
                Some(&Object::Text(key)),
                Some(&Object::Int(len)),
            ) => usize::try_from(len).ok().map(|len| Storage { element, key, len }),
            _ => None,
        };
        let storage = storage.ok_or_else(|| Error::model("a persistent id is not that of a storage"))?;
        self.push(Object::Storage(storage));
        Ok(())
    }

    /// Sets the state of a dtype or an array.
    fn build(&mut self) -> Result<()> {
        let (state, target) = (self.pop()?, self.top()?);
        // attributes of a dictionary, such as the `_metadata` of a state dict: not needed
        if let Object::Dict(_) = &self.objects[target]
            && self.library == Library::PyTorch
        {
            return Ok(());
        }
        let Object::Tuple(state) = &self.objects[state] else {
            return Err(Error::model("an object's state is not a tuple"));
        };
        let part = |index: usize| state.get(index).map(|&id| (id, &self.objects[id]));
        let built = match &self.objects[target] {
            // (version, byte order, …)
            Object::Dtype(dtype) => match part(1) {
                Some((_, &Object::Text(order))) => Object::Dtype(Dtype { order, ..*dtype }),
                _ => return Err(Error::model("an array's type has no byte order")),
            },
            // (version, shape, type, Fortran order, data)
            Object::Array(None) => match (part(1), part(2), part(3), part(4)) {
                (
                    Some((_, Object::Tuple(shape))),
                    Some((_, Object::Dtype(dtype))),
                    Some((_, Object::Bool(fortran))),
                    Some((bytes, Object::Bytes(_))),
                ) => {
                    let shape = self.shape(shape)?;
                    if *fortran && shape.len() > 1 {
                        return Err(Error::unsupported("an array in Fortran order; save it in C order"));
                    }
                    Object::Array(Some(Array { shape, element: element(*dtype)?, bytes }))
                }
                _ => return Err(Error::model("an array's state is not its shape, type, order and data")),
            },
            _ => return Err(Error::model("sets the state of something that is not an array or its type")),
        };
        self.objects[target] = built;
        Ok(())
    }

    fn shape(&self, sides: &[Id]) -> Result<Vec<usize>> {
        if sides.len() > limits::DIMENSIONS {
            return Err(Error::limit(format!(
                "an array of {} dimensions; at most {} are read",
                sides.len(),
                limits::DIMENSIONS
            )));
        }
        let side = |&id: &Id| match self.objects[id] {
            Object::Int(side) => usize::try_from(side).ok(),
            _ => None,
        };
        sides
            .iter()
            .map(side)
            .collect::<Option<_>>()
            .ok_or_else(|| Error::model("an array's shape is not made of sizes"))
    }

    fn contents(mut self, root: Id) -> Result<Contents<'a>> {
        let root = match &self.objects[root] {
            Object::List(items) if items.len() == 1 => items[0],
            _ => root,
        };
        let Object::Dict(entries) = std::mem::replace(&mut self.objects[root], Object::None) else {
            return Err(Error::model("the pickle holds no dictionary; a .pdparams holds one of arrays by name"));
        };
        if entries.len() > limits::TENSORS {
            return Err(Error::limit(format!("{} entries; at most {} are read", entries.len(), limits::TENSORS)));
        }
        let mut contents = Contents::default();
        for (key, value) in entries {
            let Object::Text(name) = self.objects[key] else {
                return Err(Error::model("a key of the dictionary is not a name"));
            };
            limits::check_name(name)?;
            // some versions of Paddle write (name, array) instead of the array
            let value = match &self.objects[value] {
                Object::Tuple(pair) if pair.len() == 2 => pair[1],
                _ => value,
            };
            match &self.objects[value] {
                Object::Array(_) => contents.arrays.push((name, self.take_array(name, value)?)),
                #[cfg(feature = "train")]
                Object::Int(number) => contents.numbers.push((name, *number as f64)),
                #[cfg(feature = "train")]
                Object::Float(number) => contents.numbers.push((name, *number)),
                #[cfg(feature = "train")]
                Object::Dict(entries) => contents.names.extend(self.texts(entries)),
                // entries that other programs add
                _ => {}
            }
        }
        Ok(contents)
    }

    fn tensors(&self, root: Id) -> Result<Vec<(&'a str, StridedTensor<'a>)>> {
        let dictionary = |id: Id| match &self.objects[id] {
            Object::Dict(entries) => Some(entries),
            _ => None,
        };
        let key = |id: Id| match self.objects[id] {
            Object::Text(text) => Some(text),
            _ => None,
        };
        let root = dictionary(root).ok_or_else(|| Error::model("the checkpoint holds no dictionary of tensors"))?;
        let nested = ["state_dict", "model"].iter().find_map(|name| {
            let (_, value) = root.iter().find(|(other, _)| key(*other) == Some(name))?;
            dictionary(*value)
        });
        let entries = nested.unwrap_or(root);
        if entries.len() > limits::TENSORS {
            return Err(Error::limit(format!("{} entries; at most {} are read", entries.len(), limits::TENSORS)));
        }
        let mut tensors = Vec::new();
        for &(name, value) in entries {
            if let (Some(name), Object::Tensor(tensor)) = (key(name), &self.objects[value]) {
                limits::check_name(name)?;
                tensors.push((name, tensor.clone()));
            }
        }
        Ok(tensors)
    }

    /// An array. It is moved, not copied: an array with two names is missing under the second.
    fn take_array(&mut self, name: &str, array: Id) -> Result<RawTensor<'a>> {
        let Object::Array(array) = &mut self.objects[array] else {
            return Err(Error::internal("an array that is none"));
        };
        let array = array.take().ok_or_else(|| Error::model(format!("array `{name}` has no data of its own")))?;
        let Object::Bytes(bytes) = &mut self.objects[array.bytes] else {
            return Err(Error::internal("an array's data is not bytes"));
        };
        let bytes = match bytes {
            Cow::Borrowed(bytes) => Cow::Borrowed(*bytes),
            Cow::Owned(bytes) => Cow::Owned(std::mem::take(bytes)),
        };
        let tensor = RawTensor::new(array.shape, array.element, bytes);
        tensor.map_err(|error| error.context(format!("tensor `{name}`")))
    }

    #[cfg(feature = "train")]
    fn texts(&self, entries: &[(Id, Id)]) -> impl Iterator<Item = (&'a str, &'a str)> {
        entries.iter().filter_map(|&(key, value)| match (&self.objects[key], &self.objects[value]) {
            (&Object::Text(key), &Object::Text(value)) => Some((key, value)),
            _ => None,
        })
    }
}

impl Library {
    /// The object that an imported name stands for.
    fn global(self, module: &str, name: &str) -> Result<Global> {
        let known = match self {
            Library::NumPy => numpy_global(module, name),
            Library::PyTorch => torch_global(module, name),
        };
        known.ok_or_else(|| {
            Error::model(format!(
                "the pickle asks for `{}`, which loading it in Python would run; a file of weights has no need of it, and \
                 it is refused",
                shown(module, name)
            ))
        })
    }
}

fn numpy_global(module: &str, name: &str) -> Option<Global> {
    match (module, name) {
        // NumPy 2 renamed the module
        ("numpy.core.multiarray" | "numpy._core.multiarray", "_reconstruct") => Some(Global::Reconstruct),
        ("numpy.core.multiarray" | "numpy._core.multiarray", "scalar") => Some(Global::Scalar),
        ("numpy", "ndarray") => Some(Global::NdArray),
        ("numpy", "dtype") => Some(Global::Dtype),
        ("_codecs", "encode") => Some(Global::Encode),
        _ => None,
    }
}

fn torch_global(module: &str, name: &str) -> Option<Global> {
    match (module, name) {
        ("collections", "OrderedDict") => Some(Global::OrderedDict),
        ("torch._utils", "_rebuild_tensor_v2") => Some(Global::RebuildTensor),
        ("torch._utils", "_rebuild_parameter") => Some(Global::RebuildParameter),
        ("torch", name) => Some(Global::Storage(match name.strip_suffix("Storage")? {
            "Float" => Element::Float32,
            "Half" => Element::Float16,
            "BFloat16" => Element::Bfloat16,
            "Double" => Element::Float64,
            "Long" => Element::Int64,
            "Int" => Element::Int32,
            "Short" => Element::Int16,
            "Char" => Element::Int8,
            "Byte" => Element::Uint8,
            "Bool" => Element::Bool,
            _ => return None,
        })),
        _ => None,
    }
}

/// A name for an error message, shortened: it comes from a hostile file.
fn shown(module: &str, name: &str) -> String {
    const LONGEST: usize = 80;
    let full = format!("{module}.{name}").escape_debug().to_string();
    match full.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &full[..end]),
        None => full,
    }
}

/// The element type of a NumPy code.
fn element(dtype: Dtype) -> Result<Element> {
    if dtype.order == ">" {
        return Err(Error::unsupported("an array of big-endian numbers; save it on a little-endian machine"));
    }
    Ok(match dtype.code {
        "f4" => Element::Float32,
        "f2" => Element::Float16,
        "f8" => Element::Float64,
        // NumPy has no bfloat16: Paddle stores its bits as uint16
        "u2" => Element::Bfloat16,
        "b1" => Element::Bool,
        "u1" => Element::Uint8,
        "i1" => Element::Int8,
        "i2" => Element::Int16,
        "i4" => Element::Int32,
        "i8" => Element::Int64,
        "c8" => Element::Complex64,
        "c16" => Element::Complex128,
        other => return Err(Error::unsupported(format!("an array of type `{}`", other.escape_debug()))),
    })
}

/// A number of NumPy.
fn scalar<'a>(dtype: Dtype, bytes: &[u8]) -> Result<Object<'a>> {
    if dtype.order == ">" {
        return Err(Error::unsupported("a big-endian number; save it on a little-endian machine"));
    }
    let wrong = || Error::model(format!("{} bytes are no number of type `{}`", bytes.len(), dtype.code.escape_debug()));
    Ok(match (dtype.code, bytes) {
        ("i1", [_]) | ("i2", [_, _]) | ("i4", [_, _, _, _]) | ("i8", [_, _, _, _, _, _, _, _]) => {
            Object::Int(long(bytes)?)
        }
        ("u1", [_]) | ("u2", [_, _]) | ("u4", [_, _, _, _]) => Object::Int(long(&[bytes, &[0]].concat())?),
        ("u8", &[a, b, c, d, e, f, g, h]) => {
            let number = i64::try_from(u64::from_le_bytes([a, b, c, d, e, f, g, h]));
            Object::Int(number.map_err(|_| wrong())?)
        }
        ("f4", &[a, b, c, d]) => Object::Float(f32::from_le_bytes([a, b, c, d]).into()),
        ("f8", &[a, b, c, d, e, f, g, h]) => Object::Float(f64::from_le_bytes([a, b, c, d, e, f, g, h])),
        _ => return Err(wrong()),
    })
}

/// An integer from up to eight bytes of two's complement, little endian.
fn long(bytes: &[u8]) -> Result<i64> {
    if bytes.len() > 8 {
        return Err(Error::model(format!("a whole number of {} bytes", bytes.len())));
    }
    let negative = bytes.last().is_some_and(|byte| byte & 0x80 != 0);
    let mut wide = if negative { [0xff; 8] } else { [0; 8] };
    wide[..bytes.len()].copy_from_slice(bytes);
    Ok(i64::from_le_bytes(wide))
}

fn utf8(bytes: &[u8]) -> Result<&str> {
    std::str::from_utf8(bytes).map_err(|_| Error::model("a text is not UTF-8; the file is damaged"))
}
