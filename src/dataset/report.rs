//! The report of a check, as JSON and as one HTML file.
//!
//! # The JSON, version 1
//!
//! | field | |
//! |---|---|
//! | `schema`, `version` | `"dataset-report"`, 1; fields may be added, but none is changed or removed in a version |
//! | `name`, `root`, `notes` | the data set, the folder with its lists, assumptions made |
//! | `passed`, `complete` | whether there is no error; whether every image was examined |
//! | `errors`, `warnings`, `hints` | numbers of findings |
//! | `images` | `listed`, `decoded`: numbers of files; `bytes` of all |
//! | `lists` | for each list: `list`, `file`, `rows`, `classes` |
//! | `class_count`, `class_sizes` | `[label, train, gallery, query]` for each class, of at most 20 000 |
//! | `evaluation` | `queries`, `answerable`, `recall_ceiling` (`null` without queries) |
//! | `training` | `classes`, `largest_batch` |
//! | `codes` | for each code found, errors first: `code`, `name`, `severity`, `title`, `fix`, `count`, `shown` |
//! | `findings` | `code`, `list`, `line`, `column`, `image`, `reason`, `fix`; unknown ones are left out |
//! | `samples` | `image`, `list`, `label` of some images |
//! | `thumbnails` | from path to a small picture as a data URI, of samples and of images with findings |

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::audit::Audit;
use super::dataset::Dataset;
use super::facts::ImageFacts;
use super::findings::{Code, Finding, Findings, Severity};
use super::subset::Subset;

const MOST_CLASSES: usize = 20_000;
/// Images shown of each list.
const SAMPLES: usize = 12;
/// Images shown of each code.
const SAMPLES_OF_A_CODE: usize = 6;

/// Small pictures as data URIs, by the index of their image in [`Dataset::images`]. See
/// [`thumbnail`](super::thumbnail).
pub type Thumbnails = BTreeMap<usize, String>;

/// The report of a check as JSON, with at most `most` findings of each code. `name` is the data set's name in it.
/// `facts` belong to [`Dataset::images`], and may be empty.
///
/// ```
/// use image_feature::dataset::{AuditOptions, Dataset, Evidence, audit, report};
/// use image_feature::file_tree::Memory;
///
/// let dataset = Dataset::read(&Memory::new("x", [("train.txt", b"a.jpg 0\n".to_vec())]));
/// let audit = audit(&dataset, &Evidence::default(), &AuditOptions::default());
/// let json = report("x", &dataset, &audit, &[], &Default::default(), 100);
/// assert_eq!(json["findings"][0]["code"], "L001");
/// assert_eq!(json["passed"], false);
/// ```
pub fn report(
    name: &str,
    dataset: &Dataset,
    audit: &Audit,
    facts: &[Option<ImageFacts>],
    thumbnails: &Thumbnails,
    most: usize,
) -> Value {
    let known = || facts.iter().flatten();
    let lists = Subset::ALL.map(|list| list_json(list, audit));
    let sizes = audit.classes.iter().take(MOST_CLASSES).map(|class| {
        let [train, gallery, query] = class.rows;
        json!([class.label, train, gallery, query])
    });
    let codes = audit.findings.codes();
    let kinds = codes.iter().map(|&code| code_json(code, &audit.findings, most));
    let found = codes.iter().flat_map(|&code| audit.findings.of(code).iter().take(most)).map(finding_json);
    let count = |severity| audit.findings.count_of(severity);
    let pictures: Map<String, Value> =
        thumbnails.iter().map(|(&image, uri)| (dataset.paths()[image].clone(), json!(uri))).collect();
    json!({
        "schema": "dataset-report",
        "version": 1,
        "name": name,
        "root": dataset.root(),
        "notes": dataset.notes(),
        "passed": audit.passed(),
        "complete": audit.is_complete,
        "errors": count(Severity::Error),
        "warnings": count(Severity::Warning),
        "hints": count(Severity::Hint),
        "images": {
            "listed": dataset.images().len(),
            "decoded": known().filter(|facts| facts.pixels.is_some()).count(),
            "bytes": known().map(|facts| facts.bytes).sum::<u64>(),
        },
        "lists": lists,
        "class_count": audit.classes.len(),
        "class_sizes": sizes.collect::<Vec<_>>(),
        "evaluation": {
            "queries": audit.evaluation.queries,
            "answerable": audit.evaluation.answerable,
            "recall_ceiling": audit.evaluation.recall_ceiling(),
        },
        "training": { "classes": audit.largest_batch / 4, "largest_batch": audit.largest_batch },
        "codes": kinds.collect::<Vec<_>>(),
        "findings": found.collect::<Vec<_>>(),
        "samples": samples(dataset).into_iter().map(|(image, list, label)| {
            json!({ "image": dataset.paths()[image], "list": list, "label": label })
        }).collect::<Vec<_>>(),
        "thumbnails": pictures,
    })
}

