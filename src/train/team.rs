//! Data-parallel training on several devices.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use burn::tensor::{Device, Tensor};

use super::network::{Batch, Flat, Learner, Losses};
use super::recipe::Recipe;
use crate::tensors::Tensors;
use crate::weights::Model;
use crate::{Error, Result};

/// The same network on each of several devices. Each device computes the gradients of its part of a batch. Their average is
/// the step of all devices, so all have the same weights. The statistics of normalisation differ between devices, as in
/// PaddleClas; those of the first device are saved.
///
/// Burn's `all_reduce` works with CUDA only and panics elsewhere. So the gradients are copied to the first device and back,
/// as one tensor, which works on all devices.
pub(super) struct Team {
    first: Learner,
    device: Device,
    others: Vec<Worker>,
}

impl Team {
    /// Puts a network on each of these devices, of which there is at least one.
    pub fn new(recipe: &Recipe, tensors: &Tensors, devices: &[Device]) -> Result<Self> {
        let (device, others) = devices.split_first().ok_or_else(|| Error::internal("a team without devices"))?;
        Ok(Team {
            first: Learner::new(recipe, tensors, device)?,
            device: device.clone(),
            others: others
                .iter()
                .map(|device| Worker::new(Learner::new(recipe, tensors, device)?, device.clone()))
                .collect::<Result<_>>()?,
        })
    }

    /// Learns from one batch. The devices take equal parts of it, in order. Gives the averages of the parts' losses.
    pub fn step(&mut self, batch: Batch, learning_rate: f64, iteration: u64) -> Result<Losses> {
        if self.others.is_empty() {
            return self.first.step(batch, learning_rate, iteration);
        }
        let mut parts = split(batch, 1 + self.others.len())?.into_iter();
        let own = parts.next().ok_or_else(|| Error::internal("a batch without parts"))?;
        let waiting: Vec<_> = self
            .others
            .iter()
            .zip(parts)
            .enumerate()
            .map(|(place, (worker, part))| {
                worker.ask(move |learner| {
                    let (gradients, losses) = learner.gradients(part, iteration, place as u64 + 1)?;
                    Ok::<_, Error>((Row::of(gradients), losses))
                })
            })
            .collect();
        let own = self.first.gradients(own, iteration, 0);
        // waits for all devices, even if one fails
        let answers: Vec<_> = waiting.into_iter().map(|answer| receive(&answer)?).collect();
        let (gradients, mut losses) = own?;
        let Row { mut values, lengths } = Row::of(gradients);
        let count = 1.0 + answers.len() as f64;
        for answer in answers {
            let (row, others) = answer?;
            if row.lengths != lengths {
                return Err(Error::internal("devices disagree about what learns"));
            }
            values = values.add(row.values.to_device(&self.device));
            losses.iter_mut().zip(others).for_each(|((_, sum), (_, loss))| *sum += loss);
        }
        losses.iter_mut().for_each(|(_, sum)| *sum /= count as f32);
        let values = values.div_scalar(count);
        let waiting: Vec<_> = self
            .others
            .iter()
            .map(|worker| {
                let row = Row { values: values.clone().to_device(&worker.device), lengths: lengths.clone() };
                worker.ask(move |learner| learner.apply(row.into_flat(), learning_rate))
            })
            .collect();
        self.first.apply(Row { values, lengths }.into_flat(), learning_rate);
        waiting.into_iter().try_for_each(|done| receive(&done))?;
        Ok(losses)
    }

    /// The weights, with the first device's statistics.
    pub fn model(&self) -> Result<Model> {
        self.first.model()
    }

    /// The state of the optimiser, which is the same on all devices.
    pub fn velocities(&self) -> Result<Tensors> {
        self.first.velocities()
    }

    /// Sets the state of the optimiser on all devices.
    pub fn set_velocities(&mut self, velocities: &Tensors) -> Result<()> {
        self.first.set_velocities(velocities)?;
        let waiting: Vec<_> = self
            .others
            .iter()
            .map(|worker| {
                let velocities = velocities.clone();
                worker.ask(move |learner| learner.set_velocities(&velocities))
            })
            .collect();
        waiting.into_iter().try_for_each(|done| receive(&done)?)
    }
}

/// Splits a batch into equal parts.
fn split(batch: Batch, parts: usize) -> Result<Vec<Batch>> {
    let Batch { images, labels } = batch;
    let count = labels.len();
    if count == 0 || !count.is_multiple_of(parts) || !images.len().is_multiple_of(count) {
        return Err(Error::usage(format!("a batch of {count} images cannot be shared by {parts} devices")));
    }
    let (each, len) = (count / parts, images.len() / parts);
    let parts = images.chunks(len).zip(labels.chunks(each));
    Ok(parts.map(|(images, labels)| Batch { images: images.to_vec(), labels: labels.to_vec() }).collect())
}

