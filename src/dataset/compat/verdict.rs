//! PaddleX's verdict as plain data.

use serde::Serialize;

use super::check::Summary;
use super::{Exception, PASSED, result_json};

/// PaddleX's verdict on a data set, as its result file and its log have it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Verdict {
    /// Whether there was no exception.
    pub passed: bool,
    /// The text of the result file; `None` after a conversion or division that succeeded, which writes none.
    pub json: Option<String>,
    /// The log message: of the success, or the exception as Python prints it.
    pub log: String,
    /// The file names of the samples that a check draws; `None` for other steps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub samples: Option<Vec<String>>,
}

impl Verdict {
    /// The verdict of a check that drew these samples.
    pub(crate) fn of_check(verdict: &Result<Summary, Exception>, samples: Vec<String>) -> Self {
        let log = verdict.as_ref().map_or_else(Exception::to_string, |_| PASSED.into());
        Verdict { passed: verdict.is_ok(), json: Some(result_json(verdict)), log, samples: Some(samples) }
    }

    /// A change that succeeded, with its log message.
    pub(crate) fn done(log: &str) -> Self {
        Verdict { passed: true, json: None, log: log.into(), samples: None }
    }

    /// A change that ended with an exception.
    pub(crate) fn of_exception(exception: Exception) -> Self {
        let log = exception.to_string();
        Verdict { passed: false, json: Some(result_json(&Err(exception))), log, samples: None }
    }
}
