//! A model on its device, which computes features of images.

use std::ops::ControlFlow;
use std::path::PathBuf;

use crate::embed::{
    Damaged, Decoding, DetectorArgs, Embedded, Engine, Inputs, Origin, PartEngine, Parts, Preparation, embed_all,
    preparation,
};
use crate::terminal::{Progress, complain, note};
use crate::{Outcome, default_threads, open_model, thread_count};
use image_feature::gallery::{Gallery, ModelId};
use image_feature::{DeviceRequest, ErrorKind, Model, Result};

/// The arguments that choose a model and its device.
#[derive(clap::Args)]
pub struct ModelArgs {
    /// Model archive, folder, .pdparams or .safetensors, or a name: an official one that PaddleX has downloaded, or `default`,
    /// the small model that comes with the program and is taken where none is given
    #[arg(long, short, value_name = "PATH|NAME")]
    pub model: Option<PathBuf>,
    /// Device that computes: auto, cpu, webgpu, cuda or cuda:N
    #[arg(long, default_value = "auto")]
    pub device: DeviceRequest,
    /// Images that go through the network together
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=512))]
    pub batch_size: u16,
    #[command(flatten)]
    pub decoding: Decoding,
    /// Threads for decoding and for the network on the CPU [default: one for each core]
    #[arg(long, value_name = "N", value_parser = thread_count())]
    pub threads: Option<u16>,
    /// Print nothing but results and errors
    #[arg(long, short)]
    pub quiet: bool,
}

/// A model that is ready for images.
pub struct Embedder {
    /// The id of the model.
    pub model: ModelId,
    engine: Engine,
    parts: Option<Parts>,
    preparation: Preparation,
    batch_size: usize,
    quiet: bool,
}

impl Embedder {
    /// Loads the model that the arguments name on its device.
    pub fn open(args: &ModelArgs) -> Result<Self> {
        Self::of(open_model(args.model.as_deref())?, args)
    }

    /// Loads a model on its device.
    pub fn of(model: Model, args: &ModelArgs) -> Result<Self> {
        let threads = args.threads.map_or_else(default_threads, usize::from);
        let engine = Engine::open(&model, args.device, threads)?;
        if !args.quiet {
            note(&engine.summary);
        }
        let batch_size = usize::from(args.batch_size);
        let preparation = preparation(&model, None, args.decoding, threads, batch_size);
        Ok(Embedder { model: ModelId::of(&model), engine, parts: None, preparation, batch_size, quiet: args.quiet })
    }

    /// Takes what a detector finds in each image in place of the whole image, where the arguments name one.
    pub fn with_detector(mut self, args: &DetectorArgs) -> Result<Self> {
        self.parts = Parts::open(args, self.preparation.threads)?;
        if let Some(parts) = &self.parts
            && !self.quiet
        {
            note(&format!("boxes by {}", parts.name()));
        }
        Ok(self)
    }

    /// Whether nothing but results and errors is printed.
    pub fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Refuses a gallery that the model did not make.
    pub fn check(&self, gallery: &Gallery, any_model: bool) -> Result<()> {
        super::check_model(gallery, &self.model, self.dimension(), any_model)
    }

    /// Length of a feature.
    pub fn dimension(&self) -> usize {
        self.engine.dimension
    }

    /// Calls `take` for each feature until it breaks, and reports images that failed or are damaged.
    pub fn run(
        &self,
        inputs: Inputs,
        take: &mut dyn FnMut(Origin, Embedded) -> Result<ControlFlow<()>>,
    ) -> Result<Outcome> {
        let remarks = inputs.remarks();
        let mut progress = Progress::new(inputs.count(), self.quiet);
        let mut worst = None;
        let (mut damaged, mut images) = (Damaged::default(), 0);
        self.embed(inputs, &mut |origin, result| {
            progress.advance();
            let name = origin.input_path.clone();
            if let Ok(parts) = &result {
                images += 1;
                parts.iter().take(1).filter_map(|part| part.damage.as_ref()).for_each(|text| damaged.add(&name, text));
            }
            result.and_then(|parts| progress.suspend(|| take_all(&origin, parts, take))).or_else(|error| {
                if worst != Some(ErrorKind::Internal) {
                    worst =
                        Some(if error.kind() == ErrorKind::Internal { ErrorKind::Internal } else { ErrorKind::Decode });
                }
                progress.suspend(|| complain(&error.context(name)));
                Ok(ControlFlow::Continue(()))
            })
        })?;
        progress.finish();
        if let Some(warning) = damaged.note(images) {
            note(&warning);
        }
        if !self.quiet {
            remarks.tell();
        }
        Ok(worst.map_or(Outcome::Good, Outcome::Failed))
    }

    /// Computes the features of each image: one, or that of each part.
    fn embed(
        &self,
        inputs: Inputs,
        take: &mut dyn FnMut(Origin, Result<Vec<Embedded>>) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        let Embedder { engine, preparation, batch_size, .. } = self;
        match &self.parts {
            None => embed_all(inputs, preparation, engine, *batch_size, &mut |origin, result| {
                take(origin, result.map(|whole| vec![whole]))
            }),
            Some(parts) => {
                let part_engine = PartEngine { engine, preprocess: &preparation.preprocess, batch_size: *batch_size };
                parts.embed_all(inputs, preparation.decoding, part_engine, take)
            }
        }
    }
}

fn take_all(
    origin: &Origin,
    parts: Vec<Embedded>,
    take: &mut dyn FnMut(Origin, Embedded) -> Result<ControlFlow<()>>,
) -> Result<ControlFlow<()>> {
    for part in parts {
        if take(origin.clone(), part)?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
    Ok(ControlFlow::Continue(()))
}
