//! The network, on a thread of its own: one batch at a time has all of its threads.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{SyncSender, sync_channel};

use crate::embed::Engine;
use image_feature::{DeviceRequest, Error, Model, Result};

/// The feature of each image of a batch, or why it has none; or why the batch failed.
type Features = Result<Vec<Result<Vec<f32>>>>;

/// A batch, and where its features are to go.
struct Job {
    inputs: Vec<Vec<f32>>,
    reply: SyncSender<Features>,
}

/// A model on its device.
pub struct Network {
    /// Model, dimension and device in one line.
    pub summary: String,
    jobs: SyncSender<Job>,
}

impl Network {
    /// Opens a device and puts the model on it.
    pub fn start(model: Model, device: DeviceRequest, threads: usize) -> Result<Self> {
        // whoever waits for the thread holds its batch; nobody else may put one into a queue
        let (jobs, queue) = sync_channel::<Job>(0);
        let (told, opened) = sync_channel(1);
        std::thread::Builder::new().name("network".into()).spawn(move || {
            // opened here, so that it need not be one that threads can pass around
            let engine = Engine::open(&model, device, threads);
            drop(model);
            let engine = match engine {
                Ok(engine) => engine,
                Err(error) => {
                    let _ = told.send(Err(error));
                    return;
                }
            };
            let _ = told.send(Ok(engine.summary.clone()));
            for Job { inputs, reply } in queue {
                let features = catch_unwind(AssertUnwindSafe(|| engine.features(&inputs)));
                let failed = |_| Err(Error::internal(format!("the network: {}", crate::take_panic_message())));
                let _ = reply.send(features.unwrap_or_else(failed));
            }
        })?;
        let summary = opened.recv().unwrap_or_else(|_| Err(Error::internal("the network's thread ended")))?;
        Ok(Network { summary, jobs })
    }

    /// The feature of each image; waits until the network is free.
    pub fn features(&self, inputs: Vec<Vec<f32>>) -> Features {
        let ended = || Error::internal("the network's thread ended");
        let (reply, features) = sync_channel(1);
        self.jobs.send(Job { inputs, reply }).map_err(|_| ended())?;
        features.recv().map_err(|_| ended())?
    }
}