fn list_json(list: Subset, audit: &Audit) -> Value {
    let rows: usize = audit.classes.iter().map(|class| class.rows[list as usize]).sum();
    let classes = audit.classes.iter().filter(|class| class.rows[list as usize] > 0).count();
    json!({ "list": list, "file": list.list(), "rows": rows, "classes": classes })
}

fn code_json(code: Code, findings: &Findings, most: usize) -> Value {
    json!({
        "code": code.id(), "name": code.name(), "severity": code.severity().as_str(), "title": code.title(),
        "fix": code.fix(), "count": findings.count(code), "shown": findings.of(code).len().min(most),
    })
}

fn finding_json(finding: &Finding) -> Value {
    let mut json = Map::new();
    json.insert("code".into(), finding.code.id().into());
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            json.insert(name.into(), value);
        }
    };
    put("list", finding.list.map(|list| list.as_str().into()));
    put("line", finding.line.map(Value::from));
    put("column", finding.column.map(Value::from));
    put("image", finding.image.as_deref().map(Value::from));
    put("reason", Some(finding.reason.as_str().into()));
    put("fix", finding.fix.as_deref().map(Value::from));
    json.into()
}

/// Sample images of each list, evenly chosen: index, list, label.
fn samples(dataset: &Dataset) -> Vec<(usize, Subset, Option<i64>)> {
    let mut samples = Vec::new();
    for list in Subset::ALL {
        let rows: Vec<_> = dataset.rows().iter().filter(|row| row.list == list && row.entry.is_some()).collect();
        let count = SAMPLES.min(rows.len());
        let chosen = (0..count).map(|at| rows[at * rows.len() / count]);
        samples.extend(chosen.filter_map(|row| Some((dataset.image_of(row)?, list, row.label))));
    }
    samples
}

/// The indices in [`Dataset::images`] of the images that a report shows: some of each list and of each code. Pass their
/// thumbnails to [`report`].
pub fn shown_images(dataset: &Dataset, audit: &Audit) -> Vec<usize> {
    let mut images: Vec<usize> = samples(dataset).into_iter().map(|(image, ..)| image).collect();
    for code in audit.findings.codes() {
        let named = audit.findings.of(code).iter().filter_map(|finding| finding.image.as_deref());
        let known = named.filter_map(|path| dataset.paths().binary_search_by(|other| other.as_str().cmp(path)).ok());
        images.extend(known.take(SAMPLES_OF_A_CODE));
    }
    images.sort_unstable();
    images.dedup();
    images
}

