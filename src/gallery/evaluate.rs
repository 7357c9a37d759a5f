//! How well a gallery answers queries.

use std::borrow::Cow;
use std::collections::HashMap;

use super::{Entry, Gallery};
use crate::Result;
use crate::metrics::{self, Labelled, Options, Report};

/// Number of the label of entries without one: no query has it.
const NO_LABEL: i64 = -1;

/// The queries of an [evaluation](Gallery::evaluate).
#[derive(Clone, Copy, Debug)]
pub enum Queries<'q> {
    /// Every entry of the gallery that has a label. Each is left out of its own ranking.
    Own,
    /// Vectors from elsewhere.
    Given {
        /// One vector after the other, each as long as the gallery's.
        vectors: &'q [f32],
        /// The label of each vector.
        labels: &'q [String],
        /// For each vector the id of the entry that is the same image, which is left out of its ranking. Other texts leave
        /// nothing out, and so does an empty list.
        ids: &'q [String],
    },
}

/// The result of an [evaluation](Gallery::evaluate): the numbers, and the entries and labels that they mean.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Evaluation<'g> {
    /// The figures. Its labels and places mean those that the methods here give back.
    pub report: Report,
    entries: Vec<&'g Entry>,
    /// By a label's number.
    labels: Vec<&'g str>,
    query_labels: Vec<i64>,
    /// For each query that is an entry of the gallery, its place. Empty for other queries.
    own: Vec<usize>,
}

impl<'g> Evaluation<'g> {
    /// The entry at a place of the gallery. Panics for places that the report does not have.
    pub fn entry(&self, place: usize) -> &'g Entry {
        self.entries[place]
    }

    /// The text of a label of the report; `None` for entries without a label.
    pub fn label(&self, number: i64) -> Option<&'g str> {
        usize::try_from(number).ok().and_then(|number| self.labels.get(number).copied())
    }

    /// The label of a query.
    pub fn query_label(&self, query: usize) -> Option<&'g str> {
        self.label(*self.query_labels.get(query)?)
    }

    /// The entry that a query is; `None` for queries from elsewhere.
    pub fn query_entry(&self, query: usize) -> Option<&'g Entry> {
        self.own.get(query).map(|&place| self.entries[place])
    }
}

impl Gallery {
    /// Ranks the gallery for each query by cosine and judges the order: recall@k, mean average precision, the worst queries
    /// and the labels that are taken for others. [`Options::itself`] is not used: [`Queries`] has it.
    ///
    /// ```
    /// use image_feature::gallery::{Entry, Gallery, Metric, Queries, Storage};
    /// use image_feature::metrics::Options;
    ///
    /// let mut gallery = Gallery::new(2, Metric::Cosine, Storage::F32)?;
    /// for (id, label, vector) in [("1", "tea", [1.0, 0.0]), ("2", "tea", [0.9, 0.1]), ("3", "cup", [0.0, 1.0])] {
    ///     gallery.add(Entry::new(id).label(label), &vector)?;
    /// }
    /// let evaluation = gallery.evaluate(Queries::Own, &Options { recall_at: vec![1], ..Options::default() })?;
    /// assert_eq!(evaluation.report.overall.recall, [(1, 1.0)]);
    /// assert_eq!(evaluation.report.without_match, 1, "there is no other cup");
    /// # Ok::<(), image_feature::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`metrics::evaluate`].
    pub fn evaluate<'g>(&'g self, queries: Queries<'g>, options: &Options) -> Result<Evaluation<'g>> {
        let dimension = self.dimension();
        let mut images = Vec::with_capacity(self.len() * dimension);
        let mut entries = Vec::with_capacity(self.len());
        for (entry, vector) in self.iter() {
            images.extend_from_slice(&vector);
            entries.push(entry);
        }
        let mut labels = Labels::default();
        let number = |entry: &&'g Entry| entry.label.as_deref().map_or(NO_LABEL, |label| labels.number(label));
        let image_labels: Vec<i64> = entries.iter().map(number).collect();
        let (own, query_labels): (Vec<usize>, Vec<i64>);
        let vectors: Cow<[f32]>;
        let itself: Vec<Option<usize>>;
        match queries {
            Queries::Own => {
                own = (0..entries.len()).filter(|&place| image_labels[place] != NO_LABEL).collect();
                let vector = |&place: &usize| images[place * dimension..][..dimension].iter().copied();
                vectors = own.iter().flat_map(vector).collect::<Vec<f32>>().into();
                query_labels = own.iter().map(|&place| image_labels[place]).collect();
                itself = own.iter().map(|&place| Some(place)).collect();
            }
            Queries::Given { vectors: given, labels: texts, ids } => {
                own = Vec::new();
                vectors = given.into();
                query_labels = texts.iter().map(|label| labels.number(label)).collect();
                let places: HashMap<&str, usize> = match ids {
                    [] => HashMap::new(),
                    _ => entries.iter().enumerate().map(|(place, entry)| (entry.id.as_str(), place)).collect(),
                };
                itself = ids.iter().map(|id| places.get(id.as_str()).copied()).collect();
            }
        }
        let report = metrics::evaluate(
            &Labelled { features: &vectors, labels: &query_labels },
            &Labelled { features: &images, labels: &image_labels },
            dimension,
            &Options { itself, ..options.clone() },
        )?;
        Ok(Evaluation { report, entries, labels: labels.texts, query_labels, own })
    }
}

/// Numbers for labels.
#[derive(Default)]
struct Labels<'l> {
    numbers: HashMap<&'l str, i64>,
    texts: Vec<&'l str>,
}

impl<'l> Labels<'l> {
    fn number(&mut self, label: &'l str) -> i64 {
        *self.numbers.entry(label).or_insert_with(|| {
            self.texts.push(label);
            self.texts.len() as i64 - 1
        })
    }
}
