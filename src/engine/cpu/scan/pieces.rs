//! Work on many rows, shared among threads.

#[cfg(any(not(target_family = "wasm"), feature = "threads"))]
use std::sync::Mutex;
#[cfg(any(not(target_family = "wasm"), feature = "threads"))]
use std::sync::atomic::{AtomicUsize, Ordering};

/// Does `work` on every piece, each time with the state of the thread, and gives the states. `make` makes a state.
pub(crate) fn in_pieces<S: Send>(
    pieces: usize,
    make: &(dyn Fn() -> S + Sync),
    work: &(dyn Fn(&mut S, usize) + Sync),
) -> Vec<S> {
    #[cfg(any(not(target_family = "wasm"), feature = "threads"))]
    {
        let threads = rayon::current_num_threads().min(pieces);
        if threads > 1 {
            let (next, states) = (AtomicUsize::new(0), Mutex::new(Vec::with_capacity(threads)));
            let help = || {
                let mut state = make();
                loop {
                    let piece = next.fetch_add(1, Ordering::Relaxed);
                    if piece >= pieces {
                        break;
                    }
                    work(&mut state, piece);
                }
                states.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push(state);
            };
            rayon::scope(|scope| {
                for _ in 1..threads {
                    scope.spawn(|_| help());
                }
                help();
            });
            return states.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
        }
    }
    let mut state = make();
    for piece in 0..pieces {
        work(&mut state, piece);
    }
    vec![state]
}
