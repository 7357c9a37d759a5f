//! The shuffle against CPython's (`make_python_shuffles.py`) and the goldens.

use image_feature::dataset::compat::PythonRandom;

fn shuffled(seed: u64, n: u32) -> Vec<u32> {
    let mut numbers: Vec<u32> = (0..n).collect();
    PythonRandom::new(seed).shuffle(&mut numbers);
    numbers
}

#[test]
fn it_shuffles_as_cpython_does() {
    let mut rows = 0;
    for row in include_str!("python_shuffles.tsv").lines() {
        let columns: Vec<&str> = row.split('\t').collect();
        let (seed, n) = (columns[0].parse().unwrap(), columns[1].parse().unwrap());
        let expected: Vec<u32> =
            columns[2].split(',').filter(|number| !number.is_empty()).map(|number| number.parse().unwrap()).collect();
        assert!(shuffled(seed, n) == expected, "seed {seed}, {n} numbers");
        rows += 1;
    }
    assert_eq!(rows, 89);
}

#[cfg(not(target_arch = "wasm32"))]
#[test]
fn it_shuffles_as_the_goldens_say() {
    let Some(path) = crate::common::shared("golden/shuffle_seed123.json") else { return };
    let golden: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let lists = golden["python_random_shuffle_seed_123_of_range_n"].as_object().unwrap();
    assert!(lists.len() >= 7);
    for (n, expected) in lists {
        let expected: Vec<u32> = expected.as_array().unwrap().iter().map(|n| n.as_u64().unwrap() as u32).collect();
        assert_eq!(shuffled(123, n.parse().unwrap()), expected);
    }
    let mut random = PythonRandom::new(123);
    for expected in golden["first_getrandbits32_seed123"].as_array().unwrap() {
        assert_eq!(u64::from(random.next_u32()), expected.as_u64().unwrap());
    }
}
