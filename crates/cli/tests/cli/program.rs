//! Running the program.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// The result of a run of the program.
#[derive(Debug)]
pub struct Run {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// The program, without the models that PaddleX has put into the user's cache.
pub fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_image-feature"));
    command.env("PADDLE_PDX_CACHE_HOME", "/nonexistent").env_remove("RUST_BACKTRACE");
    command
}

/// Runs it with these arguments.
pub fn run<S: AsRef<std::ffi::OsStr>>(arguments: impl IntoIterator<Item = S>) -> Run {
    finish(program().args(arguments).stdin(Stdio::null()))
}

/// Runs it with these bytes on stdin.
pub fn run_with_stdin(arguments: &[&str], stdin: &[u8]) -> Run {
    let mut child =
        program().args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let _ = child.stdin.take().unwrap().write_all(stdin); // it may have ended before it read all
    Run::from(child.wait_with_output().unwrap())
}

/// Runs a command that has been prepared.
pub fn finish(command: &mut Command) -> Run {
    Run::from(command.output().unwrap())
}

impl From<Output> for Run {
    fn from(output: Output) -> Self {
        let run = Run {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).expect("stdout is UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("stderr is UTF-8"),
        };
        for trace in ["panicked", "RUST_BACKTRACE", "this is a bug"] {
            assert!(!run.stderr.contains(trace), "{run:?}");
        }
        run
    }
}

impl Run {
    /// Asserts success, and returns the output.
    #[track_caller]
    pub fn good(self) -> String {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.stdout
    }

    /// Asserts that it ended with this code and exactly one line of error, which contains all of `parts`.
    #[track_caller]
    pub fn fails(&self, code: i32, parts: &[&str]) {
        assert_eq!(self.code, Some(code), "{self:?}");
        let lines: Vec<&str> = self.stderr.lines().filter(|line| line.starts_with("error: ")).collect();
        assert_eq!(lines.len(), 1, "{self:?}");
        for part in parts {
            assert!(lines[0].contains(part), "no `{part}` in: {}", lines[0]);
        }
    }

    /// Asserts that the input was at fault, and that each complaint contains one of `parts`, in this order.
    #[track_caller]
    pub fn fails_all(&self, parts: &[&str]) {
        assert_eq!(self.code, Some(1), "{self:?}");
        let lines: Vec<&str> = self.stderr.lines().filter(|line| line.starts_with("error: ")).collect();
        assert_eq!(lines.len(), parts.len(), "{self:?}");
        for (line, part) in lines.iter().zip(parts) {
            assert!(line.contains(part), "no `{part}` in: {line}");
        }
    }

    /// Asserts that the arguments were not understood, and that the complaint contains this.
    #[track_caller]
    pub fn fails_with_usage(&self, part: &str) {
        assert_eq!(self.code, Some(2), "{self:?}");
        assert!(self.stderr.contains(part) && self.stdout.is_empty(), "{self:?}");
    }
}

/// A path as an argument.
pub fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The files below a folder, by their relative paths, sorted.
pub fn files_below(folder: &Path) -> Vec<String> {
    let mut files: Vec<String> = walkdir::WalkDir::new(folder)
        .into_iter()
        .map(Result::unwrap)
        .filter(|entry| entry.file_type().is_file())
        .map(|entry| entry.path().strip_prefix(folder).unwrap().to_str().unwrap().to_string())
        .collect();
    files.sort();
    files
}