/// All gradients in one tensor, so that one copy carries them.
struct Row {
    values: Tensor<1>,
    /// The length of each parameter's gradient; `None` without one.
    lengths: Vec<Option<usize>>,
}

impl Row {
    fn of(gradients: Flat) -> Self {
        let lengths = gradients.iter().map(|gradient| Some(gradient.as_ref()?.dims()[0])).collect();
        Row { values: Tensor::cat(gradients.into_iter().flatten().collect(), 0), lengths }
    }

    fn into_flat(self) -> Flat {
        let mut start = 0;
        let mut next = |len: usize| {
            start += len;
            self.values.clone().narrow(0, start - len, len)
        };
        self.lengths.into_iter().map(|len| len.map(&mut next)).collect()
    }
}

/// A network on a device, with a thread of its own: a device runs the requests of one thread one after the other.
struct Worker {
    device: Device,
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

type Job = Box<dyn FnOnce(&mut Learner) + Send>;

impl Worker {
    fn new(mut learner: Learner, device: Device) -> Result<Self> {
        let (jobs, queue) = channel::<Job>();
        let work = move || queue.into_iter().for_each(|job| job(&mut learner));
        let thread = std::thread::Builder::new().name("training".into()).spawn(work)?;
        Ok(Worker { device, jobs: Some(jobs), thread: Some(thread) })
    }

