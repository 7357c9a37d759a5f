//! The memory that reading archives takes, counted by the allocator.
//!
//! `cargo test --features dataset --test archive_memory -- --nocapture` prints the figures.
#![cfg(all(feature = "dataset", not(target_arch = "wasm32")))]

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use flate2::{Compression, Crc, write::GzEncoder};
use image_feature::file_tree::{Archive, EntryKind, FileTree};

struct Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: all calls are passed on to the system's allocator, which meets the contract; the rest only counts bytes.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        PEAK.fetch_max(HELD.fetch_add(layout.size(), Relaxed) + layout.size(), Relaxed);
        // SAFETY: the caller's contract, passed on
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller's contract, passed on; `alloc` has the memory from the same allocator
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const FILES: usize = 80;
const FILE: usize = 8 << 20;

/// A stored zip of 640 MB. Its contents are holes in a sparse file.
fn write_zip(path: &Path) {
    let mut crc = Crc::new();
    crc.update(&vec![0; FILE]);
    let mut file = BufWriter::new(std::fs::File::create(path).unwrap());
    let mut directory = Vec::new();
    for at in 0..FILES {
        let offset = file.stream_position().unwrap() as u32;
        let sizes = [crc.sum(), FILE as u32, FILE as u32].map(u32::to_le_bytes).concat();
        let name = format!("images/{at:03}.bmp");
        let common =
            [&[20, 0, 0, 0, 0, 0, 0, 0, 0, 0][..], &sizes, &(name.len() as u16).to_le_bytes(), &[0, 0]].concat();
        file.write_all(&[b"PK\x03\x04", &common[..], name.as_bytes()].concat()).unwrap();
        file.seek(SeekFrom::Current(FILE as i64)).unwrap();
        directory.extend([b"PK\x01\x02\x14\0", &common[..], &[0; 10], &offset.to_le_bytes(), name.as_bytes()].concat());
    }
    let start = file.stream_position().unwrap() as u32;
    file.write_all(&directory).unwrap();
    let counts = [(FILES as u16).to_le_bytes(); 2].concat();
    let end = [(directory.len() as u32).to_le_bytes(), start.to_le_bytes()].concat();
    file.write_all(&[b"PK\x05\x06\0\0\0\0", &counts[..], &end, &[0, 0]].concat()).unwrap();
    file.flush().unwrap();
}

/// A compressed tar of the same files.
fn write_tar_gz(path: &Path, content: &[u8], files: usize) {
    let file = std::fs::File::create(path).unwrap();
    let mut tar = tar::Builder::new(GzEncoder::new(BufWriter::new(file), Compression::new(1)));
    for at in 0..files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, format!("images/{at:03}.bmp"), content).unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap().flush().unwrap();
}

/// The peak memory while an archive is listed and read completely, and the number of files that could be read.
fn peak(path: &Path) -> (usize, usize) {
    let before = HELD.load(Relaxed);
    PEAK.store(before, Relaxed);
    let archive = Archive::open(path).unwrap();
    let files = archive.entries().iter().enumerate().filter(|(_, entry)| entry.kind == EntryKind::File);
    let files: Vec<usize> = files.map(|(index, _)| index).collect();
    let mut read = 0;
    let _ = archive.read_each(&files, 512 << 20, &mut |_, content| {
        read += usize::from(content.is_ok());
        ControlFlow::Continue(())
    });
    (PEAK.load(Relaxed) - before, read)
}

#[test]
fn one_file_at_a_time_is_held() {
    let folder = temp_dir::TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name);
    write_zip(&path("large.zip"));
    let noise: Vec<u8> = (0..FILE as u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 11) as u8).collect();
    write_tar_gz(&path("large.tar.gz"), &noise, 10);
    // no more than a gigabyte of it is unpacked
    write_tar_gz(&path("bomb.tar.gz"), &vec![0; 64 << 20], 20);
    let mut complaints = Vec::new();
    let cases = [("large.zip", FILES, FILE), ("large.tar.gz", 10, FILE), ("bomb.tar.gz", 15, 64 << 20)];
    for (name, readable, one_file) in cases {
        let (peak, read) = peak(&path(name));
        let size = std::fs::metadata(path(name)).unwrap().len();
        println!("{name}: {size} bytes, {read} files read, at most {peak} bytes of memory");
        let most = one_file + (2 << 20);
        if peak > most || read != readable {
            complaints.push(format!("{name}: {read} files, {peak} bytes; expected {readable}, and at most {most}"));
        }
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}
