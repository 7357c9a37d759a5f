//! Outputs: two runs into one file, links, devices and pipes.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};

use image_feature::gallery::Gallery;
use temp_dir::TempDir;

use super::program::{files_below, program, run, text};

/// Entries in the form that `gallery import` reads.
fn entries(folder: &Path, name: &str, count: usize) -> String {
    // the vectors tell whose they are, too
    let first = name.len() + usize::from(name == "cup");
    let lines = (0..count).map(|at| format!("{{\"id\":\"{name}/{at}\",\"feature\":[{first},{at}.5]}}\n"));
    let lines: String = lines.collect();
    let path = folder.join(format!("{name}.jsonl"));
    std::fs::write(&path, lines).unwrap();
    text(&path).to_string()
}

fn import(input: &str, output: &Path) -> Vec<String> {
    ["gallery", "import", input, "--output", text(output), "--force"].map(String::from).to_vec()
}

/// The program in a container of its own, where its number is 1, if this system lets us make one.
fn contained() -> Command {
    let mut unshare = Command::new("unshare");
    unshare.args(["--user", "--map-root-user", "--pid", "--fork", "--mount-proc"]);
    let works = Command::new(unshare.get_program()).args(unshare.get_args()).arg("true").output();
    if works.is_ok_and(|output| output.status.success()) {
        unshare.arg(program().get_program());
        unshare
    } else {
        eprintln!("without containers: the processes have different numbers");
        program()
    }
}