    /// Sends the thread a job for its network. The answer comes through the receiver.
    fn ask<T: Send + 'static>(&self, what: impl FnOnce(&mut Learner) -> T + Send + 'static) -> Receiver<T> {
        let (answer, receiver) = channel();
        if let Some(jobs) = &self.jobs {
            // if the thread has ended, `receive` reports it
            let _ = jobs.send(Box::new(move |learner| {
                let _ = answer.send(what(learner));
            }));
        }
        receiver
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn receive<T>(answer: &Receiver<T>) -> Result<T> {
    answer.recv().map_err(|_| Error::device("a device's thread ended early"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::lcnet_v2::LcNetV2Config;
    use crate::model::vit::VitConfig;
    use crate::model::{ModelDescription, Network};
    use crate::train::initial::initial;
    use crate::{Preprocess, Resize};

    const SIZE: usize = 32;

    fn recipe(network: Network) -> Recipe {
        let preprocess = Preprocess { resize: Resize::Stretch { width: SIZE, height: SIZE }, ..Preprocess::default() };
        let model = ModelDescription { name: "small".into(), network, preprocess };
        Recipe { batch_size: 8, momentum: 0.9, weight_decay: 1e-3, ..Recipe::new(model, 4) }
    }

    fn recipes() -> [Recipe; 2] {
        let vit =
            VitConfig { input: [SIZE; 2], patch: 8, width: 32, depth: 2, heads: 2, hidden: 64, ..VitConfig::base() };
        [
            recipe(Network::LcNetV2(LcNetV2Config { scale: 0.25, input: [SIZE; 2], embedding: 16 })),
            recipe(Network::Vit(VitConfig { projection: 24, embedding: 16, ..vit })),
        ]
    }

    /// Eight images of two classes for each of two devices.
    fn batch(step: usize) -> Batch {
        let images = (0..16 * 3 * SIZE * SIZE).map(|place| ((place * 37 + step * 11) % 251) as f32 / 125.0 - 1.0);
        Batch { images: images.collect(), labels: (0..16).map(|place| (place / 4 + step) % 4).collect() }
    }

    /// Values by name, except the statistics of normalisation.
    fn learnt(tensors: &Tensors) -> Vec<(&str, &[f32])> {
        let learnt = tensors.iter().filter(|(name, _)| !name.ends_with("_mean") && !name.ends_with("_variance"));
        learnt.map(|(name, tensor)| (name, &tensor.values[..])).collect()
    }

    fn difference(a: &[f32], b: &[f32]) -> f32 {
        a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
    }

    /// PaddleClas's `DataParallel`: each device's own losses and statistics, and the mean of the gradients for all.
    #[test]
    fn gradients_are_averaged_and_weights_stay_the_same() {
        for recipe in recipes() {
            let tensors = initial(&recipe.model.network, recipe.classes, 1);
            let mut team = Team::new(&recipe, &tensors, &[Device::flex(), Device::flex()]).unwrap();
            let alone = Learner::new(&recipe, &tensors, &Device::flex()).unwrap();
            let halves = split(batch(0), 2).unwrap();
            let halves: Vec<_> = (0u64..)
                .zip(halves)
                .map(|(place, half)| {
                    let (gradients, losses) = alone.gradients(half, 0, place).unwrap();
                    let values: Vec<Option<Vec<f32>>> = gradients
                        .into_iter()
                        .map(|gradient| Some(gradient?.into_data().try_to_vec().unwrap()))
                        .collect();
                    (values, losses)
                })
                .collect();
            let losses = team.step(batch(0), 0.1, 0).unwrap();
            for (place, (name, loss)) in losses.iter().enumerate() {
                let mean = (halves[0].1[place].1 + halves[1].1[place].1) / 2.0;
                assert!(
                    (loss - mean).abs() < 1e-6 && halves[0].1[place].1 != halves[1].1[place].1,
                    "{name}: {loss} {mean}"
                );
            }
            // the first velocity is the gradient and the decay of the weights
            let velocities = team.velocities().unwrap();
            let parameters =
                recipe.model.network.parameters(crate::model::lcnet_v2::Form::Training, Some(recipe.classes));
            let learning = parameters.iter().filter(|parameter| !recipe.model.network.is_spare(parameter));
            let mut compared = 0;
            for (place, parameter) in learning.enumerate() {
                let (Some(velocity), Some(rule)) = (velocities.get(&parameter.name), crate::train::Rule::of(parameter))
                else {
                    continue;
                };
                let (Some(a), Some(b)) = (&halves[0].0[place], &halves[1].0[place]) else {
                    panic!("{} has no gradient", parameter.name)
                };
                let weights = &tensors.get(&parameter.name).unwrap().values;
                let decay = if rule.decays { 1e-3 } else { 0.0 };
                let expected: Vec<f32> =
                    a.iter().zip(b).zip(weights).map(|((a, b), weight)| (a + b) / 2.0 + decay * weight).collect();
                let most = expected.iter().fold(1e-3f32, |most, value| most.max(value.abs()));
                let differs = difference(&velocity.values, &expected);
                assert!(differs < 1e-5 * most, "{}: {differs} of {most}", parameter.name);
                compared += 1;
            }
            assert!(compared > 20, "{compared}");
            for step in 1..4 {
                team.step(batch(step), 0.1, step as u64).unwrap();
            }
            let others = receive(&team.others[0].ask(|learner| learner.model())).unwrap().unwrap().tensors;
            let own = team.model().unwrap().tensors;
            assert_eq!(learnt(&own), learnt(&others), "the devices' weights are the same, to the bit");
            let statistics = own.iter().any(|(name, tensor)| others.get(name) != Some(tensor));
            let normalised = matches!(recipe.model.network, Network::LcNetV2(_));
            assert_eq!(statistics, normalised, "statistics are each device's own");
        }
    }

    /// Where no statistics are taken over the batch, two devices with a half each are one device with the whole.
    #[test]
    fn two_devices_are_one_with_the_whole_batch() {
        let [_, recipe] = recipes();
        let tensors = initial(&recipe.model.network, recipe.classes, 2);
        let mut team = Team::new(&recipe, &tensors, &[Device::flex(), Device::flex()]).unwrap();
        let mut one = Learner::new(&recipe, &tensors, &Device::flex()).unwrap();
        for step in 0..4 {
            let (theirs, own) = (team.step(batch(step), 0.1, 0).unwrap(), one.step(batch(step), 0.1, 0).unwrap());
            assert!((theirs[0].1 - own[0].1).abs() < 1e-4, "{theirs:?} {own:?}");
        }
        let (team, one) = (team.model().unwrap().tensors, one.model().unwrap().tensors);
        for ((name, team), (_, one)) in learnt(&team).into_iter().zip(learnt(&one)) {
            assert!(difference(team, one) < 2e-5, "{name}: {}", difference(team, one));
            assert!(difference(one, &tensors.get(name).unwrap().values) > 1e-5, "{name} has learnt");
        }
    }

    #[test]
    fn what_fails_on_one_device_fails_for_all() {
        let [recipe, _] = recipes();
        let tensors = initial(&recipe.model.network, recipe.classes, 1);
        let mut team = Team::new(&recipe, &tensors, &[Device::flex(), Device::flex()]).unwrap();
        let mut wrong = batch(0);
        wrong.labels[15] = 9;
        assert!(team.step(wrong, 0.1, 0).unwrap_err().to_string().contains("label 9"));
        let uneven = Batch { images: vec![0.0; 3 * 3 * SIZE * SIZE], labels: vec![0; 3] };
        assert!(team.step(uneven, 0.1, 0).unwrap_err().to_string().contains("shared by 2 devices"));
        // and goes on
        team.step(batch(0), 0.1, 0).unwrap();
    }
}
