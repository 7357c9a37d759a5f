//! The command that continues a run.

use std::path::Path;

/// The command that continues a run with these arguments and a checkpoint in `output`. `overwrites` says whether PaddleX's
/// settings ask to delete what `output` holds.
pub(super) fn go_on_command(arguments: &[String], output: Option<&Path>, overwrites: bool) -> String {
    let mut words = arguments.to_vec();
    if let Some(output) = output {
        if words.get(1).is_some_and(|command| command == "train") {
            while let Some(place) = words.iter().position(|word| word == "--resume" || word.starts_with("--resume=")) {
                let both = words[place] == "--resume" && place + 1 < words.len();
                words.drain(place..=place + usize::from(both));
            }
            words.retain(|word| word != "--overwrite");
            words.splice(2..2, ["--resume".into(), output.display().to_string()]);
            if overwrites {
                words.splice(4..4, NO_OVERWRITE.map(String::from));
            }
        } else {
            // the dot keeps PaddleX from reading a name as a number or as None
            let output = Path::new(".").join(output);
            words.extend(["-o".into(), format!("Train.resume_path={}", output.display())]);
            if overwrites {
                words.extend(NO_OVERWRITE.map(String::from));
            }
        }
    }
    words.iter().map(|word| shell_word(word)).collect::<Vec<_>>().join(" ")
}

/// Takes back `Train.overwrite`, which may be in a file of settings.
const NO_OVERWRITE: [&str; 2] = ["-o", "Train.overwrite=False"];

/// A word as a shell reads it back.
fn shell_word(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./:=,+@%".contains(c);
    match word {
        _ if !word.is_empty() && word.chars().all(plain) => word.into(),
        _ if cfg!(windows) => format!("\"{word}\""),
        _ => format!("'{}'", word.replace('\'', "'\\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_that_goes_on_is_one_for_a_shell() {
        let command = |words: &[&str], output: Option<&str>| {
            let words: Vec<String> = words.iter().map(|word| word.to_string()).collect();
            let overwrites = words.contains(&"Train.overwrite=True".into());
            go_on_command(&words, output.map(Path::new), overwrites)
        };
        assert_eq!(command(&["if", "train", "a", "--overwrite"], Some("out")), "if train --resume out a");
        assert_eq!(
            command(&["if", "-c", "c.yaml", "-o", "Train.overwrite=True"], Some("out")),
            "if -c c.yaml -o Train.overwrite=True -o Train.resume_path=./out -o Train.overwrite=False"
        );
        assert_eq!(
            command(&["if", "train", "a b", "--resume", "old", "--resume=older", "--epochs", "9"], Some("it's")),
            "if train --resume 'it'\\''s' 'a b' --epochs 9"
        );
        assert_eq!(command(&["if", "train", "--", "--odd"], Some("out")), "if train --resume out -- --odd");
        assert_eq!(command(&["if", "train", "shop", "--resume", "old"], None), "if train shop --resume old");
        let paddlex = ["if", "-c", "config.yaml", "-o", "Global.mode=train"];
        assert_eq!(command(&paddlex, Some("out")), "if -c config.yaml -o Global.mode=train -o Train.resume_path=./out");
    }
}