/// Two runs into one folder, to files of their own and to one file.
#[test]
fn two_runs_into_one_folder_are_never_mixed() {
    const COUNT: usize = 3000;
    let folder = TempDir::new().unwrap();
    let inputs = ["tea", "cup"].map(|name| (name, entries(folder.path(), name, COUNT)));
    let out = folder.path().join("out");
    std::fs::create_dir(&out).unwrap();
    // the names in a gallery, which are all of one run
    let names = |gallery: &Path| {
        let gallery = Gallery::open(gallery).unwrap();
        let names: BTreeSet<String> =
            gallery.iter().map(|(entry, _)| entry.id.split('/').next().unwrap().to_string()).collect();
        assert!(gallery.len() == COUNT && names.len() == 1, "{} of {names:?}", gallery.len());
        names.into_iter().next().unwrap()
    };
    let both = |targets: [&Path; 2]| {
        let pairs: Vec<_> = inputs.iter().zip(targets).collect();
        let start = |((_, input), target): &(&(&str, String), &Path)| {
            contained().args(import(input, target)).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
        };
        for child in pairs.iter().map(start).collect::<Vec<_>>() {
            let output = child.wait_with_output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
    };
    let [tea, cup, one] = ["tea", "cup", "one"].map(|name| out.join(name));
    for _ in 0..18 {
        both([&tea, &cup]);
        assert_eq!([names(&tea), names(&cup)], ["tea", "cup"]);
    }
    for _ in 0..3 {
        both([&one, &one]);
        names(&one);
    }
    assert_eq!(files_below(&out), ["cup", "one", "tea"]);
}

/// An export of several files is of one gallery, also where two are written at a time.
#[test]
fn files_that_belong_together_are_from_one_run() {
    let folder = TempDir::new().unwrap();
    let galleries = ["tea", "cup"].map(|name| {
        let gallery = folder.path().join(format!("{name}.safetensors"));
        run(import(&entries(folder.path(), name, 200), &gallery)).good();
        gallery
    });
    let index = folder.path().join("index");
    for _ in 0..6 {
        let start = |gallery: &std::path::PathBuf| {
            program().args(["gallery", "export", text(gallery), "--output", text(&index), "--force"]).spawn().unwrap()
        };
        for mut child in galleries.each_ref().map(start) {
            assert!(child.wait().unwrap().success());
        }
        assert_eq!(files_below(&index), ["id_map.yaml", "vector.index"]);
        let back = folder.path().join("back.safetensors");
        run(import(text(&index), &back)).good();
        let back = Gallery::open(&back).unwrap();
        assert_eq!(back.len(), 200);
        // the first vector of tea is 3 : 0.5, that of cup 4 : 0.5
        let (entry, vector) = back.iter().next().unwrap();
        let name = entry.label.as_ref().unwrap_or(&entry.id);
        let expected = if vector[0] / vector[1] < 7.0 { "tea/" } else { "cup/" };
        assert!(name.starts_with(expected), "two are mixed: {name} with {vector:?}");
    }
}

#[cfg(unix)]
mod unix {
    use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};

    use super::*;

    #[test]
    fn links_are_followed_and_devices_stay() {
        let folder = TempDir::new().unwrap();
        let input = entries(folder.path(), "tea", 3);
        std::fs::create_dir(folder.path().join("store")).unwrap();
        let [real, link, null] =
            ["store/real.safetensors", "link.safetensors", "null"].map(|name| folder.path().join(name));
        symlink("store/real.safetensors", &link).unwrap();
        run(import(&input, &link)).good();
        assert!(link.is_symlink());
        assert_eq!(Gallery::open(&real).unwrap().len(), 3);
        std::fs::set_permissions(&real, std::fs::Permissions::from_mode(0o600)).unwrap();
        let without_force = &import(&input, &link)[..5];
        run(without_force).fails(2, &["link.safetensors: is there already; --force replaces it"]);
        let more = entries(folder.path(), "cup", 5);
        run(import(&more, &link)).good();
        assert!(link.is_symlink());
        assert_eq!(Gallery::open(&real).unwrap().len(), 5);
        assert_eq!(std::fs::metadata(&real).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(files_below(&folder.path().join("store")), ["real.safetensors"]);

        // by a link, so that a fault replaces that and not the device
        symlink("/dev/null", &null).unwrap();
        run(import(&input, &null)).good();
        run(&import(&input, &null)[..5]).good();
        assert!(std::fs::metadata(&null).unwrap().file_type().is_char_device() && null.is_symlink());
        run(import(&input, &folder.path().join("store"))).fails(2, &["store: is a folder"]);
    }

    #[test]
    fn standard_output_is_written_to() {
        let folder = TempDir::new().unwrap();
        let gallery = folder.path().join("g.safetensors");
        run(import(&entries(folder.path(), "tea", 3), &gallery)).good();
        let link = folder.path().join("out.jsonl");
        symlink("/dev/stdout", &link).unwrap();
        let export = format!(
            "{} gallery export {} --output {}",
            program().get_program().to_str().unwrap(),
            text(&gallery),
            text(&link)
        );
        let log = folder.path().join("log");
        std::fs::write(&log, "kept\n").unwrap();
        for command in [format!("{export} >> {}", text(&log)), format!("{export} | cat >> {}", text(&log))] {
            assert!(Command::new("sh").args(["-c", &command]).status().unwrap().success());
        }
        let log = std::fs::read_to_string(log).unwrap();
        assert!(log.starts_with("kept\n") && log.lines().count() == 7, "{log}");
        assert!(link.is_symlink());
    }

    /// What a killed run left is gone after a day.
    #[test]
    fn what_a_killed_run_left_is_removed() {
        let folder = TempDir::new().unwrap();
        let input = entries(folder.path(), "tea", 3);
        let out = folder.path().join("out");
        std::fs::create_dir(&out).unwrap();
        for (name, hours) in [("old", 30), ("new", 1)] {
            let file = std::fs::File::create(out.join(format!(".image-feature-1-{name}.part"))).unwrap();
            file.set_modified(std::time::SystemTime::now() - std::time::Duration::from_secs(hours * 3600)).unwrap();
        }
        run(import(&input, &out.join("g.safetensors"))).good();
        assert_eq!(files_below(&out), [".image-feature-1-new.part", "g.safetensors"]);
    }
}