/// The report as one HTML file without dependencies: the web component that shows it, its style, and the JSON.
///
/// Names in a data set are never parsed as HTML: the JSON contains no `<`, the component inserts it as text, and a
/// content security policy allows no other script.
pub fn report_html(report: &Value) -> String {
    const BASE: &str = include_str!("../../www/report/component.js");
    const COMPONENT: &str = include_str!("../../www/report/dataset-report.js");
    const STYLE: &str = include_str!("../../www/report/dataset-report.css");
    const FRAME: &str = include_str!("../../www/report/report-file.html");
    let json = report.to_string().replace('<', "\\u003c");
    // a name cannot contain the nonce, which is a hash of all names
    let nonce = blake3::hash(json.as_bytes()).to_hex();
    let script = [BASE, COMPONENT].map(without_modules).concat();
    // the JSON last: a name in it may look like a placeholder of the frame
    let frame = FRAME.replacen("{{style}}", STYLE, 1).replacen("{{script}}", &script, 1);
    frame.replace("{{nonce}}", &nonce).replacen("{{json}}", &json, 1)
}

/// A module's text without imports and exports, for one script of all modules.
fn without_modules(module: &str) -> String {
    let lines = module.lines().filter(|line| !line.starts_with("import "));
    lines.map(|line| format!("{}\n", line.strip_prefix("export ").unwrap_or(line))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::{AuditOptions, Evidence, audit};
    use crate::file_tree::Memory;

    fn json_of(train: &str, files: &[&str]) -> Value {
        let files = files.iter().map(|&path| (path, Vec::new()));
        let tree = Memory::new("x", files.chain([("train.txt", train.into())]));
        let dataset = Dataset::read(&tree);
        let audit = audit(&dataset, &Evidence::default(), &AuditOptions::default());
        report("x", &dataset, &audit, &[], &Thumbnails::new(), 2)
    }

    #[test]
    fn the_schema_is_that_of_version_1() {
        let json = json_of("a.jpg 0\n\n\n\nb.jpg x\n", &["a.jpg"]);
        let keys: Vec<&str> = json.as_object().unwrap().keys().map(String::as_str).collect();
        let mut expected = [
            "schema",
            "version",
            "name",
            "root",
            "notes",
            "passed",
            "complete",
            "errors",
            "warnings",
            "hints",
            "images",
            "lists",
            "class_count",
            "class_sizes",
            "evaluation",
            "training",
            "codes",
            "findings",
            "samples",
            "thumbnails",
        ];
        expected.sort_unstable();
        let mut sorted = keys;
        sorted.sort_unstable();
        assert_eq!(sorted, expected);
        let blank: Vec<&Value> =
            json["codes"].as_array().unwrap().iter().filter(|code| code["code"] == "L008").collect();
        assert_eq!(
            (&blank[0]["count"], &blank[0]["shown"], &blank[0]["severity"]),
            (&json!(3), &json!(2), &json!("error"))
        );
        let label: Vec<&Value> = json["findings"].as_array().unwrap().iter().filter(|f| f["code"] == "L014").collect();
        assert_eq!(
            *label[0],
            json!({"code": "L014", "list": "train", "line": 5, "column": 7, "image": "b.jpg", "reason": "the label is `x`"})
        );
        assert_eq!(json["samples"], json!([{"image": "a.jpg", "list": "train", "label": 0}]));
    }

    #[test]
    fn hostile_names_stay_text() {
        let name = "</script><img/src=x/onerror=alert(1)>.jpg";
        let html = report_html(&json_of(&format!("{name} 0\n<!--<script> 1\n"), &[name]));
        assert_eq!(html.matches("</script").count(), 2, "two scripts end");
        assert!(!html.contains("<img") && !html.contains("<!--"));
        let start = html.find("id=\"report\">").unwrap() + "id=\"report\">".len();
        let json: Value = serde_json::from_str(&html[start..start + html[start..].find("</script>").unwrap()]).unwrap();
        assert_eq!(json["samples"][0]["image"], name);
    }

    #[test]
    fn the_script_of_the_file_is_no_module_of_others() {
        let html = report_html(&json_of("", &[]));
        let lines = || html.lines().map(str::trim_start);
        assert!(!lines().any(|line| line.starts_with("import ") || line.starts_with("export ")));
        assert!(html.contains("customElements.define(\"dataset-report\""));
    }
}
