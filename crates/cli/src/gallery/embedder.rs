//! A model on its device, which computes features of images.

use std::ops::ControlFlow;
use std::path::PathBuf;

use crate::embed::{Damaged, Decoding, Embedded, Engine, Inputs, Origin, Preparation, embed_all, preparation};
use crate::terminal::{Progress, complain, note};
use crate::{Outcome, default_threads, open_model, thread_count};
use image_feature::gallery::ModelId;
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
        Ok(Embedder { model: ModelId::of(&model), engine, preparation, batch_size, quiet: args.quiet })
    }

    /// Whether nothing but results and errors is printed.
    pub fn is_quiet(&self) -> bool {
        self.quiet
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
        embed_all(inputs, &self.preparation, &self.engine, self.batch_size, &mut |origin, result| {
            progress.advance();
            let name = origin.input_path.clone();
            if let Ok(Embedded { damage, .. }) = &result {
                images += 1;
                damage.iter().for_each(|damage| damaged.add(&name, damage));
            }
            result.and_then(|embedded| progress.suspend(|| take(origin, embedded))).or_else(|error| {
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
}
