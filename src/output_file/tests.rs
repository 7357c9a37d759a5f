use std::io::Read;

use temp_dir::TempDir;

use super::*;

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[track_caller]
fn refused(target: &Path, part: &str) {
    let error = OutputFile::create(target).err().expect("is refused").to_string();
    assert!(error.contains(part) && error.contains(&*target.to_string_lossy()), "no `{part}` in {error}");
    assert_eq!(OutputFile::replaces(target).unwrap_err().to_string(), error);
}

#[test]
fn appears_only_when_committed() {
    let folder = TempDir::new().unwrap();
    let target = folder.path().join("out.json");
    std::fs::write(&target, "old").unwrap();

    let mut dropped = OutputFile::create(&target).unwrap();
    dropped.write_all(b"half").unwrap();
    drop(dropped);
    assert_eq!(std::fs::read(&target).unwrap(), b"old");

    let mut first = OutputFile::create(&target).unwrap();
    let mut second = OutputFile::create(folder.path().join("other")).unwrap();
    first.write_all(b"new").unwrap();
    second.write_all(b"too").unwrap();
    first.commit().unwrap();
    second.commit().unwrap();
    assert_eq!(std::fs::read(&target).unwrap(), b"new");
    assert_eq!(names(folder.path()), ["other", "out.json"], "a temporary file is left");
}

/// Of many writers of one file, the last whole one wins.
#[test]
fn writers_of_one_file_are_never_mixed() {
    let folder = TempDir::new().unwrap();
    let target = folder.path().join("out");
    std::thread::scope(|scope| {
        for writer in 0..18u8 {
            let target = &target;
            scope.spawn(move || {
                for _ in 0..20 {
                    let mut file = OutputFile::create(target).unwrap();
                    for _ in 0..40 {
                        file.write_all(&[writer; 1000]).unwrap();
                    }
                    file.commit().unwrap();
                    let found = std::fs::read(target).unwrap();
                    assert!(found.len() == 40_000 && found.iter().all(|byte| *byte == found[0]), "two are mixed");
                }
            });
        }
    });
    assert_eq!(names(folder.path()), ["out"]);
}

#[test]
fn folders_are_refused_and_missing_ones_named() {
    let folder = TempDir::new().unwrap();
    let inner = folder.path().join("inner");
    std::fs::create_dir(&inner).unwrap();
    refused(&inner, "is a folder; give the file to write");
    refused(&folder.path().join("new/"), "is a folder; give the file to write");
    refused(&folder.path().join("absent/file"), "there is no such folder; make it first");
    assert_eq!(names(folder.path()), ["inner"]);
}

#[cfg(unix)]
mod unix {
    use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};

    use super::*;

    #[test]
    fn links_are_followed() {
        let folder = TempDir::new().unwrap();
        let [store, link, second] = ["store", "link", "second"].map(|name| folder.path().join(name));
        std::fs::create_dir(&store).unwrap();
        std::fs::write(store.join("real"), "old").unwrap();
        symlink("store/real", &link).unwrap();
        symlink(&link, &second).unwrap();
        assert!(OutputFile::replaces(&second).unwrap());
        assert_eq!(OutputFile::written_path(&second).unwrap(), Some(store.join("real")));
        let mut file = OutputFile::create(&second).unwrap();
        file.write_all(b"new").unwrap();
        assert_eq!(names(&store).len(), 2, "it is written beside the real file, so that it can be renamed");
        file.commit_durably().unwrap();
        assert_eq!(std::fs::read(store.join("real")).unwrap(), b"new");
        assert!(second.is_symlink() && link.is_symlink());

        std::fs::remove_file(store.join("real")).unwrap();
        assert!(!OutputFile::replaces(&second).unwrap());
        OutputFile::write(&second, b"made").unwrap();
        assert_eq!(std::fs::read(store.join("real")).unwrap(), b"made");
        assert!(second.is_symlink() && link.is_symlink());
        assert_eq!((names(&store), names(folder.path()).len()), (vec!["real".to_string()], 3));

        let [circle, nowhere, to_folder] = ["circle", "nowhere", "folder"].map(|name| folder.path().join(name));
        symlink("circle", &circle).unwrap();
        refused(&circle, "lead in a circle");
        symlink("absent/file", &nowhere).unwrap();
        refused(&nowhere, "absent/file: there is no such folder");
        symlink("store", &to_folder).unwrap();
        refused(&to_folder, "is a folder");
    }

    #[test]
    fn a_replaced_file_passes_on_its_permissions() {
        let folder = TempDir::new().unwrap();
        let target = folder.path().join("private");
        std::fs::write(&target, "old").unwrap();
        for mode in [0o600, 0o640, 0o666, 0o755] {
            std::fs::set_permissions(&target, std::fs::Permissions::from_mode(mode)).unwrap();
            let mut file = OutputFile::create(&target).unwrap();
            file.write_all(b"new").unwrap();
            let begun = std::fs::metadata(&file.temporary).unwrap().permissions().mode() & 0o777;
            assert_eq!(begun & !mode, 0, "it is more public while it is written");
            file.commit().unwrap();
            assert_eq!(std::fs::metadata(&target).unwrap().permissions().mode() & 0o777, mode);
        }
    }

    #[test]
    fn devices_take_the_content_and_stay() {
        let folder = TempDir::new().unwrap();
        // through links: a fault would replace these, not the machine's devices
        let [null, full] = ["null", "full"].map(|name| {
            let link = folder.path().join(name);
            symlink(Path::new("/dev").join(name), &link).unwrap();
            link
        });
        assert!(!OutputFile::replaces(&null).unwrap());
        let mut file = OutputFile::create(&null).unwrap();
        file.write_all(b"content").unwrap();
        file.seek(SeekFrom::Start(0)).unwrap();
        file.write_all(b"C").unwrap();
        file.commit_durably().unwrap();
        assert!(null.is_symlink() && std::fs::metadata(&null).unwrap().file_type().is_char_device());
        if full.exists() {
            let error = OutputFile::write(&full, b"content").unwrap_err().to_string();
            assert!(error.contains("full") && error.contains("No space left"), "{error}");
            assert!(std::fs::metadata(&full).unwrap().file_type().is_char_device());
        }
    }

    #[test]
    fn a_pipe_takes_the_content() {
        let folder = TempDir::new().unwrap();
        let pipe = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let reader = std::thread::spawn({
            let pipe = pipe.clone();
            move || {
                let mut content = Vec::new();
                File::open(pipe).unwrap().read_to_end(&mut content).unwrap();
                content
            }
        });
        let content = vec![7; 300_000];
        OutputFile::write(&pipe, &content).unwrap();
        assert!(reader.join().unwrap() == content);
        assert!(std::fs::metadata(&pipe).unwrap().file_type().is_fifo());
        let error = OutputFile::write(&pipe, b"content").unwrap_err().to_string();
        assert!(error.contains("nobody reads from this pipe"), "{error}");
    }

    #[test]
    fn sockets_are_refused() {
        let folder = TempDir::new().unwrap();
        let socket = folder.path().join("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        refused(&socket, "is a socket; give the file to write");
    }

    /// An open file by its name in `/dev/fd` is written at its end: what it has is kept.
    #[test]
    fn an_open_file_is_written_at_its_end() {
        use std::os::fd::AsRawFd;
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("log");
        let mut log = File::options().append(true).create(true).open(&path).unwrap();
        log.write_all(b"first ").unwrap();
        OutputFile::write(format!("/dev/fd/{}", log.as_raw_fd()), b"second").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"first second");
        assert_eq!(names(folder.path()), ["log"]);
    }
}
