//! Files of the browser as readers and writers.

use std::io::{self, BufWriter, Read, Write};

use image_feature::file_tree::ReadAt;
use js_sys::{Function, Uint8Array};
use wasm_bindgen::prelude::*;
use web_sys::Blob;

use crate::BlobSource;

/// A Blob, read from its start to its end.
pub struct FromStart {
    source: BlobSource,
    at: u64,
}

impl FromStart {
    pub fn new(file: Blob) -> Self {
        FromStart { source: BlobSource::new(file), at: 0 }
    }

    /// Bytes of the Blob.
    pub fn size(&self) -> u64 {
        self.source.size()
    }
}

impl Read for FromStart {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read_at(self.at, into)?;
        self.at += count as u64;
        Ok(count)
    }
}

/// A JavaScript function that takes bytes.
pub struct Sink<'f>(pub &'f Function);

impl<'f> Sink<'f> {
    /// Collects bytes before the function is called.
    pub fn buffered(take: &'f Function) -> BufWriter<Self> {
        BufWriter::with_capacity(1 << 20, Sink(take))
    }
}

impl Write for Sink<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = self.0.call1(&JsValue::NULL, &Uint8Array::from(bytes));
        taken.map_err(|_| io::Error::other("the browser has no room for the file"))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
