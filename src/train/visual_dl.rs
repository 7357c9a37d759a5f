//! `vdlrecords.*.log`: the numbers of a run for VisualDL, as PaddleClas writes them.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use prost::Message;

use crate::Result;
use crate::error::Context;

/// VisualDL's `record.proto`, as far as scalars need it.
#[derive(Message)]
struct Record {
    #[prost(message, repeated, tag = 1)]
    values: Vec<Value>,
}

#[derive(Message)]
struct Value {
    #[prost(int64, tag = 1)]
    step: i64,
    #[prost(string, tag = 2)]
    tag: String,
    /// Milliseconds since 1970.
    #[prost(int64, tag = 3)]
    timestamp: i64,
    #[prost(float, optional, tag = 4)]
    value: Option<f32>,
    #[prost(message, optional, tag = 10)]
    meta: Option<MetaData>,
}

#[derive(Message)]
struct MetaData {
    #[prost(string, tag = 1)]
    display_name: String,
}

/// A file that VisualDL shows during the run.
pub(super) struct VisualDl {
    file: File,
}

impl VisualDl {
    /// Creates a new file in the folder of a run. A resumed run has several.
    pub fn create(folder: &Path) -> Result<Self> {
        let path = folder.join(format!("vdlrecords.{:010}.log", milliseconds() / 1000));
        let mut file = VisualDl { file: File::create(&path).context(|| path.display().to_string())? };
        let meta = MetaData { display_name: String::new() };
        file.write([Value { tag: "meta_data_tag".into(), meta: Some(meta), ..Value::at(0) }])?;
        Ok(file)
    }

    /// Adds named numbers at a step.
    pub fn scalars<'n>(&mut self, step: usize, numbers: impl IntoIterator<Item = (&'n str, f64)>) -> Result<()> {
        let value = |(tag, value): (&str, f64)| Value { tag: tag.into(), value: Some(value as f32), ..Value::at(step) };
        self.write(numbers.into_iter().map(value))
    }

    /// One record for each value: its length, then its message.
    fn write(&mut self, values: impl IntoIterator<Item = Value>) -> Result<()> {
        let mut bytes = Vec::new();
        for value in values {
            let record = Record { values: vec![value] }.encode_to_vec();
            bytes.extend((record.len() as u64).to_le_bytes());
            bytes.extend(record);
        }
        self.file.write_all(&bytes).context(|| "vdlrecords".into())
    }
}

impl Value {
    fn at(step: usize) -> Self {
        Value { step: step as i64, tag: String::new(), timestamp: milliseconds(), value: None, meta: None }
    }
}

fn milliseconds() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The run of `golden/train`, with 12 iterations and 3 evaluations, wrote 2200 bytes.
    #[test]
    fn a_file_is_as_long_as_paddleclass() {
        let folder = temp_dir::TempDir::new().unwrap();
        let mut records = VisualDl::create(folder.path()).unwrap();
        let tags = ["lr(LinearWarmup)", "train_CELoss", "train_TripletAngularMarginLoss", "train_loss"];
        for step in 1..=12 {
            records.scalars(step, tags.map(|tag| (tag, if step == 1 { 0.0 } else { 0.5 }))).unwrap();
        }
        (1..=3).for_each(|epoch| records.scalars(epoch, [("eval_acc", 1.0)]).unwrap());
        let path = std::fs::read_dir(folder.path()).unwrap().next().unwrap().unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        assert!(name.starts_with("vdlrecords.1") && name.len() == "vdlrecords.1795418254.log".len(), "{name}");
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!(bytes.len(), 2200);
        // the second record, read back
        let at = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        let len = u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap()) as usize;
        let record = Record::decode(&bytes[at + 8..at + 8 + len]).unwrap();
        assert_eq!((record.values[0].step, record.values[0].tag.as_str()), (1, tags[0]));
        assert_eq!(record.values[0].value, Some(0.0), "a zero is written, too");
    }
}
